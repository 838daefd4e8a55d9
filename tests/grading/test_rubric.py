"""Rubrics: read strictly, and points that follow from verdicts."""

import math
import re
from datetime import datetime

import pytest
from running import PROJECT

from mlp.checks import InputError
from mlp.grading.rubric import default_rubric, read_rubric, rubric_of_class
from mlp.grading.scores import broken_verdicts, score
from mlp.grading.verdict import Verdict
from mlp.run.yaml_files import to_yaml

RUBRIC = """
title: Homework 1
deadline: 2026-12-01 23:59
ignore: ["old/*"]
partial: {backward: 0.25}
checks:
  Linear: 20
  ReLU: {points: 10, partial: {forward: 0.1}}
  loss: {points: 30, components: [CrossEntropy, MSE], visibility: hidden}
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "rubric.yaml"
        path.write_text(text)
        return read_rubric(path)

    return read


def failed(component, side):
    return Verdict(component, "layers.py", "failed", side, "some-mistake", "a mistake", "text")


def passed(component):
    return Verdict(component, "layers.py", "passed")


def test_a_rubric_says_points_names_and_shares(read):
    rubric = read(RUBRIC)
    assert rubric.title == "Homework 1"
    assert rubric.deadline == datetime(2026, 12, 1, 23, 59)
    assert rubric.total == 60
    assert [(c.name, c.points, c.components, c.visibility) for c in rubric.checks] == [
        ("Linear", 20, ("Linear",), "visible"),
        ("ReLU", 10, ("ReLU",), "visible"),
        ("loss", 30, ("CrossEntropy", "MSE"), "hidden"),
    ]


@pytest.mark.parametrize(
    ("verdicts", "points"),
    [
        ([], [0, 0, 0]),
        ([passed("Linear"), passed("ReLU"), passed("MSE")], [20, 10, 30]),
        ([failed("Linear", "backward"), failed("ReLU", "forward")], [5, 1, 0]),  # 20 · 0.25 and 10 · 0.1
        ([failed("ReLU", "backward"), failed("ReLU", "state")], [0, 5, 0]),  # the better of two
        ([failed("CrossEntropy", "forward"), passed("MSE")], [0, 0, 30]),
        ([Verdict("Linear", "a.py", "unfinished", "forward"), Verdict("ReLU", "a.py", "error")], [0, 0, 0]),
        ([passed("Tanh")], [0, 0, 0]),
    ],
)
def test_points(read, verdicts, points):
    result = score(read(RUBRIC), verdicts)
    assert [r.points for r in result.results] == points
    assert result.points == sum(points)
    assert result.total == 60
    assert result.percent == pytest.approx(100 * sum(points) / 60)


def test_a_component_that_is_not_there_is_missing_and_says_so(read):
    (result, *_) = score(read(RUBRIC), []).results
    assert (result.verdict.verdict, result.verdict.found) == ("missing", None)
    assert result.verdict.message.startswith("Linear: not found.")


def test_where_nothing_could_be_graded_every_check_is_an_error(read):
    rubric = read(RUBRIC)
    result = score(rubric, broken_verdicts(rubric, "the zip is damaged"))
    assert [r.verdict.verdict for r in result.results] == ["error"] * 3
    assert all("the zip is damaged" in r.verdict.message for r in result.results)
    assert result.points == 0


def test_a_total_makes_points_weights(read):
    rubric = read("total: 10\nchecks: {Linear: 1, ReLU: 3}")
    assert [check.points for check in rubric.checks] == [2.5, 7.5]


def test_no_points_at_all_are_zero_percent(read):
    result = score(read("checks: {Linear: 0}"), [passed("Linear")])
    assert (result.points, result.percent) == (0, 0)
    assert math.isfinite(result.percent)


def test_a_rubric_reads_back_as_it_was_written(read):
    for rubric in (read(RUBRIC), default_rubric(), default_rubric(["Tanh"], "T")):
        assert read(to_yaml(rubric.as_dict())) == rubric


def test_the_default_asks_of_a_class_what_half_of_it_has():
    two = [passed("Linear"), passed("Tanh")]
    one = [passed("Linear"), failed("CrossEntropy of probabilities", "forward"), passed("GeLU")]
    rubric = rubric_of_class([two, two, one, one, [passed("Linear"), passed("Tanh"), passed("ReLU")]])
    assert [check.name for check in rubric.checks] == ["Linear", "Tanh"]
    rubric = rubric_of_class([one, two])
    assert [check.name for check in rubric.checks] == ["Linear", "CrossEntropy", "GeLU", "Tanh"]
    assert score(rubric, one).results[1].verdict.verdict == "failed"  # either form of cross-entropy counts
    assert rubric_of_class([[], []]) == default_rubric()


def test_the_rubric_of_the_documents_is_one(read):
    page = (PROJECT / "docs" / "grading-a-class.md").read_text(encoding="utf-8")
    rubric = read(re.search(r"```yaml\n(.*?)```", page, re.DOTALL)[1])
    assert rubric.total == pytest.approx(100)
    assert [check.name for check in rubric.checks] == ["Linear", "ReLU", "loss", "SGD"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("checks: 3", "checks must map components to points"),
        ("title: x", "checks must map components to points"),
        ("checks: {Linear: much}", "checks: Linear: points must be a number of at least 0, got 'much'"),
        ("checks: {Linear: -1}", "must be a number of at least 0, got -1"),
        ("checks: {Linear: .nan}", "must be a number of at least 0, got nan"),
        ("checks: {Linear: .inf}", "must be a number of at least 0, got inf"),
        ("checks: {Linear: true}", "must be a number of at least 0, got True"),
        ("checks: {Linear: {visibility: hidden}}", "checks: Linear: points are missing"),
        ("checks: {Linear: {points: 1, visibility: never}}", "visibility must be one of visible, hidden"),
        ("checks: {Linear: {points: 1, part: 1}}", "unknown key 'part'"),
        ("checks: {Linear: {points: 1, partial: {backward: 2}}}", "partial must lie between 0 and 1, got 2"),
        ("checks: {Linear: {points: 1, partial: {front: 1}}}", "unknown key 'front'"),
        ("check: {Linear: 1}", "unknown key 'check'.*did you mean checks"),
        ("deadline: soon\nchecks: {Linear: 1}", "deadline must be a time such as 2026-12-01 23:59, got 'soon'"),
        ("total: 10\nchecks: {Linear: 0}", "total is 10, but all checks have 0 points"),
        ("checks: {Linear: 1, Linear: 2}", "'Linear' is given twice"),
    ],
)
def test_bad_rubrics(read, text, message):
    with pytest.raises(InputError, match=message):
        read(text)
