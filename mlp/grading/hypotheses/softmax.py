"""Softmax over a row, p = exp(x) / Σ exp(x), with dx = p (g - Σ g p); and the mistakes."""

from __future__ import annotations

import numpy as np

from mlp.grading.hypotheses.component import Array, Case, Component, Values, fresh, scenarios
from mlp.grading.hypotheses.component import hypothesis as H


def softmax(x: Array, axis: int | None = 1) -> Array:
    """With the maximum subtracted."""
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


def back(p: Array, g: Array) -> Array:
    """p (g - Σ g p), row by row."""
    return np.asarray(p * (g - (g * p).sum(1, keepdims=True)))


def truth(c: Case) -> Values:
    """Right outputs."""
    p = softmax(c.x)
    return {"y": p, "dx": back(p, c.g)}


def draw(rng: np.random.Generator) -> list[Case]:
    """Ordinary, batch 1, square, wide, large and tied scores, then the scenarios."""

    def case(n: int, k: int, size: float = 1.5) -> Case:
        return fresh(x=rng.normal(size=(n, k)) * size, g=rng.normal(size=(n, k)))

    tied = case(4, 5)
    tied.x[:, :3] = 0.5
    return [
        case(5, 4),
        case(7, 3),
        case(1, 6),
        case(4, 4),
        case(5, 4, 12),
        case(5, 4, 1e-3),
        tied,
        *scenarios(lambda: case(5, 4), rng),
    ]


def shifted(c: Case) -> Array:
    """exp(x - max) with the maximum of each row."""
    return np.exp(c.x - c.x.max(1, keepdims=True))


def over(e: Array, axis: int | None) -> Array:
    """Divided by its sum along the axis."""
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


AXIS = "Along which axis must the probabilities sum to 1?"
JACOBIAN = "Every output depends on every input of its row: write down the derivative of p_i after x_j."


def p(c: Case) -> Array:
    """The probabilities."""
    return softmax(c.x)


def dot(c: Case) -> Array:
    """Σ g p, row by row."""
    return np.asarray((c.g * p(c)).sum(1, keepdims=True))


