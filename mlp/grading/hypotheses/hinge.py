"""The multiclass hinge loss c Σ_{k≠y} max(0, m - s_y + s_k) (Weston and Watkins, 1999), and the mistakes."""

from __future__ import annotations

import numpy as np

from mlp.grading.hypotheses.component import Array, Case, Component, Values, fresh, scenarios
from mlp.grading.hypotheses.component import hypothesis as H
from mlp.grading.hypotheses.losses import REDUCTIONS, factor, ratios, shared

f = factor


def violations(c: Case, margin: float | None = None, sign: float = 1.0) -> Array:
    """m - s_y + s_k for all classes k, the own one too."""
    own = (c.x * c.t).sum(1, keepdims=True)
    return np.asarray((c.v.margin if margin is None else margin) + sign * (c.x - own))


def terms(c: Case, margin: float | None = None) -> Array:
    """max(0, m - s_y + s_k) of the wrong classes."""
    return np.asarray(np.maximum(violations(c, margin), 0) * (1 - c.t))


def slope(c: Case, mask: Array) -> Array:
    """c (mask of the wrong classes; minus their number at the own class)."""
    return np.asarray(f(c) * (mask - c.t * mask.sum(1, keepdims=True)))


def active(c: Case, margin: float | None = None) -> Array:
    """1 where a wrong class violates the margin."""
    return np.asarray((violations(c, margin) > 0) * (1 - c.t))


def value(c: Case) -> float:
    """c Σ max(0, m - s_y + s_k) over the wrong classes."""
    return float(f(c) * terms(c).sum())


def gradient(c: Case) -> Array:
    """Its derivative."""
    return slope(c, active(c))


def truth(c: Case) -> Values:
    """Right outputs."""
    return {"value": np.asarray(value(c)), "dx": gradient(c)}


def draw(rng: np.random.Generator) -> list[Case]:
    """Scores about as far apart as the usual margins, ten classes, batch 1, square, large; then the scenarios."""

    def case(n: int, k: int, size: float = 1.0) -> Case:
        return fresh(x=rng.normal(size=(n, k)) * size, t=np.eye(k)[rng.integers(k, size=n)])

    return [case(5, 3), case(7, 10), case(6, 4, 4.0), case(1, 4, 2.0), case(4, 4), case(9, 5, 0.4),
            case(6, 4, 30.0),
            *scenarios(lambda: case(5, 3, 1.5), rng)]  # fmt: skip


def hinge_variants(margins: tuple[float, ...]) -> list[Case]:
    """Every margin with every reduction."""
    return [
        Case(label=f"margin {m:g}, {label}", factor=REDUCTIONS[label], margin=m)
        for label in ("1/N", "1", "1/(NK)") for m in margins
    ]  # fmt: skip


