"""Batch normalisation (Ioffe and Szegedy, 2015): y = γ (x - μ)/√(σ² + ε) + β, over the batch; and the mistakes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from mlp.grading.hypotheses.component import Array, Case, Component, Hypothesis, Values, fresh, scenarios
from mlp.grading.hypotheses.component import hypothesis as H


def standardised(c: Case, eps: float | None = None) -> Array:
    """(x - μ)/√(σ² + ε) with the biased variance."""
    return np.asarray((c.x - c.x.mean(0)) / spread(c, eps))


def spread(c: Case, eps: float | None = None) -> Array:
    """√(σ² + ε)."""
    return np.sqrt(c.x.var(0) + (c.v.eps if eps is None else eps))


def output(c: Case) -> Array:
    """γ x̂ + β."""
    return np.asarray(c.gamma * standardised(c) + c.beta)


def back(c: Case, g: Array | None = None) -> Array:
    """(ĝ - mean ĝ - x̂ mean(ĝ x̂))/√(σ² + ε) with ĝ = g γ."""
    h, z = (c.g if g is None else g) * c.gamma, standardised(c)
    return np.asarray((h - h.mean(0) - z * (h * z).mean(0)) / spread(c))


def running(c: Case, share: float | None = None) -> Array:
    """Mean and variance that every call moves towards its batch's: (1 - share) old + share new."""
    share = c.v.share if share is None else share
    old = np.stack([np.zeros(c.x.shape[1]), np.full(c.x.shape[1], c.v.start)])
    for x in [c.first.x, c.x] if c.kind == "again" else [c.x]:
        old = old + share * (np.stack([x.mean(0), x.var(0, ddof=c.v.ddof)]) - old)
    return old


def evaluated(c: Case, statistics: Array | None = None) -> Array:
    """γ (x - μ)/√(σ² + ε) + β with the running statistics."""
    mean, variance = running(c) if statistics is None else statistics
    return np.asarray(c.gamma * (c.x - mean) / np.sqrt(variance + c.v.eps) + c.beta)


def truth(c: Case) -> Values:
    """Right outputs of training, the running statistics after it, and the output of evaluation with these."""
    values = {"y": output(c), "dx": back(c), "dgamma": (c.g * standardised(c)).sum(0), "dbeta": c.g.sum(0)}
    return values | {"running": running(c), "evaluated": evaluated(c)}


def draw(rng: np.random.Generator) -> list[Case]:
    """Ordinary, another batch size, square, a spread for every column; then the scenarios."""

    def case(n: int, width: int = 4, size: float = 1.0) -> Case:
        x = rng.normal(size=(n, width)) * size * np.arange(1, width + 1) + 1
        return fresh(x=x, g=rng.normal(size=(n, width)),
                     gamma=rng.uniform(0.5, 2, width), beta=rng.normal(size=width))  # fmt: skip

    return [case(6), case(9), case(4), case(6, size=0.05), *scenarios(lambda: case(6), rng)]


def deviations(c: Case) -> Array:
    """The running mean, and an average of deviations."""
    old = np.full(c.x.shape[1], c.v.start)
    for x in [c.first.x, c.x] if c.kind == "again" else [c.x]:
        old = old + c.v.share * (x.std(0) - old)
    return np.stack([running(c)[0], old])


EPSILONS = (1e-8, 1e-5, 1e-3, 1e-6, 1e-7, 1e-9, 1e-10, 1e-12, 1e-4, 0.0)


def meanings(
    epsilons: Iterable[float] = EPSILONS,
    shares: Iterable[float] = (0.1,),
    start: float = 1.0,
    ddofs: Iterable[int] = (0,),
) -> list[Case]:
    """What may be meant: ε, the share of the new statistics, their first variance, biased or not."""

    def words(e: float, s: float, d: int) -> str:
        return f"ε = {e:g}" + ", unbiased running variance" * d + f", share of the new {s:g}" * (s != 0.1)

    return [
        Case(label=words(e, s, d), eps=e, share=s, ddof=d, start=start)
        for s in shares
        for d in ddofs
        for e in epsilons
    ]


