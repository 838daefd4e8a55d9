"""Cross-entropy of scores, -Σ t log p with p = softmax(x) and dx = p - t; and the mistakes."""

from __future__ import annotations

import numpy as np

from mlp.grading.hypotheses.component import Array, Case, Component, Hypothesis, Values, fresh, scenarios
from mlp.grading.hypotheses.component import hypothesis as H
from mlp.grading.hypotheses.losses import factor, ratios, shared, variants
from mlp.grading.hypotheses.softmax import back, over, shifted, softmax

f = factor


def p(c: Case) -> Array:
    """The probabilities."""
    return softmax(c.x)


def log_p(c: Case) -> Array:
    """x - max - log Σ exp(x - max), never the logarithm of a rounded p."""
    z = c.x - c.x.max(1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(1, keepdims=True)))


def value(c: Case) -> float:
    """-c Σ t log p, c by convention 1/N."""
    return float(-f(c) * (c.t * log_p(c)).sum())


def gradient(c: Case) -> Array:
    """c (p - t)."""
    return np.asarray(f(c) * (p(c) - c.t))


def truth(c: Case) -> Values:
    """Right outputs of scores."""
    return {"value": np.asarray(value(c)), "dx": gradient(c)}


def one_hot(rng: np.random.Generator, n: int, k: int) -> Array:
    """n rows of the unit matrix of size k."""
    return np.eye(k)[rng.integers(k, size=n)]


def draw(rng: np.random.Generator) -> list[Case]:
    """Ordinary, ten classes, scores that could be probabilities, batch 1, square, large; then the scenarios."""

    def case(n: int, k: int, size: float = 1.5) -> Case:
        return fresh(x=rng.normal(size=(n, k)) * size, t=one_hot(rng, n, k))

    positive = fresh(x=rng.uniform(0.05, 0.9, size=(6, 4)), t=one_hot(rng, 6, 4))
    unsure = fresh(x=np.zeros((4, 5)), t=one_hot(rng, 4, 5))
    large = case(5, 4, 1.0)
    large.x[np.arange(5), large.t.argmax(1)] -= 70  # confident and wrong: the value is about 70
    return [
        case(5, 3),
        case(7, 10),
        positive,
        case(1, 4),
        case(4, 4),
        unsure,
        large,
        *scenarios(lambda: case(5, 3), rng),
    ]


HARMLESS = 1e-7  # far below the rounding of float32: a remark


def capped(eps: float) -> Hypothesis:
    """-Σ t log(p + eps)."""
    name = f"log(p + {eps:.0e}) caps the value at {-np.log(eps):.1f}, and the gradient does not know it"
    look = "What is the value for a confident wrong answer? Is there a form without a constant?"
    changes = {"value": lambda c: -f(c) * (c.t * np.log(p(c) + eps)).sum()}
    return Hypothesis(f"log-of-p-plus-{eps:.0e}", name, look, changes, tolerated=eps <= HARMLESS)


def clipped(eps: float) -> Hypothesis:
    """-Σ t log(max(p, eps))."""
    name = f"p is clipped at {eps:.0e}: the value is at most {-np.log(eps):.1f}, the gradient goes on"
    look = "What is the value for a confident wrong answer? Is there a form without a bound?"
    changes = {"value": lambda c: -f(c) * (c.t * np.log(np.clip(p(c), eps, 1 - eps))).sum()}
    return Hypothesis(f"p-clipped-at-{eps:.0e}", name, look, changes, tolerated=eps <= HARMLESS)