SUM = "Which classes enter the sum?"
MASK = "Which entries of the gradient are 0, and when?"
HINGE = Component("Hinge", draw, truth, [
    H("own-class-counted", "the own class is counted: its term is the margin itself", SUM,
      value=lambda c: f(c) * np.maximum(violations(c), 0).sum()),
    H("margin-missing", "the margin is missing in the value", "Where does the margin enter?",
      value=lambda c: f(c) * terms(c, 0.0).sum()),
    H("margin-subtracted", "the margin is subtracted", "Look at the signs.",
      value=lambda c: f(c) * terms(c, -c.v.margin).sum()),
    H("scores-exchanged", "own and wrong score are exchanged: m + s_y - s_k", "Look at the signs.",
      value=lambda c: f(c) * (np.maximum(violations(c, sign=-1), 0) * (1 - c.t)).sum()),
    H("not-clipped", "max(0, ...) is missing: satisfied margins count as negative",
      "What does a satisfied margin contribute?", value=lambda c: f(c) * (violations(c) * (1 - c.t)).sum()),
    H("clipped-above", "min stands where max belongs", "What does a satisfied margin contribute?",
      value=lambda c: f(c) * (np.minimum(violations(c), 0) * (1 - c.t)).sum()),
    H("negative-scores-clipped", "negative scores are set to 0 first", "Which numbers are clipped?",
      value=lambda c: value(Case(**(vars(c) | {"x": np.maximum(c.x, 0)})))),
    H("negative-wrong-scores-clipped", "negative scores of the wrong classes are set to 0 first",
      "Which numbers are clipped?",
      value=lambda c: f(c) * (np.maximum(c.v.margin - (c.x * c.t).sum(1, keepdims=True) + np.maximum(c.x, 0),
        0) * (1 - c.t)).sum()),
    H("largest-only", "only the largest violation counts", SUM, value=lambda c: f(c) * terms(c).max(1).sum()),
    H("squared", "the terms are squared", "Compare with the definition.",
      value=lambda c: f(c) * (terms(c) ** 2).sum()),
    H("counted", "the violations are counted, not summed", "Compare with the definition.",
      value=lambda c: f(c) * active(c).sum()),
    H("absolute", "the absolute value is taken instead of max(0, ...)", "What does a satisfied margin contribute?",
      value=lambda c: f(c) * (np.abs(violations(c)) * (1 - c.t)).sum()),
    H("margin-outside", "the margin is added outside of max(0, ...)", "Where does the margin enter?",
      value=lambda c: f(c) * ((terms(c, 0.0) + c.v.margin) * (1 - c.t)).sum()),
    H("own-score-missing", "the own score is not subtracted", "Which two scores are compared?",
      value=lambda c: f(c) * (np.maximum(c.v.margin + c.x, 0) * (1 - c.t)).sum()),
    H("wrong-score-missing", "the wrong classes' scores are missing", "Which two scores are compared?",
      value=lambda c: f(c) * (np.maximum(c.v.margin - c.x, 0) * c.t).sum()),
    H("binary", "the binary hinge max(0, m - t s) is used, with targets 0 and 1", "Compare with the definition.",
      value=lambda c: f(c) * np.maximum(c.v.margin - c.t * c.x, 0).sum()),
    H("binary-signed", "the binary hinge max(0, m - t s) is used, with targets -1 and 1",
      "Compare with the definition.", value=lambda c: f(c) * np.maximum(c.v.margin - (2 * c.t - 1) * c.x, 0).sum()),
    H("value-1/N-twice", "the value is divided by the batch size twice", "How often is the mean taken?",
      value=lambda c: value(c) / len(c.x)),
    *ratios(gradient),
    H("gradient-own-missing", "the own class' entry is missing", "Every violated margin also moves the own score.",
      dx=lambda c: f(c) * active(c)),
    H("gradient-own-minus-one", "the own class' entry is -1 instead of minus the number of violations",
      "How often does the own score enter?", dx=lambda c: f(c) * (active(c) - c.t)),
    H("gradient-own-minus-one-if-any", "the own class' entry is -1 if any margin is violated",
      "How often does the own score enter?",
      dx=lambda c: f(c) * (active(c) - c.t * active(c).any(1, keepdims=True))),
    H("gradient-own-positive", "the own class' entry has the wrong sign", "Look at the signs.",
      dx=lambda c: f(c) * (active(c) + c.t * active(c).sum(1, keepdims=True))),
    H("gradient-own-only", "only the own class' entry is filled", "Every violated margin moves two scores.",
      dx=lambda c: -f(c) * c.t * active(c).sum(1, keepdims=True)),
    H("gradient-own-counted", "the own class is counted as a violation of its own margin", SUM,
      dx=lambda c: f(c) * ((active(c) + c.t) * (1 - c.t) - c.t * (active(c).sum(1, keepdims=True) + 1))),
    H("gradient-own-left-at-one", "the own class' entry counts itself: 1 - number of violations", SUM,
      dx=lambda c: gradient(c) + f(c) * c.t),
    H("gradient-own-all-classes", "the own class' entry is minus the number of classes", MASK,
      dx=lambda c: f(c) * (active(c) - c.t * c.x.shape[1])),
    H("gradient-own-all-wrong-classes", "the own class' entry is minus the number of wrong classes", MASK,
      dx=lambda c: f(c) * (active(c) - c.t * (c.x.shape[1] - 1))),
    H("gradient-mask-ignored", "the mask is ignored: every wrong class gets 1", MASK,
      dx=lambda c: slope(c, 1 - c.t)),
    H("gradient-mask-ignored-own-minus-one", "the mask is ignored: every wrong class gets 1, the own one -1", MASK,
      dx=lambda c: f(c) * (1 - 2 * c.t)),
    H("gradient-mask-without-margin", "the margin is missing in the mask", MASK,
      dx=lambda c: slope(c, active(c, 0.0))),
    H("gradient-mask-minus-margin", "the margin has the wrong sign in the mask", MASK,
      dx=lambda c: slope(c, active(c, -c.v.margin))),
    H("gradient-mask-inverted", "the mask is inverted", MASK, dx=lambda c: slope(c, (1 - c.t) * (1 - active(c)))),
    H("gradient-mask-of-scores", "the mask is taken from the scores", MASK,
      dx=lambda c: slope(c, (c.x > 0) * (1 - c.t))),
    H("gradient-terms-for-mask", "the violations themselves stand where 1 belongs", "Differentiate the term.",
      dx=lambda c: slope(c, terms(c))),
    H("gradient-terms-for-mask-own-counted",
      "the violations themselves stand where 1 belongs, except for the own class",
      "Differentiate the term.", dx=lambda c: f(c) * (terms(c) - c.t * active(c).sum(1, keepdims=True))),
    H("gradient-of-squares", "the gradient is that of squared terms", "Differentiate the term.",
      dx=lambda c: slope(c, 2 * terms(c))),
    H("gradient-largest-only", "only the largest violation has a gradient", SUM,
      dx=lambda c: slope(c, active(c) * (terms(c) == terms(c).max(1, keepdims=True)))),
    H("gradient-times-scores", "the scores are one factor too many", "Differentiate the term.",
      dx=lambda c: gradient(c) * c.x),
    H("gradient-whole-batch-count", "the violations of the whole batch are counted for every example",
      "Along which axis are the violations counted?",
      dx=lambda c: f(c) * (active(c) - c.t * active(c).sum())),
    H("gradient-column-count", "the violations are counted along the batch",
      "Along which axis are the violations counted?",
      dx=lambda c: f(c) * (active(c) - c.t * active(c).sum(0, keepdims=True))),
    *shared(value, gradient, without="gradient-absolute"),
], hinge_variants((1.0, 5.0, 0.5, 0.1, 0.2, 2.0, 3.0, 10.0)))  # fmt: skip