def fitted(component: Component, numbers: Mapping[str, float], start: float | None) -> Component:
    """With ε and momentum as a submission keeps them; ``start``, its first running variance, if it has one."""
    own = [value for name, value in numbers.items() if "eps" in name.lower()] or EPSILONS
    if start is None:
        return replace(component, variants=meanings(own))
    words = [
        v for name, v in numbers.items() if re.search("alpha|mom|decay|rho|beta|gamma", name.lower()) and 0 < v < 1
    ]
    shares = sorted({s for v in words or (0.1, 0.01) for s in (v, 1 - v)})
    return replace(component, variants=meanings(own, shares, start, (0, 1)))


HISTORY = "What share of the old statistics is kept, and what share of the batch's comes in?"
AXIS = "Over which axis are mean and variance taken?"
DEPENDS = "Mean and variance depend on x too: which terms do they give?"
HALVES: list[tuple[str, str, Callable[[Case], float]]] = [
    ("roles-exchanged", "takes the batch's share for its own and the other way round", lambda c: 1 - c.v.share),
    ("not-updated", "never changes", lambda c: 0.0),
    ("without-history", "is that of the last batch", lambda c: 1.0),
]  # fmt: skip


def half(which: str, id: str, text: str, share: Callable[[Case], float]) -> Hypothesis:
    """A mistake in one of the two running statistics."""

    def statistics(c: Case) -> Array:
        own, right = running(c, share(c)), running(c)
        return np.stack([own[0], right[1]] if which == "mean" else [right[0], own[1]])

    changes = {"running": statistics, "evaluated": lambda c: evaluated(c, statistics(c))}
    return Hypothesis(f"running-{which}-{id}", f"the running {which} {text}", HISTORY, changes)


