"""Runs by what was trained: those that differ in their seeds alone make one record."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from mlp.checks import InputError
from mlp.run.config import MAY_CHANGE, RECORD, RunConfig, read_config
from mlp.run.folder import CONFIG
from mlp.studies.experiments.results import Result, load_result
from mlp.studies.tables import Estimate, estimate

# In what two runs of one record may differ, besides the seed: in nothing that their numbers depend on.
BESIDE = {"seed", "data", *RECORD, *MAY_CHANGE} - {"epochs"}


@dataclass(frozen=True)
class Record:
    """The completed runs of one recipe on one data set. ``data`` is the name of its folder, or MNIST."""

    recipe: str
    data: str
    runs: list[Result]

    @property
    def title(self) -> str:
        """The recipe, and the data set where it is not MNIST."""
        return self.recipe if self.data == "MNIST" else f"{self.recipe}, {self.data}"

    @property
    def config(self) -> RunConfig:
        """That of its first run."""
        return self.runs[0].config

    @property
    def shape(self) -> str:
        """784-512-10, of images of 28×28 pixels and ten classes."""
        return "-".join(map(str, [784, *self.config.hidden, 10]))

    @property
    def weights(self) -> int:
        """How many numbers the Linear layers learn."""
        return sum((a + 1) * b for a, b in pairwise([784, *self.config.hidden, 10]))

    @property
    def accuracies(self) -> list[float]:
        """On the test set, in percent, one of each run."""
        return [100 * run.final["final_test_accuracy"] for run in self.runs]

    @property
    def minutes(self) -> Estimate:
        """Of a run, by the clock."""
        return estimate((run.seconds_train + run.seconds_evaluation) / 60 for run in self.runs)

    @property
    def processor_minutes(self) -> Estimate:
        """Of a run, as long as it had a core; of the runs that noted it."""
        return estimate(minutes[-1] for run in self.runs if (minutes := processor_minutes(run)))

    @property
    def command(self) -> str:
        """What trains it again."""
        options = "" if self.data == "MNIST" else f" --data {self.config.data}"
        return f"./train.sh {self.recipe}{options} --seed {self.config.seed}"


def processor_minutes(run: Result) -> list[float]:
    """Minutes of a core until the end of each epoch; none if the run did not note them."""
    minutes, sums = 0.0, []
    for row in run.times:
        minutes += row.get("processor_seconds", math.nan) / 60
        sums.append(minutes)
    return [] if sums and math.isnan(sums[-1]) else sums


def load_records(root: Path, recipes: Path) -> tuple[list[Record], list[Result]]:
    """(records, looks): the completed runs in folders below ``root``, and those on a part that was held out.

    ``recipes`` is the folder of YAML files that they are named after. Raises ``InputError`` if there is no
    completed run, or one that is of no recipe.
    """
    known = {path.stem: read_config(path) for path in sorted(recipes.glob("*.yaml"))}
    records: dict[tuple[str, str], list[Result]] = {}
    looks: list[Result] = []
    for folder in sorted(path.parent for path in root.rglob(CONFIG)):
        run = load_result(folder)
        if run.status != "completed":
            continue
        if run.config.validation:
            looks.append(run)
            continue
        name = next((name for name, config in known.items() if config.changes(run.config).keys() <= BESIDE), None)
        if name is None:
            raise InputError(f"{folder}: accepted: a run of a recipe in {recipes}, with another seed or other data")
        data = "MNIST" if run.config.data is None else Path(run.config.data).name
        records.setdefault((name, data), []).append(run)
    if not records:
        raise InputError(f"{root}: no completed run; accepted: a folder with runs of the recipes in {recipes}")
    found = [Record(*key, runs) for key, runs in records.items()]
    return sorted(found, key=lambda r: (r.data != "MNIST", -max(r.accuracies))), looks
