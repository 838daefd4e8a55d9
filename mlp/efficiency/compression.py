"""Precision instead of memory: what layers remember between forward and backward, held in fewer bits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.layers.base import Layer
from mlp.layers.containers import Sequential


class Packed(Protocol):
    """An array in fewer bytes."""

    def unpack(self) -> Array:
        """The array, or one that is close to it, in new memory."""


@dataclass(frozen=True)
class Float16:
    """a ≈ 2ᵏ h, with h in float16 and one k for the whole array, so that the largest |h| is from 2¹⁴ to 2¹⁵.

    float16 ends at 65504; with k, no number is too large for it, and it is as fine as it can be. The error is

        |a - 2ᵏ h| <= 2⁻¹¹ |a| + 2⁻³⁹ max |a|

    where a is not itself next to the smallest numbers of its dtype. A number that float16 holds comes back as it
    was, but for some below 2⁻¹³ beside one of 2¹⁵ or more, where k is 1.
    """

    values: NDArray[np.float16]
    exponent: int
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, a: Array) -> Self:
        """``a``, not empty, its numbers at most half of the largest that its dtype has."""
        largest = max(float(a.max()), -float(a.min()))
        k = max(math.frexp(largest)[1] - 15, int(np.finfo(a.dtype).minexp))  # 2⁻ᵏ must be a number of this dtype
        return cls((a * a.dtype.type(2.0**-k)).astype(np.float16), k, a.dtype)

    def unpack(self) -> Array:
        """2ᵏ h."""
        a = self.values.astype(self.dtype)
        a *= self.dtype.type(2.0**self.exponent)
        return a


@dataclass(frozen=True)
class Int8:
    """a ≈ s q, with whole numbers q from -127 to 127 and one s = max |a| / 127 for each row: |a - s q| <= s / 2.

    A row is what lies along the last axis, in a batch one sample. A scale for each row, not one for all, because
    an outlier then spoils only its own sample.
    """

    values: NDArray[np.int8]
    scale: Array

    @classmethod
    def of(cls, a: Array) -> Self:
        """``a``, not empty, its numbers at most half of the largest that its dtype has."""
        scale = np.maximum(a.max(axis=-1, keepdims=True), -a.min(axis=-1, keepdims=True)) / a.dtype.type(127)
        scale[scale == 0] = 1  # a row of zeros
        q = a / scale
        np.rint(q, out=q)
        np.clip(q, -127, 127, out=q)  # beside the smallest numbers there are, s is rounded too
        return cls(q.astype(np.int8), scale)

    def unpack(self) -> Array:
        """s q."""
        return self.values * self.scale


@dataclass(frozen=True)
class Bits:
    """True and False in one bit each, not in a byte: no error."""

    values: NDArray[np.uint8]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, a: NDArray[np.bool_]) -> Self:
        """``a``, of any shape."""
        return cls(np.packbits(a), a.shape)

    def unpack(self) -> NDArray[np.bool_]:
        """The array as it was."""
        bits = np.unpackbits(self.values, count=math.prod(self.shape))
        return bits.view(bool).reshape(self.shape)


STORAGES: dict[str, type[Float16 | Int8] | None] = {"float16": Float16, "int8": Int8, "exact": None}

# Packed arrays by the place of the original in memory, with the original, so that the place stays its own.
Shelf = dict[tuple[Any, ...], tuple[Array, Packed]]


class Compressed(Sequential):
    """y = f_n(... f_1(x)) as Sequential computes it, with what f saves held in fewer bits until it goes backward.

    After each layer's forward pass the arrays that it saved are replaced by

        storage="float16"   2 bytes a number, relative error 2⁻¹¹ = 0.0005: see ``Float16``
        storage="int8"      1 byte a number and a scale for each row, error 1/254 of the row's largest: see ``Int8``
        storage="exact"     the arrays as they are, to compare with

    and are made anew, nearly as they were, right before the layer's backward pass. So y is exact, and gradients are
    not: dL/dW = x̂ᵀ dy of a Linear takes the x̂ that came back, and the slope of an activation is taken where it came
    back. Masks, as those of ReLU and Dropout, take one bit an entry in the first two, without error. Held as they
    are: whole numbers, arrays with one axis or one column (statistics of a feature or a sample), and arrays with
    NaN, infinity, or a number next to it.

    ``compression_error`` (memory.py) measures what that does to a network's gradients. With four hidden layers of
    1024 and ReLU, on 512 rows, they are off by 0.006 % with float16 and 0.2 % with int8; 18.0 MiB that are held
    become 5.0 and 2.7 (10.0 with "exact": a layer's results go when nobody needs them, in place of staying lent).

    Raises ``InputError`` as ``Sequential`` does, and for an unknown storage.

    Chen et al., "ActNN: reducing training memory footprint via 2-bit activation compressed training", ICML 2021,
    arXiv:2104.14129 (which rounds at random, with a smallest value for each group); a scale for each row: Dettmers,
    Lewis, Belkada & Zettlemoyer, "LLM.int8()", NeurIPS 2022, arXiv:2208.07339.
    """

    def __init__(self, *layers: Layer, storage: str = "float16") -> None:
        super().__init__(*layers)
        if storage not in STORAGES:
            raise InputError(f"Compressed: storage must be one of {', '.join(STORAGES)}, got {storage!r}")
        self.storage = storage

    def forward(self, x: Array) -> Array:
        self.saved = None  # two passes at once would take twice the memory
        held: list[Any] = []
        for layer in self.layers:
            x = layer.forward(x)
            for hook in self.forward_hooks:
                hook(layer, x)
            held.append(self._pack(layer.saved, {}))
            layer.saved = None
        self.own_saved = held
        return x

    def backward(self, grad_y: Array) -> Array:
        for layer, held in zip(reversed(self.layers), reversed(self.recall()), strict=True):
            for hook in self.backward_hooks:
                hook(layer, grad_y)
            layer.saved = unpack(held)
            grad_y = layer.backward(grad_y)
            layer.saved = None
        return grad_y

    def backward_parameters(self, grad_y: Array) -> None:
        for i in range(len(self.layers) - 1, self._first_to_learn - 1, -1):
            layer = self.layers[i]
            for hook in self.backward_hooks:
                hook(layer, grad_y)
            layer.saved = unpack(self.recall()[i])
            if i == self._first_to_learn:
                layer.backward_parameters(grad_y)
            else:
                grad_y = layer.backward(grad_y)
            layer.saved = None

    def _pack(self, saved: Any, shelf: Shelf) -> Any:
        """``saved`` with its arrays packed, also inside of tuples and lists; one that is there twice, once."""
        if type(saved) in (tuple, list):
            return type(saved)(self._pack(part, shelf) for part in saved)
        kind = STORAGES[self.storage]
        if kind is None or not isinstance(saved, np.ndarray) or saved.size == 0:
            return saved
        place = (saved.ctypes.data, saved.shape, saved.strides, saved.dtype)
        if place in shelf:
            return shelf[place][1]
        packed: Packed
        if saved.dtype == bool:
            packed = Bits.of(saved)
        elif saved.dtype.kind == "f" and saved.ndim > 1 and saved.shape[-1] > 1 and _fits(saved):
            packed = kind.of(saved)
        else:
            return saved
        shelf[place] = (saved, packed)
        return packed

    def __repr__(self) -> str:
        return f"Compressed({', '.join([*map(repr, self.layers), f'storage={self.storage!r}'])})"


def _fits(a: Array) -> bool:
    """Whether all numbers are finite and stay so when they are rounded up."""
    return max(float(a.max()), -float(a.min())) <= float(np.finfo(a.dtype).max) / 2  # False for NaN


def unpack(held: Any) -> Any:
    """What a layer saved, from what ``Compressed`` holds of it."""
    if type(held) in (tuple, list):
        return type(held)(map(unpack, held))
    return held.unpack() if isinstance(held, Float16 | Int8 | Bits) else held
