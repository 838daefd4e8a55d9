"""``python -m mlp.grading PATH`` grades one submission, and a class with ``--rubric`` or ``--class``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mlp.checks import InputError
from mlp.grading.class_command import add_class_arguments, grade_class, is_class
from mlp.grading.grader import grade
from mlp.grading.messages import LEVELS
from mlp.grading.verdict import exit_status, write_verdicts


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 if all that was found passed, 1 if something failed, 2 if nothing could be graded."""
    parser = argparse.ArgumentParser(prog="python -m mlp.grading", description=__doc__)
    parser.add_argument("path", type=Path, help="a file, folder, zip, notebook or module; or a folder of these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the verdicts as a JSON list")
    parser.add_argument("--hints", choices=LEVELS, default="what", help="how much the messages tell")
    parser.add_argument("--repair", action="store_true", help="convert files written for Python 2")
    add_class_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        if is_class(options.path, options):
            return grade_class(options.path, options)
        verdicts = grade(options.path, hints=options.hints, repair=options.repair)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for verdict in verdicts:
        print(verdict.message)
    if options.json:
        write_verdicts(options.json, verdicts)
    return exit_status(verdicts)


if __name__ == "__main__":
    raise SystemExit(main())
