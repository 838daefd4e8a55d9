"""How well scores order the samples, whatever their scale: ROC and precision-recall curves, and the areas under
them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.metrics.inputs import (
    Floats,
    check_binary,
    check_probabilities,
    check_sample_weight,
    real_array,
    true_classes,
)

AVERAGES = (None, "macro", "weighted")


class RocCurve(NamedTuple):
    """Points of an ROC curve, from (0, 0) to (1, 1), three arrays of equal length.

    A sample is called positive if its score is at least the threshold; the first threshold is infinite.
    """

    false_positive_rate: Floats
    true_positive_rate: Floats
    thresholds: Array


class PrecisionRecallCurve(NamedTuple):
    """Points of a precision-recall curve, from recall 1 down to (precision 1, recall 0), which has no threshold.

    ``thresholds`` increase, and are one fewer than the points: a sample counts as positive from its threshold on.
    """

    precision: Floats
    recall: Floats
    thresholds: Array


def roc_curve(y_true: ArrayLike, y_score: ArrayLike, *, sample_weight: ArrayLike | None = None) -> RocCurve:
    """The share of positives found, TP / P, against that of false alarms, FP / N, for every threshold.

    Takes labels (N,), 0 and 1, or booleans, and scores (N,) or (N, 1) of the positive class, larger for positive: a
    logit, a probability, or the difference of two scores, since only their order counts. Samples with equal scores
    pass a threshold together, so they make one point, and a sloped line towards it.

    Raises ``InputError`` unless both classes occur. T. Fawcett, "An introduction to ROC analysis", 2006.
    """
    thresholds, true, false = _count_above("roc_curve", y_true, y_score, sample_weight)
    return RocCurve(
        np.append(0, false) / false[-1],
        np.append(0, true) / true[-1],
        np.append(thresholds.dtype.type(np.inf), thresholds),
    )


def _count_above(
    where: str, y_true: ArrayLike, y_score: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Array, Array, Array]:
    """The different scores, largest first, with the positives and the negatives (their weights) from there up."""
    is_positive, s = check_binary(where, y_true, y_score)
    weight = check_sample_weight(where, sample_weight, len(s))
    order = np.argsort(s)[::-1]
    s, is_positive = s[order], is_positive[order]
    w = np.ones(len(s), np.intp) if weight is None else weight[order]
    last_of_ties = np.append(np.flatnonzero(s[:-1] != s[1:]), s.size - 1)
    true = np.cumsum(np.where(is_positive, w, 0))[last_of_ties]
    false = np.cumsum(np.where(is_positive, 0, w))[last_of_ties]
    if true[-1] == 0 or false[-1] == 0:
        raise InputError(f"{where} needs samples of both classes: all those of one have weight 0")
    return s[last_of_ties], true, false


def precision_recall_curve(
    y_true: ArrayLike, y_score: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> PrecisionRecallCurve:
    """Precision TP / (TP + FP) against recall TP / P for every threshold. Arguments as for ``roc_curve``.

    Where positives are rare it shows what an ROC curve hides: how many of the alarms are false.
    """
    thresholds, true, false = _count_above("precision_recall_curve", y_true, y_score, sample_weight)
    called = true + false
    precision = np.where(called > 0, true / np.where(called > 0, called, 1), 1.0)
    return PrecisionRecallCurve(
        np.append(precision[::-1], 1.0), np.append((true / true[-1])[::-1], 0.0), thresholds[::-1]
    )


def average_precision(y_true: ArrayLike, y_score: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """AP = sum_t (R_t - R_t-1) P_t over the thresholds from the largest down: the area under the precision-recall
    curve as steps, without interpolation. Arguments as for ``roc_curve``.

    Scores without information have the share of the positives.
    """
    curve = precision_recall_curve(y_true, y_score, sample_weight=sample_weight)
    return float(-np.sum(np.diff(curve.recall) * curve.precision[:-1]))


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


def roc_auc(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    average: str | None = "macro",
    sample_weight: ArrayLike | None = None,
) -> float | Floats:
    """The area under the ROC curve: the probability that a positive sample scores higher than a negative one.

    Ties count ½: it is the Mann-Whitney statistic U / (P N).

    Two classes: labels (N,), 0 and 1, and scores (N,) or (N, 1) of the positive class, of any scale.
    K classes, one against the rest: labels (...) and probabilities (..., K). Column k ranks all samples for
    class k; so it takes probabilities, in which softmax has compared each score with the others of its row.
    average: "macro" is the mean over the classes, "weighted" weighs them with their numbers of samples, None
        gives the array (K,).

    Raises ``InputError`` for a class without samples, whose area is undefined.
    J. A. Hanley & B. J. McNeil, "The meaning and use of the area under a ROC curve", Radiology 1982;
    F. Provost & P. Domingos, "Well-trained PETs", 2000, for the weighted average.
    """
    if average not in AVERAGES:
        raise InputError(f"roc_auc: average must be one of {', '.join(map(str, AVERAGES))}, got {average!r}")
    s = real_array("roc_auc", "y_score", y_score, may_be_impossible=True)
    y = real_array("roc_auc", "y_true", y_true)
    if s.ndim == 1 == y.ndim or (s.ndim == 2 and s.shape[1] == 1):
        return _area(y, s, sample_weight)
    y, p = check_probabilities("roc_auc", y, s)
    true, K = true_classes(y), p.shape[1]
    weight = check_sample_weight("roc_auc", sample_weight, len(p))
    support = np.bincount(true, weights=weight, minlength=K)
    if not support.all():
        raise InputError(f"roc_auc needs samples of every class, there are none of class {support.argmin()}")
    areas = np.array([_area(true == k, p[:, k], weight) for k in range(K)])
    if average is None:
        return areas
    return float(np.average(areas, weights=support if average == "weighted" else None))


def _area(y_true: ArrayLike, y_score: Array, sample_weight: ArrayLike | None) -> float:
    _, true, false = _count_above("roc_auc", y_true, y_score, sample_weight)
    return auc(np.append(0, false) / false[-1], np.append(0, true) / true[-1])
