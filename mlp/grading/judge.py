"""From a component and what it computes to what is wrong with it: forward first, then gradients, then memory.

The judge never sees the submission, only a subject that answers a case with arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from mlp.grading.explain import Explanation, Observation, explain
from mlp.grading.hypotheses.component import FORWARD, Array, Case, Component, Hypothesis, agrees, with_variant
from mlp.grading.process import StudentError
from mlp.grading.verdict import Outcome, Side


class Subject(Protocol):
    """A component of a submission, adapted."""

    component: Component
    convention: dict[str, str]
    remarks: list[str]

    def observe(self, case: Case) -> Mapping[str, Array]:
        """What comes out for a case. Raises ``StudentError``, or ``Missing`` if something is not there."""


class Missing(Exception):
    """An output is not there at all: the output's name, and what was found instead."""

    def __init__(self, output: str, what: str, partial: Mapping[str, Array] | None = None) -> None:
        self.output, self.what, self.partial = output, what, partial or {}
        super().__init__(what)


class Failing(Exception):
    """The submission raised in a call: which one, and what was computed before."""

    def __init__(self, stage: str, error: StudentError, partial: Mapping[str, Array] | None = None) -> None:
        self.stage, self.error, self.partial = stage, error, partial or {}
        super().__init__(str(error))


Scale = Mapping[str, Callable[[int, int], float]]  # output -> a factor, from batch size and width


@dataclass
class Judgement:
    """What the judge found."""

    outcome: Outcome
    side: Side | None = None
    explanation: Explanation | None = None
    text: str = ""  # for errors and the unfinished
    worst: tuple[str, tuple[int, ...], float, float] | None = None  # output, index, got, expected
    case: Case | None = None
    variant: str = ""
    # The judgement if a hypothesis were right: some mistakes are a convention beside other components.
    if_right: Callable[[str], Judgement] | None = None
    if_scaled: Callable[[Scale], Judgement] | None = None  # and the judgement of other gradients


def judge(subject: Subject, seed: int = 0) -> Judgement:
    """Run the battery and compare with the truth; what is tolerated is remarked, and the rest judged."""
    component = subject.component
    cases = list(component.draw(np.random.default_rng(seed)))
    observed = [observe(subject, case) for case in cases]
    if trouble := everywhere_broken(observed):
        return trouble
    judgement = compare(component, cases, observed)

    def if_right(id: str) -> Judgement:
        return compare(with_truth(component, component.hypothesis(id)), cases, observed)

    if judgement.explanation and component.tolerates(judgement.explanation.id):
        subject.remarks.append(judgement.explanation.name)
        judgement = if_right(judgement.explanation.id)

    def if_scaled(scale: Scale) -> Judgement:
        return compare(component, cases, [scaled(c, o, scale) for c, o in zip(cases, observed, strict=True)])

    judgement.if_right, judgement.if_scaled = if_right, if_scaled
    return judgement


def scaled(case: Case, o: Observation, scale: Scale) -> Observation:
    """The observation with some outputs multiplied."""
    values = {k: v * scale[k](*case.x.shape) if k in scale else v for k, v in o.values.items()}
    return replace(o, values=values)


def with_truth(component: Component, h: Hypothesis) -> Component:
    """The component as if the hypothesis were right."""
    truth = component.truth
    return replace(component, truth=lambda c: truth(c) | {k: np.asarray(f(c)) for k, f in h.changes.items()})


def compare(component: Component, cases: Sequence[Case], observed: Sequence[Observation]) -> Judgement:
    """Variant by variant, side by side."""
    scores = {v.label: agreement(component, v, cases, observed) for v in component.variants}
    variant = max(component.variants, key=lambda v: scores[v.label])
    others = [v for v in component.variants if v is not variant]
    seen = under(list(zip(cases, observed, strict=True)), variant)
    fresh = [(c, o) for c, o in seen if c.kind == "fresh"]
    for outputs, part, side in phases(component, fresh, seen):
        wrong = first_wrong(component, part, outputs)
        if wrong is None:
            continue
        # A wrong forward may be a known mistake of another convention, a gradient one of those with this forward.
        equal = [v for v in others if side == "forward" or scores[v.label] == scores[variant.label]]
        tries = [part, *(under(part, v) for v in equal)]
        return describe(component, wrong, side, explain(component, tries, outputs), variant)
    return Judgement("passed", variant=variant.label)


Seen = Sequence[tuple[Case, Observation]]


def under(seen: Seen, variant: Case) -> Seen:
    """The same observations under another convention."""
    return [(with_variant(c, variant), o) for c, o in seen]


