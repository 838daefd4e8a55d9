"""The squared error c Σ (x - t)² with dx = 2c (x - t), where c is a matter of convention; and the mistakes."""

from __future__ import annotations

import numpy as np

from mlp.grading.hypotheses.component import Array, Case, Component, Values, fresh, scenarios
from mlp.grading.hypotheses.component import hypothesis as H
from mlp.grading.hypotheses.losses import factor, ratios, shared, variants


def value(c: Case) -> float:
    """c Σ (x - t)²."""
    return float(factor(c) * ((c.x - c.t) ** 2).sum())


def gradient(c: Case) -> Array:
    """2c (x - t)."""
    return np.asarray(2 * factor(c) * (c.x - c.t))


def truth(c: Case) -> Values:
    """Right outputs."""
    return {"value": np.asarray(value(c)), "dx": gradient(c)}


def draw(rng: np.random.Generator) -> list[Case]:
    """Ordinary scores with one-hot targets, then real targets, batch 1, square, large, tiny; then the scenarios."""

    def case(n: int, k: int, size: float = 1.0, hot: bool = True) -> Case:
        t = np.eye(k)[rng.integers(k, size=n)] if hot else rng.normal(size=(n, k))
        return fresh(x=rng.normal(size=(n, k)) * size, t=t)

    return [case(5, 3), case(7, 10), case(6, 4, hot=False), case(1, 4), case(4, 4), case(5, 3, 1e3),
            case(5, 3, 1e-3),
            *scenarios(lambda: case(5, 3), rng)]  # fmt: skip


TARGET = "How does the target enter?"
POWER = "Which power, and what is its derivative?"
f = factor
MSE = Component("MSE", draw, truth, [
    H("value-target-missing", "the target is not subtracted in the value", TARGET,
      value=lambda c: f(c) * (c.x**2).sum()),
    H("value-target-added", "the target is added instead of subtracted in the value", TARGET,
      value=lambda c: f(c) * ((c.x + c.t) ** 2).sum()),
    H("value-difference-of-squares", "the squares are subtracted instead of the difference squared", POWER,
      value=lambda c: f(c) * (c.x**2 - c.t**2).sum()),
    H("value-absolute", "the absolute difference is taken instead of its square", POWER,
      value=lambda c: f(c) * np.abs(c.x - c.t).sum()),
    H("value-not-squared", "the difference is not squared", POWER, value=lambda c: f(c) * (c.x - c.t).sum()),
    H("value-square-of-sum", "the sum is squared instead of the squares summed", POWER,
      value=lambda c: f(c) * (c.x - c.t).sum() ** 2),
    H("value-square-of-row-sums", "the differences of a row are summed before they are squared", POWER,
      value=lambda c: f(c) * ((c.x - c.t).sum(1) ** 2).sum()),
    H("value-norm", "the norm of every row is not squared", POWER,
      value=lambda c: f(c) * np.sqrt(((c.x - c.t) ** 2).sum(1)).sum()),
    H("value-total-norm", "a square root is taken of the sum", POWER,
      value=lambda c: f(c) * np.sqrt(((c.x - c.t) ** 2).sum())),
    H("value-cubed", "the absolute difference is cubed", POWER,
      value=lambda c: f(c) * (np.abs(c.x - c.t) ** 3).sum()),
    H("value-fourth-power", "the difference is squared twice", POWER,
      value=lambda c: f(c) * ((c.x - c.t) ** 4).sum()),
    H("value-product", "the product of scores and targets is taken", TARGET,
      value=lambda c: f(c) * (c.x * c.t).sum()),
    H("value-1/N-twice", "the value is divided by the batch size twice", "How often is the mean taken?",
      value=lambda c: value(c) / len(c.x)),
    H("value-target-column-only", "only the target's own output enters the value", "Which outputs are summed?",
      value=lambda c: f(c) * ((c.x * (c.t > 0) - c.t) ** 2).sum()),
    H("value-maximum", "the largest squared difference is taken", "Which reduction?",
      value=lambda c: ((c.x - c.t) ** 2).max()),
    *ratios(gradient),
    H("gradient-target-missing", "the target is not subtracted in the gradient", TARGET,
      dx=lambda c: 2 * f(c) * c.x),
    H("gradient-target-missing-halved", "the target is not subtracted in the gradient, and the factor 2 is missing",
      TARGET, dx=lambda c: f(c) * c.x),
    H("gradient-target-added", "the target is added instead of subtracted in the gradient", TARGET,
      dx=lambda c: 2 * f(c) * (c.x + c.t)),
    H("gradient-target-only", "the scores are missing in the gradient", TARGET, dx=lambda c: -2 * f(c) * c.t),
    H("gradient-of-absolute", "the gradient is that of the absolute difference", POWER,
      dx=lambda c: f(c) * np.sign(c.x - c.t)),
    H("gradient-of-cube", "the gradient still contains the square", POWER,
      dx=lambda c: 2 * f(c) * (c.x - c.t) ** 2),
    H("gradient-is-squares", "the squared difference is returned where its derivative belongs", POWER,
      dx=lambda c: f(c) * (c.x - c.t) ** 2),
    H("gradient-times-scores", "the scores are one factor too many in the gradient", POWER,
      dx=lambda c: 2 * f(c) * (c.x - c.t) * c.x),
    H("gradient-only-target-column", "the gradient is masked by the target",
      "Which outputs does the value depend on?", dx=lambda c: 2 * f(c) * (c.x - c.t) * c.t),
    H("gradient-of-squares-apart", "the gradient is that of x² - t²", TARGET,
      dx=lambda c: 2 * f(c) * (c.x - c.t**2 * c.x)),
    H("gradient-constant", "the gradient is the same everywhere: the factor x - t is missing", POWER,
      dx=lambda c: 2 * f(c) * np.ones_like(c.x)),
    H("gradient-of-norm", "the gradient is that of the norm: it is divided by the length of the row", POWER,
      dx=lambda c: f(c) * (c.x - c.t) / np.sqrt(((c.x - c.t) ** 2).sum(1, keepdims=True))),
    H("gradient-sigmoid", "the derivative of a sigmoid is multiplied in", "Is an activation's derivative inside?",
      dx=lambda c: 2 * f(c) * (c.x - c.t) * c.x * (1 - c.x)),
    H("gradient-sum-for-all", "every entry of the gradient is the sum over the row", "Which axis is summed?",
      dx=lambda c: 2 * f(c) * (c.x - c.t).sum(1, keepdims=True) * np.ones_like(c.x)),
    *shared(value, gradient),
], variants("1/(2N)", "1/(NK)", "1/N", "1/(2NK)", "1/2", "1", "1/K", "1/(2K)"))  # fmt: skip
