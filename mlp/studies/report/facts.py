"""What the runs of the 18 settings show, as numbers: who converges first, who ends best, how many neurons work."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np

from mlp.studies.report.cells import HIDDEN, Groups
from mlp.studies.report.figures.activation import COMPARED, LAYERS
from mlp.studies.report.reference import Reference
from mlp.studies.report.results import (
    ACTIVATIONS,
    ARCHITECTURES,
    LOSSES,
    SETTINGS,
    Result,
    Setting,
    completed,
    curve,
    epochs_to,
    last,
)
from mlp.studies.tables import Cell, Column, Estimate, Table, estimate

LEVEL = 97.0  # percent
EARLY = 20  # epochs
Value = Callable[[Setting], float]


def convergence(groups: Groups, percent: float = LEVEL) -> dict[Setting, tuple[Estimate, int]]:
    """Epochs to a test accuracy over the runs that reached it, and how many did not."""
    found = {}
    for setting, runs in groups.items():
        epochs = [epochs_to(run, percent) for run in runs]
        reached = [n for n in epochs if n is not None]
        found[setting] = estimate(reached), len(epochs) - len(reached)
    return found


def convergence_table(groups: Groups) -> Table:
    """Epochs until the test accuracy reaches LEVEL, by activation."""
    table = Table("convergence", [Column("hidden"), Column("loss"), *(Column(name) for name in ACTIVATIONS)])
    found = convergence(groups)
    for architecture in ARCHITECTURES:
        for loss in LOSSES:
            cells: list[Cell] = [HIDDEN[architecture], loss]
            for activation in ACTIVATIONS:
                epochs, failed = found[Setting(architecture, loss, activation)]
                total = epochs.count + failed
                shown = epochs.show(1) if epochs.count else "not reached"
                cells.append(f"{shown} ({epochs.count} of {total} runs)" if epochs.count and failed else shown)
            table.rows.append(cells)
    return table


def first_to_converge(groups: Groups) -> Counter[str]:
    """In how many of the six cells each activation is the first to LEVEL; only if all its runs reached it."""
    found = convergence(groups)
    return wins(lambda s: -found[s][0].mean if found[s][0].count and not found[s][1] else float("nan"))


def wins(value: Value) -> Counter[str]:
    """In how many of the six cells (architecture, loss) each activation has the strictly highest value."""
    rivals = [{a: Setting(name, loss, a) for a in ACTIVATIONS} for name in ARCHITECTURES for loss in LOSSES]
    return _winners(rivals, value)


def loss_wins(value: Value) -> Counter[str]:
    """The same for losses, over the six cells (architecture, activation)."""
    rivals = [{loss: Setting(name, loss, a) for loss in LOSSES} for name in ARCHITECTURES for a in ACTIVATIONS]
    return _winners(rivals, value)


def _winners(cells: Iterable[Mapping[str, Setting]], value: Value) -> Counter[str]:
    counts: Counter[str] = Counter()
    for rivals in cells:
        values = {name: v for name, s in rivals.items() if not math.isnan(v := value(s))}
        best = [name for name, v in values.items() if v == max(values.values())]
        counts.update(best if len(best) == 1 else [])
    return counts


def accuracy_of(groups: Groups) -> Value:
    """Our final test accuracy as a function of the setting; nan without a completed run."""
    return lambda s: last(groups[s], "accuracy", "test").mean


def same_order(groups: Groups, reference: Reference) -> tuple[int, int]:
    """Pairs of activations within a cell that the reference tells apart: in how many we agree, of how many."""
    ours, agree, total = accuracy_of(groups), 0, 0
    for architecture in ARCHITECTURES:
        for loss in LOSSES:
            for pair in combinations([Setting(architecture, loss, a) for a in ACTIVATIONS], 2):
                theirs = [reference.value("accuracy", "test", s) for s in pair]
                mine = [ours(s) for s in pair]
                if theirs[0] != theirs[1] and not np.isnan(mine).any():
                    agree += (mine[0] > mine[1]) == (theirs[0] > theirs[1])
                    total += 1
    return agree, total


def activation_table(groups: Groups) -> Table:
    """Share of hidden neurons at work, in percent: GeLU, ReLU, and the difference in points."""
    columns = [Column("loss"), Column("layer")]
    for what in (f"p > 0.2, first {EARLY} epochs", "active in one pass, last epoch"):
        columns += [*(Column(f"{a}: {what}", 1) for a in COMPARED), Column(f"difference: {what}", 1, True)]
    columns.append(Column("ReLU: never active, last epoch", 1))
    table = Table("activation", columns)
    for loss in LOSSES:
        for architecture, number, name in LAYERS:
            early, late = (
                [
                    _share(groups[Setting(architecture, loss, a)], f"hidden{number}_{measure}", part)
                    for a in COMPARED
                ]
                for measure, part in (("above_0.2", slice(EARLY)), ("active", slice(-1, None)))
            )
            dead = _share(groups[Setting(architecture, loss, "ReLU")], f"hidden{number}_dead", slice(-1, None))
            table.rows.append([loss, name, *early, early[0] - early[1], *late, late[0] - late[1], dead])
    return table


def _share(runs: Sequence[Result], name: str, part: slice) -> float:
    found = curve(runs, name)
    return float("nan") if found is None else float(100 * found.mean[part].mean())


def saturation(groups: Groups) -> Estimate:
    """Share of saturated outputs of Sigmoid's first hidden layers in the last epoch, over settings, in percent."""
    shares = [
        _share(groups[s], "hidden1_saturated", slice(-1, None)) for s in SETTINGS if s.activation == "Sigmoid"
    ]
    return estimate(share for share in shares if not np.isnan(share))


def fitted(groups: Groups, reading: str, percent: float = 99.9) -> list[Setting]:
    """Settings whose mean train accuracy ends at ``percent`` or above."""
    return [
        s
        for s in SETTINGS
        if completed(groups[s]) and last(groups[s], "accuracy", "train", reading).mean >= percent
    ]
