"""Which known mistake computes exactly what was observed: one alone, one for each output, or one times a factor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mlp.grading.hypotheses.component import (
    FORWARD,
    Array,
    Case,
    Component,
    Hypothesis,
    Inapplicable,
    agrees,
)
from mlp.grading.process import StudentError


@dataclass
class Observation:
    """What came out for a case; if a call failed, in which stage, and why."""

    values: dict[str, Array]
    stage: str = ""
    error: StudentError | None = None
    missing: tuple[str, str] | None = None

    def tolerance(self, output: str) -> float:
        """Coarser for single precision; halves and integers must not pass for it."""
        return 2e-5 if self.values[output].dtype == np.float32 else 2e-6


@dataclass(frozen=True)
class Explanation:
    """A mistake that fits: its id, its name, and what to look at."""

    id: str
    name: str
    look: str


Seen = Sequence[tuple[Case, Observation]]


def explain(component: Component, tries: Sequence[Seen], outputs: set[str]) -> Explanation | None:
    """The explanation of what was seen, or None. ``tries`` has the same observations under several conventions."""
    tries = [wrong_branch(component, seen, outputs) for seen in tries]
    for seen in tries:
        for h in component.hypotheses:
            if fits(component, h, seen, outputs):
                return Explanation(h.id, h.name, h.look)
    seen = tries[0]
    if any(o.stage for _, o in seen):
        return None
    return piecewise(component, seen, outputs) or narrow(seen, outputs) or with_factor(component, tries, outputs)


def wrong_branch(component: Component, seen: Seen, outputs: set[str]) -> Seen:
    """Only the cases of one branch if those of the other are all right."""
    for branch in (True, False):
        part = [(c, o) for c, o in seen if component.branch(c) is branch]
        rest = [(c, o) for c, o in seen if component.branch(c) is not branch]
        if part and rest and not any(o.stage for _, o in rest) and all(right(component, rest, k) for k in outputs):
            return part
    return seen


def fits(component: Component, h: Hypothesis, seen: Seen, outputs: set[str]) -> bool:
    """Does the hypothesis give what was observed, in every case?"""
    changed = outputs & h.changes.keys()
    return (
        bool(changed)
        and all(fits_case(component, h, case, o, outputs, changed) for case, o in seen)
        and all(right(component, seen, k) for k in outputs - changed)
    )


def fits_case(
    component: Component, h: Hypothesis, case: Case, o: Observation, outputs: set[str], changed: set[str]
) -> bool:
    """In one case; where the submission raised, the hypothesis must have no answer either."""
    try:
        prediction = component.predict(case, h, changed)
    except Inapplicable:
        return False
    raised_later = outputs <= FORWARD and o.stage != "forward"
    if o.stage and (o.missing or (prediction is not None and not raised_later)):
        return False
    if prediction is None:
        return bool(o.stage)
    settled = {k: component.settle(case, k, o.values[k]) for k in changed & o.values.keys()}
    return all(agrees(value, prediction[k], o.tolerance(k)) for k, value in settled.items())


def piecewise(component: Component, seen: Seen, outputs: set[str]) -> Explanation | None:
    """One mistake for each wrong output."""
    wrong = wrong_outputs(component, seen, outputs)
    parts: list[Hypothesis] = []
    for output in wrong:
        known = (h for h in component.hypotheses if output in h.changes and fits(component, h, seen, {output}))
        part = next(known, None)
        if part is None:
            return None
        parts.append(part)
    unique = list({p.id: p for p in parts}.values())
    if len(unique) <= 1:
        only = " and ".join(wrong)
        return Explanation(unique[0].id, f"{unique[0].name} (in {only})", unique[0].look) if unique else None
    name, look = " and ".join(p.name for p in unique), " ".join(dict.fromkeys(p.look for p in unique))
    return Explanation(" + ".join(p.id for p in unique), name, look)


def wrong_outputs(component: Component, seen: Seen, outputs: set[str]) -> list[str]:
    """Those that are there in every case and not right in every case."""
    present = [k for k in sorted(outputs) if all(k in o.values for _, o in seen)]
    return [k for k in present if not right(component, seen, k)]


def right(component: Component, seen: Seen, output: str) -> bool:
    """Is this output right in every case?"""
    for case, o in seen:
        if output not in o.values:
            continue
        truth = component.predict(case)
        assert truth is not None
        if not agrees(component.settle(case, output, o.values[output]), truth[output], o.tolerance(output)):
            return False
    return True


def narrow(seen: Seen, outputs: set[str]) -> Explanation | None:
    """All numbers of an output are of half precision."""
    for output in sorted(outputs, key=lambda k: k not in FORWARD):
        if are_halves([o.values[output] for _, o in seen if output in o.values]):
            name = "output" if output in FORWARD else "gradient"
            words = f"the {name} is computed in half precision (float16)"
            return Explanation(f"{name}-float16", words, "Look for a narrow dtype.")
    return None


def are_halves(arrays: Sequence[Array]) -> bool:
    """Numbers that float16 holds exactly, and not all of them whole or zero."""
    if not arrays or not any(np.any(a) for a in arrays):
        return False
    with np.errstate(all="ignore"):
        half = all(a.size and np.array_equal(a.astype(np.float16).astype(float), a) for a in arrays)
        return half and not all(np.array_equal(np.round(a), a) for a in arrays)


# What a factor between observed and expected may be, as a function of batch size and width.
SHAPES: list[tuple[str, Callable[[int, int], float]]] = [
    ("", lambda n, k: 1.0), ("N", lambda n, k: n), ("1/N", lambda n, k: 1 / n), ("K", lambda n, k: k),
    ("1/K", lambda n, k: 1 / k), ("NK", lambda n, k: n * k), ("1/(NK)", lambda n, k: 1 / (n * k)),
    ("N²", lambda n, k: n * n), ("1/N²", lambda n, k: 1 / n**2),
      ("1/(N-1)", lambda n, k: 1 / (n - 1) if n > 1 else np.nan),
    ("N/K", lambda n, k: n / k), ("K/N", lambda n, k: k / n),
]  # fmt: skip


NICE = (1, 2, 3, 4, 1 / 2, 1 / 3, 1 / 4, 10, 0.1)


def with_factor(component: Component, tries: Sequence[Seen], outputs: set[str]) -> Explanation | None:
    """A known mistake, or the truth, times one factor in all wrong outputs."""
    for seen in tries:
        wrong = wrong_outputs(component, seen, outputs)
        for h in (None, *component.hypotheses):
            if h is not None and not set(wrong) <= h.changes.keys():
                continue
            factors = {factor_of(component, h, seen, output) for output in wrong}
            if len(factors) == 1 and (factor := factors.pop()):
                return named_factor(h, factor, wrong)
    return None


def factor_of(component: Component, h: Hypothesis | None, seen: Seen, output: str) -> str | None:
    """The factor in words if observed = factor · predicted in every case, with one law for the factor."""
    ratios, sizes = [], []
    for case, o in seen:
        try:
            prediction = component.predict(case, h, {output})
        except Inapplicable:
            return None
        ratio = None if prediction is None else ratio_of(o.values[output], prediction[output])
        if ratio is None:
            return None
        if ratio:
            ratios.append(ratio)
            sizes.append(case.x.shape)
    return law_of(ratios, sizes, nice=h is not None) if len(set(sizes)) >= 3 else None


def ratio_of(got: Array, expected: Array) -> float | None:
    """got / expected if it is the same everywhere; 0 if both vanish, None if there is none."""
    if expected.shape != got.shape or not np.all(np.isfinite(got)):
        return None
    square = float(expected.ravel() @ expected.ravel())
    if square == 0 and not np.any(got):
        return 0.0
    if not np.isfinite(square) or square == 0:
        return None
    ratio = float(expected.ravel() @ got.ravel()) / square
    return ratio if ratio and agrees(got, ratio * expected, 1e-5) else None


def law_of(ratios: Sequence[float], sizes: Sequence[tuple[int, int]], nice: bool) -> str | None:
    """In words: a number times a power of batch size and width."""
    for label, law in SHAPES:
        constants = np.array([r / law(*size) for r, size in zip(ratios, sizes, strict=True)])
        constants = constants[np.isfinite(constants)]
        if constants.size > 2 and np.allclose(constants, constants[0], rtol=1e-4):
            if nice and not any(np.isclose(abs(constants[0]), n, rtol=1e-4) for n in NICE):
                return None
            number = f"{constants[0]:.6g}"
            return number if not label else label if number == "1" else f"{number}·{label}"
    return None


def named_factor(h: Hypothesis | None, factor: str, wrong: Sequence[str]) -> Explanation:
    """In words."""
    what = " and ".join(wrong)
    if h is None:
        return Explanation(
            f"factor-{factor}", f"{what} is {factor} times what it should be", "Where does the factor come from?"
        )
    return Explanation(f"{h.id} * {factor}", f"{h.name}, and {what} is {factor} times too large besides", h.look)
