"""Which functions and which loss a network in one piece means: those that explain most of what comes out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mlp.grading.adapt.remote import Array
from mlp.grading.hypotheses.component import Case, Component, agrees, with_variant

Seen = Sequence[tuple[Case, Mapping[str, Array]]]


def meant(component: Component, seen: Seen, text: str, all_text: str) -> Component:
    """The component with the variant that fits best; with others too if the output fits none."""
    logarithm = re.search(r"log|entropy", all_text, re.IGNORECASE)
    hinted = [v for v in component.variants if hint(v, text) and (logarithm or "entropy" not in v.loss)]
    scores = {v.label: score(component, v, seen) for v in component.variants}
    ordered = sorted(hinted or component.variants, key=lambda v: scores[v.label], reverse=True)
    best = ordered[0]
    alike = [v for v in ordered[1:] if scores[v.label][:2] == scores[best.label][:2]]
    return replace(component, variants=[with_gain(component, v, seen) for v in (best, *alike)])


def score(component: Component, v: Case, seen: Seen) -> tuple[int, ...]:
    """How many outputs, values and gradients are right."""
    total = np.zeros(3, int)
    for c, values in seen:
        truth = component.predict(with_variant(c, v)) or {}
        same = {k for k, a in values.items() if k in truth and agrees(a, truth[k])}
        total += ["y" in same, "value" in same, len(same - {"y", "value"})]
    return tuple(int(n) for n in total)


def hint(variant: Case, text: str) -> bool:
    """Does the source speak of these functions?"""
    words = {
        "relu": r"relu|maximum|> ?0", "leaky relu": r"leaky", "sigmoid": r"sigmoid|logistic|exp\(-",
        "tanh": r"tanh",
        "softmax": r"softmax|exp\(", "identity": r"",
    }  # fmt: skip
    return all(re.search(words[w], text, re.IGNORECASE) for w in (variant.hidden, variant.out))


GAINS: dict[str, Callable[[int, int], float]] = {
    "1": lambda n, k: 1.0, "1/2": lambda n, k: 0.5, "2": lambda n, k: 2.0, "N": lambda n, k: n,
    "N/2": lambda n, k: n / 2,
    "K": lambda n, k: k, "K/2": lambda n, k: k / 2, "NK": lambda n, k: n * k, "NK/2": lambda n, k: n * k / 2,
    "1/N": lambda n, k: 1 / n, "1/K": lambda n, k: 1 / k,
}  # fmt: skip


def with_gain(component: Component, variant: Case, seen: Seen) -> Case:
    """The gradient of a squared error may have any of the usual factors: only the learning rate differs."""
    if variant.loss != "squared error":
        return variant

    def right(gain: str) -> int:
        signed = [lambda n, k, s=sign: s * GAINS[gain](n, k) for sign in (1, -1)]  # an error may be negated besides
        return max(score(component, Case(**(vars(variant) | {"gain": g})), seen)[2] for g in signed)

    best = max(GAINS, key=right)
    if best != "1":
        label = f"{variant.label}; gradients times {best}"
        return Case(**(vars(variant) | {"gain": GAINS[best], "label": label}))
    return variant
