"""A flat vector as named pieces: how the state of a whole network is put together from the parts of ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import accumulate

import numpy as np
from numpy.typing import DTypeLike

from mlp.arrays import Array

Shapes = Mapping[str, tuple[int, ...]]


def pieces(vector: Array, shapes: Shapes) -> dict[str, Array]:
    """The arrays of these shapes that lie one after the other in ``vector``, by name: views."""
    ends = list(accumulate(math.prod(shape) for shape in shapes.values()))
    parts = np.split(vector, ends[:-1])
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def placeholders(shapes: Shapes, dtype: DTypeLike) -> dict[str, Array]:
    """Arrays of these shapes that take no memory: what a state is to look like."""
    zero = np.zeros((), dtype)
    return {name: np.broadcast_to(zero, shape) for name, shape in shapes.items()}
