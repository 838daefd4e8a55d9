"""Predicted classes beside the true ones, from all that people hand to metrics: scores, classes, names, one-hot
rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mlp.arrays import Array
from mlp.checks import InputError, check_integer, plain_array
from mlp.functional import check_labels, is_whole
from mlp.metrics.inputs import Indices, check_scores, is_one_hot, real_array, true_classes


class Predictions(NamedTuple):
    """True and predicted classes (N,), the number K of classes, and their names if they came as names."""

    true: Indices
    predicted: Indices
    K: int
    names: tuple[str, ...] | None = None


def check_predictions(
    where: str, y_true: ArrayLike, y_pred: ArrayLike, num_classes: int | None = None
) -> Predictions:
    """Classes from labels and from predicted classes or scores.

    ``y_pred`` are scores (..., K), or classes of the labels' shape: integers, booleans for two classes, names, or
    one-hot rows of integers like the labels. K is then ``num_classes``, by default the largest class + 1.
    """
    if num_classes is not None:
        num_classes = check_integer(f"{where}: num_classes", num_classes, 1)
    names = _read_names(where, y_true, y_pred)
    if names is not None:
        return names
    y, p = real_array(where, "y_true", y_true), real_array(where, "y_pred", y_pred, may_be_impossible=True)
    if p.dtype.kind in "iu" and p.size:
        classes, predicted = _classes_of_both(where, y, p)
        if classes.shape == predicted.shape:
            K = max(int(predicted.max()), int(classes.max()), 0) + 1 if num_classes is None else num_classes
            return Predictions(check_labels(classes.reshape(-1), K), check_labels(predicted.reshape(-1), K), K)
    return _from_scores(where, y, p, num_classes)


def _from_scores(where: str, y: Array, p: Array, num_classes: int | None) -> Predictions:
    """The class of the largest score of each row."""
    if p.ndim == 1 and p.size and p.shape == y.shape and (y.dtype.kind in "iu" or is_whole(y)):
        raise InputError(
            f"{where}: y_pred of shape {p.shape} must be classes, integers, got {p.dtype}; probabilities p of the "
            "positive class become classes by p > 0.5, scores by s > 0"
        )
    labels, s = check_scores(where, y, p)
    if p.shape[-1] == 1:
        _refuse_two_meanings(where, s[:, 1])
    K = s.shape[1]
    if num_classes not in (None, K):
        raise InputError(f"{where}: num_classes is {num_classes}, but there are {K} scores")
    return Predictions(true_classes(labels), s.argmax(axis=1), K)


def _refuse_two_meanings(where: str, column: Array) -> None:
    """Raise ``InputError`` for one number a sample that says class 1 as a score, and class 0 as a probability."""
    if column.min() >= 0 and column.max() <= 1 and ((column > 0) & (column <= 0.5)).any():
        raise InputError(
            f"{where}: y_pred (N, 1) from 0 to 1 may be scores, class 1 above 0, or probabilities, class 1 above "
            "0.5; give classes: (y_pred > 0.5).astype(int)"
        )


def _read_names(where: str, y_true: ArrayLike, y_pred: ArrayLike) -> Predictions | None:
    """Classes that come as names, numbered in the order of the sorted names; None if neither argument has any."""
    y, p = plain_array(f"{where}: y_true", y_true), plain_array(f"{where}: y_pred", y_pred)
    if "U" not in (y.dtype.kind, p.dtype.kind):
        return None
    if y.dtype.kind != p.dtype.kind or y.shape != p.shape or y.ndim != 1 or not y.size:
        raise InputError(
            f"{where}: names of classes are compared with names, (N,) and (N,), got {y.dtype.name} of {y.shape} "
            f"and {p.dtype.name} of {p.shape}; for scores and numbers give the labels as numbers, dataset.labels"
        )
    names, codes = np.unique(np.concatenate([y, p]), return_inverse=True)
    return Predictions(codes[: len(y)], codes[len(y) :], len(names), tuple(names.tolist()))


def _classes_of_both(where: str, y: Array, p: Array) -> tuple[Array, Array]:
    """True and predicted classes (...), from one-hot rows, single columns or whole floats where they are given
    so."""
    if is_whole(y):
        y = y.astype(np.intp)
    if y.dtype.kind == "f":
        return y, p
    if y.ndim == 2 and y.shape == p.shape and y.shape[1] > 1 and ((y | p) >> 1 == 0).all():  # 0 and 1 alone
        if not (is_one_hot(y) and is_one_hot(p)):
            raise InputError(
                f"{where}: rows of 0 and 1, {y.shape}, but not all of them one-hot; one answer a sample: give "
                "classes, .argmax(axis=1) of the scores; one answer an entry: give .ravel() of both"
            )
        return y.argmax(axis=1), p.argmax(axis=1)
    return _one_each(y, p), _one_each(p, y)


def _one_each(classes: Array, others: Array) -> Array:
    """Classes as ``others`` (...) has them, from a column (..., 1) or one-hot rows; else as they are."""
    if classes.shape == (*others.shape, 1):
        return classes[..., 0]
    return classes.argmax(axis=1) if others.shape == classes.shape[:1] and is_one_hot(classes) else classes