def phases(component: Component, fresh: Seen, seen: Seen) -> list[tuple[set[str], Seen, Side]]:
    """Which outputs are compared on which cases, and which side is at fault if they differ."""
    outputs = set(component.truth(fresh[0][0]))
    if outputs >= {"W1", "b1"}:
        return [(outputs, seen, "update")]
    if "updates" in outputs:
        return [({"y"}, seen, "forward"), ({"y", "received"}, seen, "backward"), (outputs, seen, "update")]
    forward = outputs & FORWARD
    return [(forward, fresh, "forward"), (outputs, fresh, "backward"), (outputs, seen, "state")]


def observe(subject: Subject, case: Case) -> Observation:
    """What comes out, or why nothing does."""
    try:
        return Observation({k: np.asarray(v) for k, v in subject.observe(case).items()})
    except Failing as failing:
        return Observation(dict(failing.partial), failing.stage, failing.error)
    except Missing as missing:
        return Observation(dict(missing.partial), "missing", missing=(missing.output, missing.what))


GRADIENTS = {"dW": "weight", "db": "bias", "dgamma": "scale", "dbeta": "shift"}


def everywhere_broken(observed: Sequence[Observation]) -> Judgement | None:
    """Raised, or gave nothing, in every first call: there is nothing to compare."""
    if not all(o.stage for o in observed):
        return None
    first = observed[0]
    if first.missing is None:
        assert first.error
        side: Side = {"forward": "forward", "update": "update"}.get(first.stage, "backward")  # type: ignore[assignment]
        return Judgement("unfinished" if first.error.unfinished else "error", side, None, str(first.error))
    output, what = first.missing
    if output in ("W1", "b1", "updates"):
        return Judgement("unfinished", "update", None, what)
    if output in GRADIENTS:
        kind = GRADIENTS[output]
        name, look = f"there is no gradient of the {kind}", "Is it stored where others can find it?"
        return Judgement("failed", "backward", Explanation(f"{kind}-gradient-missing", name, look), what)
    return Judgement("unfinished", "forward" if output in FORWARD else "backward", None, what)


def agreement(component: Component, v: Case, cases: Sequence[Case], observed: Sequence[Observation]) -> int:
    """In how many first calls the forward agrees with this convention."""
    count = 0
    for case, o in zip(cases, observed, strict=True):
        if case.kind != "fresh" or o.stage == "forward":
            continue
        prediction = component.predict(with_variant(case, v))
        assert prediction is not None
        keys = prediction.keys() & FORWARD & o.values.keys()
        count += all(agrees(component.settle(case, k, o.values[k]), prediction[k], o.tolerance(k)) for k in keys)
    return count


def first_wrong(component: Component, seen: Seen, outputs: set[str]) -> tuple[Case, Observation, str] | None:
    """The first case in which an output is not right, and that output; ordinary cases come first."""
    for case, o in seen:
        if o.stage and not (o.stage in ("backward", "missing") and outputs <= FORWARD):
            return case, o, o.missing[0] if o.missing else o.stage
        truth = component.predict(case)
        assert truth is not None
        for output in sorted(outputs & o.values.keys(), key=lambda k: (k not in FORWARD, k)):
            if not agrees(component.settle(case, output, o.values[output]), truth[output], o.tolerance(output)):
                return case, o, output
    return None


def describe(
    component: Component,
    wrong: tuple[Case, Observation, str],
    side: Side,
    explanation: Explanation | None,
    variant: Case,
) -> Judgement:
    """With the worst entry of the first wrong output."""
    case, o, output = wrong
    judgement = Judgement("failed", side, explanation, case=case, variant=variant.label)
    if o.stage:
        judgement.text = str(o.error) if o.error else (o.missing or ("", ""))[1]
        if explanation is None:
            judgement.outcome = "error" if o.error else "unfinished"
            if o.error and o.error.unfinished:
                judgement.outcome = "unfinished"
        return judgement
    truth = component.predict(case)
    assert truth is not None
    got, expected = np.asarray(o.values[output]), truth[output]
    if got.shape != expected.shape:
        judgement.text = f"{output} has shape {got.shape}, expected {expected.shape}"
    else:
        with np.errstate(all="ignore"):
            gap = np.abs(got.astype(complex) - expected)
        index = (
            np.unravel_index(int(np.where(np.isfinite(gap), gap, np.inf).argmax()), gap.shape) if gap.ndim else ()
        )
        place = tuple(int(i) for i in index)
        judgement.worst = output, place, float(np.real(got[place])), float(expected[place])
    return judgement
