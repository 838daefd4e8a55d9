"""Elementwise activations y = f(x) with dx = g f'(x): the definitions, and mistakes that any of them may have."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mlp.grading.hypotheses.component import (
    Array,
    Case,
    Component,
    Hypothesis,
    Values,
    fresh,
    hypothesis,
    scenarios,
)
from mlp.grading.hypotheses.gelu import GELU, GELU_FORMS, gelu, gelu_slope
from mlp.grading.hypotheses.rectifiers import LEAKY_RELU, RELU
from mlp.grading.hypotheses.squashing import SIGMOID, TANH, sigmoid

Function = Callable[[Array, Case], Array]  # of the input and the variant
H = hypothesis


def draw(rng: np.random.Generator) -> list[Case]:
    """Ordinary, another batch size, batch 1, square, large, tiny and whole-number inputs, then the scenarios."""

    def case(n: int, width: int, size: float = 1.5) -> Case:
        return fresh(x=rng.normal(size=(n, width)) * size, g=rng.normal(size=(n, width)))

    cases = [case(5, 4), case(7, 3), case(1, 6), case(4, 4), case(6, 5, 1e-3), case(6, 1), case(6, 5, 0.4)]
    large, tied = case(6, 5, 12), case(4, 6)
    tied.x[:, ::2] = tied.x[:1, ::2]
    tied.x[0, 0] = tied.x[2, 1] = 0.0
    return [*cases, large, tied, *scenarios(lambda: case(5, 4), rng)]


def settle(case: Case, output: str, value: Array) -> Array:
    """At the kink every slope between the two one-sided ones is right: it counts as the left one."""
    if output != "dx" or value.shape != case.x.shape:
        return value
    low, high = sorted_pair(case.v.kink * case.g, case.g)
    tolerated = (case.x == 0) & (value >= low - 1e-12) & (value <= high + 1e-12)
    return np.where(tolerated, low, value)


def sorted_pair(a: Array, b: Array) -> tuple[Array, Array]:
    """The smaller and the larger, entry by entry."""
    return np.minimum(a, b), np.maximum(a, b)


def common(f: Function, slope: Function) -> list[Hypothesis]:
    """The mistakes that need no knowledge of f."""

    def y(c: Case) -> Array:
        return f(c.x, c.v)

    def d(c: Case) -> Array:
        return slope(c.x, c.v)

    return [
        H("returns-input", "the input is returned unchanged", "Is f applied?", y=lambda c: c.x),
        H("returns-zero", "the output is zero", "Is f applied?", y=lambda c: 0 * c.x),
        H("output-negated", "the output has the wrong sign", "Look at the signs.", y=lambda c: -y(c)),
        H("input-negated", "f is applied to -x", "Look at the signs.", y=lambda c: f(-c.x, c.v)),
        H("output-doubled", "the output is twice too large", "Look at the factors.", y=lambda c: 2 * y(c)),
        H("output-halved", "the output is half of what it should be", "Look at the factors.", y=lambda c: y(c) / 2),
        H("input-doubled", "f is applied to 2x", "Look at the factors inside.", y=lambda c: f(2 * c.x, c.v)),
        H("input-halved", "f is applied to x/2", "Look at the factors inside.", y=lambda c: f(c.x / 2, c.v)),
        H("input-absolute", "f is applied to |x|", "What happens to negative inputs?",
          y=lambda c: f(np.abs(c.x), c.v)),
        H("returns-slope", "forward returns the derivative of f", "Which of the two belongs here?", y=d),
        H("applied-twice", "f is applied twice", "How often is f applied?", y=lambda c: f(y(c), c.v)),
        H("output-float16", "the output is rounded to float16", NARROW, y=lambda c: y(c).astype(np.float16)),
        H("input-float16", "the input is rounded to float16", NARROW,
          y=lambda c: f(c.x.astype(np.float16).astype(float), c.v)),
        H("output-integer", "the output is cut to integers", WHOLE, y=lambda c: np.trunc(y(c))),
        H("input-integer", "the input is cut to integers", WHOLE, y=lambda c: f(np.trunc(c.x), c.v)),
        H("first-column-ignored", "the first column stays as it was", "Check the slices.",
          y=lambda c: np.concatenate([c.x[:, :1], y(c)[:, 1:]], 1)),
        H("last-row-ignored", "the last row stays as it was", "Check the loop's bounds.",
          y=lambda c: np.concatenate([y(c)[:-1], c.x[-1:]])),
        H("local-slope-only", "the upstream gradient is missing: only f' is returned", CHAIN, dx=d),
        H("upstream-only", "the derivative of f is missing: the upstream gradient is returned as it came", CHAIN,
          dx=lambda c: c.g),
        H("slope-at-output", "f' is taken at the output instead of the input", WHICH,
          dx=lambda c: c.g * slope(y(c), c.v)),
        H("slope-at-upstream", "f' is taken at the upstream gradient instead of the input", WHICH,
          dx=lambda c: c.g * slope(c.g, c.v)),
        H("roles-exchanged", "input and upstream gradient are exchanged: f' of the upstream times the input", WHICH,
          dx=lambda c: c.x * slope(c.g, c.v)),
        H("upstream-slope-only", "f' of the upstream gradient is returned", WHICH, dx=lambda c: slope(c.g, c.v)),
        H("upstream-through-f", "f is applied to the upstream gradient", WHICH, dx=lambda c: f(c.g, c.v)),
        H("output-for-slope", "the upstream gradient is multiplied by f(x) instead of f'(x)",
          "Which function is differentiated?", dx=lambda c: c.g * y(c)),
        H("input-for-slope", "the upstream gradient is multiplied by x instead of f'(x)",
          "Which function is differentiated?", dx=lambda c: c.g * c.x),
        H("input-for-upstream", "f'(x) is multiplied by the input instead of the upstream gradient", CHAIN,
          dx=lambda c: c.x * d(c)),
        H("output-for-upstream", "f'(x) is multiplied by the output instead of the upstream gradient", CHAIN,
          dx=lambda c: y(c) * d(c)),
        H("slope-times-input-too", "the input is one factor too many", CHAIN, dx=lambda c: c.g * c.x * d(c)),
        H("slope-times-output-too", "the output is one factor too many", CHAIN, dx=lambda c: c.g * y(c) * d(c)),
        H("slope-added", "f' is added to the upstream gradient instead of multiplied", CHAIN,
          dx=lambda c: c.g + d(c)),
        H("slope-divided", "the upstream gradient is divided by f' instead of multiplied", CHAIN,
          dx=lambda c: c.g / d(c)),
        H("slope-squared", "f' enters twice", CHAIN, dx=lambda c: c.g * d(c) ** 2),
        H("upstream-squared", "the upstream gradient enters twice", CHAIN, dx=lambda c: c.g**2 * d(c)),
        H("upstream-absolute", "the absolute upstream gradient is used", "What happens to negative entries?",
          dx=lambda c: np.abs(c.g) * d(c)),
        H("upstream-sign", "only the sign of the upstream gradient is used", CHAIN,
          dx=lambda c: np.sign(c.g) * d(c)),
        H("slope-at-negated", "f' is taken at -x", "Look at the signs.", dx=lambda c: c.g * slope(-c.x, c.v)),
        H("gradient-negated", "the gradient has the wrong sign", "Look at the signs.", dx=lambda c: -c.g * d(c)),
        H("gradient-over-n", "the gradient is divided by the batch size", BATCH,
          dx=lambda c: c.g * d(c) / len(c.x)),
        H("gradient-times-n", "the gradient is multiplied by the batch size", BATCH,
          dx=lambda c: c.g * d(c) * len(c.x)),
        H("gradient-over-width", "the gradient is divided by the number of columns", BATCH,
          dx=lambda c: c.g * d(c) / c.x.shape[1]),
        H("gradient-doubled", "the gradient is twice too large", "Look at the factors.",
          dx=lambda c: 2 * c.g * d(c)),
        H("gradient-halved", "the gradient is half of what it should be", "Look at the factors.",
          dx=lambda c: c.g * d(c) / 2),
        H("gradient-zero", "the gradient is zero", "Is it computed and returned?", dx=lambda c: 0 * c.g),
        H("gradient-summed", "the gradient is summed over the batch", SHAPE, dx=lambda c: (c.g * d(c)).sum(0)),
        H("gradient-row-sums", "the gradient is summed over the columns", SHAPE, dx=lambda c: (c.g * d(c)).sum(1)),
        H("gradient-total", "the gradient is summed over everything", SHAPE, dx=lambda c: (c.g * d(c)).sum()),
        H("gradient-mean", "the gradient is averaged over the batch", SHAPE, dx=lambda c: (c.g * d(c)).mean(0)),
        H("gradient-transposed", "the gradient is transposed", SHAPE, dx=lambda c: (c.g * d(c)).T),
        H("gradient-matrix-product", "a matrix product stands where an elementwise product belongs",
          "Elementwise or matrix product?", dx=lambda c: c.g.T @ d(c)),
        H("gradient-product-of-matrices", "a matrix product stands where an elementwise product belongs",
          "Elementwise or matrix product?", dx=lambda c: c.g @ d(c)),
        H("gradient-product-with-transpose", "a matrix product stands where an elementwise product belongs",
          "Elementwise or matrix product?", dx=lambda c: c.g @ d(c).T),
        H("gradient-integer", "the gradient is cut to integers", WHOLE, dx=lambda c: np.trunc(c.g * d(c))),
        H("gradient-float16", "the gradient is rounded to float16", NARROW,
          dx=lambda c: (c.g * d(c)).astype(np.float16)),
        H("upstream-of-first-row", "only the first row of the upstream gradient is used", "Check the indices.",
          dx=lambda c: c.g[:1] * d(c)),
        H("slope-of-first-row", "f' of the first row is used for all rows", "Check the indices.",
          dx=lambda c: c.g * d(c)[:1]),
        H("gradient-last-row-missing", "the last row of the gradient is left at zero", "Check the loop's bounds.",
          dx=lambda c: np.concatenate([(c.g * d(c))[:-1], 0 * c.g[-1:]])),
        H("gradient-last-column-missing", "the last column of the gradient is left at zero",
          "Check the loop's bounds.", dx=lambda c: np.concatenate([(c.g * d(c))[:, :-1], 0 * c.g[:, -1:]], 1)),
        H("cache-of-first-call", "backward still uses what the first call cached", "When is the cache written?",
          dx=lambda c: c.g * slope(c.first.x, c.v)),
        H("cache-shared", "the cache is shared between objects",
          "Does the cache belong to the object or to the class?", dx=lambda c: c.g * slope(c.other.x, c.v)),
        H("output-of-first-call", "the output of the first call is given back again",
          "Is the output computed in every call?", y=lambda c: f(c.first.x, c.v)),
        H("gradient-added-up", "the gradients of all calls add up", "= or +=?",
          dx=lambda c: c.g * d(c) + (c.first.g * d(c.first) if c.kind == "again" else 0)),
        H("gradient-of-first-call", "the gradient of the first call is given back again",
          "Is the gradient computed in every call?", dx=lambda c: c.first.g * d(c.first)),
    ]  # fmt: skip


CHAIN = "Chain rule: which two factors are multiplied?"
WHICH = "Which array does f' depend on, and was that one kept?"
BATCH = "Does the derivative of one entry depend on how many others there are?"
SHAPE = "The gradient must have the shape of the input."
NARROW = "Look for a narrow dtype."
WHOLE = "Look for an integer dtype."


# Common mistakes that for this function are none, or the same as another one.
WITHOUT = {
    "ReLU": "input-doubled input-halved input-absolute returns-slope applied-twice input-float16 "
        "input-integer local-slope-only upstream-only slope-at-output slope-at-upstream "
        "upstream-through-f output-for-slope output-for-upstream slope-times-input-too "
        "slope-times-output-too slope-squared slope-at-negated",
    "LeakyReLU": "input-doubled input-halved slope-at-output slope-at-upstream upstream-through-f "
        "slope-times-input-too slope-at-negated",
    "Sigmoid": "input-negated output-integer output-for-slope slope-times-input-too slope-times-output-too "
        "slope-at-negated gradient-integer",
    "Tanh": "input-negated input-halved slope-at-output slope-divided slope-at-negated gradient-negated "
        "gradient-halved",
    "Identity": "returns-input input-negated input-doubled input-halved applied-twice input-float16 "
        "input-integer first-column-ignored last-row-ignored upstream-only slope-at-output "
        "slope-at-upstream upstream-slope-only upstream-through-f input-for-slope input-for-upstream "
        "output-for-upstream slope-times-input-too slope-times-output-too slope-divided slope-squared "
        "slope-at-negated slope-of-first-row cache-of-first-call cache-shared",
}  # fmt: skip


def activation(
    name: str,
    f: Function,
    slope: Function,
    own: Sequence[Hypothesis] = (),
    variants: Sequence[Case] | None = None,
) -> Component:
    """The component of f with its own mistakes and the common ones."""

    def truth(c: Case) -> Values:
        return {"y": f(c.x, c.v), "dx": c.g * slope(c.x, c.v)}

    variants = variants or [Case(label="")]
    for variant in variants:
        vars(variant).setdefault("kink", 0.0)
    kinked = name in ("ReLU", "LeakyReLU", "SELU", "ELU", "HardSwish")
    hypotheses = [*own, *(h for h in common(f, slope) if h.id not in WITHOUT.get(name, "").split())]
    component = Component(name, draw, truth, hypotheses, variants)
    return Component(name, draw, truth, hypotheses, variants, settle) if kinked else component


def slopes(*values: float) -> list[Case]:
    """Variants of a leaky slope."""
    return [Case(label=f"slope {v:g} for negative inputs", slope=v, kink=v) for v in values]


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772

ACTIVATIONS = [
    activation("ReLU", lambda x, v: np.maximum(x, 0), lambda x, v: (x > 0) * 1.0, RELU),
    activation("LeakyReLU", lambda x, v: np.where(x > 0, x, v.slope * x), lambda x,
      v: np.where(x > 0, 1.0, v.slope),
               LEAKY_RELU, slopes(0.01, 0.1, 0.2, 0.3, 0.05, 0.001, 0.02, 0.25, 0.5)),
    activation("Sigmoid", lambda x, v: sigmoid(x), lambda x, v: sigmoid(x) * sigmoid(-x), SIGMOID),
    activation("Tanh", lambda x, v: np.tanh(x), lambda x, v: 1 / np.cosh(np.clip(x, -300, 300)) ** 2, TANH),
    activation("GeLU", gelu, gelu_slope, GELU, GELU_FORMS),
    activation("SiLU", lambda x, v: x * sigmoid(x), lambda x, v: sigmoid(x) + x * sigmoid(x) * sigmoid(-x)),
    activation("ELU", lambda x, v: np.where(x > 0, x, v.alpha * np.expm1(np.minimum(x, 0))),
               lambda x, v: np.where(x > 0, 1.0, v.alpha * np.exp(np.minimum(x, 0))),
               variants=[Case(label=f"alpha {a:g}", alpha=a, kink=a) for a in (1.0, 0.1, 0.5, 0.2, 0.01, 0.3)]),
    activation("SELU", lambda x, v: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))),
               lambda x, v: SELU_SCALE * np.where(x > 0, 1.0, SELU_ALPHA * np.exp(np.minimum(x, 0)))),
    activation("Softplus", lambda x, v: np.logaddexp(0, x), lambda x, v: sigmoid(x)),
    activation("HardSwish", lambda x, v: x * np.clip(x + 3, 0, 6) / 6,
               lambda x, v: np.where(x < -3, 0, np.where(x > 3, 1, (2 * x + 3) / 6))),
    activation("Identity", lambda x, v: x, lambda x, v: np.ones_like(x)),
]  # fmt: skip
