"""What a data set accepts as a label, and the other forms that labels take: distributions, weights, noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_dtype, check_integer, check_number
from mlp.functional import check_labels, one_hot

if TYPE_CHECKING:
    from mlp.data.dataset import Dataset

# How far from 1 the sum of a distribution in float32 may be.
SUM_TOLERANCE = 1e-5


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
    names = None if classes is None else _class_names(classes, num_classes, where)
    values = _label_array(labels, where)
    if values.ndim == 0 or len(values) != samples:
        raise InputError(f"{where}: {samples} inputs but labels of shape {values.shape}")
    if values.ndim == 1 and values.dtype.kind == "U" and not soft:
        found, indices = np.unique(values, return_inverse=True)
        if names is None:
            names = _class_names(found.tolist(), num_classes, where)
        place = {name: i for i, name in enumerate(names)}
        unknown = [name for name in found.tolist() if name not in place]
        if unknown:
            raise InputError(f"{where}: label {unknown[0]!r} is none of the classes {', '.join(names)}")
        of_found = np.array([place[name] for name in found.tolist()], dtype=np.intp)
        return Labels(of_found[indices], len(names), names, True)
    if values.dtype.kind in "iu" and not soft:
        number = num_classes if names is None else len(names)
        return Labels(*_class_labels(values, number, where), names, True)
    values = _float_rows(values, num_classes if names is None else len(names), soft, where)
    if soft:
        check_distributions(values, where)
    elif names is not None:
        raise InputError(f"{where}: classes are given, but the labels are the targets of a regression")
    return Labels(values, values.shape[1], names, soft)


def _label_array(labels: ArrayLike, where: str) -> Array:
    try:
        values = np.asarray(labels)
    except ValueError as error:
        raise InputError(f"{where}: labels do not form an array: {error}") from error
    if values.dtype.kind == "O" and values.size and all(isinstance(label, str) for label in values.flat):
        values = values.astype(np.str_)
    if values.dtype.kind not in "buifU":
        raise InputError(f"{where}: labels must be integers, names or real numbers, got dtype {values.dtype}")
    return values


def _class_names(classes: Sequence[str], num_classes: int | None, where: str) -> tuple[str, ...]:
    names = tuple(classes)
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise InputError(f"{where}: classes must be different names, got {classes!r}")
    if num_classes not in (None, len(names)):
        raise InputError(f"{where}: num_classes {num_classes!r}, but there are {len(names)} class names")
    return tuple(map(str, names))


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
        )
    return labels.astype(np.intp, copy=False), int(classes)


def _float_rows(values: Array, columns: int | None, soft: bool, where: str) -> Array:
    what = "distributions" if soft else "targets"
    if values.dtype.kind != "f" or values.ndim != 2 or values.shape[1] == 0:
        accepted = (
            "soft labels must be floats of shape (n, K)"
            if soft
            else "labels must be integers of shape (n,), names, or floats of shape (n, k) for a regression"
        )
        raise InputError(f"{where}: {accepted}, got {values.dtype} of shape {values.shape}")
    check_finite(values, what, where)
    if columns not in (None, values.shape[1]):
        raise InputError(f"{where}: num_classes {columns!r}, but the {what} have {values.shape[1]} columns")
    return values


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
    sums = rows.sum(axis=1, dtype=np.float64)
    wrong = np.flatnonzero((rows < 0).any(axis=1) | ~(abs(sums - 1) <= SUM_TOLERANCE))
    if wrong.size:
        raise InputError(
            f"{where}: a soft label is a distribution, entries of at least 0 with sum 1; "
            f"sample {wrong[0]} is {rows[wrong[0]]} with sum {sums[wrong[0]]:g}"
        )


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
    targets = np.asarray(targets)
    if targets.dtype.kind == "f":
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


def corrupt_labels(dataset: Dataset, rate: float, rng: np.random.Generator) -> Dataset:
    """The data set with wrong labels: ``rate`` · n of them, rounded, each replaced by one of the other classes.

    Which samples, and which of the K - 1 other classes, is drawn uniformly (symmetric noise). Compare the labels
    with those of ``dataset`` to see which were changed.

    Raises ``InputError`` for a rate outside 0 .. 1, for fewer than two classes, and unless labels are classes.

    The lesson: Zhang, Bengio, Hardt, Recht & Vinyals, "Understanding deep learning requires rethinking
    generalization", ICLR 2017.
    """
    rate = check_number("corrupt_labels: rate", rate, 0, 1)
    if dataset.labels.dtype.kind == "f" or dataset.num_classes < 2:
        raise InputError(f"corrupt_labels needs class labels of two classes or more, got {dataset!r}")
    wrong = rng.permutation(len(dataset))[: int(rate * len(dataset) + 0.5)]
    labels = dataset.labels.copy()
    # Adding 1 .. K - 1 modulo K leads to every other class, and never back to the same one.
    labels[wrong] = (labels[wrong] + rng.integers(1, dataset.num_classes, len(wrong))) % dataset.num_classes
    return dataset.replace(labels=labels)
