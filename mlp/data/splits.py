"""Which samples are held out, at random or with the same share of every class: lists of indices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.checks import InputError

Indices = NDArray[np.intp]


def split_indices(
    samples: int, held_out: int, rng: np.random.Generator, classes: NDArray[np.intp] | None, where: str
) -> tuple[Indices, Indices]:
    """(rest, held out): two sorted lists of indices that together are 0 .. samples - 1; by ``classes`` if given."""
    if classes is not None:
        return split_by_class(classes, held_out, rng, where)
    order = rng.permutation(samples)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def split_by_class(
    classes: NDArray[np.intp], held_out: int, rng: np.random.Generator, where: str
) -> tuple[Indices, Indices]:
    """The same, with the share of every class in both parts as near to its share of all as whole samples allow.

    Raises ``InputError`` if a class could not be in both parts.
    """
    counts = np.bincount(classes)
    present = np.flatnonzero(counts)
    shares = shares_of_classes(counts[present], held_out, where, present)
    rest, taken = [], []
    for k, share in zip(present, shares, strict=True):
        members = rng.permutation(np.flatnonzero(classes == k))
        taken.append(members[:share])
        rest.append(members[share:])
    return np.sort(np.concatenate(rest)), np.sort(np.concatenate(taken))


def shares_of_classes(
    counts: NDArray[np.intp], held_out: int, where: str, names: NDArray[np.intp]
) -> NDArray[np.intp]:
    """How many of each class's ``counts`` samples are held out, ``held_out`` in all: 1 .. count - 1 of each.

    The quota held_out · count / n is rounded down, and what is missing goes to the largest remainders.
    """
    samples = int(counts.sum())
    if counts.min() < 2:
        raise InputError(
            f"{where}: class {names[np.argmin(counts)]} has one sample, which cannot be in both parts; "
            "leave it out, or split with stratify=False"
        )
    if not len(counts) <= held_out <= samples - len(counts):
        raise InputError(
            f"{where}: {held_out} of {samples} samples cannot be held out with each of the {len(counts)} classes "
            "in both parts; choose another fraction, or stratify=False"
        )
    quota = held_out * counts / samples
    shares = np.clip(np.floor(quota).astype(np.intp), 1, counts - 1)
    while (missing := held_out - int(shares.sum())) != 0:
        step = 1 if missing > 0 else -1
        can_move = shares < counts - 1 if missing > 0 else shares > 1
        shares[np.argmax(np.where(can_move, step * (quota - shares), -np.inf))] += step
    return shares


def class_of(labels: Array) -> NDArray[np.intp]:
    """The class of each label: itself, or the most probable class of a distribution."""
    return labels.argmax(axis=1) if labels.dtype.kind == "f" else labels
