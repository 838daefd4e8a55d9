"""Memory that a training step uses again and again, because asking for new memory costs more than using it.

An array of more than about 128 KB is mapped from the operating system and given back on every use, and
each of its pages is cleared again: for the arrays of a small network that takes longer than the arithmetic.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from mlp.arrays import Array, aligned_empty


class Lending:
    """A switch that all buffers of a network share: ``with lending:`` lends memory inside the block."""

    def __init__(self) -> None:
        self.is_on = False
        self._depth = 0

    def __enter__(self) -> None:
        self._depth += 1
        self.is_on = True

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        self.is_on = self._depth > 0


class Buffers:
    """One layer's arrays by name: new ones, or, while its network lends, the same ones again.

    Outside of lending every call of ``empty`` returns fresh memory, so whatever a layer returns belongs to the
    caller. Inside it, which is where ``Network.training_step`` runs its layers, the same name gets the same
    memory as in the step before.
    """

    def __init__(self, lending: Lending | None = None) -> None:
        self.lending = lending or Lending()
        self._lent: dict[str, Array] = {}

    def empty(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """An uninitialised array of this shape and dtype."""
        if not self.lending.is_on:
            return np.empty(shape, dtype)
        array = self._lent.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            array = self._lent[name] = aligned_empty(shape, dtype)
        return array


class PassingBuffers(Buffers):
    """New memory at every call, also inside of lending: for results that nobody is to hold longer than needed."""

    def empty(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """An uninitialised array of this shape and dtype, free again once nobody refers to it."""
        return np.empty(shape, dtype)
