"""What a component is to the grader: inputs to try, the right outputs, and the outputs of every known mistake."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
# The inputs of one call, as attributes: x, g (the upstream gradient), W, b, t (targets), ... Always there are
#   kind   "fresh": the first call of a new object; "again": its second; "shared": another object ran in between
#   first  the case of the first call of the same object (itself, if fresh)
#   other  the case of the other object (itself, if there is none)
#   v      the variant, a namespace: which of several right definitions the submission follows
Case = SimpleNamespace
Values = dict[str, Array]  # what came out, by name: "y", "dx", "dW", ...
Formula = Callable[[Case], Any]


class Inapplicable(Exception):
    """Raised by a formula that makes no sense for this case, such as a term that the variant does not have."""


FORWARD = {
    "y",
    "value",
    "running",
    "evaluated",
}  # what a forward gives; "path" is an update's; all others are gradients


@dataclass(frozen=True)
class Hypothesis:
    """A mistake as a function: what it changes, and into what.

    id: short, stable, for machines and rubrics.
    name: the mistake in words.
    look: what the student should look at; never the solution.
    changes: output -> formula of the case. All other outputs are right.
    tolerated: no mistake but a remark; the other outputs are judged as if this were right.
    """

    id: str
    name: str
    look: str
    changes: Mapping[str, Formula]
    tolerated: bool = False


def hypothesis(id: str, name: str, look: str, **changes: Formula) -> Hypothesis:
    """A hypothesis with its formulas as keywords."""
    return Hypothesis(id, name, look, changes)


@dataclass(frozen=True)
class Component:
    """A definition, a battery of cases and a catalogue of mistakes."""

    name: str
    draw: Callable[[np.random.Generator], Sequence[Case]]
    truth: Callable[[Case], Values]
    hypotheses: Sequence[Hypothesis]
    variants: Sequence[Case] = (Case(label=""),)
    # Makes two right answers equal, such as the slopes 0 and 1 of ReLU at 0.
    settle: Callable[[Case, str, Array], Array] = lambda case, output, value: value
    # Cases for which code often has a branch of its own, such as those with momentum: one may be wrong alone.
    branch: Callable[[Case], bool] = lambda case: False

    def hypothesis(self, id: str) -> Hypothesis:
        """The one with this id."""
        return next(h for h in self.hypotheses if h.id == id)

    def tolerates(self, id: str) -> bool:
        """Is this a remark and no mistake?"""
        return any(h.id == id and h.tolerated for h in self.hypotheses)

    def predict(
        self, case: Case, hypothesis: Hypothesis | None = None, outputs: Collection[str] | None = None
    ) -> Values | None:
        """The outputs under a hypothesis, all or some.

        None where its formulas cannot be computed, for example because the shapes do not fit. Raises
        ``Inapplicable`` where it makes no sense.
        """
        changes = hypothesis.changes if hypothesis else {}
        with np.errstate(all="ignore"):
            values: Values = {}
            if outputs is None or not changes.keys() >= set(outputs):
                values |= self.truth(case)
            try:
                values |= {k: formula(case) for k, formula in changes.items() if outputs is None or k in outputs}
            except (ValueError, IndexError):
                return None
            return {k: self.settle(case, k, np.asarray(v, dtype=float)) for k, v in values.items()}


def agrees(got: Array, expected: Array, tolerance: float = 2e-6) -> bool:
    """The same shape, and the same numbers up to ``tolerance`` of the largest: constants may have six digits."""
    if got.shape != expected.shape:
        return False
    with np.errstate(all="ignore"):
        gap = np.abs(got - expected).max(initial=0)
        size = np.abs(expected).max(initial=0)
    if np.isfinite(size) and np.isfinite(gap):
        return bool(gap <= tolerance * size + 1e-12)
    finite = np.isfinite(expected)  # infinities and NaNs must be the same; the rest is compared as above
    if not np.array_equal(np.isfinite(got), finite) or not finite.any():
        return np.array_equal(got, expected, equal_nan=True)
    same = np.array_equal(got[~finite], expected[~finite], equal_nan=True)
    return same and not finite.all() and agrees(got[finite], expected[finite], tolerance)


def scenarios(make: Callable[[], Case], rng: np.random.Generator) -> list[Case]:
    """Two ways to catch a wrong memory: a second call, and another object in between."""
    first, second = make(), make()
    again = copy(second, kind="again", first=first)
    shared, between = make(), make()
    return [again, copy(shared, kind="shared", other=between)]


def fresh(**inputs: Any) -> Case:
    """The first call of a new object."""
    case = Case(kind="fresh", v=Case(label=""), **inputs)
    case.first = case.other = case
    return case


def copy(case: Case, **changes: Any) -> Case:
    """The same case with other attributes."""
    new = Case(**(vars(case) | changes))
    if new.first is case:
        new.first = new
    if new.other is case:
        new.other = new
    return new


def with_variant(case: Case, variant: Case) -> Case:
    """The case, and those it refers to, under another of the right definitions."""
    new = copy(case, v=variant)
    if case.first is not case:
        new.first = copy(case.first, v=variant)
    if case.other is not case:
        new.other = copy(case.other, v=variant)
    return new