SOFTMAX = Component("Softmax", draw, truth, [
    H("axis-batch", "the probabilities are normalised over the batch", AXIS, y=lambda c: softmax(c.x, 0)),
    H("axis-all", "the probabilities are normalised over the whole batch at once", AXIS,
      y=lambda c: softmax(c.x, None)),
    H("axis-batch-shifted",
      "the probabilities are normalised over the batch, after each row's maximum was subtracted",
      AXIS, y=lambda c: over(shifted(c), 0)),
    H("axis-all-shifted",
      "the probabilities are normalised over the whole batch, after each row's maximum was subtracted",
      AXIS, y=lambda c: over(shifted(c), None)),
    H("not-normalised", "exp(x) is not divided by its sum", AXIS, y=lambda c: np.exp(c.x)),
    H("not-normalised-shifted", "exp(x - max) is not divided by its sum", AXIS,
      y=lambda c: np.exp(c.x - c.x.max(1, keepdims=True))),
    H("normalised-by-maximum", "exp(x) is divided by its maximum, not its sum", AXIS,
      y=lambda c: np.exp(c.x - c.x.max(1, keepdims=True)) / c.x.shape[1]),
    H("shift-in-numerator-only", "the maximum is subtracted in the numerator only",
      "Numerator and denominator must be shifted alike.",
      y=lambda c: np.exp(c.x - c.x.max(1, keepdims=True)) / np.exp(c.x).sum(1, keepdims=True)),
    H("divided-by-sum-of-scores", "exp is missing: x is divided by its sum", "Compare with the definition.",
      y=lambda c: c.x / c.x.sum(1, keepdims=True)),
    H("exponential-over-sum-of-scores", "exp is missing in the denominator", "Compare with the definition.",
      y=lambda c: np.exp(c.x) / c.x.sum(1, keepdims=True)),
    H("softmin", "the exponent has the wrong sign", "Look at the sign in the exponent.", y=lambda c: softmax(-c.x)),
    H("logarithm", "the logarithm of the probabilities is returned", "Compare with the definition.",
      y=lambda c: np.log(p(c))),
    H("sigmoid", "the output is a sigmoid, entry by entry", "Compare with the definition.",
      y=lambda c: 1 / (1 + np.exp(-c.x))),
    H("base-2", "the exponential has base 2", "Which base?", y=lambda c: softmax(c.x * np.log(2))),
    H("base-10", "the exponential has base 10", "Which base?", y=lambda c: softmax(c.x * np.log(10))),
    H("one-hot", "only the largest entry is returned as 1", "Softmax is not a maximum.",
      y=lambda c: (c.x == c.x.max(1, keepdims=True)) * 1.0),
    H("plus-one", "1 is added to the sum", "Compare the denominator.",
      y=lambda c: np.exp(c.x) / (1 + np.exp(c.x).sum(1, keepdims=True))),
    H("mean-for-sum", "exp(x) is divided by its mean, not its sum", "Compare the denominator.",
      y=lambda c: p(c) * c.x.shape[1]),
    H("over-n", "the probabilities are divided by the batch size", "Compare the denominator.",
      y=lambda c: p(c) / len(c.x)),
    H("returns-input", "the scores are returned unchanged", "Is the softmax applied?", y=lambda c: c.x),
    H("applied-twice", "the softmax is applied twice", "How often is it applied?", y=lambda c: softmax(p(c))),
    H("row-standardised", "the row is standardised first", "Compare with the definition.",
      y=lambda c: softmax((c.x - c.x.mean(1, keepdims=True)) / c.x.std(1, keepdims=True))),
    H("square-for-exponential", "x² stands where exp(x) belongs", "Compare with the definition.",
      y=lambda c: c.x**2 / (c.x**2).sum(1, keepdims=True)),
    H("float16", "the probabilities are rounded to float16", "Look for a narrow dtype.",
      y=lambda c: p(c).astype(np.float16)),
    H("sum-of-last-row", "every row is divided by the sum of the last row", "Does the sum keep its axis?",
      y=lambda c: np.exp(c.x) / np.exp(c.x)[-1].sum()),
    H("sum-of-first-row", "every row is divided by the sum of the first row", "Does the sum keep its axis?",
      y=lambda c: np.exp(c.x) / np.exp(c.x)[0].sum()),
    H("sum-not-kept", "the row sums are divided along the columns: the axis was not kept",
      "Does the sum keep its axis?", y=lambda c: np.exp(c.x) / np.exp(c.x).sum(1)),
    H("off-diagonal-sign", "outside of its diagonal the derivative has the wrong sign", JACOBIAN,
      dx=lambda c: p(c) * (c.g + dot(c)) - 2 * p(c) ** 2 * c.g),
    H("diagonal-not-squared", "on the diagonal the derivative is p instead of p (1 - p)", JACOBIAN,
      dx=lambda c: p(c) * (c.g - dot(c)) + p(c) ** 2 * c.g),
    H("upstream-of-first-row", "the upstream gradient of the first row is used for all rows", "Check the indices.",
      dx=lambda c: back(p(c), np.repeat(c.g[:1], len(c.x), 0))),
    H("diagonal-only", "only the diagonal of the derivative is used: p (1 - p) g", JACOBIAN,
      dx=lambda c: p(c) * (1 - p(c)) * c.g),
    H("sum-missing", "the sum is missing: p g", JACOBIAN, dx=lambda c: p(c) * c.g),
    H("factor-missing", "the factor p in front is missing", JACOBIAN, dx=lambda c: c.g - dot(c)),
    H("sum-without-probabilities", "the sum is over g instead of g p", JACOBIAN,
      dx=lambda c: p(c) * (c.g - c.g.sum(1, keepdims=True))),
    H("mean-for-sum-of-products", "the mean of g p stands where the sum belongs", JACOBIAN,
      dx=lambda c: p(c) * (c.g - (c.g * p(c)).mean(1, keepdims=True))),
    H("mean-of-upstream", "the mean of g stands where the sum of g p belongs", JACOBIAN,
      dx=lambda c: p(c) * (c.g - c.g.mean(1, keepdims=True))),
    H("sum-over-batch", "the sum of g p is over the batch", AXIS,
      dx=lambda c: p(c) * (c.g - (c.g * p(c)).sum(0, keepdims=True))),
    H("sum-over-all", "the sum of g p is over the whole batch", AXIS,
      dx=lambda c: p(c) * (c.g - (c.g * p(c)).sum())),
    H("sum-added", "the sum is added instead of subtracted", "Look at the signs.",
      dx=lambda c: p(c) * (c.g + dot(c))),
    H("sum-not-kept-in-gradient", "the row sums are subtracted along the columns: the axis was not kept",
      "Does the sum keep its axis?", dx=lambda c: p(c) * (c.g - (c.g * p(c)).sum(1))),
    H("sum-of-squares", "p² stands where p belongs in the sum", JACOBIAN,
      dx=lambda c: p(c) * (c.g - (c.g * p(c) ** 2).sum(1, keepdims=True))),
    H("upstream-missing", "the upstream gradient is missing: p (1 - p)", "Chain rule: which factors?",
      dx=lambda c: p(c) * (1 - p(c))),
    H("sum-not-multiplied", "the sum of g p is not multiplied by p", JACOBIAN, dx=lambda c: c.g * p(c) - dot(c)),
    H("upstream-only", "the upstream gradient is returned as it came", "Chain rule: which factors?",
      dx=lambda c: c.g),
    H("probabilities-minus-upstream", "p - g is returned, as if g were the target of a cross-entropy",
      "Which derivative is this?", dx=lambda c: p(c) - c.g),
    H("upstream-minus-probabilities", "g - p is returned, as if g were the target of a cross-entropy",
      "Which derivative is this?", dx=lambda c: c.g - p(c)),
    H("returns-probabilities", "the probabilities are returned where the gradient belongs",
      "What does backward return?", dx=p),
    H("negated", "the gradient has the wrong sign", "Look at the signs.", dx=lambda c: -back(p(c), c.g)),
    H("doubled", "the gradient is twice too large", "Look at the factors.", dx=lambda c: 2 * back(p(c), c.g)),
    H("halved", "the gradient is half of what it should be", "Look at the factors.",
      dx=lambda c: back(p(c), c.g) / 2),
    H("gradient-over-n", "the gradient is divided by the batch size", "Who divides by the batch size?",
      dx=lambda c: back(p(c), c.g) / len(c.x)),
    H("gradient-times-n", "the gradient is multiplied by the batch size", "Who divides by the batch size?",
      dx=lambda c: back(p(c), c.g) * len(c.x)),
    H("gradient-over-width", "the gradient is divided by the number of columns", "Compare with the definition.",
      dx=lambda c: back(p(c), c.g) / c.x.shape[1]),
    H("first-row-for-all", "the derivative of the first row is used for all rows", "Check the indices.",
      dx=lambda c: back(np.repeat(p(c)[:1], len(c.x), 0), c.g)),
    H("last-row-for-all", "the derivative of the last row is used for all rows", "Check the indices.",
      dx=lambda c: back(np.repeat(p(c)[-1:], len(c.x), 0), c.g)),
    H("scores-for-probabilities", "the scores are used where the probabilities belong", "Which array was cached?",
      dx=lambda c: back(c.x, c.g)),
    H("softmax-of-output", "the softmax is applied once more in backward", "Which array was cached?",
      dx=lambda c: back(softmax(p(c)), c.g)),
    H("exponential-for-probabilities", "exp(x) is used where the probabilities belong", "Which array was cached?",
      dx=lambda c: back(np.exp(c.x), c.g)),
    H("gradient-summed", "the gradient is summed over the batch", "The gradient must have the shape of the input.",
      dx=lambda c: back(p(c), c.g).sum(0)),
    H("gradient-of-total", "the gradient is that of the probabilities normalised over the whole batch", AXIS,
      dx=lambda c: softmax(c.x, None) * (c.g - (c.g * softmax(c.x, None)).sum())),
    H("gradient-zero", "the gradient is zero", "Is the upstream gradient used?", dx=lambda c: 0 * c.g),
    H("last-row-missing", "the last row of the gradient is left at zero", "Check the loop's bounds.",
      dx=lambda c: np.concatenate([back(p(c), c.g)[:-1], 0 * c.g[-1:]])),
    H("cache-of-first-call", "backward still uses what the first call cached", "When is the cache written?",
      dx=lambda c: back(p(c.first), c.g)),
    H("cache-shared", "the cache is shared between objects", "Does the cache belong to the object or to the class?",
      dx=lambda c: back(p(c.other), c.g)),
    H("output-of-first-call", "the output of the first call is given back again",
      "Is the output computed in every call?", y=lambda c: p(c.first)),
])  # fmt: skip
