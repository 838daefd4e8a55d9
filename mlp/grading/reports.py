"""The results of a class on paper: a table, a page a student, a summary of the course, and files for two tools."""

from __future__ import annotations

import csv
import io
import json
import re
import statistics
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlp.files import make_folder, write_text
from mlp.grading.class_folder import file_name
from mlp.grading.pages import SUFFIX, Bar, Block, Cell, Format, Heading, Lines, Table, Text, render
from mlp.grading.rubric import Rubric
from mlp.grading.scores import CheckResult, Score, broken_verdicts, score
from mlp.grading.students import Student

# What no XML can hold, and no page should.
CONTROL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Graded:
    """A student and the score under the rubric."""

    student: Student
    score: Score


def score_students(rubric: Rubric, students: Sequence[Student]) -> list[Graded]:
    """The scores; a submission that could not be graded has an error in every check, and 0 points."""
    return [
        Graded(
            student,
            score(rubric, broken_verdicts(rubric, student.error) if student.error else student.verdicts),
        )
        for student in students
    ]


def write_reports(folder: Path, rubric: Rubric, graded: Sequence[Graded], form: Format = "html") -> list[Path]:
    """Write all reports into the folder; the paths of those that a grader opens first."""
    pages, results = make_folder(folder / "students"), make_folder(folder / "gradescope")
    for one in graded:
        name = file_name(one.student.name)
        write_text(pages / f"{name}{SUFFIX[form]}", render(student_page(rubric, one), form))
        text = json.dumps(gradescope_results(one), indent=1, ensure_ascii=False, allow_nan=False)
        write_text(results / f"{name}.json", text + "\n")
    first = [folder / "class.csv", folder / f"summary{SUFFIX[form]}", folder / "junit.xml"]
    for path, text in zip(
        first, (class_table(rubric, graded), render(summary_page(rubric, graded), form), junit(graded)), strict=True
    ):
        write_text(path, text)
    return first


