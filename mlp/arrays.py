"""The type that annotations call ``Array``, and memory that starts where vector instructions like it to start."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# A NumPy array. Its shape stands in the docstring; its dtype is float32 or float64 where nothing else is said.
Array = NDArray[Any]

# Vector instructions load 64 bytes; an array that starts on such a boundary never straddles cache lines.
ALIGNMENT = 64


def aligned_empty(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """An uninitialised C-contiguous array whose first byte lies on a 64-byte boundary."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)
