#!/usr/bin/env python3
"""Make the report from the finished runs of the experiments: python scripts/make_report.py

Pages, figures and tables go to docs/report; with --quick, from the short runs, to a folder beside those runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

# The report times single iterations: with one thread, as the runs are. Has to be set before NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from mlp.checks import InputError
from mlp.studies.experiments import ROOT, Experiment, load_results
from mlp.studies.report import (
    EXPERIMENTS,
    NOTES,
    QUICK,
    QUICK_TIMING,
    TIMING,
    load_timing,
    measure_timing,
    write_report,
)

PROJECT = Path(__file__).resolve().parent.parent
CONFIGS = PROJECT / "configs" / "experiments"
OUTPUT = Path("docs") / "report"


class Parser(argparse.ArgumentParser):
    """Answers a wrong argument with one line and exit status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options, with defaults filled in."""
    parser = Parser(prog="make_report.py", description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="from the experiments' short versions")
    parser.add_argument("--root", type=Path, default=ROOT, help=f"where the runs lie (default: {ROOT})")
    parser.add_argument(
        "--output", type=Path, help=f"where the report goes (default: {OUTPUT}; with --quick: ROOT/quick-report)"
    )
    parser.add_argument(
        "--measure-timing", action="store_true", help="time the iterations again, also if that was done before"
    )
    options = parser.parse_args(arguments)
    # A quick report must never take the place of the published one unasked.
    options.output = options.output or (options.root / "quick-report" if options.quick else OUTPUT)
    return options


def main(arguments: list[str]) -> int:
    """Make the report and return the exit status: 0 done, 2 bad input or missing runs."""
    options = parse(arguments)
    try:
        experiments = {name: Experiment.load(CONFIGS / f"{name}.yaml", options.quick) for name in EXPERIMENTS}
        results = {name: load_results(e, options.root) for name, e in experiments.items()}
        path = options.root / (QUICK_TIMING if options.quick else TIMING)
        timing = None if options.measure_timing else load_timing(path)
        if timing is None:
            effort = QUICK if options.quick else {}
            timing = measure_timing(path, base=experiments[EXPERIMENTS[0]].base, say=say, **effort)
        notes = PROJECT / OUTPUT / NOTES
        written = write_report(results, options.output, timing=timing, quick=options.quick, notes=notes)
    except InputError as error:
        # The lines after the first list every missing run.
        print(f"make_report.py: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    print(f"{len(written)} files; the report begins with {options.output / 'README.md'}")
    return 0


def say(message: str) -> None:
    """Progress, apart from the result."""
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
