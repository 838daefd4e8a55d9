"""Elementwise activations y = f(x) with dx = g f'(x): the definitions, each with its mistakes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from mlp.grading.hypotheses.component import (
    Array,
    Case,
    Component,
    Hypothesis,
    Values,
    fresh,
    scenarios,
)
from mlp.grading.hypotheses.elementwise import Function, common
from mlp.grading.hypotheses.gelu import GELU, GELU_FORMS, gelu, gelu_slope
from mlp.grading.hypotheses.rectifiers import ELU, LEAKY_RELU, RELU
from mlp.grading.hypotheses.squashing import SIGMOID, TANH, sigmoid


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


CONSTANT = {"LeakyReLU": ("slope", "slope {:g} for negative inputs"), "ELU": ("alpha", "alpha {:g}")}


def with_constants(component: Component, numbers: Iterable[float]) -> Component:
    """LeakyReLU and ELU with the constants that a submission keeps as further variants."""
    if component.name not in CONSTANT:
        return component
    word, label = CONSTANT[component.name]
    known = [getattr(v, word) for v in component.variants]
    more = [Case(label=label.format(n), kink=n, **{word: n}) for n in numbers if 0 < n < 3 and n not in known]
    return replace(component, variants=[*component.variants, *more])


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
               lambda x, v: np.where(x > 0, 1.0, v.alpha * np.exp(np.minimum(x, 0))), ELU,
               variants=[Case(label=f"alpha {a:g}", alpha=a, kink=a) for a in (1.0, 0.1, 0.5, 0.2, 0.01, 0.3)]),
    activation("SELU", lambda x, v: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))),
               lambda x, v: SELU_SCALE * np.where(x > 0, 1.0, SELU_ALPHA * np.exp(np.minimum(x, 0)))),
    activation("Softplus", lambda x, v: np.logaddexp(0, x), lambda x, v: sigmoid(x)),
    activation("HardSwish", lambda x, v: x * np.clip(x + 3, 0, 6) / 6,
               lambda x, v: np.where(x < -3, 0, np.where(x > 3, 1, (2 * x + 3) / 6))),
    activation("Identity", lambda x, v: x, lambda x, v: np.ones_like(x)),
]  # fmt: skip
