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
    last = words[-1]
    if len(words) > 1 and re.fullmatch(HOLDERS, last.lower()):
        return kind(tuple(words[:-1]))
    if len(words) > 1 and re.fullmatch(r"_?(d|g|grad|grads|gradient|diff|dx|derivative)", last.lower()):
        before = names.kind_of_array(words[-2])
        return f"{before}-gradient" if before in ("weight", "bias") else "gradient"
    found = names.kind_of_array(last)
    if found in ("weight", "bias") and any(re.search(r"grad|^d$|diff|delta", w.lower()) for w in words[:-1]):
        return f"{found}-gradient"
    if any(re.search(r"veloc|moment|^v$|cache", w.lower()) for w in words[:-1]):
        return "velocity"
    return found


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


def gradient_of(
    slot: Slot, wanted: str, before: Mapping[Path, Any], after: Mapping[Path, Any], taken: set[Path]
) -> Path | None:
    """The array that backward left for a parameter: a sibling, one with a telling name, or one that changed."""
    if re.fullmatch(HOLDERS, str(slot.path[-1]).lower()) and len(slot.path) > 1:
        for path in after:
            if (
                path[:-1] == slot.path[:-1]
                and path != slot.path
                and kind(path) in (f"{wanted}-gradient", "gradient")
            ):
                return path
    found = arrays(after)
    shape = found[slot.path].shape if slot.path in found else slot.shape
    scalars = {p: v for p, v in after.items() if p not in found and isinstance(v, np.ndarray | float)}
    telling = [p for p in [*found, *scalars] if kind(p) == f"{wanted}-gradient" and p not in taken]
    if telling:
        same = [p for p in telling if p in found and found[p].size == np.prod(shape)]
        moved = [p for p in same or telling if changed(p, before, after)]
        return (moved or same or telling)[0]
    fitting = [p for p, a in found.items() if a.shape in (shape, shape[::-1]) and p != slot.path and p not in taken]
    moved = [p for p in fitting if changed(p, before, after) and kind(p) not in ("weight", "bias", "velocity")]
    return moved[0] if moved else None


def changed(path: Path, before: Mapping[Path, Any], after: Mapping[Path, Any]) -> bool:
    """Is the array new, or another one than before?"""
    old, new = as_array(before.get(path)), as_array(after.get(path))
    if old is None or new is None:
        return new is not None
    return old.shape != new.shape or not np.array_equal(old, new, equal_nan=True)


def settled_shape(value: Array, like: tuple[int, ...], remarks: list[str], what: str) -> Array:
    """The bias gradient as a vector if it differs from the bias by an axis of length 1 only; that is a remark."""
    if value.shape == like:
        return value.reshape(-1) if value.ndim == 2 and 1 in value.shape else value
    if (
        value.ndim != len(like)
        and value.size == np.prod(like)
        and [n for n in value.shape if n > 1] == [n for n in like if n > 1]
    ):
        remark = f"the {what} has shape {value.shape}, the {what.split()[0]} {like}"
        if remark not in remarks:
            remarks.append(remark)
        return value.reshape(-1)
    if value.ndim == 2 and value.shape[::-1] == like and value.shape != like:
        return value.reshape(1, *value.shape)  # a row where a column belongs
    return value
