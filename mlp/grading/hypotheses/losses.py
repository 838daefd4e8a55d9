"""What the losses share: how the sum over examples and outputs becomes one number, and who divides by what."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mlp.grading.hypotheses.component import Array, Case, Hypothesis, hypothesis
from mlp.grading.hypotheses.component import hypothesis as H

# Reductions that are a matter of convention: label -> the factor before the sum, from batch size and outputs.
Factor = Callable[[int, int], float]
REDUCTIONS: dict[str, Factor] = {
    "1/N": lambda n, k: 1 / n,
    "1/(2N)": lambda n, k: 1 / (2 * n),
    "1/(NK)": lambda n, k: 1 / (n * k),
    "1/(2NK)": lambda n, k: 1 / (2 * n * k),
    "1": lambda n, k: 1.0,
    "1/2": lambda n, k: 0.5,
    "1/K": lambda n, k: 1 / k,
    "1/(2K)": lambda n, k: 1 / (2 * k),
}
# What a gradient may be of the value's derivative: the mistake's id, its words, the factor.
RATIOS: list[tuple[str, str, Factor]] = [
    ("gradient-lacks-1/N", "the gradient lacks the factor 1/N that the value has", lambda n, k: n),
    ("gradient-extra-1/N", "the gradient has a factor 1/N that the value does not have", lambda n, k: 1 / n),
    ("gradient-lacks-1/K", "the gradient lacks the factor 1/K (outputs) that the value has", lambda n, k: k),
    ("gradient-extra-1/K", "the gradient has a factor 1/K (outputs) that the value does not have", lambda n,
      k: 1 / k),
    ("gradient-lacks-1/NK", "the gradient lacks the factor 1/(NK) that the value has", lambda n, k: n * k),
    ("gradient-extra-1/NK", "the gradient has a factor 1/(NK) that the value does not have", lambda n,
      k: 1 / (n * k)),
    ("gradient-doubled", "the gradient is twice the derivative of the value", lambda n, k: 2),
    ("gradient-halved", "the gradient is half the derivative of the value", lambda n, k: 0.5),
    ("gradient-negated", "the gradient has the wrong sign", lambda n, k: -1),
    ("gradient-negated-lacks-1/N", "the gradient has the wrong sign and lacks the factor 1/N", lambda n, k: -n),
    ("gradient-doubled-lacks-1/N", "the gradient lacks the factor 1/N and is twice too large", lambda n, k: 2 * n),
    ("gradient-halved-lacks-1/N", "the gradient lacks the factor 1/N and is half as large besides", lambda n,
      k: n / 2),
    ("gradient-N-for-K",
      "the gradient is divided by the number of outputs where the value is divided by the batch size", lambda n,
      k: n / k),
    ("gradient-K-for-N",
      "the gradient is divided by the batch size where the value is divided by the number of outputs", lambda n,
      k: k / n),
    ("gradient-halved-lacks-1/K", "the gradient lacks the factor 2/K", lambda n, k: k / 2),
    ("gradient-halved-extra-1/K", "the gradient has a factor 1/(2K) that the value does not have", lambda n,
      k: 0.5 / k),
    ("gradient-halved-lacks-1/NK", "the gradient lacks the factor 2/(NK)", lambda n, k: n * k / 2),
    ("gradient-halved-extra-1/N", "the gradient has a factor 1/(2N) that the value does not have", lambda n,
      k: 0.5 / n),
    ("gradient-doubled-extra-1/K", "the gradient has a factor 2/K that the value does not have", lambda n,
      k: 2 / k),
    ("gradient-doubled-lacks-1/K", "the gradient lacks the factor 1/K and is twice too large", lambda n, k: 2 * k),
    ("gradient-doubled-extra-1/N", "the gradient has a factor 2/N that the value does not have", lambda n,
      k: 2 / n),
    ("gradient-lacks-N-over-K", "the gradient is multiplied by N²", lambda n, k: n * n),
]  # fmt: skip
AGREE = "Value and gradient must be normalised alike: differentiate what forward returns."
SHAPE = "The gradient must have the shape of the scores."


def variants(*labels: str, **more: object) -> list[Case]:
    """Conventions, the usual one first."""
    return [Case(label=label, factor=REDUCTIONS[label], **more) for label in labels]


def factor(c: Case) -> float:
    """The convention's factor for this case."""
    return float(c.v.factor(*c.x.shape))


def ratios(gradient: Callable[[Case], Array]) -> list[Hypothesis]:
    """Right but for a factor."""

    def scaled(by: Factor) -> Callable[[Case], Array]:
        return lambda c: by(*c.x.shape) * gradient(c)

    return [hypothesis(i, name, AGREE, dx=scaled(by)) for i, name, by in RATIOS]


def shared(
    value: Callable[[Case], float], gradient: Callable[[Case], Array], without: str = ""
) -> Sequence[Hypothesis]:
    """Mistakes that every loss may have, except those that are named otherwise for this one."""
    found = [*of_value(value), *of_gradient(value, gradient), *of_memory(value, gradient)]
    return [h for h in found if h.id not in without.split()]


