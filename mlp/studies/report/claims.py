"""What the reference says about its sweeps, each sentence with a criterion that our runs meet or do not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from mlp.studies.report.sweeps import Point, Sweep
from mlp.studies.tables import Column, Table

AGREES, DISAGREES, UNKNOWN = "agrees", "**disagrees**", "not measured"
LOST = 0.15  # points of test accuracy that count as a loss: what two means may differ by and count as equal
CLEAR = 1.0  # points that count as a clear loss
LITTLE = 0.3  # points within which values "change little"


class NotMeasured(Exception):
    """A value that the claim is about was not run."""


@dataclass(frozen=True)
class Claim:
    """A sentence of the reference, when we say that it holds, and whether and how it does."""

    sweep: str
    says: str
    criterion: str
    measured: str
    verdict: str


def claims_table(claims: Sequence[Claim]) -> Table:
    """All claims of one page."""
    table = Table("claims", [Column(t) for t in ("sweep", "the reference", "criterion", "here", "verdict")])
    table.rows += [[c.sweep.replace("_", " "), c.says, c.criterion, c.measured, c.verdict] for c in claims]
    return table


def check_sweep(sweep: Sweep) -> list[Claim]:
    """The verdict on each claim about this sweep."""
    found = []
    for says, criterion, test, *numbers in CLAIMS.get(sweep.axis.name, []):
        try:
            holds, measured = test(sweep, *numbers)
            verdict = AGREES if holds else DISAGREES
        except NotMeasured as missing:
            measured, verdict = str(missing), UNKNOWN
        found.append(Claim(sweep.axis.name, says, criterion, measured, verdict))
    return found


Found = tuple[bool, str]  # whether it holds, and what was measured


def get(sweep: Sweep, value: float) -> Point:
    """The point of a value that a claim needs."""
    point = sweep.at(value)
    if point is None:
        raise NotMeasured(f"{value:g} was not run")
    return point


def accuracy(p: Point) -> float:
    """Final test accuracy; a diverged run has lost it all."""
    return 0.0 if p.test.count == 0 else p.test.mean


def tell(p: Point) -> str:
    """For example "0.2: 97.81 %"."""
    step = p.diverged_at
    return f"{p.label}: {p.test.mean:.2f} %" if step is None else f"{p.label}: diverged at step {step}"


def loses(sweep: Sweep, value: float, margin: float) -> Found:
    """This value ends at least ``margin`` points below the best one."""
    p, best = get(sweep, value), max(sweep.points, key=accuracy)
    return accuracy(best) - accuracy(p) > margin, f"{tell(p)}; best {tell(best)}"


def oscillates(sweep: Sweep, value: float, than: float) -> Found:
    """This value's test accuracy swings at least twice as much as another's, or the run diverges."""
    p, other = get(sweep, value), get(sweep, than)
    if p.diverged_at is not None:
        return True, tell(p)
    a, b = p.oscillation, other.oscillation
    if math.isnan(a) or math.isnan(b):
        raise NotMeasured("too few epochs")
    return a >= 2 * b, f"{p.label}: {a:.3f} points; {other.label}: {b:.3f}"


def fails(sweep: Sweep, value: float) -> Found:
    """This value diverges or ends below 90 %."""
    p = get(sweep, value)
    return p.diverged_at is not None or accuracy(p) < 90, tell(p)


def reaches_later(sweep: Sweep, value: float, than: float, percent: float, factor: float) -> Found:
    """This value needs at least ``factor`` times the epochs of another to reach ``percent``."""
    p, other = get(sweep, value), get(sweep, than)
    a, b = p.reach(percent), other.reach(percent)
    if b is None:
        raise NotMeasured(f"{other.label} did not reach {percent:g} %")
    return a is None or a >= factor * b, f"{p.label}: {'never' if a is None else a}; {other.label}: {b}"


def similar(sweep: Sweep, value: float, other: float, margin: float) -> Found:
    """Two values end within ``margin`` points."""
    p, q = get(sweep, value), get(sweep, other)
    return abs(accuracy(p) - accuracy(q)) <= margin, f"{tell(p)}; {tell(q)}"


def rises(sweep: Sweep, low: float, high: float) -> Found:
    """From value to value the accuracy never falls by more than LOST, and it is higher at the end."""
    points = between(sweep, low, high)
    steady = all(accuracy(q) >= accuracy(p) - LOST for p, q in pairwise(points))
    return steady and accuracy(points[-1]) > accuracy(points[0]), ", ".join(map(tell, points))


def quickens(sweep: Sweep, low: float, high: float, percent: float) -> Found:
    """From value to value the epochs to ``percent`` never grow, and they are fewer at the end."""
    points = between(sweep, low, high)
    epochs = [p.reach(percent) for p in points]
    if all(n is None for n in epochs):
        raise NotMeasured(f"none reached {percent:g} %")
    order = [math.inf if n is None else n for n in epochs]
    steady = all(b <= a for a, b in pairwise(order))
    shown = ", ".join(f"{p.label}: {'never' if n is None else n}" for p, n in zip(points, epochs, strict=True))
    return steady and order[-1] < order[0], shown


def changes_little(sweep: Sweep, low: float, high: float) -> Found:
    """All values from low to high end within LITTLE points of each other."""
    points = between(sweep, low, high)
    values = [accuracy(p) for p in points]
    return max(values) - min(values) <= LITTLE, ", ".join(map(tell, points))


def gap_shrinks(sweep: Sweep, low: float, high: float) -> Found:
    """Train minus test accuracy is smaller at ``high`` than at ``low``."""
    p, q = get(sweep, low), get(sweep, high)
    if not p.test.count or not q.test.count:
        raise NotMeasured("a run diverged")
    gaps = [point.train.mean - point.test.mean for point in (p, q)]
    return gaps[1] < gaps[0], f"{p.label}: {gaps[0]:.2f} points; {q.label}: {gaps[1]:.2f}"


def worst(sweep: Sweep, value: float) -> Found:
    """Every other value ends at least CLEAR points above."""
    p = get(sweep, value)
    others = [q for q in sweep.points if q is not p]
    if not others:
        raise NotMeasured("no other value was run")
    nearest = min(others, key=accuracy)
    return accuracy(nearest) - accuracy(p) >= CLEAR, f"{tell(p)}; next {tell(nearest)}"


def between(sweep: Sweep, low: float, high: float) -> list[Point]:
    """All points from low to high, both of which must have been run."""
    get(sweep, low), get(sweep, high)
    return [p for p in sweep.points if low * (1 - 1e-9) <= p.value <= high * (1 + 1e-9)]


_LOSES = f"ends more than {LOST:g} points below the best value"
_SWINGS = "diverges, or its test accuracy swings at least twice as much as at"
_LITTLE = f"final test accuracies within {LITTLE:g} points"
_RISES = f"test accuracy never falls by more than {LOST:g} points from value to value"
# For each sweep: what is said, when we say that it holds, and the test of it with what it is told.
CLAIMS: dict[str, list[tuple[Any, ...]]] = {
    "batch_size": [
        ("20 loses accuracy", _LOSES, loses, 20, LOST),
        ("20 oscillates", f"{_SWINGS} 100", oscillates, 20, 100),
        ("10 may not converge", "diverges or ends below 90 %", fails, 10),
        ("10000 converges slowly", "3 times the epochs of 100 to reach 95 %", reaches_later, 10000, 100, 95, 3),
        ("10000 ends about as accurate as 20", "within 0.5 points", similar, 10000, 20, 0.5),
    ],
    "hidden_size": [
        ("0 is clearly worst", f"all others end at least {CLEAR:g} point above", worst, 0),
        ("16 to 512 improves convergence", "epochs to 95 % never grow with the value", quickens, 16, 512, 95),
        ("16 to 512 improves accuracy", _RISES, rises, 16, 512),
        ("16 to 512 improves the train/test gap", "smaller at 512 than at 16", gap_shrinks, 16, 512),
        ("512 to 2048 changes little", _LITTLE, changes_little, 512, 2048),
    ],
    "learning_rate": [
        ("1e-5 to 1e-1: larger is faster", "epochs to 95 % never grow with the value", quickens, 1e-5, 0.1, 95),
        ("1e-5 to 1e-1: larger is better", _RISES, rises, 1e-5, 0.1),
        ("2e-1 oscillates", f"{_SWINGS} 0.1", oscillates, 0.2, 0.1),
        ("2e-1 loses accuracy", _LOSES, loses, 0.2, LOST),
    ],
    "weight_decay": [
        ("large values lose accuracy clearly", f"0.01 ends more than {CLEAR:g} point below the best value",
         loses, 0.01, CLEAR),
        ("small ones change little", f"0 to 1e-5: {_LITTLE}", changes_little, 0, 1e-5),
    ],
    "momentum": [
        ("0 to 0.9 speeds convergence", "epochs to 97 % never grow with the value", quickens, 0, 0.9, 97),
        ("close to 1 oscillates", f"0.99 {_SWINGS} 0.9", oscillates, 0.99, 0.9),
        ("close to 1 fails", "0.999 diverges or ends below 90 %", fails, 0.999),
    ],
}  # fmt: skip
