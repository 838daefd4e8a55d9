#!/usr/bin/env python3
"""Run experiments: every combination of their settings in a process of its own, on all cores.

python scripts/run_experiment.py hidden-layers momentum      several at once, equal runs are made once
python scripts/run_experiment.py momentum --quick            fewer epochs, for a first impression
python scripts/run_experiment.py my-experiment.yaml          a file of your own
python scripts/run_experiment.py --list

Started again, it makes only what is not finished. At the end it prints a table of what was found.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from pathlib import Path
from typing import NoReturn

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from mlp.checks import InputError
from mlp.run.config import TRACKING, RunConfig
from mlp.studies.experiments import ROOT, Experiment, experiment_table, find_experiment, list_experiments, run_all

FOLDER = Path(__file__).resolve().parent.parent / "configs" / "experiments"


class Parser(argparse.ArgumentParser):
    """Answers a wrong argument with one line and exit status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = Parser(prog="run_experiment.py", description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("experiments", nargs="*", metavar="NAME_OR_FILE", help="what to run; see --list")
    parser.add_argument("--list", action="store_true", help="show the experiments there are")
    parser.add_argument("--quick", action="store_true", help="with what the experiment changes for a quick look")
    parser.add_argument("--jobs", type=int, metavar="N", help="runs at a time (default: one a core)")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of the runs (default: %(default)s)")
    parser.add_argument("--tracking", choices=TRACKING, default="none", help="wandb for runs still to be made")
    parser.add_argument("--group", help="their group in wandb (default: the name of the experiment)")
    options = parser.parse_args(arguments)
    if not options.experiments and not options.list:
        parser.error("name an experiment: " + ", ".join(list_experiments(FOLDER)))
    return options


def collect(experiments: list[Experiment], tracking: str, group: str | None) -> list[RunConfig]:
    """The runs of all experiments, tracked as asked."""
    return [
        dataclasses.replace(config, tracking=tracking, group=group or experiment.name)
        for experiment in experiments
        for config in experiment.configs
    ]


def main(arguments: list[str]) -> int:
    """Run what is asked; exit status 0 done, 1 some run failed, 2 bad input, 130 interrupted."""
    options = parse(arguments)
    try:
        names = options.experiments or list_experiments(FOLDER)
        experiments = [Experiment.load(find_experiment(name, FOLDER), options.quick) for name in names]
        if options.list:
            for experiment in experiments:
                print(f"{experiment.name:15} {len(experiment.configs):4} runs   {experiment.description}")
            return 0
        configs = collect(experiments, options.tracking, options.group)
        summary = run_all(configs, options.root, jobs=options.jobs)
        if not summary.interrupted:
            for experiment in experiments:
                print(f"\n{experiment.name}: mean ± standard deviation over the seeds, accuracies in percent")
                print(experiment_table(experiment, options.root).text(), end="")
        return summary.exit_status
    except InputError as error:
        print(f"run_experiment.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
