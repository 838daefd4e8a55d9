"""The tables over the 18 settings: accuracy, loss, what a second hidden layer brings, and the small headline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlp.studies.report.judgement import NO_RUN, OFF, WITHIN_ERRORS, WITHIN_TOLERANCE, Judgement, judge
from mlp.studies.report.reference import Reference, load_reference
from mlp.studies.report.results import (
    ACTIVATIONS,
    ARCHITECTURES,
    LOSSES,
    SETTINGS,
    Result,
    Setting,
    by_setting,
    completed,
    last,
)
from mlp.studies.tables import Cell, Column, Table, estimate

Groups = Mapping[Setting, Sequence[Result]]
MARKS = {
    WITHIN_TOLERANCE: "✓ within 0.15",
    WITHIN_ERRORS: "✓ within 2 s.e.",
    OFF: "**✗ off**",
    NO_RUN: "**✗ no run**",
}
HIDDEN = {"single": "128", "double": "256, 128"}
KEYS = [Column("hidden"), Column("loss"), Column("activation")]
READINGS = {
    "final": "the final network on the whole training set",
    "running": "the running mean over the last epoch, each batch measured before its update",
}


@dataclass(frozen=True)
class Reading:
    """Which train metric the reference means: how far each is from its cells, and in how many it is closer."""

    name: str
    closer: Mapping[str, int]
    distance: Mapping[tuple[str, str], float]  # (reading, metric) -> mean absolute difference
    cells: int


def choose_reading(groups: Groups, reference: Reference) -> Reading:
    """The reading that is closer to the reference in more cells, accuracy and loss taken together."""
    closer = dict.fromkeys(READINGS, 0)
    gaps: dict[tuple[str, str], list[float]] = {(r, m): [] for r in READINGS for m in ("accuracy", "loss")}
    cells = 0
    for setting, runs in groups.items():
        if not completed(runs):
            continue
        for metric in ("accuracy", "loss"):
            target = reference.value(metric, "train", setting)
            off = {r: abs(last(runs, metric, "train", r).mean - target) for r in READINGS}
            for reading, gap in off.items():
                gaps[reading, metric].append(gap)
                closer[reading] += gap < min(other for name, other in off.items() if name != reading)
            cells += 1
    distance = {key: estimate(values).mean for key, values in gaps.items()}
    return Reading(max(READINGS, key=lambda r: closer[r]), closer, distance, cells)


def judgements(groups: Groups, reference: Reference) -> dict[Setting, Judgement]:
    """The verdict on each test accuracy."""
    return {
        setting: judge(last(runs, "accuracy", "test"), reference.value("accuracy", "test", setting), reference.runs)
        for setting, runs in groups.items()
    }


def accuracy_table(groups: Groups, reference: Reference, reading: str) -> Table:
    """Train and test accuracy in percent, ours and the reference's, and the verdict on the latter."""
    verdicts = judgements(groups, reference)
    columns = [*KEYS, *_compared("train"), *_compared("test"), Column("2 s.e."), Column("verdict")]
    table = Table("accuracy", columns)
    for s in SETTINGS:
        cells = [*_pair(groups[s], reference, s, "accuracy", "train", reading)]
        cells += _pair(groups[s], reference, s, "accuracy", "test", "final")
        table.rows.append([*_key(s), *cells, verdicts[s].two_errors, MARKS[verdicts[s].verdict]])
    return table


def loss_table(groups: Groups, reference: Reference, reading: str) -> Table:
    """Train and test loss times 100, ours and the reference's."""
    table = Table("loss", [*KEYS, *_compared("train"), *_compared("test")])
    for s in SETTINGS:
        cells = _pair(groups[s], reference, s, "loss", "train", reading)
        table.rows.append([*_key(s), *cells, *_pair(groups[s], reference, s, "loss", "test", "final")])
    return table


def improvement_table(groups: Groups, reference: Reference) -> Table:
    """Two hidden layers minus one: test accuracy in points and test loss times 100, seed by seed."""
    columns = [Column("loss"), Column("activation")]
    for what in ("accuracy", "loss ×100"):
        titles = (f"test {what}", f"reference {what}", f"difference of {what}")
        columns += [Column(title, signed=True) for title in titles]
    table = Table("improvement", columns)
    for loss in LOSSES:
        for activation in ACTIVATIONS:
            one, two = (Setting(name, loss, activation) for name in ARCHITECTURES)
            cells: list[Cell] = [loss, activation]
            for metric in ("accuracy", "loss"):
                values = [_by_seed(groups[s], metric) for s in (one, two)]
                ours = estimate(values[1][seed] - values[0][seed] for seed in sorted(values[0].keys() & values[1]))
                target = reference.value(metric, "test", two) - reference.value(metric, "test", one)
                cells += [ours, target, ours.mean - target]
            table.rows.append(cells)
    return table


def headline_table(groups: Groups, reference: Reference) -> Table:
    """Test accuracy in percent: ours, and the reference's in brackets."""
    table = Table("headline", [Column("hidden"), Column("loss"), *(Column(name) for name in ACTIVATIONS)])
    for architecture in ARCHITECTURES:
        for loss in LOSSES:
            cells: list[Cell] = [HIDDEN[architecture], loss]
            for activation in ACTIVATIONS:
                s = Setting(architecture, loss, activation)
                target = reference.value("accuracy", "test", s)
                cells.append(f"{last(groups[s], 'accuracy', 'test').show()} ({target:.2f})")
            table.rows.append(cells)
    return table


def headline(results: Iterable[Result]) -> str:
    """The headline table as Markdown, for the project's README."""
    return headline_table(by_setting(results), load_reference()).markdown()


def _key(setting: Setting) -> list[Cell]:
    return [HIDDEN[setting.architecture], setting.loss, setting.activation]


def _compared(split: str) -> list[Column]:
    return [Column(split), Column(f"{split} reference"), Column(f"{split} difference", signed=True)]


def _pair(
    runs: Sequence[Result], reference: Reference, s: Setting, metric: str, split: str, reading: str
) -> list[Cell]:
    ours, target = last(runs, metric, split, reading), reference.value(metric, split, s)
    return [ours, target, ours.mean - target]


def _by_seed(runs: Sequence[Result], metric: str) -> dict[int, float]:
    return {r.config.seed: 100 * float(r.final[f"final_test_{metric}"]) for r in completed(runs)}
