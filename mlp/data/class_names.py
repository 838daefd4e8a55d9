"""The names of classes: how they number labels, travel with a network, and are kept in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.checks import InputError


class ClassNames(tuple[str, ...]):
    """The classes of labels that were names, in an order that nobody chose: numbers say nothing of them."""


def written_classes(classes: tuple[str, ...] | None) -> dict[str, Any]:
    """The names of classes for a file, and whether labels have to be names."""
    return {"classes": classes, "labels_are_names": isinstance(classes, ClassNames)}


def read_classes(about: Mapping[str, Any]) -> tuple[str, ...] | None:
    """What ``written_classes`` wrote."""
    names = about.get("classes")
    return (ClassNames if about.get("labels_are_names") else tuple)(names) if names else None


def check_class_names(classes: Sequence[str], num_classes: int | None, where: str) -> tuple[str, ...]:
    """The names as a tuple. Raises ``InputError`` unless they are different texts, as many as ``num_classes``."""
    names = tuple(classes)
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise InputError(f"{where}: classes must be different names, got {classes!r}")
    if num_classes not in (None, len(names)):
        raise InputError(f"{where}: num_classes {num_classes!r}, but there are {len(names)} class names")
    return (ClassNames if isinstance(classes, ClassNames) else tuple)(map(str, names))


def encode(names: Array, classes: tuple[str, ...], where: str) -> NDArray[np.intp]:
    """The number of each name in ``classes``. Raises ``InputError`` for a name that is none of them."""
    found, indices = np.unique(names, return_inverse=True)
    place = {name: i for i, name in enumerate(classes)}
    unknown = [name for name in found.tolist() if name not in place]
    if unknown:
        raise InputError(f"{where}: label {unknown[0]!r} is none of the classes {', '.join(classes)}")
    of_found = np.array([place[name] for name in found.tolist()], dtype=np.intp)
    return of_found[indices]


def renumber(labels: Array, old: tuple[str, ...], new: tuple[str, ...], where: str) -> Array:
    """Labels numbered as in ``new`` that were numbered as in ``old``: classes (n,), or distributions (n, K)."""
    if old == new:
        return labels
    if labels.ndim == 1:
        return encode(np.array(old)[labels], new, where)
    used = np.flatnonzero(labels.any(axis=0))
    rows = np.zeros((len(labels), len(new)), labels.dtype)
    rows[:, encode(np.array(old)[used], new, where)] = labels[:, used]
    return rows
