"""Mistakes of the sigmoid, y = 1 / (1 + exp(-x)) with f' = y (1 - y), and of tanh with f' = 1 - y²."""

from __future__ import annotations

import numpy as np

from mlp.grading.hypotheses.component import Array, Case
from mlp.grading.hypotheses.component import hypothesis as H


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), by tanh because that never overflows."""
    return 0.5 * (1 + np.tanh(x / 2))


def s(c: Case) -> Array:
    """The output, σ(x)."""
    return sigmoid(c.x)


def t(c: Case) -> Array:
    """The output, tanh(x)."""
    return np.tanh(c.x)


FACTORS = "Write f' in terms of the output: which factors?"
SIGMOID = [
    H("slope-without-complement", "the factor 1 - y is missing: f' is taken as y", FACTORS,
      dx=lambda c: c.g * s(c)),
    H("slope-complement-only", "the factor y is missing: f' is taken as 1 - y", FACTORS,
      dx=lambda c: c.g * (1 - s(c))),
    H("slope-plus", "f' is taken as y (1 + y)", FACTORS, dx=lambda c: c.g * s(c) * (1 + s(c))),
    H("slope-of-input-formula", "y (1 - y) is computed with the input x in place of the output",
      "Which array stands for y?", dx=lambda c: c.g * c.x * (1 - c.x)),
    H("slope-of-upstream-formula", "y (1 - y) is computed with the upstream gradient in place of the output",
      "Which array stands for y?", dx=lambda c: c.g * c.g * (1 - c.g)),
    H("slope-of-tanh", "f' is taken as 1 - y², which belongs to tanh", FACTORS, dx=lambda c: c.g * (1 - s(c) ** 2)),
    H("slope-y-squared", "f' is taken as y²", FACTORS, dx=lambda c: c.g * s(c) ** 2),
    H("slope-y-squared-complement", "f' is taken as y² (1 - y)", FACTORS,
      dx=lambda c: c.g * s(c) ** 2 * (1 - s(c))),
    H("slope-complement-squared", "f' is taken as y (1 - y)²", FACTORS, dx=lambda c: c.g * s(c) * (1 - s(c)) ** 2),
    H("slope-complement-only-squared", "f' is taken as (1 - y)²", FACTORS, dx=lambda c: c.g * (1 - s(c)) ** 2),
    H("slope-minus-square", "f' is taken as 1 - y²... without the factor: y - 1", FACTORS,
      dx=lambda c: c.g * (s(c) - 1)),
    H("slope-half-y", "f' is taken as y (1/2 - y)", FACTORS, dx=lambda c: c.g * s(c) * (0.5 - s(c))),
    H("slope-two-minus", "f' is taken as y (2 - y)", FACTORS, dx=lambda c: c.g * s(c) * (2 - s(c))),
    H("slope-x-times", "f' is taken as x y (1 - y): the derivative of the swish is another", FACTORS,
      dx=lambda c: c.g * c.x * s(c) * (1 - s(c))),
    H("slope-x-complement", "f' is taken as y (1 - x)", "Which array stands for y?",
      dx=lambda c: c.g * s(c) * (1 - c.x)),
    H("slope-cached-input-y", "f' is taken as x (1 - y)", "Which array stands for y?",
      dx=lambda c: c.g * c.x * (1 - s(c))),
    H("slope-upstream-inside", "the upstream gradient is inside the bracket: y (1 - y g)",
      "Where does the bracket close?", dx=lambda c: s(c) * (1 - s(c) * c.g)),
    H("slope-bracket-lost", "the bracket is lost: g y - y", "Where does the bracket close?",
      dx=lambda c: c.g * s(c) - s(c)),
    H("slope-bracket-lost-one", "the bracket is lost: g y 1 - y", "Where does the bracket close?",
      dx=lambda c: c.g * s(c) * 1 - s(c) ** 2),
    H("slope-exponential-only", "f' is taken as exp(-x)", FACTORS, dx=lambda c: c.g * np.exp(-c.x)),
    H("denominator-minus", "the denominator is 1 - exp(-x)", "Look at the signs.",
      y=lambda c: 1 / (1 - np.exp(-c.x))),
    H("exponent-sign", "the sign in the exponent is missing: 1 / (1 + exp(x))", "Look at the sign in the exponent.",
      y=lambda c: sigmoid(-c.x)),
    H("numerator-exponential", "the output is exp(-x) / (1 + exp(x))",
      "Numerator and denominator must belong together.", y=lambda c: np.exp(-c.x) / (1 + np.exp(c.x))),
    H("output-exponential", "the 1 in the denominator is missing: the output is exp(x)", "Look at the denominator.",
      y=lambda c: np.exp(c.x)),
    H("output-inverse", "the fraction is upside down: 1 + exp(-x)", "Look at the fraction.",
      y=lambda c: 1 + np.exp(-c.x)),
    H("output-tanh", "the output is tanh(x)", "Compare with the definition.", y=lambda c: np.tanh(c.x)),
    H("output-doubled-minus-one", "the output is 2y - 1", "Compare with the definition.", y=lambda c: 2 * s(c) - 1),
    H("output-rounded", "the output is rounded to 0 or 1", "Is there a threshold?", y=lambda c: np.round(s(c))),
    H("output-base-2", "the exponential has base 2", "Which base?", y=lambda c: 1 / (1 + 2.0**-c.x)),
    H("denominator-two", "the denominator is 2 + exp(-x)", "Look at the constants.",
      y=lambda c: 1 / (2 + np.exp(-c.x))),
    H("output-softmax", "the output is a softmax over the row", "Compare with the definition.",
      y=lambda c: np.exp(c.x) / np.exp(c.x).sum(1, keepdims=True)),
]  # fmt: skip
TANH = [
    H("slope-without-square", "the square is missing: f' is taken as 1 - y", FACTORS,
      dx=lambda c: c.g * (1 - t(c))),
    H("slope-plus-square", "f' is taken as 1 + y²", FACTORS, dx=lambda c: c.g * (1 + t(c) ** 2)),
    H("slope-of-input-formula", "1 - y² is computed with the input x in place of the output",
      "Which array stands for y?", dx=lambda c: c.g * (1 - c.x**2)),
    H("slope-of-upstream-formula", "1 - y² is computed with the upstream gradient in place of the output",
      "Which array stands for y?", dx=lambda c: c.g * (1 - c.g**2)),
    H("slope-of-sigmoid", "f' is taken as y (1 - y), which belongs to the sigmoid", FACTORS,
      dx=lambda c: c.g * t(c) * (1 - t(c))),
    H("slope-square-of-difference", "the square is in the wrong place: (1 - y)²", "Where does the bracket close?",
      dx=lambda c: c.g * (1 - t(c)) ** 2),
    H("slope-y-squared", "the 1 is missing: f' is taken as y²", FACTORS, dx=lambda c: c.g * t(c) ** 2),
    H("slope-minus-y-squared", "the 1 is missing: f' is taken as -y²", FACTORS, dx=lambda c: -c.g * t(c) ** 2),
    H("slope-minus-one", "the sign is wrong: f' is taken as y² - 1", "Look at the signs.",
      dx=lambda c: c.g * (t(c) ** 2 - 1)),
    H("slope-cube", "f' is taken as 1 - y³", FACTORS, dx=lambda c: c.g * (1 - t(c) ** 3)),
    H("slope-fourth", "f' is taken as 1 - y⁴: the output is squared twice", FACTORS,
      dx=lambda c: c.g * (1 - t(c) ** 4)),
    H("slope-half", "f' is taken as (1 - y²)/2", FACTORS, dx=lambda c: c.g * (1 - t(c) ** 2) / 2),
    H("slope-root", "f' is taken as 1/cosh x, without the square", FACTORS, dx=lambda c: c.g / np.cosh(c.x)),
    H("slope-cosh", "f' is taken as cosh²x: the fraction is upside down", FACTORS,
      dx=lambda c: c.g * np.cosh(c.x) ** 2),
    H("slope-tanh-of-output", "tanh is applied once more in backward: 1 - tanh²(y)",
      "Which array was kept: x or y?", dx=lambda c: c.g * (1 - np.tanh(t(c)) ** 2)),
    H("slope-upstream-squared", "the upstream gradient is inside the square: 1 - (g y)²",
      "Where does the bracket close?", dx=lambda c: 1 - (c.g * t(c)) ** 2),
    H("slope-upstream-inside", "the upstream gradient is inside the bracket: 1 - y² g",
      "Where does the bracket close?", dx=lambda c: 1 - t(c) ** 2 * c.g),
    H("slope-bracket-lost", "the bracket is lost: g - y²", "Where does the bracket close?",
      dx=lambda c: c.g - t(c) ** 2),
    H("slope-doubled-output", "f' is taken as 1 - 2y", FACTORS, dx=lambda c: c.g * (1 - 2 * t(c))),
    H("slope-minus-two-y", "f' is taken as -2y: 1 - y² was differentiated once more",
      "Which function is differentiated?", dx=lambda c: -2 * c.g * t(c)),
    H("output-sigmoid", "the output is the sigmoid of x", "Compare with the definition.", y=lambda c: sigmoid(c.x)),
    H("output-sigmoid-shifted", "the output is 2σ(x) - 1, which is tanh(x/2)",
      "Which factor stands in the exponent?", y=lambda c: 2 * sigmoid(c.x) - 1),
    H("output-sigmoid-not-shifted", "the output is 2σ(2x): the -1 is missing", "Compare with the definition.",
      y=lambda c: 2 * sigmoid(2 * c.x)),
    H("output-sigmoid-of-2x", "the output is σ(2x): factor and shift are missing", "Compare with the definition.",
      y=lambda c: sigmoid(2 * c.x)),
    H("output-sinh", "the denominator is missing: the output is sinh x", "Look at the denominator.",
      y=lambda c: np.sinh(c.x)),
    H("output-sinh-doubled", "the denominator is missing: the output is exp(x) - exp(-x)",
      "Look at the denominator.", y=lambda c: 2 * np.sinh(c.x)),
    H("output-cosh", "the output is cosh x", "Look at the signs.", y=lambda c: np.cosh(c.x)),
    H("output-inverse", "numerator and denominator are exchanged", "Look at the fraction.",
      y=lambda c: 1 / np.tanh(c.x)),
    H("output-squared", "the output is tanh²x", "Look at the powers.", y=lambda c: t(c) ** 2),
    H("output-arctan", "the output is arctan x", "Compare with the definition.", y=lambda c: np.arctan(c.x)),
    H("output-softsign", "the output is x / (1 + |x|)", "Compare with the definition.",
      y=lambda c: c.x / (1 + np.abs(c.x))),
    H("output-sine", "the output is sin x", "Compare with the definition.", y=lambda c: np.sin(c.x)),
]  # fmt: skip