BATCHNORM = Component("BatchNorm", draw, truth, [
    H("not-centred", "the mean is not subtracted", "Compare with the definition.",
      y=lambda c: c.gamma * c.x / spread(c) + c.beta),
    H("not-scaled", "the result is not divided by the standard deviation", "Compare with the definition.",
      y=lambda c: c.gamma * (c.x - c.x.mean(0)) + c.beta),
    H("variance-for-deviation", "the variance stands where its square root belongs", "Compare with the definition.",
      y=lambda c: c.gamma * (c.x - c.x.mean(0)) / (c.x.var(0) + c.v.eps) + c.beta),
    H("unbiased-variance", "the variance is divided by N - 1", "Compare with the definition.",
      y=lambda c: c.gamma * (c.x - c.x.mean(0)) / np.sqrt(c.x.var(0, ddof=1) + c.v.eps) + c.beta),
    H("axis-features", "mean and variance are taken over the features", AXIS,
      y=lambda c: c.gamma * (c.x - c.x.mean(1, keepdims=True)) / np.sqrt(c.x.var(1,
      keepdims=True) + c.v.eps) + c.beta),
    H("axis-all", "mean and variance are taken over everything", AXIS,
      y=lambda c: c.gamma * (c.x - c.x.mean()) / np.sqrt(c.x.var() + c.v.eps) + c.beta),
    H("scale-missing", "γ is missing", "Which parameters does the output depend on?",
      y=lambda c: standardised(c) + c.beta),
    H("shift-missing", "β is missing", "Which parameters does the output depend on?",
      y=lambda c: c.gamma * standardised(c)),
    H("shift-subtracted", "β is subtracted", "Look at the signs.", y=lambda c: c.gamma * standardised(c) - c.beta),
    H("parameters-missing", "γ and β are missing", "Which parameters does the output depend on?", y=standardised),
    H("parameters-exchanged", "γ and β are exchanged", "Which parameter multiplies?",
      y=lambda c: c.beta * standardised(c) + c.gamma),
    H("statistics-fixed", "mean and variance are treated as constants", DEPENDS,
      dx=lambda c: c.g * c.gamma / spread(c)),
    H("variance-fixed", "the variance is treated as a constant", DEPENDS,
      dx=lambda c: (c.g * c.gamma - (c.g * c.gamma).mean(0)) / spread(c)),
    H("mean-fixed", "the mean is treated as a constant", DEPENDS,
      dx=lambda c: (c.g * c.gamma - standardised(c) * (c.g * c.gamma * standardised(c)).mean(0)) / spread(c)),
    H("gradient-scale-missing", "γ is missing in the input gradient", "Chain rule: which factors?",
      dx=lambda c: back(c) / c.gamma),
    H("gradient-spread-missing", "the standard deviation is missing in the input gradient",
      "Chain rule: which factors?", dx=lambda c: back(c) * spread(c)),
    H("gradient-spread-squared", "the variance stands where its root belongs in the input gradient",
      "Chain rule: which factors?", dx=lambda c: back(c) / spread(c)),
    H("gradient-negated", "the input gradient has the wrong sign", "Look at the signs.", dx=lambda c: -back(c)),
    H("gradient-times-n", "1/N is missing in the input gradient", DEPENDS, dx=lambda c: back(c) * len(c.x)),
    H("gradient-over-n", "the input gradient is divided by N once more", DEPENDS, dx=lambda c: back(c) / len(c.x)),
    H("gradient-sums-for-means", "sums stand where the means belong", DEPENDS,
      dx=lambda c: (c.g * c.gamma - (c.g * c.gamma).sum(0)
                    - standardised(c) * (c.g * c.gamma * standardised(c)).sum(0)) / spread(c)),
    H("gradient-upstream-only", "the upstream gradient is returned as it came", "Chain rule: which factors?",
      dx=lambda c: c.g),
    H("scale-gradient-over-n", "the gradient of γ is a mean over the batch", "Who divides by the batch size?",
      dgamma=lambda c: (c.g * standardised(c)).mean(0)),
    H("scale-gradient-of-input", "the input stands where the standardised input belongs in the gradient of γ",
      "Which array was cached?", dgamma=lambda c: (c.g * c.x).sum(0)),
    H("scale-gradient-of-output", "the output stands where the standardised input belongs in the gradient of γ",
      "Which array was cached?", dgamma=lambda c: (c.g * output(c)).sum(0)),
    H("scale-gradient-no-input", "the standardised input is missing in the gradient of γ",
      "Chain rule: which factors?", dgamma=lambda c: c.g.sum(0)),
    H("scale-gradient-not-summed", "the gradient of γ is not summed over the batch", "It must have the shape of γ.",
      dgamma=lambda c: c.g * standardised(c)),
    H("scale-gradient-negated", "the gradient of γ has the wrong sign", "Look at the signs.",
      dgamma=lambda c: -(c.g * standardised(c)).sum(0)),
    H("scale-gradient-wrong-axis", "the gradient of γ is summed over the features", AXIS,
      dgamma=lambda c: (c.g * standardised(c)).sum(1)),
    H("shift-gradient-over-n", "the gradient of β is a mean over the batch", "Who divides by the batch size?",
      dbeta=lambda c: c.g.mean(0)),
    H("shift-gradient-not-summed", "the gradient of β is not summed over the batch", "It must have the shape of β.",
      dbeta=lambda c: c.g),
    H("shift-gradient-negated", "the gradient of β has the wrong sign", "Look at the signs.",
      dbeta=lambda c: -c.g.sum(0)),
    H("shift-gradient-scaled", "γ is multiplied into the gradient of β", "Chain rule: which factors?",
      dbeta=lambda c: c.g.sum(0) * c.gamma),
    H("shift-gradient-wrong-axis", "the gradient of β is summed over the features", AXIS,
      dbeta=lambda c: c.g.sum(1)),
    H("running-without-history", "the running statistics are those of the last batch", HISTORY,
      running=lambda c: running(c, 1.0), evaluated=lambda c: evaluated(c, running(c, 1.0))),
    H("running-not-updated", "the running statistics never change", HISTORY,
      running=lambda c: running(c, 0.0), evaluated=lambda c: evaluated(c, running(c, 0.0))),
    H("running-deviation", "the deviation stands where the variance belongs in the running statistics", HISTORY,
      running=deviations, evaluated=lambda c: evaluated(c, deviations(c))),
    *(half(which, id, text, share) for which in ("mean", "variance") for id, text, share in HALVES),
    H("evaluation-with-batch", "evaluation uses the batch's own mean and variance", "What is known at test time?",
      evaluated=output),
    H("evaluation-variance-for-deviation", "in evaluation the variance stands where its square root belongs",
      "Compare with the definition.",
      evaluated=lambda c: c.gamma * (c.x - running(c)[0]) / (running(c)[1] + c.v.eps) + c.beta),
    H("evaluation-without-scale", "γ and β are missing in evaluation", "Compare with the definition.",
      evaluated=lambda c: (c.x - running(c)[0]) / np.sqrt(running(c)[1] + c.v.eps)),
    H("cache-of-first-call", "backward still uses what the first call cached", "When is the cache written?",
      dx=lambda c: back(c.first, c.g)),
], meanings())  # fmt: skip
