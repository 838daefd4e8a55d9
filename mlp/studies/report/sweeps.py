"""Sweeps: one setting takes several values while all others stay; what each value led to."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlp.run.config import RunConfig
from mlp.studies.report.results import Result, column, completed, diverged, diverged_at, epochs_to, last
from mlp.studies.tables import Cell, Column, Estimate, Table


@dataclass(frozen=True)
class Axis:
    """What a sweep varies: the experiment's name, a heading, and the value of a run."""

    experiment: str
    title: str
    value: Callable[[RunConfig], float]

    @property
    def name(self) -> str:
        """As the reference spells it, and as a file is called."""
        return self.experiment.replace("-", "_")


AXES = [
    Axis("batch-size", "batch size", lambda c: c.batch_size or math.inf),
    Axis("hidden-size", "hidden neurons", lambda c: sum(c.hidden)),
    Axis("learning-rate", "learning rate", lambda c: c.lr),
    Axis("weight-decay", "weight decay", lambda c: c.weight_decay),
    Axis("momentum", "momentum", lambda c: c.momentum),
]


@dataclass(frozen=True)
class Point:
    """The runs with one value of the axis, usually a single one."""

    value: float
    runs: Sequence[Result]

    @property
    def label(self) -> str:
        """The value as one writes it."""
        return f"{self.value:g}".replace("e-0", "e-")

    @property
    def diverged_at(self) -> int | None:
        """The first step at which a run's loss was not finite."""
        return min((diverged_at(run) for run in diverged(self.runs)), default=None)

    @property
    def test(self) -> Estimate:
        """Final test accuracy in percent."""
        return last(self.runs, "accuracy", "test")

    @property
    def train(self) -> Estimate:
        """Final train accuracy in percent."""
        return last(self.runs, "accuracy", "train")

    @property
    def train_loss(self) -> Estimate:
        """Final train loss times 100."""
        return last(self.runs, "loss", "train")

    @property
    def test_loss(self) -> Estimate:
        """Final test loss times 100."""
        return last(self.runs, "loss", "test")

    @property
    def oscillation(self) -> float:
        """How much the test accuracy changes from one epoch to the next in the second half of a run, in points.

        The standard deviation of these changes over √2: for noise around a level it is the noise's own, and a
        slow trend does not count. nan if no run came that far.
        """
        spreads = []
        for run in completed(self.runs):
            accuracy = 100 * column(run, "test_accuracy")
            changes = np.diff(accuracy[len(accuracy) // 2 :])
            if len(changes) > 1:
                spreads.append(float(changes.std(ddof=1)) / 2**0.5)
        return statistics.fmean(spreads) if spreads else float("nan")

    def reach(self, percent: float) -> int | None:
        """Epochs until the test accuracy is so high: the median over the runs, None unless all get there."""
        epochs = [epochs_to(run, percent) for run in self.runs]
        reached = [n for n in epochs if n is not None]
        return statistics.median_high(reached) if reached and len(reached) == len(epochs) else None


@dataclass(frozen=True)
class Sweep:
    """The points of an axis, in order of their values."""

    axis: Axis
    points: Sequence[Point]

    def at(self, value: float) -> Point | None:
        """The point of a value, or None if it was not run."""
        return next((p for p in self.points if abs(p.value - value) <= 1e-9 * max(1e-9, abs(value))), None)

    def table(self) -> Table:
        """What each value led to."""
        columns = [
            Column(self.axis.title), Column("test accuracy"), Column("train accuracy"), Column("test loss ×100"),
            Column("train loss ×100"), Column("epochs to 97 %"), Column("oscillation", 3), Column("end"),
        ]  # fmt: skip
        table = Table(f"sweep_{self.axis.name}", columns)
        for p in self.points:
            step = p.diverged_at
            end = "completed" if step is None else f"**diverged at step {step}**"
            cells: list[Cell] = [p.test, p.train, p.test_loss, p.train_loss, p.reach(97), p.oscillation, end]
            table.rows.append([p.label, *cells])
        return table


def make_sweep(axis: Axis, results: Iterable[Result]) -> Sweep:
    """Group runs by their value on the axis."""
    groups: dict[float, list[Result]] = {}
    for result in results:
        groups.setdefault(float(axis.value(result.config)), []).append(result)
    return Sweep(axis, [Point(value, groups[value]) for value in sorted(groups)])


def make_sweeps(results: Mapping[str, Sequence[Result]]) -> list[Sweep]:
    """The sweeps among experiments {name: runs}, in the reference's order."""
    return [make_sweep(axis, results[axis.experiment]) for axis in AXES if results.get(axis.experiment)]
