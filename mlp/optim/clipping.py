"""Limits to the gradient, applied between the backward pass and the optimizer's step."""

from __future__ import annotations

import math

import numpy as np

from mlp.arrays import Array
from mlp.checks import check_number
from mlp.parameter import ParameterVector


def clip_by_norm(parameters: ParameterVector, limit: float) -> float:
    """g ← g · min(1, limit / |g|) for the gradient g of all parameters together; returns |g| as it was before.

    The direction stays, and a gradient within the limit is not touched. PyTorch's ``clip_grad_norm_`` divides by
    |g| + 10⁻⁶ instead: its result is shorter by the fraction 10⁻⁶ / |g|, and one that lies at the limit shrinks
    a little with every call. Parameters that no backward pass has reached count as 0.

    A gradient with NaN or an infinity in it has no direction. It is left as it is and its norm, NaN or inf, is
    returned: ``math.isfinite`` tells whether to take the step. (PyTorch makes such a gradient NaN and 0.)

    Raises ``InputError`` for limit < 0.

    Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.
    """
    limit = check_number("clip_by_norm: limit", limit, 0)
    g = ParameterVector.of(parameters).grad
    before = norm(g)
    if limit < before < math.inf:
        g *= limit / before
    return before


def clip_by_value(parameters: ParameterVector, limit: float) -> None:
    """g ← min(max(g, -limit), limit), each entry by itself, which changes the direction. NaN stays NaN.

    Raises ``InputError`` for limit < 0.
    """
    limit = check_number("clip_by_value: limit", limit, 0)
    g = ParameterVector.of(parameters).grad
    np.clip(g, -limit, limit, out=g)


def norm(g: Array) -> float:
    """|g| = √(g · g), also where the squares are too large for the dtype: NaN or inf only if an entry is."""
    square = float(np.vdot(g, g))
    if math.isfinite(square):
        return math.sqrt(square)
    largest = max(float(g.max()), -float(g.min()))
    if not math.isfinite(largest):
        return largest
    scaled = g / largest
    return largest * math.sqrt(float(np.vdot(scaled, scaled)))
