"""A network in one piece, y = g(f(x W₁ + b₁) W₂ + b₂) with its loss and all gradients; and the mistakes.

Which f, g and loss a submission means is a matter of convention, and a factor of the squared error's gradient too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mlp.grading.hypotheses.component import Array, Case, Hypothesis, Values, fresh
from mlp.grading.hypotheses.losses import REDUCTIONS
from mlp.grading.hypotheses.softmax import back, softmax
from mlp.grading.hypotheses.squashing import sigmoid

IN, HIDDEN, OUT = 4, 5, 3
FUNCTIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "leaky relu": (lambda z: np.where(z > 0, z, 0.01 * z), lambda z: np.where(z > 0, 1.0, 0.01)),
    "identity": (lambda z: z, np.ones_like),
    "softmax": (softmax, np.ones_like),
}
# Loss -> what the output may be, and how it may be reduced.
LOSSES = {
    "cross-entropy": (("softmax", "identity"), ("1/N", "1", "1/(NK)")),
    "binary cross-entropy": (("sigmoid", "identity"), ("1/N", "1", "1/(NK)")),
    "squared error": (
        ("sigmoid", "identity", "tanh", "relu", "softmax"), ("1/N", "1/(2N)", "1/(NK)", "1/(2NK)", "1/2", "1"),
    ),
    "difference": (("sigmoid", "softmax", "identity", "tanh"), ("1/N", "1", "1/(NK)")),
}  # fmt: skip


def variants() -> Iterator[Case]:
    """All meanings, the usual ones first."""
    for loss, (outs, reductions) in LOSSES.items():
        for hidden in ("relu", "sigmoid", "tanh", "leaky relu"):
            for out in outs:
                for label in reductions:
                    yield Case(label=f"{hidden}, then {out}; {loss}, {label}", hidden=hidden, out=out, loss=loss,
                               factor=REDUCTIONS[label], gain=lambda n, k: 1.0)  # fmt: skip


def z1(c: Case) -> Array:
    """x W₁ + b₁."""
    return np.asarray(c.x @ c.W1 + c.b1)


def hidden(c: Case) -> Array:
    """f(z₁)."""
    return FUNCTIONS[c.v.hidden][0](z1(c))


def slope(c: Case) -> Array:
    """f'(z₁)."""
    return FUNCTIONS[c.v.hidden][1](z1(c))


def z2(c: Case) -> Array:
    """h W₂ + b₂."""
    return np.asarray(hidden(c) @ c.W2 + c.b2)


def chances(c: Case, z: Array | None = None) -> Array:
    """What the loss compares with the target: probabilities, or the output itself."""
    z = z2(c) if z is None else z
    if c.v.loss == "cross-entropy":
        return softmax(z)
    return sigmoid(z) if c.v.loss == "binary cross-entropy" else FUNCTIONS[c.v.out][0](z)


def factor(c: Case) -> float:
    """The reduction of the value."""
    return float(c.v.factor(*c.t.shape))


def value(c: Case, eps: float = 0.0, p: Array | None = None) -> Array:
    """The loss."""
    p = chances(c) if p is None else p
    if c.v.loss == "cross-entropy":
        return np.asarray(-factor(c) * (c.t * np.log(p + eps)).sum())
    if c.v.loss == "binary cross-entropy":
        return np.asarray(-factor(c) * (c.t * np.log(p + eps) + (1 - c.t) * np.log(1 - p + eps)).sum())
    return np.asarray(factor(c) * ((p - c.t) ** 2).sum())


def delta(c: Case) -> Array:
    """The derivative of the loss after z₂."""
    scale = factor(c) * float(c.v.gain(*c.t.shape))
    difference = chances(c) - c.t
    if c.v.loss != "squared error":
        return np.asarray(scale * difference)
    if c.v.out == "softmax":
        return 2 * scale * back(chances(c), difference)
    return np.asarray(2 * scale * difference * FUNCTIONS[c.v.out][1](z2(c)))


def gradients(c: Case, d2: Array | None = None, d1: Array | None = None, h: Array | None = None) -> Values:
    """Those of all parameters, from the two layers' deltas."""
    d2 = delta(c) if d2 is None else d2
    d1 = d2 @ c.W2.T * slope(c) if d1 is None else d1
    h = hidden(c) if h is None else h
    return {"dW1": c.x.T @ d1, "db1": d1.sum(0), "dW2": h.T @ d2, "db2": d2.sum(0)}


