"""``python -m mlp.grading PATH`` grades one submission, and a class with ``--rubric`` or ``--class``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mlp.checks import InputError
from mlp.grading.class_command import add_class_arguments, grade_class, is_class
from mlp.grading.command import add_submission_options, grade_submission


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 if all that was found passed, 1 if something failed, 2 if nothing could be graded."""
    parser = argparse.ArgumentParser(prog="python -m mlp.grading", description=__doc__)
    add_submission_options(parser)
    add_class_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        if is_class(options.path, options):
            return grade_class(options.path, options)
        return grade_submission(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