def class_table(rubric: Rubric, graded: Sequence[Graded]) -> str:
    """A CSV with a row for each student: points, each check's points, and the mistakes by their ids."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["student", "late", "points", "of", "percent", *(c.name for c in rubric.checks), "mistakes", "problem"]
    )
    for one in graded:
        mistakes = [
            f"{result.verdict.component}: {result.verdict.mistake}"
            for result in one.score.results
            if result.verdict.mistake
        ]
        table.writerow(
            [
                _harmless(one.student.name),
                "late" if one.student.late else "",
                f"{one.score.points:g}",
                f"{one.score.total:g}",
                f"{one.score.percent:.1f}",
                *(f"{result.points:g}" for result in one.score.results),
                "; ".join(mistakes),
                _harmless(clean(one.student.error or "")),
            ]
        )
    return text.getvalue()


def clean(text: str) -> str:
    """The text without characters that neither XML nor a page can hold."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _harmless(cell: str) -> str:
    """A spreadsheet takes a cell that begins like this for a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell


def outcome(result: CheckResult) -> str:
    """One or two words."""
    side = f" ({result.verdict.side})" if result.verdict.side else ""
    return f"{result.verdict.verdict}{side}"


def student_page(rubric: Rubric, graded: Graded) -> list[Block]:
    """What the student may read: hidden checks appear as one line with their points."""
    student, shown = graded.student, [r for r in graded.score.results if r.check.visibility == "visible"]
    blocks: list[Block] = [
        Heading(f"{rubric.title}: {student.name}", 1),
        Text(f"{graded.score.points:g} of {graded.score.total:g} points ({graded.score.percent:.0f} %)"),
        Table(["check", "points", "of", "result"], _rows_of_checks(graded.score)),
    ]
    for result in shown:
        if result.verdict.verdict != "passed":
            blocks += [Heading(result.check.name), Lines(clean(result.verdict.message))]
            if result.verdict.found:
                blocks.append(Text(f"Graded: {clean(result.verdict.found)}"))
    assumed = [
        [r.check.name, clean(f"{key}: {value}")] for r in shown for key, value in r.verdict.convention.items()
    ]
    if assumed:
        blocks += [Heading("What was assumed of your interfaces"), Table(["check", "convention"], assumed)]
    if student.ignored:
        blocks += [Heading("Files that were not graded"), Lines(clean("\n".join(student.ignored)))]
    return blocks


def _rows_of_checks(score: Score) -> list[list[str]]:
    """A row for every visible check, and one for all the others."""
    shown = [r for r in score.results if r.check.visibility == "visible"]
    hidden = [r for r in score.results if r.check.visibility != "visible"]
    rows = [[r.check.name, f"{r.points:g}", f"{r.check.points:g}", outcome(r)] for r in shown]
    if hidden:
        points, of = sum(r.points for r in hidden), sum(r.check.points for r in hidden)
        rows.append([f"{len(hidden)} hidden check{'s' * (len(hidden) > 1)}", f"{points:g}", f"{of:g}", ""])
    return rows


def summary_page(rubric: Rubric, graded: Sequence[Graded]) -> list[Block]:
    """The class as a whole: points, each check's results, and which mistakes were made how often."""
    percents = [one.score.percent for one in graded]
    blocks: list[Block] = [
        Heading(f"{rubric.title}: summary", 1),
        Text(
            f"{len(graded)} submissions. Of 100 %: mean {statistics.fmean(percents):.0f}, median"
            f" {statistics.median(percents):.0f}, lowest {min(percents):.0f}, highest {max(percents):.0f}."
            if graded
            else "No submissions."
        ),
    ]
    kinds = ("passed", "failed", "unfinished", "missing", "error")
    rows = []
    for i, check in enumerate(rubric.checks):
        counts = Counter[str](one.score.results[i].verdict.verdict for one in graded)
        rows.append([check.name, *(str(counts[kind]) for kind in kinds)])
    blocks += [Heading("Checks"), Table(["check", *kinds], rows), Heading("Mistakes")]
    mistakes = Counter(
        (result.check.name, result.verdict.name or "not named")
        for one in graded
        for result in one.score.results
        if result.verdict.verdict == "failed"
    )
    longest = max(mistakes.values(), default=1)
    if not mistakes:
        return [*blocks, Text("None: whatever was found is right.")]
    table: list[list[Cell]] = [
        [check, clean(name), Bar(count, count / longest)] for (check, name), count in mistakes.most_common()
    ]
    return [*blocks, Table(["check", "mistake", "submissions"], table)]


def gradescope_results(graded: Graded) -> dict[str, object]:
    """Gradescope's results.json: every check of the rubric is a test, whatever happened to the submission."""
    tests = [
        {
            "name": result.check.name,
            "score": round(result.points, 4),
            "max_score": round(result.check.points, 4),
            "status": "passed" if result.verdict else "failed",
            "output": clean(result.verdict.message),
            "visibility": result.check.visibility,
        }
        for result in graded.score.results
    ]
    ignored = "".join(f"\nNot graded: {name}" for name in graded.student.ignored)
    return {
        "score": round(graded.score.points, 4),
        "output": clean(graded.student.error or "Every check is about one component of the submission.")
        + clean(ignored),
        "visibility": "visible",
        "tests": tests,
    }


def junit(graded: Sequence[Graded]) -> str:
    """JUnit XML: a suite a student, a case a check."""
    root = ET.Element("testsuites")
    for one in graded:
        kinds = Counter(_junit_kind(result) for result in one.score.results)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=clean(one.student.name),
            tests=str(len(one.score.results)),
            failures=str(kinds["failure"]),
            errors=str(kinds["error"]),
        )
        for result in one.score.results:
            case = ET.SubElement(
                suite, "testcase", classname=clean(one.student.name), name=clean(result.check.name), time="0"
            )
            if kind := _junit_kind(result):
                message = clean(result.verdict.message)
                ET.SubElement(case, kind, message=message.partition("\n")[0], type=outcome(result)).text = message
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _junit_kind(result: CheckResult) -> str:
    """Empty for a check that passed."""
    return "" if result.verdict else "error" if result.verdict.verdict == "error" else "failure"