def truth(c: Case) -> Values:
    """Right outputs."""
    return {"y": FUNCTIONS[c.v.out][0](z2(c)), "value": value(c), **gradients(c)}


def draw(rng: np.random.Generator) -> list[Case]:
    """Three batches of different sizes."""

    def case(n: int) -> Case:
        return fresh(
            x=rng.normal(size=(n, IN)), t=np.eye(OUT)[rng.integers(OUT, size=n)], lr=0.5,
            W1=rng.normal(size=(IN, HIDDEN)), b1=rng.normal(size=HIDDEN),
            W2=rng.normal(size=(HIDDEN, OUT)), b2=rng.normal(size=OUT),
        )  # fmt: skip

    return [case(6), case(7), case(2)]


def changed(make: Callable[[Case], dict[str, Any]], *outputs: str) -> dict[str, Callable[[Case], Array]]:
    """Formulas of gradients that follow from other deltas or another hidden layer."""

    def of(output: str) -> Callable[[Case], Array]:
        return lambda c: gradients(c, **make(c))[output]

    return {output: of(output) for output in outputs or ("dW1", "db1", "dW2", "db2")}


def mistake(id: str, name: str, look: str, make: Callable[[Case], dict[str, Any]], *outputs: str) -> Hypothesis:
    """A hypothesis about the gradients."""
    return Hypothesis(id, name, look, changed(make, *outputs))


def out(c: Case, z: Array) -> Array:
    """g."""
    return FUNCTIONS[c.v.out][0](z)


def error(c: Case) -> Array:
    """δ₂ without the derivative of the output's activation."""
    scale = factor(c) * float(c.v.gain(*c.t.shape)) * (2 if c.v.loss == "squared error" else 1)
    return np.asarray(scale * (chances(c) - c.t))


def own_formula(c: Case, a: Array) -> Array:
    """The derivative as a function of the output: a (1 - a) and 1 - a²."""
    return {"sigmoid": a * (1 - a), "tanh": 1 - a**2}.get(c.v.hidden, slope(c))


F = "Which steps lead from the input to the output?"
B = "Chain rule, from the loss back: write down every factor."
U = "Who sums over the batch, and who divides by its size?"
FIRST, SECOND = ("dW1", "db1"), ("dW2", "db2")


def summed() -> list[Hypothesis]:
    """The sum over the batch and its 1/N, array by array."""
    words = {"W1": "first weight", "b1": "first bias", "W2": "second weight", "b2": "second bias"}
    return [
        Hypothesis(f"{key}-gradient-{id}", f"the gradient of the {word} {text}", U, {f"d{key}": formula})
        for key, word in words.items() for id, text, formula in rules(key)
    ]  # fmt: skip


def rules(key: str) -> list[tuple[str, str, Callable[[Case], Array]]]:
    """What may be wrong with one gradient alone: the mistake's id, its words, its formula."""

    def own(c: Case) -> Array:
        return gradients(c)[f"d{key}"]

    def d(c: Case) -> Array:
        return delta(c) if key == "b2" else first_delta(c)

    found: list[tuple[str, str, Callable[[Case], Array]]] = [
        ("lacks-1/N", "is N times too large", lambda c: own(c) * len(c.x)),
        ("extra-1/N", "is divided by N once more", lambda c: own(c) / len(c.x)),
        ("zero", "is zero", lambda c: 0 * own(c)), ("negated", "has the wrong sign", lambda c: -own(c)),
        ("doubled", "is twice too large", lambda c: 2 * own(c)),
        ("halved", "is half of what it should be", lambda c: own(c) / 2),
    ]  # fmt: skip
    if key[0] == "W":
        return [*found, ("transposed", "is transposed", lambda c: own(c).T)]
    return [
        *found, ("not-summed", "is not summed over the batch", d),
        ("total", "is summed over everything", lambda c: d(c).sum() + 0 * d(c)[0]),
        ("scalar", "is one number, summed over everything", lambda c: np.asarray(d(c).sum())),
        ("wrong-axis", "is summed over the wrong axis", lambda c: d(c).sum(1)),
        ("first-example", "is that of the first example", lambda c: d(c)[0]),
    ]  # fmt: skip


def first_delta(c: Case) -> Array:
    """δ₁ = δ₂ W₂ᵀ f'(z₁)."""
    return np.asarray(delta(c) @ c.W2.T * slope(c))