LOG = "Which logarithm, and of which numbers?"
SUM = "Which classes enter the sum?"
SOFT = "Value and gradient need the probabilities: where does the softmax come in?"
OF_SCORES: list[Hypothesis] = [
    H("value-softmax-missing", "the softmax is missing in the value: the logarithm is taken of the scores", SOFT,
      value=lambda c: -f(c) * (c.t * np.log(c.x)).sum()),
    H("value-softmax-over-batch", "the softmax in the value is taken over the batch", "Along which axis?",
      value=lambda c: -f(c) * (c.t * np.log(softmax(c.x, 0))).sum()),
    H("value-softmax-over-all", "the softmax in the value is taken over the whole batch at once",
      "Along which axis?", value=lambda c: -f(c) * (c.t * np.log(softmax(c.x, None))).sum()),
    H("value-softmax-over-batch-shifted", "the softmax in the value is taken over the batch", "Along which axis?",
      value=lambda c: -f(c) * (c.t * np.log(over(shifted(c), 0))).sum()),
    H("value-softmax-over-all-shifted", "the softmax in the value is taken over the whole batch",
      "Along which axis?",
      value=lambda c: -f(c) * (c.t * np.log(over(shifted(c), None))).sum()),
    H("gradient-softmax-over-batch-shifted", "the softmax in the gradient is taken over the batch",
      "Along which axis?",
      dx=lambda c: f(c) * (over(shifted(c), 0) - c.t)),
    H("gradient-softmax-over-all-shifted", "the softmax in the gradient is taken over the whole batch",
      "Along which axis?", dx=lambda c: f(c) * (over(shifted(c), None) - c.t)),
    H("value-softmax-twice", "the softmax is applied twice in the value", SOFT,
      value=lambda c: -f(c) * (c.t * np.log(softmax(p(c)))).sum()),
    H("value-sigmoid", "a sigmoid stands where the softmax belongs in the value", SOFT,
      value=lambda c: -f(c) * (c.t * np.log(1 / (1 + np.exp(-c.x)))).sum()),
    H("value-log-2", "the logarithm has base 2", LOG, value=lambda c: value(c) / np.log(2)),
    H("value-log-10", "the logarithm has base 10", LOG, value=lambda c: value(c) / np.log(10)),
    H("value-log1p", "the value uses log(1 + p)", LOG, value=lambda c: -f(c) * (c.t * np.log1p(p(c))).sum()),
    H("value-log-missing", "the logarithm is missing: the value is -p of the target", LOG,
      value=lambda c: -f(c) * (c.t * p(c)).sum()),
    H("value-complement", "the logarithm is missing: the value is 1 - p of the target", LOG,
      value=lambda c: f(c) * (c.t * (1 - p(c))).sum()),
    H("value-log-of-complement", "the logarithm is taken of 1 - p", LOG,
      value=lambda c: -f(c) * (c.t * np.log(1 - p(c))).sum()),
    H("value-target-ignored", "the target is ignored: log p is summed over all classes", SUM,
      value=lambda c: -f(c) * log_p(c).sum()),
    H("value-wrong-classes", "the wrong classes enter the value instead of the target", SUM,
      value=lambda c: -f(c) * ((1 - c.t) * log_p(c)).sum()),
    H("value-binary", "the binary form is used: (1 - t) log(1 - p) is added", SUM,
      value=lambda c: -f(c) * (c.t * log_p(c) + (1 - c.t) * np.log(1 - p(c))).sum()),
    H("value-of-largest", "the largest probability enters instead of the target's", SUM,
      value=lambda c: -f(c) * log_p(c).max(1).sum()),
    H("value-entropy", "p stands where the target belongs: the value is the entropy", SUM,
      value=lambda c: -f(c) * (p(c) * log_p(c)).sum()),
    H("value-score-only", "the logarithm of the sum is missing: the value is minus the target's score", LOG,
      value=lambda c: -f(c) * (c.t * c.x).sum()),
    H("value-shifted-score-only", "the logarithm of the sum is missing", LOG,
      value=lambda c: -f(c) * (c.t * (c.x - c.x.max(1, keepdims=True))).sum()),
    H("value-log-sum-only", "the target's score is missing: the value is log Σ exp(x)", LOG,
      value=lambda c: f(c) * np.log(np.exp(c.x).sum(1)).sum()),
    H("value-maximum-not-added", "the maximum that was subtracted is not added back",
      "Is every term shifted alike?",
      value=lambda c: value(c) - f(c) * c.x.max(1).sum()),
    H("value-log-of-mean", "the logarithm is taken of the mean, not the mean of the logarithms", LOG,
      value=lambda c: -np.log((c.t * p(c)).sum() / len(c.x))),
    H("value-squared-error", "the value is the squared error of the probabilities", "Compare with the definition.",
      value=lambda c: f(c) * ((p(c) - c.t) ** 2).sum()),
    H("value-first-class", "the first class enters instead of the target", SUM,
      value=lambda c: -f(c) * log_p(c)[:, 0].sum()),
    H("value-1/N-twice", "the value is divided by the batch size twice", "How often is the mean taken?",
      value=lambda c: value(c) / len(c.x)),
    *(capped(e) for e in (1e-20, 1e-16, 1e-15, 1e-14, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3,
      1e-2, 0.1)),
    *(clipped(e) for e in (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1)),
    *ratios(gradient),
    H("gradient-target-missing", "the target is not subtracted: the gradient is p", "How does the target enter?",
      dx=lambda c: f(c) * p(c)),
    H("gradient-target-missing-lacks-1/N", "the target is not subtracted, and 1/N is missing: the gradient is p",
      "How does the target enter?", dx=p),
    H("gradient-target-entry-minus-one", "the target's entry is set to -1 instead of p - 1", "= or -=?",
      dx=lambda c: f(c) * (p(c) * (1 - c.t) - c.t)),
    H("gradient-softmax-missing", "the softmax is missing: the gradient is x - t", SOFT,
      dx=lambda c: f(c) * (c.x - c.t)),
    H("gradient-softmax-missing-lacks-1/N", "softmax and 1/N are missing: the gradient is x - t", SOFT,
      dx=lambda c: c.x - c.t),
    H("gradient-not-normalised", "exp(x) is not normalised in the gradient", SOFT,
      dx=lambda c: f(c) * (np.exp(c.x) - c.t)),
    H("gradient-softmax-over-batch", "the softmax in the gradient is taken over the batch", "Along which axis?",
      dx=lambda c: f(c) * (softmax(c.x, 0) - c.t)),
    H("gradient-softmax-over-all", "the softmax in the gradient is taken over the whole batch at once",
      "Along which axis?", dx=lambda c: f(c) * (softmax(c.x, None) - c.t)),
    H("gradient-softmax-twice", "the softmax is applied twice in the gradient", SOFT,
      dx=lambda c: f(c) * (softmax(p(c)) - c.t)),
    H("gradient-sigmoid", "a sigmoid stands where the softmax belongs in the gradient", SOFT,
      dx=lambda c: f(c) * (1 / (1 + np.exp(-c.x)) - c.t)),
    H("gradient-target-added", "the target is added instead of subtracted", "How does the target enter?",
      dx=lambda c: f(c) * (p(c) + c.t)),
    H("gradient-target-only", "the probabilities are missing: the gradient is -t", SOFT, dx=lambda c: -f(c) * c.t),
    H("gradient-target-column-only", "only the target's own entry is filled",
      "Every score of a row moves the value.", dx=lambda c: f(c) * (p(c) - c.t) * c.t),
    H("gradient-target-column-missing", "the target's own entry is left at zero",
      "Every score of a row moves the value.", dx=lambda c: f(c) * p(c) * (1 - c.t)),
    H("gradient-of-probabilities", "the gradient is -t/p: the derivative of the softmax is missing",
      "Chain rule: the value depends on p, and p on the scores.", dx=lambda c: -f(c) * c.t / p(c)),
    H("gradient-of-scores-quotient", "the gradient is -t/x: softmax and its derivative are missing", SOFT,
      dx=lambda c: -f(c) * c.t / c.x),
    H("gradient-softmax-derivative-diagonal",
      "p (1 - p) is multiplied in: the derivative of the softmax is counted again",
      "p - t already contains the softmax.", dx=lambda c: f(c) * (p(c) - c.t) * p(c) * (1 - p(c))),
    H("gradient-softmax-derivative-again", "the derivative of the softmax is applied to p - t",
      "p - t already contains the softmax.", dx=lambda c: f(c) * back(p(c), p(c) - c.t)),
    H("gradient-times-p", "p is one factor too many", "Compare with the derivative.",
      dx=lambda c: f(c) * (p(c) - c.t) * p(c)),
    H("gradient-log", "log p stands where p belongs", LOG, dx=lambda c: f(c) * (log_p(c) - c.t)),
    H("gradient-log-times-target", "the terms of the value are returned where their derivative belongs",
      "What does backward return?", dx=lambda c: -f(c) * c.t * log_p(c)),
    H("gradient-of-largest", "the largest entry is taken for the target", "Which class is the target?",
      dx=lambda c: f(c) * (p(c) - (c.x == c.x.max(1, keepdims=True)))),
    H("gradient-squared-error", "the gradient is that of a squared error of the probabilities",
      "Compare with the definition.", dx=lambda c: 2 * f(c) * back(p(c), p(c) - c.t)),
    H("gradient-log-2", "the gradient belongs to a logarithm of base 2", LOG, dx=lambda c: gradient(c) / np.log(2)),
    H("gradient-off-by-one-class", "the neighbouring class is taken for the target",
      "Check the index of the target.", dx=lambda c: f(c) * (p(c) - np.roll(c.t, 1, 1))),
    H("gradient-binary", "the gradient is that of the binary form, (p - t) / (p (1 - p))", SOFT,
      dx=lambda c: f(c) * (p(c) - c.t) / (p(c) * (1 - p(c)))),
    *shared(value, gradient, without="gradient-integer"),
]  # fmt: skip
CROSS_ENTROPY = Component("CrossEntropy", draw, truth, OF_SCORES, variants("1/N", "1", "1/(NK)"))
