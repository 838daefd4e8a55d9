"""One call that ranks make together: how it is described, waited for, numbered, and what is raised if it fails."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_integer

MAX_TAG = 32767  # what MPI guarantees


class CommunicatorError(RuntimeError):
    """Ranks that do not understand each other: one has failed or ended, or they make different calls."""


class Handle:
    """A collective that has begun. Leave its arrays alone until ``wait()`` has returned the result."""

    def __init__(self, out: Array, finish: Callable[[], None]) -> None:
        self._out = out
        self._finish: Callable[[], None] | None = finish

    def wait(self) -> Array:
        """The result, once all ranks have given their part."""
        if self._finish is not None:
            self._finish()
            self._finish = None
        return self._out


@functools.lru_cache(maxsize=1024)
def describe(call: str, dtype: np.dtype[Any], shape: tuple[int, ...], sizes: tuple[int, ...] | None = None) -> str:
    """A call in words: all ranks of a collective have to say the same."""
    slices = "" if sizes is None else f" in slices of {', '.join(map(str, sizes))}"
    return f"{call} of {dtype} {shape}{slices}"


def check_tag(tag: int) -> int:
    """Raise ``InputError`` unless every engine can send it."""
    if check_integer("tag", tag, 0) > MAX_TAG:
        raise InputError(f"tag must be an integer from 0 to {MAX_TAG}, got {tag}")
    return tag