def of_value(value: Callable[[Case], float]) -> list[Hypothesis]:
    """What forward returns."""
    return [
        H("value-negated", "the value has the wrong sign", "Look at the signs.", value=lambda c: -value(c)),
        H("value-zero", "the value is zero", "Is it computed and returned?", value=lambda c: 0.0),
        H("value-first-example", "only the first example enters the value", "Check the loop over the batch.",
          value=lambda c: value(row(c, slice(0, 1))) / len(c.x)),
        H("value-last-example", "only the last example enters the value", "= or += in the loop?",
          value=lambda c: value(row(c, slice(-1, None))) / len(c.x)),
        H("value-first-example-not-averaged", "the value is that of the first example",
          "Check the loop over the batch.", value=lambda c: value(row(c, slice(0, 1)))),
        H("value-last-example-not-averaged", "the value is that of the last example", "= or += in the loop?",
          value=lambda c: value(row(c, slice(-1, None)))),
        H("value-integer", "the value is cut to an integer", "Look for an integer dtype.",
          value=lambda c: np.trunc(value(c))),
        H("value-float16", "the value is rounded to float16", "Look for a narrow dtype.",
          value=lambda c: np.float16(value(c))),
        H("value-rooted", "a square root is taken of the value", "Compare with the definition.",
          value=lambda c: np.sqrt(np.abs(value(c)))),
        H("value-squared", "the value is squared", "Compare with the definition.", value=lambda c: value(c) ** 2),
    ]  # fmt: skip


def of_gradient(value: Callable[[Case], float], d: Callable[[Case], Array]) -> list[Hypothesis]:
    """What backward returns."""
    return [
        H("gradient-summed", "the gradient is summed over the batch", SHAPE, dx=lambda c: d(c).sum(0)),
        H("gradient-mean", "the gradient is averaged over the batch", SHAPE, dx=lambda c: d(c).mean(0)),
        H("gradient-row-sums", "the gradient is summed over the outputs", SHAPE, dx=lambda c: d(c).sum(1)),
        H("gradient-total", "the gradient is summed over everything", SHAPE, dx=lambda c: d(c).sum()),
        H("gradient-transposed", "the gradient is transposed", SHAPE, dx=lambda c: d(c).T),
        H("gradient-absolute", "the gradient has lost its signs", "Look for an absolute value.",
          dx=lambda c: np.abs(d(c))),
        H("gradient-signs", "only the signs of the gradient are left", "Compare with the derivative.",
          dx=lambda c: np.sign(d(c))),
        H("gradient-zero", "the gradient is zero", "Is it computed and returned?", dx=lambda c: 0 * c.x),
        H("gradient-times-value", "the gradient is multiplied by the value", "Compare with the derivative.",
          dx=lambda c: d(c) * value(c)),
        H("gradient-squared", "the gradient is squared", "Compare with the derivative.", dx=lambda c: d(c) ** 2),
        H("gradient-first-row-for-all", "every row of the gradient is that of the first example",
          "Check the indices.", dx=lambda c: np.repeat(d(c)[:1], len(c.x), 0)),
        H("gradient-last-row-missing", "the last row of the gradient is left at zero", "Check the loop's bounds.",
          dx=lambda c: np.concatenate([d(c)[:-1], 0 * c.x[-1:]])),
        H("gradient-first-row-only", "only the first row of the gradient is filled",
          "Check the loop over the batch.", dx=lambda c: np.concatenate([d(c)[:1], 0 * c.x[1:]])),
        H("gradient-last-row-only", "only the last row of the gradient is filled", "Check the loop over the batch.",
          dx=lambda c: np.concatenate([0 * c.x[:-1], d(c)[-1:]])),
        H("gradient-integer", "the gradient is cut to integers", "Look for an integer dtype.",
          dx=lambda c: np.trunc(d(c))),
        H("gradient-float16", "the gradient is rounded to float16", "Look for a narrow dtype.",
          dx=lambda c: d(c).astype(np.float16)),
    ]  # fmt: skip


def of_memory(value: Callable[[Case], float], d: Callable[[Case], Array]) -> list[Hypothesis]:
    """What is kept from call to call."""
    return [
        H("cache-of-first-call", "backward still uses what the first call cached", "When is the cache written?",
          dx=lambda c: d(c.first)),
        H("cache-shared", "the cache is shared between objects",
          "Does the cache belong to the object or to the class?", dx=lambda c: d(c.other)),
        H("value-of-first-call", "the value of the first call is given back again",
          "Is the value computed in every call?", value=lambda c: value(c.first)),
        H("value-added-up", "the values of all calls add up", "= or +=?",
          value=lambda c: value(c) + (value(c.first) if c.kind == "again" else 0)),
        H("gradient-added-up", "the gradients of all calls add up", "= or +=?",
          dx=lambda c: d(c) + (d(c.first) if c.kind == "again" else 0)),
    ]  # fmt: skip


def row(c: Case, rows: slice) -> Case:
    """The same case with some of its examples; the factor stays as for all of them times their share."""
    n = len(c.x)
    part = Case(**vars(c))
    part.x, part.t = c.x[rows], c.t[rows]
    part.v = Case(**(vars(c.v) | {"factor": lambda _, k: c.v.factor(n, k) * n}))
    return part
