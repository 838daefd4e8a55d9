"""What goes wrong in a network in one piece: forward, between the layers, and at the output."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlp.grading.hypotheses.component import Array, Case, Component, Hypothesis
from mlp.grading.hypotheses.component import hypothesis as H
from mlp.grading.hypotheses.softmax import softmax
from mlp.grading.hypotheses.squashing import sigmoid
from mlp.grading.hypotheses.whole import (
    FIRST,
    FUNCTIONS,
    SECOND,
    B,
    F,
    U,
    chances,
    delta,
    draw,
    error,
    factor,
    first_delta,
    gradients,
    hidden,
    mistake,
    out,
    own_formula,
    slope,
    summed,
    truth,
    value,
    variants,
    z1,
    z2,
)


def both_deltas(c: Case, slope_of: Callable[[Array, Callable[[Array], Array]], Array]) -> dict[str, Array]:
    """Both deltas of a squared error with another derivative of the activations."""
    g = FUNCTIONS[c.v.hidden][1]
    d2 = error(c) * slope_of(z2(c), g)
    return {"d2": d2, "d1": d2 @ c.W2.T * slope_of(z1(c), g)}


def without_biases(output: str) -> Callable[[Case], Array]:
    """The gradient of a network without biases."""
    return lambda c: gradients(with_(c, b1=0 * c.b1, b2=0 * c.b2))[output]


def act(c: Case, z: Array) -> Array:
    """f."""
    return FUNCTIONS[c.v.hidden][0](z)


def with_(c: Case, **changes: object) -> Case:
    """The case with other arrays."""
    return Case(**(vars(c) | changes))


def over(c: Case, axis: int | None) -> Array:
    """exp(z - row's maximum) divided by its sum along another axis."""
    e = np.exp(z2(c) - z2(c).max(1, keepdims=True))
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


def scaled_target(c: Case) -> Array:
    """What subtracting the target contributes to δ₂."""
    no_target = with_(c, t=0 * c.t)
    no_target.v = c.v
    return delta(no_target) - delta(c)


def with_constant(eps: float) -> Hypothesis:
    """The loss with log(p + eps): a remark."""
    name = f"log(p + {eps:.0e}) caps the value, and the gradient does not know it"
    look = "What is the value for a confident wrong answer?"
    return Hypothesis(f"log-of-p-plus-{eps:.0e}", name, look, {"value": lambda c: value(c, eps)}, tolerated=True)


def forward(id: str, name: str, z: Callable[[Case], Array], look: str = F) -> Hypothesis:
    """A hypothesis about what the output's activation is applied to."""
    changes = {"y": lambda c: out(c, z(c)), "value": lambda c: value(c, p=chances(c, z(c)))}
    return Hypothesis(id, name, look, changes)


def output(id: str, name: str, y: Callable[[Case], Array], look: str = F) -> Hypothesis:
    """A hypothesis about the output itself."""
    return Hypothesis(id, name, look, {"y": y, "value": lambda c: value(c, p=y(c))})


BATCH, ALL = "the probabilities are normalised over the batch", "the probabilities are normalised over everything"
AXIS = "Along which axis must the probabilities sum to 1?"
FORWARD: list[Hypothesis] = [
    *(with_constant(eps) for eps in (1e-15, 1e-12, 1e-10, 1e-9, 1e-8, 1e-7)),
    forward("first-bias-missing", "the first bias is not added",
            lambda c: hidden(with_(c, b1=0 * c.b1)) @ c.W2 + c.b2),
    forward("second-bias-missing", "the second bias is not added", lambda c: hidden(c) @ c.W2),
    forward("biases-missing", "no bias is added", lambda c: hidden(with_(c, b1=0 * c.b1)) @ c.W2),
    forward("biases-subtracted", "the biases are subtracted",
            lambda c: hidden(with_(c, b1=-c.b1)) @ c.W2 - c.b2),
    forward("hidden-activation-missing", "the hidden layer has no activation", lambda c: z1(c) @ c.W2 + c.b2),
    forward("hidden-activation-twice", "the hidden activation is applied twice",
            lambda c: act(c, hidden(c)) @ c.W2 + c.b2),
    forward("output-hidden-activation", "the hidden activation is applied at the output too",
            lambda c: act(c, z2(c))),
    forward("exponent-sign", "the exponent of the sigmoid has the wrong sign",
            lambda c: -(act(c, -z1(c)) @ c.W2 + c.b2)),
    output("output-activation-missing", "the output has no activation", z2),
    output("output-activation-twice", "the output's activation is applied twice", lambda c: out(c, out(c, z2(c)))),
    output("softmax-over-batch", BATCH, lambda c: softmax(z2(c), 0), AXIS),
    output("softmax-over-all", ALL, lambda c: softmax(z2(c), None), AXIS),
    output("softmax-over-batch-shifted", BATCH, lambda c: over(c, 0), AXIS),
    output("softmax-over-all-shifted", ALL, lambda c: over(c, None), AXIS),
    output("output-sigmoid", "the output is a sigmoid", lambda c: sigmoid(z2(c))),
    H("value-negated", "the value has the wrong sign", "Look at the signs.", value=lambda c: -value(c)),
    H("value-times-n", "the value is multiplied by N", U, value=lambda c: value(c) * len(c.x)),
    H("value-extra-1/N", "the value is divided by N once more", U, value=lambda c: value(c) / len(c.x)),
    H("value-target-ignored", "the target is ignored in the value", "Which entries enter?",
      value=lambda c: -factor(c) * np.log(chances(c)).sum()),
    H("value-one-term", "only the term t log p is there, (1 - t) log(1 - p) is missing", "Which terms enter?",
      value=lambda c: -factor(c) * (c.t * np.log(chances(c))).sum()),
    H("value-log-missing", "the logarithm is missing", "Compare with the definition.",
      value=lambda c: -factor(c) * (c.t * chances(c)).sum()),
]  # fmt: skip
BOTH: dict[str, tuple[str, Callable[[Case], float]]] = {
    "negated": ("have the wrong sign", lambda c: -1.0),
    "lack-1/N": ("lack the factor 1/N", lambda c: float(len(c.x))),
    "extra-1/N": ("are divided by N once more", lambda c: 1 / len(c.x)),
    "zero": ("are zero", lambda c: 0.0),
    "doubled": ("are twice too large", lambda c: 2.0),
}


def both(kind: str, words: str, rule: tuple[str, tuple[str, Callable[[Case], float]]]) -> Hypothesis:
    """The same mistake in both layers' weights, or in both biases."""
    id, (text, by) = rule

    def of(output: str) -> Callable[[Case], Array]:
        return lambda c: by(c) * gradients(c)[output]

    name = f"the gradients of the {words} {text}"
    return Hypothesis(f"{words}-{id}", name, U, {k: of(k) for k in (f"d{kind}1", f"d{kind}2")})


BACKWARD: list[Hypothesis] = [
    mistake("hidden-slope-missing", "the derivative of the hidden activation is missing", B,
            lambda c: {"d1": delta(c) @ c.W2.T}, *FIRST),
    mistake("hidden-slope-formula-of-input", "the formula for the hidden layer's output is applied to its input", B,
            lambda c: {"d1": delta(c) @ c.W2.T * own_formula(c, z1(c))}, *FIRST),
    mistake("hidden-slope-of-output", "the derivative of the hidden activation is taken at its output", B,
            lambda c: {"d1": delta(c) @ c.W2.T * FUNCTIONS[c.v.hidden][1](hidden(c))}, *FIRST),
    mistake("slopes-of-outputs", "the derivatives of both activations are taken at their outputs", B,
            lambda c: both_deltas(c, lambda z, g: g(FUNCTIONS[c.v.hidden][0](z)))),
    mistake("slopes-formula-of-input", "the formula a (1 - a) is applied to z in both layers", B,
            lambda c: both_deltas(c, lambda z, g: own_formula(c, z))),
    Hypothesis("biases-missing-in-backward", "backward computes the layers again, without the biases", F,
               {k: without_biases(k) for k in ("dW1", "db1", "dW2", "db2")}),
    mistake("hidden-slope-squared", "the derivative of the hidden activation enters twice", B,
            lambda c: {"d1": delta(c) @ c.W2.T * slope(c) ** 2}, *FIRST),
    mistake("hidden-slope-inverted", "the mask of the hidden layer is inverted", B,
            lambda c: {"d1": delta(c) @ c.W2.T * (1 - slope(c))}, *FIRST),
    mistake("hidden-mask-of-gradient", "the sign of the gradient decides, not that of the hidden layer's input", B,
            lambda c: {"d1": np.maximum(delta(c) @ c.W2.T, 0)}, *FIRST),
    mistake("hidden-output-for-slope", "the hidden layer's output stands where its derivative belongs", B,
            lambda c: {"d1": delta(c) @ c.W2.T * hidden(c)}, *FIRST),
    mistake("hidden-slope-of-sigmoid", "the derivative is that of a sigmoid, h (1 - h)", B,
            lambda c: {"d1": delta(c) @ c.W2.T * hidden(c) * (1 - hidden(c))}, *FIRST),
    mistake("hidden-slope-of-tanh", "the derivative is that of tanh, 1 - h²", B,
            lambda c: {"d1": delta(c) @ c.W2.T * (1 - hidden(c) ** 2)}, *FIRST),
    mistake("hidden-slope-without-square", "the derivative of tanh lacks its square: 1 - h", B,
            lambda c: {"d1": delta(c) @ c.W2.T * (1 - hidden(c))}, *FIRST),
    mistake("hidden-slope-of-relu", "the derivative is that of ReLU", B,
            lambda c: {"d1": delta(c) @ c.W2.T * (z1(c) > 0)}, *FIRST),
    mistake("hidden-delta-over-n", "the first layer's delta is divided by N once more", B,
            lambda c: {"d1": first_delta(c) / len(c.x)}, *FIRST),
    mistake("hidden-delta-times-n", "the first layer's delta lacks 1/N", B,
            lambda c: {"d1": first_delta(c) * len(c.x)}, *FIRST),
    mistake("hidden-delta-negated", "the first layer's delta has the wrong sign", B,
            lambda c: {"d1": -first_delta(c)}, *FIRST),
    mistake("weight-already-updated", "the second weight is changed before the error is sent back through it",
            "In which order are gradients computed and parameters changed?",
            lambda c: {"d1": delta(c) @ (c.W2 - c.lr * gradients(c)["dW2"]).T * slope(c)}, *FIRST),
    mistake("hidden-input-for-output", "the hidden layer's input stands where its output belongs", B,
            lambda c: {"h": z1(c)}, "dW2"),
    mistake("output-slope-missing", "the derivative of the output's activation is missing", B,
            lambda c: {"d2": error(c)}),
    mistake("output-slope-missing-halved", "the derivative of the output's activation is missing, and the 2", B,
            lambda c: {"d2": error(c) / 2}),
    mistake("output-slope-extra", "the derivative of the output's activation is one factor too many", B,
            lambda c: {"d2": delta(c) * chances(c) * (1 - chances(c))}),
    mistake("output-slope-formula-of-input", "the formula a (1 - a) is applied to the output's input", B,
            lambda c: {"d2": error(c) * z2(c) * (1 - z2(c))}),
    mistake("output-slope-in-first-layer-missing", "the first layer's error lacks the output's derivative", B,
            lambda c: {"d1": error(c) @ c.W2.T * slope(c)}, *FIRST),
    mistake("target-missing", "the target is not subtracted", B, lambda c: {"d2": delta(c) + scaled_target(c)}),
    mistake("target-added", "the target is added", B, lambda c: {"d2": delta(c) + 2 * scaled_target(c)}),
    *(both(kind, words, rule) for kind, words in (("W", "weights"), ("b", "biases")) for rule in BOTH.items()),
    mistake("all-negated", "all gradients have the wrong sign: the step goes uphill", "Which sign lowers the loss?",
            lambda c: {"d2": -delta(c)}),
    mistake("all-lack-1/N", "all gradients lack the factor 1/N that the value has", U,
            lambda c: {"d2": len(c.x) * delta(c)}),
    mistake("all-extra-1/N", "all gradients are divided by N once more", U, lambda c: {"d2": delta(c) / len(c.x)}),
    mistake("all-doubled", "all gradients are twice too large", U, lambda c: {"d2": 2 * delta(c)}),
    mistake("all-halved", "all gradients are half of what they should be", U, lambda c: {"d2": delta(c) / 2}),
    mistake("first-layer-gradient-zero", "the first layer has no gradient: it is never changed", B,
            lambda c: {"d1": 0 * first_delta(c)}, *FIRST),
    mistake("second-layer-gradient-zero", "the second layer has no gradient: it is never changed", B,
            lambda c: {"d2": 0 * delta(c)}, *SECOND),
    *summed(),
]  # fmt: skip


WHOLE = Component("Network", draw, truth, [*FORWARD, *BACKWARD], list(variants()))
