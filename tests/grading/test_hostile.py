"""Hostile submissions, in real processes: contained, reasoned about, and their neighbours graded all the same.

Those that use up their time run only with ``MLP_GRADING_ALL=1``, except one.
"""

import os
import subprocess
from pathlib import Path

import pytest
from hostile import CAUGHT, HARMLESS, SLOW, source

import mlp.grading
from mlp.grading import Grader, Limits

ALL = bool(os.environ.get("MLP_GRADING_ALL"))
ATTACKS = [n for n in CAUGHT if ALL or n not in SLOW or n == "infinite loop"]
NUISANCES = [n for n in HARMLESS if ALL or n not in SLOW]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a POSIX system")


@pytest.fixture(scope="module")
def grader():
    with Grader(Limits(seconds=2.0)) as grader:
        yield grader


def verdicts_on(texts, grader, tmp_path):
    here = str(Path(mlp.grading.__file__).parent)
    text = source(**{k: v.replace("{grader}", here) for k, v in texts.items()})
    (tmp_path / "layers.py").write_text(text, encoding="utf-8")
    return {v.component: v for v in grader.grade(tmp_path)}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_fail_and_the_neighbour_passes(name, grader, tmp_path):
    verdicts = verdicts_on(CAUGHT[name], grader, tmp_path)
    assert verdicts["ReLU"].verdict in ("failed", "error", "unfinished")
    assert len(verdicts["ReLU"].message.splitlines()) >= 2
    if name != "patched worker":
        assert verdicts["Sigmoid"].verdict == "passed"


@pytest.mark.parametrize("name", NUISANCES)
def test_nuisances_around_a_right_layer_do_not_matter(name, grader, tmp_path):
    assert {v.verdict for v in verdicts_on(HARMLESS[name], grader, tmp_path).values()} == {"passed"}


def test_nothing_is_left_behind(grader, tmp_path):
    verdicts_on(HARMLESS["child left running"], grader, tmp_path)
    verdicts_on(CAUGHT["write elsewhere"], grader, tmp_path)
    assert b"sleep\x00600" not in b"".join(commands())
    if "files read-only except its own folder" in grader.protections:
        assert not Path("/tmp/grading-escaped").exists()


def commands():
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield entry.read_bytes()
        except OSError:
            continue


def test_the_server_comes_back_when_something_ended_it(grader, tmp_path):
    verdicts_on({}, grader, tmp_path)
    assert grader.server.process is not None
    grader.server.process.kill()
    grader.server.process.wait()
    assert {v.verdict for v in verdicts_on({}, grader, tmp_path).values()} == {"passed"}


def test_the_parent_never_imports_the_submission(tmp_path):
    (tmp_path / "layers.py").write_text(
        source(top="open('imported', 'w').close(); PARENT = os.getpid()"), encoding="utf-8"
    )
    program = (
        "import sys; from mlp.grading import grade; print([v.verdict for v in grade(sys.argv[1])]); "
        "print('layers' in sys.modules)"
    )
    run = subprocess.run(
        [os.sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == ["['passed', 'passed']", "False"]
    assert not (tmp_path / "imported").exists()
