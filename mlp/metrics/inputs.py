"""What metrics accept, checked in one place: scores, probabilities or predictions, and labels of two kinds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_integer
from mlp.functional import check_labels, one_hot

Indices = NDArray[np.intp]

# A row of float16 or float32 probabilities misses 1 by rounding, a row of scores by far more.
SUM_TOLERANCE = 1e-3


def real_array(where: str, name: str, values: ArrayLike) -> Array:
    """``values`` as an array. Raises ``InputError`` unless they are finite real numbers."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(f"{where}: {name} do not form an array: {error}") from None
    if array.dtype.kind not in "buif":
        raise InputError(f"{where}: {name} must be real numbers, got {array.dtype}")
    if not np.isfinite(array).all():
        raise InputError(f"{where}: {name} must be finite, got {array[~np.isfinite(array)].flat[0]}")
    return array.astype(np.intp) if array.dtype.kind == "b" else array


def check_scores(where: str, scores: ArrayLike, labels: ArrayLike) -> tuple[Array, Indices | Array]:
    """Scores (..., K) as (N, K), and labels: classes (...) as (N,), or distributions (..., K) as (N, K).

    Raises ``InputError`` for no rows, shapes that do not fit, labels out of range, and rows of labels that are
    no distributions.
    """
    s, y = real_array(where, "scores", scores), real_array(where, "labels", labels)
    if s.ndim < 1 or s.size == 0 or y.shape not in (s.shape[:-1], s.shape):
        raise InputError(
            f"{where} needs scores (..., K) and as many labels (...), or distributions (..., K), at least one; "
            f"got {s.shape} and {y.shape}"
        )
    rows = s.reshape(-1, s.shape[-1])
    if y.shape != s.shape:
        return rows, check_labels(y.reshape(-1), s.shape[-1])
    if y.dtype.kind != "f":
        raise InputError(
            f"{where}: labels of the scores' shape are distributions, which must be floating-point, got {y.dtype} "
            f"of shape {y.shape} for scores of type {s.dtype}; predicted classes must be integers"
        )
    check_distributions(where, "labels", y)
    return rows, y.reshape(rows.shape)


def check_probabilities(where: str, probabilities: ArrayLike, labels: ArrayLike) -> tuple[Array, Indices | Array]:
    """As ``check_scores``, for rows that must be distributions."""
    p, y = check_scores(where, probabilities, labels)
    check_distributions(where, "probabilities", p)
    return p, y


def check_distributions(where: str, name: str, rows: Array) -> None:
    """Raise ``InputError`` unless no entry is negative and every row sums to 1."""
    if rows.min() < 0:
        raise InputError(f"{where}: {name} must not be negative, got {rows.min():g}")
    sums = rows.sum(axis=-1, dtype=np.float64).reshape(-1)
    worst = np.abs(sums - 1).argmax()
    if abs(sums[worst] - 1) > SUM_TOLERANCE:
        hint = (
            "labels of the scores' shape are distributions, class labels are integers"
            if name == "labels"
            else "mlp.functional.softmax turns scores into probabilities"
        )
        raise InputError(f"{where}: each row of {name} must sum to 1, row {worst} sums to {sums[worst]:g}; {hint}")


def is_binary(scores: Array, labels: Array) -> bool:
    """Whether there is one score, that of the positive class, for each label: both (N,), the labels integers."""
    return labels.ndim == 1 and scores.shape == labels.shape and labels.dtype.kind in "iu"


def check_unit_interval(where: str, probabilities: Array) -> None:
    """Raise ``InputError`` unless every entry is from 0 to 1."""
    outside = probabilities[(probabilities < 0) | (probabilities > 1)]
    if outside.size:
        raise InputError(f"{where}: probabilities must be from 0 to 1, got {outside.flat[0]:g}")


def check_predictions(
    where: str, scores: ArrayLike, labels: ArrayLike, num_classes: int | None = None
) -> tuple[Indices, Indices, int]:
    """Predicted classes (N,), true classes (N,), and the number K of classes.

    ``scores`` may be predicted classes already: integers, or booleans for two classes, of the labels' shape.
    K is then ``num_classes``, by default the largest class that occurs + 1.
    """
    if num_classes is not None:
        num_classes = check_integer(f"{where}: num_classes", num_classes, 1)
    s, y = real_array(where, "scores", scores), real_array(where, "labels", labels)
    if s.shape == y.shape and s.size and s.dtype.kind in "iu" and y.dtype.kind in "iu":
        K = max(int(s.max()), int(y.max()), 0) + 1 if num_classes is None else num_classes
        return check_labels(s.reshape(-1), K), check_labels(y.reshape(-1), K), K
    s, y = check_scores(where, s, y)
    K = s.shape[1]
    if num_classes not in (None, K):
        raise InputError(f"{where}: num_classes is {num_classes}, but there are {K} scores")
    return s.argmax(axis=1), true_classes(y), K


def check_binary(where: str, scores: ArrayLike, labels: ArrayLike) -> tuple[Array, NDArray[np.bool_]]:
    """Scores (N,) of the positive class, and which samples are positive (N,); both kinds must occur."""
    s, y = real_array(where, "scores", scores), real_array(where, "labels", labels)
    if s.ndim != 1 or s.shape != y.shape or s.size == 0:
        raise InputError(
            f"{where} needs scores (N,) of the positive class and as many labels, at least one; "
            f"got {s.shape} and {y.shape}"
        )
    is_positive = check_labels(y, 2) == 1
    positives = int(np.count_nonzero(is_positive))
    if positives in (0, s.size):
        raise InputError(
            f"{where} needs samples of both classes, got {positives} positive and {s.size - positives} negative"
        )
    return s.astype(np.result_type(s, np.float16)), is_positive


def true_classes(labels: Indices | Array) -> Indices:
    """The class of each sample: a label itself, or where a distribution is largest (the first of equal ones)."""
    return labels.argmax(axis=1) if labels.ndim == 2 else labels.astype(np.intp, copy=False)


def target_distributions(labels: Indices | Array, num_classes: int) -> NDArray[np.float64]:
    """Y (N, K) in float64: one-hot rows for labels, distributions as they are."""
    return (labels if labels.ndim == 2 else one_hot(true_classes(labels), num_classes)).astype(np.float64)
