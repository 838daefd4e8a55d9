"""How well scores order the samples, whatever their scale: the ROC curve and the area under it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.metrics.inputs import check_binary, check_probabilities, is_binary, real_array, true_classes

Floats = NDArray[np.float64]

AVERAGES = (None, "macro", "weighted")


class RocCurve(NamedTuple):
    """Points of an ROC curve, from (0, 0) to (1, 1), three arrays of equal length.

    A sample is called positive if its score is at least the threshold; the first threshold is infinite.
    """

    false_positive_rate: Floats
    true_positive_rate: Floats
    thresholds: Array


def roc_curve(scores: ArrayLike, labels: ArrayLike) -> RocCurve:
    """The share of positives found, TP / P, against that of false alarms, FP / N, for every threshold.

    Takes scores (N,) of the positive class, larger for positive: a logit, a probability, or the difference of
    two scores, since only their order counts. Labels (N,) are 0 and 1, or booleans. Samples with equal scores
    pass a threshold together, so they make one point, and a sloped line towards it.

    Raises ``InputError`` unless both classes occur. T. Fawcett, "An introduction to ROC analysis", 2006.
    """
    s, is_positive = check_binary("roc_curve", scores, labels)
    order = np.argsort(s)[::-1]
    s, is_positive = s[order], is_positive[order]
    last_of_ties = np.append(np.flatnonzero(s[:-1] != s[1:]), s.size - 1)
    true_positives = np.cumsum(is_positive)[last_of_ties]
    false_positives = last_of_ties + 1 - true_positives
    return RocCurve(
        np.append(0, false_positives) / false_positives[-1],
        np.append(0, true_positives) / true_positives[-1],
        np.append(s.dtype.type(np.inf), s[last_of_ties]),
    )


def auc(x: ArrayLike, y: ArrayLike) -> float:
    """The area under the straight lines through the points (x, y), by the trapezoidal rule.

    ``auc(curve.false_positive_rate, curve.true_positive_rate)`` is the area under an ROC curve. x must not
    decrease; both are (n,) with n >= 2.
    """
    x, y = real_array("auc", "x", x), real_array("auc", "y", y)
    if x.ndim != 1 or x.shape != y.shape or x.size < 2:
        raise InputError(f"auc needs x and y of one shape (n,), n at least 2; got {x.shape} and {y.shape}")
    if (np.diff(x) < 0).any():
        raise InputError("auc: x must not decrease; sort the points along the curve")
    return float(np.trapezoid(y, x))


def roc_auc(scores: ArrayLike, labels: ArrayLike, *, average: str | None = "macro") -> float | Floats:
    """The area under the ROC curve: the probability that a positive sample scores higher than a negative one.

    Ties count ½: it is the Mann-Whitney statistic U / (P N).

    Two classes: scores (N,) of the positive class, of any scale, and labels (N,), 0 and 1.
    K classes, one against the rest: probabilities (..., K) and labels (...). Column k ranks all samples for
    class k; so it takes probabilities, in which softmax has compared each score with the others of its row.
    average: "macro" is the mean over the classes, "weighted" weighs them with their numbers of samples, None
        gives the array (K,).

    Raises ``InputError`` for a class without samples, whose area is undefined.
    J. A. Hanley & B. J. McNeil, "The meaning and use of the area under a ROC curve", Radiology 1982;
    F. Provost & P. Domingos, "Well-trained PETs", 2000, for the weighted average.
    """
    if average not in AVERAGES:
        raise InputError(f"roc_auc: average must be one of {', '.join(map(str, AVERAGES))}, got {average!r}")
    s, y = real_array("roc_auc", "scores", scores), real_array("roc_auc", "labels", labels)
    if is_binary(s, y):
        return _area(*check_binary("roc_auc", s, y))
    p, y = check_probabilities("roc_auc", s, y)
    true, K = true_classes(y), p.shape[1]
    support = np.bincount(true, minlength=K)
    if not support.all():
        raise InputError(f"roc_auc needs samples of every class, there are none of class {support.argmin()}")
    if support.max() == len(p):
        raise InputError("roc_auc needs at least two classes, got one")
    areas = np.array([_area(p[:, k], true == k) for k in range(K)])
    if average is None:
        return areas
    return float(np.average(areas, weights=support if average == "weighted" else None))


def _area(scores: Array, is_positive: NDArray[np.bool_]) -> float:
    curve = roc_curve(scores, is_positive)
    return auc(curve.false_positive_rate, curve.true_positive_rate)
