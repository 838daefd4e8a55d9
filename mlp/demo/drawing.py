"""A drawing becomes a picture like those of MNIST: its size and place are part of what a network learned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.checks import InputError

Bytes = NDArray[np.uint8]
SIDE, BOX = 28, 20  # of a picture, and of the digit in it
MIDDLE = 14.5  # of pixel 14, counted from 0: where the centres of mass are in MNIST
FAINT = 16  # what is darker than this, of 255, is no ink


def like_mnist(drawing: Bytes) -> Bytes:
    """The picture (28, 28) of a drawing (rows, columns), ink 255 on 0, made as the pictures of MNIST were:

    1. the smallest box around the ink is scaled to fit 20×20 pixels, its proportions kept, with grey edges;
    2. it is laid into 28×28 pixels so that its centre of mass is in row 14 and column 14.

    An empty drawing gives an empty picture. Raises ``InputError`` for anything but bytes in two axes.

    LeCun, Cortes & Burges, "The MNIST database of handwritten digits", 1998.
    """
    ink = _check(drawing) >= FAINT
    if not ink.any():
        return np.zeros((SIDE, SIDE), np.uint8)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    digit = drawing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    factor = BOX / max(digit.shape)
    small = resize(digit, max(1, round(digit.shape[0] * factor)), max(1, round(digit.shape[1] * factor)))
    picture = np.zeros((SIDE, SIDE))
    top, left = (_place(small.sum(axis=1 - axis)) for axis in (0, 1))
    picture[top : top + small.shape[0], left : left + small.shape[1]] = small
    return np.rint(picture).astype(np.uint8)


def as_drawn(drawing: Bytes) -> Bytes:
    """The picture (28, 28) of a drawing made smaller, and nothing else: the digit stays where it is."""
    return np.rint(resize(_check(drawing), SIDE, SIDE)).astype(np.uint8)


def resize(image: Array, rows: int, columns: int) -> Array:
    """The image with so many pixels, each the mean of what it covers: A image Bᵀ, with the shares in A and B."""
    return _shares(image.shape[0], rows) @ image @ _shares(image.shape[1], columns).T


def _shares(old: int, new: int) -> Array:
    """(new, old): which part of each new pixel lies on each old one, all along one axis of length 1."""
    begins, ends = np.arange(new)[:, None] / new, np.arange(1, new + 1)[:, None] / new
    overlap = np.minimum(ends, np.arange(1, old + 1) / old) - np.maximum(begins, np.arange(old) / old)
    return np.maximum(overlap, 0) * new


def _place(mass: Array) -> int:
    """Where a digit with this mass along an axis begins, for its centre of mass to be where it should."""
    centre = (np.arange(len(mass)) + 0.5) @ mass / mass.sum()
    return int(np.clip(round(MIDDLE - centre), 0, SIDE - len(mass)))


def _check(drawing: Bytes) -> Bytes:
    if drawing.ndim != 2 or drawing.size == 0 or drawing.dtype != np.uint8:
        raise InputError(f"a drawing is bytes (rows, columns), got {drawing.dtype} of shape {drawing.shape}")
    return drawing
