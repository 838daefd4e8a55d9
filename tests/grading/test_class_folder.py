"""Classes: who handed in what, side by side, resumed, and what is written about it."""

import argparse
import csv
import json
import os
import time
import xml.etree.ElementTree as ET
import zipfile
from datetime import datetime
from pathlib import Path

import pytest

from mlp.checks import InputError
from mlp.grading.__main__ import main
from mlp.grading.class_command import add_class_arguments, is_class
from mlp.grading.class_folder import Options, file_name, grade_students
from mlp.grading.process import Limits
from mlp.grading.reports import score_students, write_reports
from mlp.grading.rubric import Check, Rubric, default_rubric
from mlp.grading.students import Student, find_students, wanted_files
from mlp.grading.verdict import Verdict

RUBRIC = Rubric(
    (
        Check("Linear", 20, ("Linear",)),
        Check("ReLU", 10, ("ReLU",)),
        Check("SGD", 10, ("SGD",), visibility="hidden"),
    ),
    "Homework",
)


def submit(folder, name, text="x = 1\n"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def pretend(paths, rubric, options):
    """Grades without a grader: the text of a submission says what becomes of it, and a file counts the calls."""
    with wanted_files(paths, rubric) as (path, ignored):
        text = (
            "".join(file.read_text() for file in sorted(path.rglob("*.py"))) if path.is_dir() else path.read_text()
        )
    with (paths[0].parent.parent / "calls").open("a") as calls:
        calls.write(f"{paths[0].name}\n")
    if "killed" in text:
        os._exit(1)
    if "raises" in text:
        raise ValueError("strange\nthings")
    wrong = Verdict("ReLU", "a.py", "failed", "backward", "mask", "the mask | is <wrong>", "ReLU: failed.\n`a`\x00")
    relu = wrong if "wrong" in text else Verdict("ReLU", "a.py", "passed", convention={"built": "ReLU()"})
    return [Verdict("Linear", "a.py", "passed"), relu, Verdict("SGD", "a.py", "passed")], ignored


@pytest.fixture
def folder(tmp_path):
    """Four submissions, of which one kills its worker and one makes the grader stumble."""
    folder = tmp_path / "class"
    submit(folder, "ada/layers.py")
    submit(folder, "bob/layers.py", "wrong")
    submit(folder, "eve/layers.py", "killed")
    submit(folder, "=fred/layers.py", "raises")
    return folder


def graded(folder, called=lambda student: None, **options):
    students = find_students(folder)
    memory = folder.parent / "memory"
    grade_students(students, RUBRIC, memory, Options(**options), workers=2, grade=pretend, graded=called)
    return students


def calls(folder):
    path = folder.parent / "calls"
    names = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return names


# ---- who handed in what ----------------------------------------------------------------------------------


def test_folders_zips_files_and_notebooks_are_submissions(tmp_path):
    for name in ("ada/layers.py", "bob.py", "carl.ipynb", "dora.zip", ".git/x.py", "notes.txt", "__pycache__/y.py"):
        submit(tmp_path, name)
    assert [(s.name, [p.name for p in s.paths]) for s in find_students(tmp_path)] == [
        ("ada", ["ada"]),
        ("bob", ["bob.py"]),
        ("carl", ["carl.ipynb"]),
        ("dora", ["dora.zip"]),
    ]


def test_names_as_learning_platforms_write_them(tmp_path):
    for name in (
        "lovelaceada_123_4567_layers.py",
        "lovelaceada_123_4568_loss-2.py",
        "noetheremmy_LATE_124_4569_homework.zip",
        "Grace Hopper_11_assignsubmission_file_/layers.py",
    ):
        submit(tmp_path, name)
    students = find_students(tmp_path)
    assert [(s.name, len(s.paths), s.late) for s in students] == [
        ("Grace Hopper", 1, False),
        ("lovelaceada", 2, False),
        ("noetheremmy", 1, True),
    ]
    with wanted_files(students[1].paths, RUBRIC) as (path, ignored):
        assert sorted(file.name for file in path.iterdir()) == ["layers.py", "loss.py"]
        assert ignored == []
    assert not path.exists()


def test_two_submissions_of_one_name_stay_apart(tmp_path):
    submit(tmp_path, "ada/layers.py")
    submit(tmp_path, "ada.py")
    assert sorted(s.name for s in find_students(tmp_path)) == ["ada", "ada.py"]


def test_an_empty_class_and_a_file_are_refused(tmp_path):
    with pytest.raises(InputError, match="no submissions: each student's is a folder"):
        find_students(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        find_students(submit(tmp_path, "a.py"))


def test_late_and_ignored_files_are_left_out_and_named(tmp_path):
    rubric = Rubric(RUBRIC.checks, deadline=datetime(2026, 1, 2), ignore=("old/*",))
    submit(tmp_path, "ada/layers.py", "in time")
    submit(tmp_path, "ada/loss.py", "late")
    submit(tmp_path, "ada/old/layers.py", "old")
    before, after = (time.mktime(datetime(2026, 1, day).timetuple()) for day in (1, 3))
    for name, when in (("layers.py", before), ("old/layers.py", before), ("loss.py", after)):
        os.utime(tmp_path / "ada" / name, (when, when))
    with zipfile.ZipFile(tmp_path / "bob.zip", "w") as archive:
        for name, day in (("layers.py", 1), ("loss.py", 3), ("old/x.py", 1), ("../outside.py", 1)):
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, day, 0, 0, 0)), "in time" if day == 1 else "late")
    for name in ("ada", "bob.zip"):
        with wanted_files([tmp_path / name], rubric) as (path, ignored):
            assert [file.read_text() for file in path.rglob("*.py")] == ["in time"]
        assert len(ignored) == 2
        assert ignored[0].startswith("loss.py (changed 2026-01-03 00:00, after the deadline)")
        assert ignored[1].startswith("old/")
    assert not (tmp_path.parent / "outside.py").exists()


