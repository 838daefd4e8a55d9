#!/usr/bin/env python3
"""Make docs/records.md and its figures from the folders of runs: python scripts/make_records.py --root runs/records

Every completed run of a recipe in configs/ counts; those that held out a validation set are listed as looks.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from mlp.checks import InputError
from mlp.studies.records import load_records, write_page

PROJECT = Path(__file__).resolve().parent.parent


class Parser(argparse.ArgumentParser):
    """Answers a wrong argument with one line and exit status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def main(arguments: list[str]) -> int:
    """Make the page and return the exit status: 0 done, 2 bad input or no runs."""
    parser = Parser(prog="make_records.py", description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--root", type=Path, default=Path("runs") / "records", help="where the runs lie")
    parser.add_argument("--output", type=Path, default=PROJECT / "docs" / "records.md", help="the page")
    options = parser.parse_args(arguments)
    try:
        records, looks = load_records(options.root, PROJECT / "configs")
        written = write_page(records, looks, options.output, options.output.parent / "figures")
    except InputError as error:
        print(f"make_records.py: {error}", file=sys.stderr)
        return 2
    print(f"{len(written)} files; the page is {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
