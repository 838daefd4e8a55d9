"""What metrics accept, checked in one place: the truth first, then scores, probabilities or predicted classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlp.arrays import Array
from mlp.checks import InputError, plain_array
from mlp.functional import check_labels, find_no_distribution, is_whole, one_hot, two_scores

Indices = NDArray[np.intp]
Floats = NDArray[np.float64]


def real_array(where: str, name: str, values: ArrayLike, may_be_impossible: bool = False) -> Array:
    """``values`` as an array of finite real numbers, booleans as 0 and 1.

    ``may_be_impossible`` allows -inf: the score of a class that cannot be, or the logarithm of a probability of 0.
    """
    array = plain_array(f"{where}: {name}", values)
    if array.dtype.kind not in "buif":
        raise InputError(f"{where}: {name} must be real numbers, got {array.dtype}")
    wrong = ~np.isfinite(array) & ~(np.isneginf(array) if may_be_impossible else np.False_)
    if wrong.any():
        raise InputError(f"{where}: {name} must be finite, got {array[wrong].flat[0]}")
    return array.astype(np.intp) if array.dtype.kind == "b" else array


def check_scores(
    where: str, y_true: ArrayLike, y_score: ArrayLike, name: str = "y_score"
) -> tuple[Indices | Array, Array]:
    """(labels, scores): classes (N,) or distributions (N, K), and scores (N, K).

    Scores are (..., K) with labels (...), distributions (..., K), or one-hot rows of integers. One score a sample,
    (..., 1), becomes the two of ``two_scores``, and one probability p the two (1 - p, p).
    """
    s = real_array(where, name, y_score, may_be_impossible=name == "y_score")
    y = real_array(where, "y_true", y_true)
    _refuse_other_order(where, y, s, name)
    if y.shape == (*s.shape[:-1], 1):
        y = y[..., 0]
    if s.ndim < 1 or s.size == 0 or y.shape not in (s.shape[:-1], s.shape):
        raise InputError(
            f"{where} needs y_true, labels (...) or distributions (..., K), and as many {name} (..., K), at least "
            f"one; got {y.shape} and {s.shape}"
        )
    rows = s.reshape(-1, s.shape[-1])
    if rows.shape[1] == 1:
        rows = two_scores(rows) if name == "y_score" else np.hstack([1 - rows, rows])
    if np.isneginf(rows).all(axis=1).any():
        raise InputError(f"{where}: a row of {name} is -inf for every class; one class must be possible")
    if y.shape == s.shape:
        return _read_rows(where, y.reshape(rows.shape)), rows
    return check_labels(y.reshape(-1), rows.shape[1]), rows


def _refuse_other_order(where: str, y: Array, s: Array, name: str) -> None:
    """Raise ``InputError`` if the first argument has the axis of classes, and the second has not."""
    is_column = y.ndim == s.ndim > 0 and y.shape[:-1] == s.shape[:-1] and s.shape[-1] == 1 < y.shape[-1]
    if y.ndim > s.ndim or is_column:
        order = (
            "scores come first, then labels" if where.endswith(".fit") else "y_true comes first, as in scikit-learn"
        )
        raise InputError(f"{where}: {order}; got y_true of shape {y.shape} and {name} of shape {s.shape}")


def _read_rows(where: str, y: Array) -> Indices | Array:
    """Labels that have the shape of the scores: one-hot rows of integers as classes, distributions as they are."""
    if y.dtype.kind not in "iu":
        check_distributions(where, "y_true", y)
        return y
    if not is_one_hot(y):
        raise InputError(
            f"{where}: y_true of the shape of the scores, {y.shape}, is one-hot rows or distributions, but these "
            "integers are neither; classes have one axis less"
        )
    return y.argmax(axis=1)


def check_probabilities(where: str, y_true: ArrayLike, y_proba: ArrayLike) -> tuple[Indices | Array, Array]:
    """As ``check_scores``, for rows that must be distributions; p (N,) or (N, 1) becomes (1 - p, p)."""
    y, p = real_array(where, "y_true", y_true), real_array(where, "y_proba", y_proba)
    pair = as_binary(where, y, p)
    if pair is not None:
        y, p = pair[0], np.stack([1 - pair[1], pair[1]], axis=1)
    y, p = check_scores(where, y, p, "y_proba")
    check_distributions(where, "y_proba", p)
    return y, p


def as_binary(where: str, y: Array, p: Array) -> tuple[Array, Array] | None:
    """Labels (N,) and one probability (N,) for each, that of the positive class; None if there are K for each.

    Both may be columns (N, 1). Raises ``InputError`` for a probability outside 0 .. 1.
    """
    y, p = (a[:, 0] if a.ndim == 2 and a.shape[1] == 1 else a for a in (y, p))
    if y.ndim != 1 or p.shape != y.shape or not p.size or not (y.dtype.kind in "iu" or is_whole(y)):
        return None
    outside = p[(p < 0) | (p > 1)]
    if outside.size:
        raise InputError(f"{where}: probabilities must be from 0 to 1, got {outside.flat[0]:g}")
    return y, p


def check_distributions(where: str, name: str, rows: Array) -> None:
    """Raise ``InputError`` unless no entry is negative and every row sums to 1."""
    wrong = find_no_distribution(rows)
    if wrong is None:
        return
    if rows.min() < 0:
        raise InputError(f"{where}: {name} must not be negative, got {rows.min():g}" + _hint(name))
    total = rows[wrong].sum(dtype=np.float64)
    raise InputError(f"{where}: each row of {name} must sum to 1, row {wrong} sums to {total:g}" + _hint(name))


def _hint(name: str) -> str:
    if name == "y_true":
        return "; labels of the shape of the scores are distributions (and y_true comes first)"
    return "; mlp.functional.softmax turns scores into probabilities"


def is_one_hot(rows: Array) -> bool:
    """Whether integers (N, K), K of 2 or more, have one 1 in each row, and 0 elsewhere."""
    return (
        rows.ndim == 2 and rows.shape[1] > 1 and ((rows == 0) | (rows == 1)).all() and (rows.sum(axis=1) == 1).all()
    )


def check_binary(where: str, y_true: ArrayLike, y_score: ArrayLike) -> tuple[NDArray[np.bool_], Array]:
    """Which samples are positive (N,), and scores (N,) of the positive class, also (N, 1); both kinds must
    occur."""
    y, s = real_array(where, "y_true", y_true), real_array(where, "y_score", y_score, may_be_impossible=True)
    y, s = (a[:, 0] if a.ndim == 2 and a.shape[1] == 1 else a for a in (y, s))
    if s.ndim != 1 or s.shape != y.shape or s.size == 0:
        raise InputError(
            f"{where} needs y_true (N,), 0 and 1, and as many y_score (N,) of the positive class, at least one; "
            f"got {y.shape} and {s.shape}"
        )
    try:
        is_positive = check_labels(y, 2) == 1
    except InputError as error:
        raise InputError(f"{where}: y_true: {error}; y_true comes first, then y_score") from None
    positives = int(np.count_nonzero(is_positive))
    if positives in (0, s.size):
        raise InputError(
            f"{where} needs samples of both classes, got {positives} positive and {s.size - positives} negative"
        )
    return is_positive, s.astype(np.result_type(s, np.float16))


def check_sample_weight(where: str, sample_weight: ArrayLike | None, samples: int) -> Floats | None:
    """Weights (N,), float64. Raises ``InputError`` unless they are finite, at least 0, and not all 0."""
    if sample_weight is None:
        return None
    weight = real_array(where, "sample_weight", sample_weight).astype(np.float64).reshape(-1)
    if len(weight) != samples or weight.min() < 0 or weight.max() == 0:
        raise InputError(
            f"{where}: sample_weight must be {samples} numbers of at least 0, not all 0, got shape "
            f"{np.shape(sample_weight)}" + (f" from {weight.min():g} to {weight.max():g}" if weight.size else "")
        )
    return weight


def true_classes(labels: Indices | Array) -> Indices:
    """The class of each sample: a label itself, or where a distribution is largest (the first of equal ones)."""
    return labels.argmax(axis=1) if labels.ndim == 2 else labels.astype(np.intp, copy=False)


def target_distributions(labels: Indices | Array, num_classes: int) -> Floats:
    """Y (N, K) in float64: one-hot rows for labels, distributions as they are."""
    return (labels if labels.ndim == 2 else one_hot(true_classes(labels), num_classes)).astype(np.float64)