def test_a_damaged_zip_is_a_reason_and_no_crash(tmp_path):
    path = submit(tmp_path, "ada.zip", "no zip")
    with (
        pytest.raises(InputError, match=r"ada\.zip is no readable zip"),
        wanted_files([path], Rubric(RUBRIC.checks, ignore=("x",))),
    ):
        pass


def test_names_of_files():
    assert file_name("Grace Hopper") == "Grace_Hopper"
    assert file_name("../../etc/passwd") == "_.._etc_passwd"
    assert file_name("..") == "_"
    assert file_name("Ödön-1.a") == "Ödön-1.a"


# ---- side by side, and resumed ---------------------------------------------------------------------------


def test_one_submission_that_kills_its_worker_hurts_nobody_else_and_nothing_is_graded_twice(folder):
    seen = []
    students = graded(folder, called=lambda student: seen.append(student.name))
    assert sorted(seen) == ["=fred", "ada", "bob", "eve"]
    by_name = {student.name: student for student in students}
    assert [v.verdict for v in by_name["ada"].verdicts] == ["passed"] * 3
    assert [v.mistake for v in by_name["bob"].verdicts] == [None, "mask", None]
    assert by_name["eve"].error == "the grader was ended while it worked on this submission"
    assert by_name["=fred"].error == "ValueError: strange things"
    calls(folder)

    submit(folder, "eve/layers.py", "harmless")
    submit(folder, "bob/layers.py", "right now")
    again = {student.name: student for student in graded(folder)}
    assert sorted(calls(folder)) == ["=fred", "bob", "eve"]  # what has changed, and what failed
    assert again["ada"].verdicts == by_name["ada"].verdicts
    assert [v.verdict for v in again["bob"].verdicts] == ["passed"] * 3
    assert again["eve"].error is None


def test_other_options_and_damaged_memory_are_graded_anew(tmp_path):
    folder = tmp_path / "class"
    submit(folder, "ada/layers.py")
    graded(folder)
    assert calls(folder) == ["ada"]
    graded(folder, hints="none")
    assert calls(folder) == ["ada"]
    submit(tmp_path, "memory/ada.json", '{"fingerprint": ')
    graded(folder, hints="none")
    assert calls(folder) == ["ada"]
    graded(folder, hints="none")
    assert calls(folder) == []
    graded(folder, hints="none", limits=Limits(seconds=3.0))
    assert calls(folder) == ["ada"]


