"""Cross-entropy of probabilities, -Σ t log x with dx = -t/x, behind a softmax layer; and the mistakes."""

from __future__ import annotations

import numpy as np

from mlp.grading.hypotheses.component import Array, Case, Component, Hypothesis, Values, fresh, scenarios
from mlp.grading.hypotheses.component import hypothesis as H
from mlp.grading.hypotheses.cross_entropy import LOG, SUM, one_hot
from mlp.grading.hypotheses.losses import AGREE, ratios, shared, variants
from mlp.grading.hypotheses.losses import factor as f
from mlp.grading.hypotheses.softmax import softmax


def value_of_p(c: Case) -> float:
    """-c Σ t log x."""
    return float(-f(c) * (c.t * np.log(c.x)).sum())


def gradient_of_p(c: Case) -> Array:
    """-c t / x."""
    return np.asarray(-f(c) * c.t / c.x)


def truth_of_p(c: Case) -> Values:
    """Right outputs of probabilities."""
    return {"value": np.asarray(value_of_p(c)), "dx": gradient_of_p(c)}


def draw_probabilities(rng: np.random.Generator) -> list[Case]:
    """Rows that sum to 1, ordinary and confident, then the scenarios."""

    def case(n: int, k: int, size: float = 1.0) -> Case:
        return fresh(x=softmax(rng.normal(size=(n, k)) * size), t=one_hot(rng, n, k))

    return [case(5, 3), case(7, 10), case(1, 4), case(4, 4), case(5, 4, 2.0), *scenarios(lambda: case(5, 3), rng)]


OF_PROBABILITIES: list[Hypothesis] = [
    H("value-log-2", "the logarithm has base 2", LOG, value=lambda c: value_of_p(c) / np.log(2)),
    H("value-log-10", "the logarithm has base 10", LOG, value=lambda c: value_of_p(c) / np.log(10)),
    H("value-log-missing", "the logarithm is missing: the value is -p of the target", LOG,
      value=lambda c: -f(c) * (c.t * c.x).sum()),
    H("value-target-ignored", "the target is ignored: log p is summed over all classes", SUM,
      value=lambda c: -f(c) * np.log(c.x).sum()),
    H("value-binary", "the binary form is used: (1 - t) log(1 - p) is added", SUM,
      value=lambda c: -f(c) * (c.t * np.log(c.x) + (1 - c.t) * np.log(1 - c.x)).sum()),
    H("value-entropy", "p stands where the target belongs", SUM, value=lambda c: -f(c) * (c.x * np.log(c.x)).sum()),
    H("value-1/N-twice", "the value is divided by the batch size twice", "How often is the mean taken?",
      value=lambda c: value_of_p(c) / len(c.x)),
    *ratios(gradient_of_p),
    H("gradient-of-softmax-too", "the gradient p - t contains the softmax, the value does not", AGREE,
      dx=lambda c: f(c) * (c.x - c.t)),
    H("gradient-of-softmax-too-lacks-1/N", "the gradient p - t contains the softmax and lacks 1/N", AGREE,
      dx=lambda c: c.x - c.t),
    H("gradient-of-softmax-too-negated", "the gradient is t - p: it contains the softmax, with the wrong sign",
      AGREE, dx=lambda c: f(c) * (c.t - c.x)),
    H("gradient-target-missing", "the target is not subtracted: the gradient is p", AGREE, dx=lambda c: f(c) * c.x),
    H("gradient-target-only", "the division by p is missing: the gradient is -t", "Compare with the derivative.",
      dx=lambda c: -f(c) * c.t),
    H("gradient-target-ignored", "the target is missing: the gradient is -1/p", SUM, dx=lambda c: -f(c) / c.x),
    H("gradient-binary", "the gradient is that of the binary form", AGREE,
      dx=lambda c: f(c) * (c.x - c.t) / (c.x * (1 - c.x))),
    H("gradient-p-over-t", "the fraction is upside down", "Look at the fraction.", dx=lambda c: -f(c) * c.t * c.x),
    H("gradient-log", "the gradient is -t log p: the logarithm is not differentiated", LOG,
      dx=lambda c: -f(c) * c.t * np.log(c.x)),
    H("gradient-squared-p", "p is squared in the denominator", "Compare with the derivative.",
      dx=lambda c: -f(c) * c.t / c.x**2),
    *shared(value_of_p, gradient_of_p, without="gradient-absolute"),
]  # fmt: skip
CROSS_ENTROPY_OF_PROBABILITIES = Component(
    "CrossEntropy of probabilities",
    draw_probabilities,
    truth_of_p,
    OF_PROBABILITIES,
    variants("1/N", "1", "1/(NK)"),
)
