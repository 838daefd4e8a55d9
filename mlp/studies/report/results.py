"""Finished runs as the report sees them: grouped by what was set, their numbers averaged over the seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mlp.arrays import Array
from mlp.run.config import RunConfig
from mlp.studies.tables import Estimate, estimate

ACTIVATIONS, LOSSES = ("GeLU", "ReLU", "Sigmoid"), ("CE", "Hinge", "MSE")
ARCHITECTURES = {"single": "one hidden layer", "double": "two hidden layers"}
WIDTHS = {"single": [128], "double": [256, 128]}
COMPLETED, DIVERGED = "completed", "diverged"


class Result(Protocol):
    """One finished run: what it was, how it ended, its epochs, and how long they took."""

    @property
    def config(self) -> RunConfig: ...
    @property
    def folder(self) -> Path: ...
    @property
    def status(self) -> str: ...
    @property
    def step(self) -> int: ...
    @property
    def rows(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def final(self) -> Mapping[str, Any]: ...
    @property
    def seconds_train(self) -> float | Sequence[float]: ...
    @property
    def seconds_evaluation(self) -> float | Sequence[float]: ...


@dataclass(frozen=True)
class Setting:
    """One cell of the reference's tables."""

    architecture: str  # a key of ARCHITECTURES
    loss: str
    activation: str

    @property
    def title(self) -> str:
        """For a sentence."""
        return f"{self.activation} with {self.loss}, {ARCHITECTURES[self.architecture]}"


SETTINGS = [Setting(a, loss, f) for a in ARCHITECTURES for loss in LOSSES for f in ACTIVATIONS]


@dataclass(frozen=True)
class Curve:
    """A column over the epochs: mean and standard deviation over the runs (nan for a single one)."""

    epochs: Array
    mean: Array
    std: Array


def by_setting(results: Iterable[Result]) -> dict[Setting, list[Result]]:
    """The runs of each of the 18 settings, in order of their seeds; those of other widths are left out."""
    groups: dict[Setting, list[Result]] = {setting: [] for setting in SETTINGS}
    names = {tuple(widths): name for name, widths in WIDTHS.items()}
    for result in sorted(results, key=lambda r: r.config.seed):
        c = result.config
        architecture = names.get(tuple(c.hidden))
        if architecture is not None:
            groups[Setting(architecture, c.loss, c.activation)].append(result)
    return groups


def completed(results: Iterable[Result]) -> list[Result]:
    """Those that reached their last epoch with finite losses."""
    return [result for result in results if result.status == COMPLETED]


def diverged(results: Iterable[Result]) -> list[Result]:
    """Those whose loss stopped being finite."""
    return [result for result in results if result.status == DIVERGED]


def diverged_at(result: Result) -> int:
    """The step whose loss was not finite: the one after the last that was completed."""
    return result.step + 1


def last(results: Iterable[Result], metric: str, split: str, reading: str = "final") -> Estimate:
    """Accuracy in percent or loss times 100 at the end of the completed runs.

    ``reading``: "final", the final network on the whole set, or "running", the mean over the batches of the
    last epoch, each measured before its update; the latter exists for ``split`` "train" alone.
    """
    if reading == "final":
        return estimate(100 * float(r.final[f"final_{split}_{metric}"]) for r in completed(results))
    return estimate(100 * float(r.rows[-1][f"{split}_{metric}"]) for r in completed(results) if r.rows)


def column(result: Result, name: str) -> Array:
    """One column of a run's epochs; nan where a row lacks it."""
    return np.array([row.get(name, np.nan) for row in result.rows], dtype=np.float64)


def curve(results: Iterable[Result], name: str) -> Curve | None:
    """A column's mean over the completed runs, or None if none of them has it."""
    columns = [column(result, name) for result in completed(results)]
    columns = [values for values in columns if len(values) and not np.isnan(values).all()]
    if not columns:
        return None
    length = min(map(len, columns))
    values = np.stack([values[:length] for values in columns])
    std = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(length, np.nan)
    return Curve(np.arange(1, length + 1, dtype=np.float64), values.mean(axis=0), std)


def epochs_to(result: Result, percent: float) -> int | None:
    """The first epoch after which the test accuracy is at least so many percent, or None."""
    reached = np.flatnonzero(100 * column(result, "test_accuracy") >= percent - 1e-9)
    return int(reached[0]) + 1 if len(reached) else None
