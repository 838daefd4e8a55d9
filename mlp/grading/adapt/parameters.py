"""Where a layer keeps its weight, its bias and their gradients, and in which layout."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlp.grading import names
from mlp.grading.adapt.remote import Array, Path, as_array

HOLDERS = r"_?(data|value|val|array|arr|param|tensor)"  # x.weight.data: the word before tells what it is


@dataclass
class Slot:
    """One parameter: where it is, where its gradient is, and how it lies compared with the definition."""

    path: Path
    shape: tuple[int, ...]
    transposed: bool = False
    gradient: Path | None = None

    def outward(self, value: Array) -> Array:
        """From the definition's layout to the submission's."""
        return np.ascontiguousarray(value.T if self.transposed else value.reshape(self.like(value.shape)))

    def like(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The submission's shape for another size: axes of length 1 stay where they are."""
        if len(shape) == 1 and len(self.shape) == 2:
            return (1, shape[0]) if self.shape[0] == 1 else (shape[0], 1)
        return shape

    def inward(self, value: Array) -> Array:
        """From the submission's layout to the definition's, if the shape allows; axes of length 1 are dropped."""
        if self.transposed and value.ndim == 2:
            return value.T
        return value


def kind(path: Path) -> str | None:
    """What the names on a path say: ("params", "W1") -> "weight"; ("weight", "grad") -> "weight-gradient"."""
    words = [str(p) for p in path if isinstance(p, str)]
    if not words:
        return None
    *outer, last = words
    if outer and re.fullmatch(HOLDERS, last.lower()):
        return kind(tuple(outer))
    if outer and re.fullmatch(r"_?(d|g|grad|grads|gradient|diff|dx|derivative)", last.lower()):
        before = names.kind_of_array(outer[-1])
        return f"{before}-gradient" if before in ("weight", "bias") else "gradient"
    return inside(outer, names.kind_of_array(last))


def inside(outer: list[str], found: str | None) -> str | None:
    """A weight in something called grads is a gradient; anything in something called velocities is one."""
    if found in ("weight", "bias") and any(re.search(r"grad|^d$|diff|delta", w.lower()) for w in outer):
        return f"{found}-gradient"
    return "velocity" if any(re.search(r"veloc|moment|^v$|cache", w.lower()) for w in outer) else found


def arrays(leaves: Mapping[Path, Any]) -> dict[Path, Array]:
    """The leaves that are arrays."""
    return {p: a for p, v in leaves.items() if (a := as_array(v)) is not None and a.ndim > 0}


def find(leaves: Mapping[Path, Any], shapes: Iterable[tuple[int, ...]], wanted: str) -> list[Path]:
    """Paths of arrays of one of the shapes, those with a telling name first, gradients and velocities last."""
    accepted = list(shapes)
    fitting = [p for p, a in arrays(leaves).items() if a.shape in accepted]

    def rank(path: Path) -> int:
        word = kind(path)
        return 0 if word == wanted else 1 if word is None else 2 if word in ("weight", "bias") else 3

    return sorted([p for p in fitting if rank(p) < 3], key=rank) or []


def settled_shape(value: Array, like: tuple[int, ...], remarks: list[str], what: str) -> Array:
    """The bias gradient as a vector if it differs from the bias by an axis of length 1 only; that is a remark."""
    if value.shape == like:
        return value.reshape(-1) if value.ndim == 2 and 1 in value.shape else value
    if value.ndim != len(like) and without_ones(value.shape) == without_ones(like):
        remark = f"the {what} has shape {value.shape}, the {what.split()[0]} {like}"
        if remark not in remarks:
            remarks.append(remark)
        return value.reshape(-1)
    if value.ndim == 2 and value.shape[::-1] == like:
        return value.reshape(1, *value.shape)  # a row where a column belongs
    return value


def without_ones(shape: tuple[int, ...]) -> list[int]:
    """The axes that count."""
    return [n for n in shape if n > 1]


def kept_rate(leaves: Mapping[Path, Any]) -> float | None:
    """The learning rate that an object keeps for steps of its own."""
    for path, value in leaves.items():
        if names.matches(names.RATE, str(path[-1])) and isinstance(value, int | float) and value:
            return float(value)
    return None


OVER_ALL = r"(running|moving|run|ema|pop\w*)_?"
STATISTICS = (
    rf"{OVER_ALL}(mean|mu|m|avg)|(mean|mu)_(running|moving)",
    rf"{OVER_ALL}(var\w*|v|sigma2)|var\w*_(running|moving)",
)


def running_statistics(leaves: Mapping[Path, Any]) -> Array | None:
    """Mean and variance over all calls, stacked, if a BatchNorm layer keeps them."""
    found: list[Array] = []
    for words in STATISTICS:
        found += [a.reshape(-1) for p, a in arrays(leaves).items() if names.matches(words, str(p[-1]))][:1]
    return np.stack(found) if len(found) == 2 and found[0].shape == found[1].shape else None