def test_another_text_of_the_adapter_is_another_option(tmp_path):
    submit(tmp_path / "class", "ada/layers.py")
    adapter = submit(tmp_path, "adapter.yaml", "Linear: {class: 'layers.py: A'}")
    graded(tmp_path / "class", adapter=adapter)
    assert calls(tmp_path / "class") == ["ada"]
    graded(tmp_path / "class", adapter=adapter)
    assert calls(tmp_path / "class") == []
    adapter.write_text("Linear: {class: 'layers.py: B'}")
    graded(tmp_path / "class", adapter=adapter)
    assert calls(tmp_path / "class") == ["ada"]


# ---- reports ---------------------------------------------------------------------------------------------


def verdicts(wrong=False):
    side, mistake = ("backward", "mask") if wrong else (None, None)
    return [
        Verdict("Linear", "a.py", "passed", convention={"weight": "W"}),
        Verdict(
            "ReLU", "a.py", "failed" if wrong else "passed", side, mistake, "a | <mask>", "ReLU: failed.\n```\x00"
        ),
        Verdict("SGD", "a.py", "failed", "update", None, None, "SGD: failed.\nhidden text"),
    ]


@pytest.fixture
def reports(tmp_path):
    """The folder with the reports on three students."""
    students = [
        Student("ada", [], late=True, verdicts=verdicts()),
        Student("bob <b>", [], verdicts=verdicts(wrong=True), ignored=["loss.py (too late)"]),
        Student("=1+1", [], error="no\x01zip"),
    ]
    for form in ("html", "markdown"):
        write_reports(tmp_path, RUBRIC, score_students(RUBRIC, students), form)
    return tmp_path


def test_the_table_of_the_class(reports):
    with (reports / "class.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["student"], r["late"], r["points"], r["of"], r["percent"]) for r in rows] == [
        ("ada", "late", "30", "40", "75.0"),
        ("bob <b>", "", "25", "40", "62.5"),  # half of ReLU's ten points: its forward is right
        ("'=1+1", "", "0", "40", "0.0"),  # no formula for a spreadsheet
    ]
    assert rows[1]["mistakes"] == "ReLU: mask"
    assert rows[2]["problem"] == "no\N{REPLACEMENT CHARACTER}zip"
    assert rows[1]["SGD"] == "0"


def test_a_students_page_has_messages_and_hides_what_is_hidden(reports):
    for name in ("bob_b_.md", "bob_b_.html"):
        page = (reports / "students" / name).read_text()
        assert "25 of 40 points (62 %)" in page
        assert "1 hidden check" in page
        assert "hidden text" not in page
        assert "SGD" not in page
        assert "loss.py (too late)" in page
        assert "<b>" not in page.replace("<body>", "")
    markdown = (reports / "students" / "bob_b_.md").read_text()
    assert "````\nReLU: failed.\n```\N{REPLACEMENT CHARACTER}\n````" in markdown  # a longer fence than the text's
    assert "no\N{REPLACEMENT CHARACTER}zip" in (reports / "students" / "_1_1.md").read_text()


def test_the_summary_counts_mistakes_with_bars(reports):
    html, markdown = (reports / "summary.html").read_text(), (reports / "summary.md").read_text()
    assert "3 submissions. Of 100 %: mean 46, median 62, lowest 0, highest 75." in markdown
    assert "| ReLU | 1 | 1 | 0 | 0 | 1 |" in markdown
    assert "| SGD | not named | ████████████████████ 2 |" in markdown
    assert "| ReLU | a \\| \\<mask\\> | ██████████ 1 |" in markdown
    assert '<span class="bar" style="width: 15.00rem"></span>2' in html
    assert '<span class="bar" style="width: 7.50rem"></span>1' in html


def test_junit_is_xml_with_a_case_for_every_check(reports):
    suites = ET.parse(reports / "junit.xml").getroot()
    assert [(s.get("name"), s.get("tests"), s.get("failures"), s.get("errors")) for s in suites] == [
        ("ada", "3", "1", "0"),
        ("bob <b>", "3", "2", "0"),
        ("=1+1", "3", "0", "3"),
    ]
    assert suites[2][0][0].text.startswith("Linear: could not be graded.")


