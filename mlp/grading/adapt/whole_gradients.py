"""Which of the arrays that a network in one piece returned or left behind is the gradient of which parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlp.grading.adapt.left_gradients import changed
from mlp.grading.adapt.parameters import Slot, arrays, kind
from mlp.grading.adapt.remote import Array, Items, Path, as_array


def listed(value: Any, path: Path = ()) -> dict[Path, Array]:
    """All arrays of a result, however nested; numbers are none."""
    if isinstance(value, Items):
        found: dict[Path, Array] = {}
        for key, item in value.elements.items():
            found |= listed(item, (*path, key))
        return found
    array = as_array(value)
    return (
        {}
        if array is None or (array.ndim == 0 and not str(path[-1:]).strip("()',").startswith("d"))
        else {path: array}
    )


def from_leaves(before: Mapping[Path, Any], after: Mapping[Path, Any], own: set[Path]) -> dict[Path, Array]:
    """The arrays that a call left behind and that may be gradients."""
    return {
        p: a for p, a in arrays(after).items()
        if p not in own and changed(p, before, after) and kind(p) not in ("weight", "bias", "velocity")
    }  # fmt: skip


def assigned(slots: Mapping[str, Slot], found: Mapping[Path, Array]) -> dict[str, Array]:
    """By name, then by shape, then by elimination; nothing if less than half is found."""
    rest = dict(found)
    result: dict[str, Array] = {}
    for fits in (by_name, by_shape):
        for name, slot in slots.items():
            path = None if name in result else next((p for p, a in rest.items() if fits(name, slot, p, a)), None)
            if path is not None:
                result[name] = rest.pop(path)
    open_names = [name for name in slots if name not in result]
    if len(open_names) == 1 and len(rest) == 1:
        result[open_names[0]] = rest.popitem()[1]
    return result if len(result) >= 3 else {}


def by_name(name: str, slot: Slot, path: Path, array: Array) -> bool:
    """dW1, grad_W1, W1_grad, nabla_W1 or W1 itself, or the parameter's own name with such a word."""
    word = plain(path)
    bases = {name.lower(), plain(slot.path)}
    affixes = ("", "d", "grad", "delta", "nabla", "g", "dl", "dld", "gradient")
    return any(word in (a + base, base + a) for base in bases for a in affixes)


def plain(path: Path) -> str:
    """grads.W1 -> w1; weights[0] -> weights0."""
    words = [str(w) for w in path]
    last = words[-2:] if words[-1:] and words[-1].isdigit() else words[-1:]
    return "".join(last).lower().replace("_", "")


def by_shape(name: str, slot: Slot, path: Path, array: Array) -> bool:
    """The parameter's shape, or one that differs by axes of length 1."""
    return [n for n in array.shape if n > 1] == [n for n in slot.shape if n > 1] and np.size(array) > 0
