"""The collection: right submissions in many styles pass, wrong ones fail on the right side under the right name.

In this process by default; with ``MLP_GRADING_ALL=1`` each in confined processes, as a grader would run it.
"""

import os
import re
import shutil
from pathlib import Path

import pytest
from collection import RIGHT, wrong

from mlp.grading import Grader, Limits, exit_status, grade

ALL = bool(os.environ.get("MLP_GRADING_ALL"))


@pytest.fixture(scope="module")
def grader():
    with Grader(Limits(seconds=60), isolated=ALL) as grader:
        yield grader


def copied(path, folder):
    """The submission alone in a folder, as a student hands it in."""
    return shutil.copytree(path, folder / path.name) if path.is_dir() else Path(shutil.copy(path, folder))


@pytest.mark.parametrize("path", RIGHT, ids=[p.stem for p in RIGHT])
def test_right_submissions_pass(path, grader, tmp_path):
    verdicts = grader.grade(copied(path, tmp_path))
    assert [v.message for v in verdicts if not v] == []
    assert verdicts
    assert exit_status(verdicts) == 0


def test_there_are_enough_right_ones(grader, tmp_path):
    count = 0
    for path in RIGHT:
        (tmp_path / path.stem).mkdir()
        count += len(grader.grade(copied(path, tmp_path / path.stem)))
    assert count >= 100


@pytest.fixture(scope="module")
def graded(grader, tmp_path_factory):
    """Every wrong submission with the verdict on the component that is wrong."""
    found = []
    for i, case in enumerate(wrong()):
        path = case.write(tmp_path_factory.mktemp(f"wrong{i}"))
        alone = None if case.style in "stxy" else case.component  # there conventions need the others
        failed = [
            v
            for v in grader.grade(path, "how", component=alone)
            if not v and v.component.startswith(case.component)
        ]
        found.append((case, failed[0] if failed else None))
    return found


def test_there_are_enough_wrong_ones(graded):
    assert len(graded) >= 200


def test_wrong_submissions_are_detected(graded):
    assert [case for case, verdict in graded if verdict is None] == []


def test_the_side_at_fault_is_right(graded):
    assert [(case, v.side) for case, v in graded if v is not None and v.side != case.side] == []


def test_mistakes_are_named(graded):
    named = [v for _, v in graded if v is not None and v.mistake]
    assert len(named) >= 0.95 * len(graded)


def test_names_are_right(graded):
    misnamed = [
        (case, v.mistake) for case, v in graded
        if v is not None and v.mistake and case.mistake and not re.match(f"({case.mistake})", v.mistake)
    ]  # fmt: skip
    assert misnamed == []


def test_messages_are_two_to_five_lines(graded):
    assert {len(v.message.splitlines()) for _, v in graded if v is not None} <= {2, 3, 4, 5}


def test_levels_of_hints(tmp_path):
    case = next(c for c in wrong() if c.mistake == "bias-gradient-over-n")
    file = case.write(tmp_path)
    texts = {
        level: next(v.message for v in grade(file, hints=level, isolated=False) if v.component == "Linear")
        for level in ("none", "where", "what", "how")
    }
    assert texts["none"] == "Linear: failed."
    assert "gradient of the bias" in texts["where"]
    assert "expected" not in texts["where"]
    assert "mean over the batch" in texts["what"]
    assert texts["how"].startswith(texts["what"])
    assert "What to look at" in texts["how"]
