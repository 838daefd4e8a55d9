"""``python -m mlp.grading CLASS --rubric RUBRIC``: all submissions of a class, and the reports about them."""

from __future__ import annotations

import argparse
from pathlib import Path

from mlp.checks import InputError
from mlp.files import make_folder, write_text
from mlp.grading.class_folder import Options, grade_students
from mlp.grading.command import limits_of
from mlp.grading.reports import score_students, write_reports
from mlp.grading.rubric import Rubric, default_rubric, read_rubric, rubric_of_class
from mlp.grading.students import Student, find_students
from mlp.run.yaml_files import to_yaml
from mlp.solver.callbacks.progress import progress_bar


def add_class_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that concern a class."""
    group = parser.add_argument_group("a whole class")
    group.add_argument("--class", dest="whole_class", action="store_true", help="PATH is a folder of submissions")
    group.add_argument("--rubric", type=Path, metavar="FILE", help="YAML with the points; PATH is then a class")
    group.add_argument("--out", type=Path, metavar="DIR", help="folder of the reports (default: PATH-graded)")
    group.add_argument("--pages", choices=("html", "markdown"), default="html", help="form of the pages")
    group.add_argument("--workers", type=int, metavar="N", help="submissions side by side (default: all cores)")


def is_class(path: str | Path, arguments: argparse.Namespace) -> bool:
    """Is the path a class? A rubric says so, ``--class``, and a folder of several zips without a Python file."""
    path = Path(path)
    if not path.is_dir():
        return False
    zips = len(list(path.glob("*.zip"))) > 1 and not any(path.glob("*.py"))
    return zips or arguments.whole_class or arguments.rubric is not None


def grade_class(path: str | Path, arguments: argparse.Namespace) -> int:
    """Grade every submission in the folder, write the reports, and print where they are; the exit status."""
    path = Path(path)
    check(path, arguments)
    rubric = read_rubric(arguments.rubric) if arguments.rubric else None
    out = arguments.out or path.resolve().with_name(f"{path.resolve().name}-graded")
    students = find_students(path)
    make_folder(out)
    bar = progress_bar(len(students), "submission")

    def graded(student: Student) -> None:
        bar.update()

    grade_students(
        students,
        rubric or default_rubric(),
        out / "verdicts",
        Options(arguments.hints, arguments.repair, arguments.adapter, limits_of(arguments)),
        workers=arguments.workers,
        graded=graded,
    )
    bar.close()
    rubric = rubric or _written_default(out, students)
    scored = score_students(rubric, students)
    first = write_reports(out, rubric, scored, arguments.pages)
    mean = sum(one.score.percent for one in scored) / len(scored)
    print(f"{len(scored)} submissions, {mean:.0f} % of the points on average")
    for one in scored:
        if one.student.error:
            print(f"{one.student.name}: not graded: {one.student.error}")
    for file in first:
        print(file)
    return 0


def check(path: Path, arguments: argparse.Namespace) -> None:
    """Refuse what makes no sense for a class. Raises ``InputError``."""
    for option in ("json", "explain", "expect"):
        if getattr(arguments, option):
            raise InputError(f"--{option} is for one submission, and {path} is a class: the reports say it all")
    if arguments.adapter and not arguments.adapter.is_file():
        raise InputError(f"there is no adapter {str(arguments.adapter)!r}: give a file, .yaml or .py")


def _written_default(out: Path, students: list[Student]) -> Rubric:
    """The rubric that a class without one gets, written down so that it can be changed."""
    rubric = rubric_of_class([student.verdicts for student in students])
    write_text(out / "rubric.yaml", to_yaml(rubric.as_dict()))
    print(f"no rubric was given: points as in {out / 'rubric.yaml'}; change it and pass it with --rubric")
    return rubric
