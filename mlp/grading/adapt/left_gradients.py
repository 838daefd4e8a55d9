"""Which array a call has left as the gradient of a parameter: by place, by name, or because it changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlp.grading.adapt.parameters import HOLDERS, Slot, arrays, kind
from mlp.grading.adapt.remote import Array, Path, as_array

Leaves = Mapping[Path, Any]


def gradient_of(slot: Slot, wanted: str, before: Leaves, after: Leaves, taken: set[Path]) -> Path | None:
    """The path of the gradient of one parameter, a weight or a bias as ``wanted`` says."""
    found = sibling(slot, wanted, after)
    return found or telling(slot, wanted, before, after, taken) or moved(slot, before, after, taken)


def sibling(slot: Slot, wanted: str, after: Leaves) -> Path | None:
    """weight.grad beside weight.data."""
    if len(slot.path) < 2 or not re.fullmatch(HOLDERS, str(slot.path[-1]).lower()):
        return None
    beside = (p for p in after if p[:-1] == slot.path[:-1] and p != slot.path)
    return next((p for p in beside if kind(p) in (f"{wanted}-gradient", "gradient")), None)


def telling(slot: Slot, wanted: str, before: Leaves, after: Leaves, taken: set[Path]) -> Path | None:
    """By name; of several one of the right size that changed. A number may be a gradient too, a wrong one."""
    found = arrays(after)
    size = np.prod(shape_of(slot, found))
    named = [p for p in [*found, *after] if kind(p) == f"{wanted}-gradient" and p not in taken]
    same = [p for p in named if p in found and found[p].size == size]
    new = [p for p in same or named if changed(p, before, after)]
    return next(iter(new or same or named), None)


def moved(slot: Slot, before: Leaves, after: Leaves, taken: set[Path]) -> Path | None:
    """An array of the parameter's shape, or its transpose, that is nothing else."""
    found = arrays(after)
    shape = shape_of(slot, found)
    fitting = [p for p, a in found.items() if a.shape in (shape, shape[::-1]) and p != slot.path and p not in taken]
    new = (p for p in fitting if changed(p, before, after) and kind(p) not in ("weight", "bias", "velocity"))
    return next(new, None)


def shape_of(slot: Slot, found: Mapping[Path, Array]) -> tuple[int, ...]:
    """Of the parameter, as it is now."""
    return found[slot.path].shape if slot.path in found else slot.shape


def changed(path: Path, before: Mapping[Path, Any], after: Mapping[Path, Any]) -> bool:
    """Is the array new, or another one than before?"""
    old, new = as_array(before.get(path)), as_array(after.get(path))
    if old is None or new is None:
        return new is not None
    return old.shape != new.shape or not np.array_equal(old, new, equal_nan=True)
