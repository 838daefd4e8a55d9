"""Grades one submission inside Gradescope and always writes a results.json: ``run_autograder`` calls it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from mlp.checks import InputError
from mlp.files import write_text
from mlp.grading.grader import Grader
from mlp.grading.messages import LEVELS
from mlp.grading.reports import gradescope_results, score_students
from mlp.grading.rubric import Rubric, read_rubric
from mlp.grading.students import Student, wanted_files


def write_results(path: Path, rubric: Rubric, student: Student) -> None:
    """Gradescope's file; every number in it is finite, and every check of the rubric stands in it."""
    (graded,) = score_students(rubric, [student])
    text = json.dumps(gradescope_results(graded), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Grade and write. Whatever goes wrong with the submission stands in the results, with 0 points."""
    parser = argparse.ArgumentParser(prog="python -m mlp.grading.autograder", description=__doc__)
    parser.add_argument("submission", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--rubric", type=Path, required=True)
    parser.add_argument("--hints", choices=LEVELS, default="what")
    parser.add_argument("--repair", action="store_true")
    options = parser.parse_args(arguments)
    rubric = read_rubric(options.rubric)
    student = Student("submission", [options.submission])
    try:
        with wanted_files(student.paths, rubric) as (path, student.ignored), Grader() as grader:
            student.verdicts = grader.grade(path, options.hints, options.repair)
    except InputError as error:
        student.error = str(error)
    except Exception as error:
        student.error = f"{type(error).__name__}: {' '.join(str(error).split())}"
    write_results(options.results, rubric, student)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