def test_gradescope_results_are_complete_and_finite(reports):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    for name, points in (("ada", 30), ("bob_b_", 25), ("_1_1", 0)):
        text = (reports / "gradescope" / f"{name}.json").read_text()
        results = json.loads(text, parse_constant=refuse)
        assert results["score"] == points == sum(test["score"] for test in results["tests"])
        assert [(t["name"], t["max_score"], t["visibility"]) for t in results["tests"]] == [
            ("Linear", 20, "visible"),
            ("ReLU", 10, "visible"),
            ("SGD", 10, "hidden"),
        ]
        assert {t["status"] for t in results["tests"]} <= {"passed", "failed"}


def test_an_empty_class_has_a_summary(tmp_path):
    first = write_reports(tmp_path, default_rubric(), [])
    assert "No submissions." in Path(first[1]).read_text()


# ---- the command -----------------------------------------------------------------------------------------

RELU = """
import numpy as np
class ReLU:
    def forward(self, x):
        self.positive = x > 0
        return np.maximum(x, 0)
    def backward(self, grad_y):
        return {backward}
"""


def test_the_command_grades_a_class_without_a_rubric_and_again_with_the_one_it_wrote(tmp_path, capsys):
    folder = tmp_path / "class"
    for name, backward in (("ada", "grad_y * self.positive"), ("bob", "grad_y"), ("eve", "grad_y *")):
        submit(folder, f"{name}/layers.py", RELU.format(backward=backward))
    assert main([str(folder), "--class", "--workers", "2", "--pages", "markdown"]) == 0
    out = tmp_path / "class-graded"
    assert f"points as in {out / 'rubric.yaml'}; change it" in capsys.readouterr().out

    rubric = out / "rubric.yaml"
    rubric.write_text(rubric.read_text().replace("points: 10.0", "points: 4"))
    assert main([str(folder), "--rubric", str(rubric), "--workers", "2"]) == 0
    assert "3 submissions, 50 % of the points on average" in capsys.readouterr().out
    with (out / "class.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["student"], r["points"], r["ReLU"]) for r in rows] == [
        ("ada", "4", "4"),
        ("bob", "2", "2"),  # forward is right
        ("eve", "0", "0"),  # no Python
    ]


STRANGE = """
class Knick:
    def vor(self, x):
        while {endless}:
            pass
        self.an = x > 0
        return x * self.an

    def zurueck(self, g):
        return g * self.an
"""


def test_adapter_and_limits_reach_every_submission_of_a_class(tmp_path):
    submit(tmp_path / "class", "ada/net.py", STRANGE.format(endless=False))
    submit(tmp_path / "class", "bob/net.py", STRANGE.format(endless=True))
    adapter = submit(tmp_path, "relu.yaml", "ReLU: {class: 'net.py: Knick', forward: vor, backward: zurueck}")
    arguments = ["--adapter", str(adapter), "--seconds", "1", "--workers", "1", "--class"]
    assert main([str(tmp_path / "class"), *arguments]) == 0
    memory = tmp_path / "class-graded" / "verdicts"
    known = {name: json.loads((memory / f"{name}.json").read_text())["verdicts"] for name in ("ada", "bob")}
    assert [v["verdict"] for v in known["ada"]] == ["passed"]
    assert [v["verdict"] for v in known["bob"]] == ["error"]
    assert "within 1 seconds" in known["bob"][0]["message"]


@pytest.mark.parametrize("arguments", [["--json", "a.json"], ["--explain"], ["--adapter", "none.yaml"]])
def test_what_a_class_does_not_take_is_refused(tmp_path, capsys, arguments):
    submit(tmp_path, "ada/layers.py")
    assert main([str(tmp_path), "--class", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_is_a_class(tmp_path, capsys):
    def is_a_class(*arguments):
        parser = argparse.ArgumentParser()
        add_class_arguments(parser)
        return is_class(str(tmp_path), parser.parse_args(arguments))

    submit(tmp_path, "ada.zip")
    assert not is_a_class()
    assert is_a_class("--class")
    assert is_a_class("--rubric", "r.yaml")
    submit(tmp_path, "bob.zip")
    assert is_a_class()
    submit(tmp_path, "layers.py")
    assert not is_a_class()
    assert main([str(tmp_path), "--rubric", str(tmp_path / "none.yaml")]) == 2
    assert capsys.readouterr().err.startswith("error: ")
