"""Calls whose results are kept: one forward and backward, all of it copied, and when two results are the same."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.gradcheck.subject import Subject


@dataclass
class Pass:
    """What one forward and backward produced, all of it copied; None where there was no gradient."""

    output: Array
    input_gradient: Array | None
    gradients: dict[str, Array | None]


def owned(value: Any) -> Array:
    """A float64 copy that no later call can change."""
    return np.array(value, dtype=np.float64)


def run(subject: Subject, x: Array, upstream: Array) -> Pass:
    """One forward and backward on copies of the arguments, adding to whatever gradients there are."""
    output = owned(subject.forward(x.copy()))
    returned = subject.backward(upstream.copy())
    gradients = {
        name: None if parameter.grad is None else owned(parameter.grad)
        for name, parameter in subject.parameters.items()
    }
    return Pass(output, None if returned is None else owned(returned), gradients)


def same(a: Array | None, b: Array | None) -> bool:
    """Equal up to rounding: a BLAS may add in another order when an array lies elsewhere in memory."""
    if a is None or b is None:
        return a is b
    scale = max(np.abs(a).max(initial=0.0), np.abs(b).max(initial=0.0))
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= 1e-9 * scale))


def times(factor: float, a: Array | None) -> Array | None:
    """``factor * a``, and nothing of nothing."""
    return None if a is None else factor * a
