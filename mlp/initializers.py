"""Where a network's weights begin. An initializer is a function (shape, rng) -> float64 array.

The layer rounds the result to its own dtype, so a float32 and a float64 network drawn with the same
generator start from the same point.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mlp.checks import check_number

Initializer = Callable[[tuple[int, ...], np.random.Generator], NDArray[np.float64]]


def zeros(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """All zeros: right for biases. For weights it fails, since all neurons of a layer stay equal."""
    return np.zeros(shape)


def constant(value: float) -> Initializer:
    """Every entry ``value``. For weights it fails as zeros do: it is here to show why."""
    value = check_number("constant: value", value, -np.inf)

    def initialize(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
        return np.full(shape, value)

    return initialize


def normal(std: float = 0.01) -> Initializer:
    """Independent draws from N(0, std^2).

    Raises ``InputError`` unless std is finite and not negative.
    """
    std = check_number("normal: std", std, 0)

    def initialize(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
        return rng.normal(0.0, std, size=shape)

    return initialize
