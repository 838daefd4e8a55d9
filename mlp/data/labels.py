"""What a data set accepts as a label, and what else is made of labels: distributions, weights of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_dtype, check_integer, check_number, plain_array
from mlp.data.class_names import ClassNames, check_class_names, encode
from mlp.functional import check_labels, find_no_distribution, is_whole, one_hot


class Labels(NamedTuple):
    """Labels as a data set keeps them: np.intp (n,), or floats (n, K)."""

    values: Array
    num_classes: int
    classes: tuple[str, ...] | None
    is_classification: bool


def read_labels(
    labels: ArrayLike,
    samples: int,
    num_classes: int | None,
    classes: Sequence[str] | None,
    soft: bool,
    where: str,
) -> Labels:
    """Labels of any accepted kind in the form that a data set keeps; see ``Dataset`` for the kinds."""
    names = None if classes is None else check_class_names(classes, num_classes, where)
    number = num_classes if names is None else len(names)
    values = _label_array(labels, samples, where)
    if soft:
        rows = _soft_rows(values, number, where)
        return Labels(rows, rows.shape[1], names, True)
    values = _one_each(values, where)
    if values.dtype.kind == "U" and values.ndim == 1:
        names = names or ClassNames(check_class_names(np.unique(values).tolist(), num_classes, where))
        return Labels(encode(values, names, where), len(names), names, True)
    if number is not None and values.ndim == 1 and is_whole(values):
        values = values.astype(np.intp)
    if values.dtype.kind in "iu":
        return Labels(*_class_labels(values, number, where), names, True)
    if names is not None:
        raise InputError(f"{where}: classes are given, but the labels are the targets of a regression")
    rows = _float_rows(_targets(values, where), number, "targets", where)
    return Labels(rows, rows.shape[1], None, False)


def _label_array(labels: ArrayLike, samples: int, where: str) -> Array:
    values = plain_array(f"{where}: labels", labels)
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    if values.dtype.kind not in "buifU":
        raise InputError(f"{where}: labels must be integers, names or real numbers, got dtype {values.dtype}")
    if values.ndim == 0 or len(values) != samples:
        raise InputError(f"{where}: {samples} inputs but labels of shape {values.shape}")
    return values


def _one_each(values: Array, where: str) -> Array:
    """Classes as (n,) from booleans, a column (n, 1), or one-hot rows of integers (n, K); else as they are."""
    if values.dtype.kind == "b":
        values = values.astype(np.intp)
    if values.ndim != 2 or values.dtype.kind == "f":
        return values
    if values.shape[1] == 1:
        return values[:, 0]
    if values.dtype.kind == "U":
        return values
    wrong = np.flatnonzero(((values != 0) & (values != 1)).any(axis=1) | (values.sum(axis=1) != 1))
    if wrong.size:
        raise InputError(
            f"{where}: integer labels of shape {values.shape} must be one-hot rows, sample {wrong[0]} is "
            f"{values[wrong[0]]}; classes have shape (n,), and the targets of a regression are floats"
        )
    return values.argmax(axis=1)


def _targets(values: Array, where: str) -> Array:
    """The targets of a regression, (n,) as a column; whole numbers (n,) may be classes, and are refused."""
    if values.ndim != 1 or values.dtype.kind != "f":
        return values
    if is_whole(values):
        raise InputError(
            f"{where}: labels of shape {values.shape} in {values.dtype} may be classes or the targets of a "
            "regression; give y.astype(int) for classes, y[:, None] for targets"
        )
    return values[:, np.newaxis]


def _class_labels(labels: Array, num_classes: int | None, where: str) -> tuple[Array, int]:
    if labels.ndim != 1:
        raise InputError(f"{where}: integer labels must have shape (n,), got shape {labels.shape}")
    classes = max(int(labels.max()) + 1, 1) if num_classes is None else num_classes
    if isinstance(classes, bool) or not isinstance(classes, int | np.integer) or classes < 1:
        raise InputError(f"{where}: num_classes must be an integer of at least 1, got {num_classes!r}")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        raise InputError(
            f"{where}: labels must lie in 0..{classes - 1}, sample {wrong[0]} has label {labels[wrong[0]]}"
            + ("; labels -1 and 1 are given as (labels + 1) // 2" if set(labels.tolist()) == {-1, 1} else "")
            + (
                "; the targets of a regression are floats: labels.astype(float)[:, None]"
                if labels.min() < 0
                else ""
            )
        )
    return labels.astype(np.intp, copy=False), int(classes)


def _float_rows(values: Array, columns: int | None, what: str, where: str) -> Array:
    if values.dtype.kind != "f" or values.ndim != 2 or values.shape[1] == 0:
        accepted = (
            "soft labels must be floats of shape (n, K)"
            if what == "distributions"
            else "labels must be integers of shape (n,), names, or floats of shape (n, k) for a regression"
        )
        raise InputError(f"{where}: {accepted}, got {values.dtype} of shape {values.shape}")
    check_finite(values, what, where)
    if columns not in (None, values.shape[1]):
        raise InputError(f"{where}: num_classes {columns!r}, but the {what} have {values.shape[1]} columns")
    return values


def _soft_rows(values: Array, columns: int | None, where: str) -> Array:
    if values.dtype.kind in "biu" and values.ndim == 2:  # one-hot rows are distributions, too
        values = values.astype(np.float32)
    rows = _float_rows(values, columns, "distributions", where)
    check_distributions(rows, where)
    return rows


def check_finite(array: Array, what: str, where: str) -> None:
    """Raise ``InputError`` that names the first sample with a value that is not finite."""
    if array.dtype.kind != "f":
        return
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        sample = int(np.argmin(finite))
        value = array[sample][~np.isfinite(array[sample])].flat[0]
        raise InputError(f"{where}: {what} must be finite, sample {sample} contains {value}")


def check_distributions(rows: Array, where: str) -> None:
    """Raise ``InputError`` unless every row has entries of at least 0 that sum to 1, up to rounding."""
    wrong = find_no_distribution(rows)
    if wrong is not None:
        raise InputError(
            f"{where}: a soft label is a distribution, entries of at least 0 with sum 1; "
            f"sample {wrong} is {rows[wrong]} with sum {rows[wrong].sum(dtype=np.float64):g}"
        )


def real_array(values: ArrayLike, what: str, where: str) -> Array:
    """``values`` as an array. Raises ``InputError`` unless they are real numbers."""
    array = plain_array(f"{where}: {what}", values)
    if array.dtype.kind not in "buif":
        raise InputError(f"{where}: {what} must be real numbers, got dtype {array.dtype}")
    return array


def check_weights(weights: ArrayLike, samples: int, where: str) -> NDArray[np.float64]:
    """Weights of samples as float64 (n,). Raises ``InputError`` unless they are finite and above 0."""
    array = real_array(weights, "sample weights", where)
    if array.shape != (samples,):
        raise InputError(f"{where}: sample_weight must have shape ({samples},), got {array.shape}")
    wrong = np.flatnonzero(~(np.isfinite(array) & (array > 0)))
    if wrong.size:
        raise InputError(
            f"{where}: sample weights must be finite and above 0, sample {wrong[0]} has {array[wrong[0]]}"
        )
    return array.astype(np.float64)


def smooth_labels(labels: Array, num_classes: int, smoothing: float = 0.1, dtype: DTypeLike = np.float32) -> Array:
    """Labels as distributions over the classes: (1 - smoothing) Y + smoothing / K, shape (n, K), in ``dtype``.

    Y are the one-hot rows of the labels (n,), or the distributions (n, K) that were given. ``smoothing`` = 0 gives
    Y itself. Train on them with ``Dataset(x, smooth_labels(...), soft_labels=True)``.

    Raises ``InputError`` for labels outside 0 .. K - 1, and a smoothing outside 0 .. 1.

    Szegedy, Vanhoucke, Ioffe, Shlens & Wojna, "Rethinking the Inception architecture", CVPR 2016, section 7.
    """
    K = check_integer("smooth_labels: num_classes", num_classes, 1)
    smoothing = check_number("smooth_labels: smoothing", smoothing, 0, 1)
    Y = as_distributions(labels, K, check_dtype(dtype), "smooth_labels")
    Y *= 1 - smoothing
    Y += smoothing / K
    return Y


def as_distributions(targets: Array, num_classes: int, dtype: np.dtype[Any], where: str) -> Array:
    """A new array (n, K): the one-hot rows of class labels (n,), or a copy of distributions (n, K)."""
    targets = plain_array(f"{where}: labels", targets)
    if targets.dtype.kind == "f" and not (targets.ndim == 1 and is_whole(targets)):
        if targets.ndim != 2 or targets.shape[1] != num_classes:
            raise InputError(f"{where}: distributions must have shape (n, {num_classes}), got {targets.shape}")
        check_distributions(targets, where)
        return targets.astype(dtype)
    return one_hot(targets, num_classes, dtype)


def class_weights(labels: Array, num_classes: int) -> NDArray[np.float64]:
    """Weights (K,) that give every class the same say in a mean: w_k = N / (K n_k), n_k samples of class k.

    Their mean over the samples is 1. Known as "balanced" class weights, after G. King & L. Zeng, "Logistic
    regression in rare events data", Political Analysis 2001.

    Raises ``InputError`` for labels outside 0 .. K - 1, and for a class without samples, whose weight no number is.
    """
    K = check_integer("class_weights: num_classes", num_classes, 1)
    labels = check_labels(labels, K).reshape(-1)
    counts = np.bincount(labels, minlength=K)
    if not counts.all():
        raise InputError(f"class_weights: class {int(np.argmin(counts))} has no samples, so it has no weight")
    return len(labels) / (K * counts)
