"""Mistakes that any elementwise activation y = f(x) may have, whatever f is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlp.grading.hypotheses.component import Array, Case, Hypothesis
from mlp.grading.hypotheses.component import hypothesis as H

Function = Callable[[Array, Case], Array]  # of the input and the variant
CHAIN = "Chain rule: which two factors are multiplied?"
WHICH = "Which array does f' depend on, and was that one kept?"
BATCH = "Does the derivative of one entry depend on how many others there are?"
SHAPE = "The gradient must have the shape of the input."
NARROW = "Look for a narrow dtype."
WHOLE = "Look for an integer dtype."


def common(f: Function, slope: Function) -> list[Hypothesis]:
    """The mistakes that need no knowledge of f."""

    def y(c: Case) -> Array:
        return f(c.x, c.v)

    def d(c: Case) -> Array:
        return slope(c.x, c.v)

    return [
        *forward(f, y, d),
        *chain(f, slope, y, d),
        *size(d),
        *memory(f, slope, d),
    ]


def forward(f: Function, y: Callable[[Case], Array], d: Callable[[Case], Array]) -> list[Hypothesis]:
    """Of forward."""
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
    ]  # fmt: skip


def chain(f: Function, slope: Function, y: Callable[[Case], Array], d: Callable[[Case], Array]) -> list[Hypothesis]:
    """Of the chain rule."""
    return [
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
    ]  # fmt: skip


def size(d: Callable[[Case], Array]) -> list[Hypothesis]:
    """Of size, shape and precision."""
    return [
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
    ]  # fmt: skip


def memory(f: Function, slope: Function, d: Callable[[Case], Array]) -> list[Hypothesis]:
    """Of rows, and of what is kept from call to call."""
    return [
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
