"""Counts of (true class, predicted class), and what follows for each class: precision, recall, F1 and their table.

Arguments are those of ``mlp.metrics.classification``: the truth, then scores or predicted classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from mlp.arrays import Array
from mlp.checks import InputError, check_number
from mlp.metrics.inputs import Floats, check_sample_weight
from mlp.metrics.predictions import check_predictions
from mlp.metrics.report import ClassificationReport

AVERAGES = (None, "macro", "micro", "weighted")
NORMALISATIONS = (None, "true", "pred", "all")


def confusion_matrix(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    normalize: str | None = None,
    num_classes: int | None = None,
    sample_weight: ArrayLike | None = None,
) -> Array:
    """C (K, K): C[i, j] counts the samples of true class i (rows) with predicted class j (columns).

    Takes scores or predictions. With ``sample_weight`` it is the sum of the weights. ``normalize`` divides by the
    sum of each row ("true": the diagonal is the recall), of each column ("pred": the diagonal is the precision), or
    by that of all entries ("all"); rows and columns without a sample stay 0. ``num_classes`` is for predictions
    that do not show all K classes. Names are numbered in sorted order.
    """
    return _count("confusion_matrix", y_true, y_pred, num_classes, sample_weight, normalize)[0]


def _count(
    where: str,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    num_classes: int | None,
    sample_weight: ArrayLike | None,
    normalize: str | None = None,
) -> tuple[Array, tuple[str, ...] | None]:
    """The confusion matrix, and the names of its classes if they came as names."""
    if normalize not in NORMALISATIONS:
        accepted = ", ".join(map(str, NORMALISATIONS))
        raise InputError(f"confusion_matrix: normalize must be one of {accepted}, got {normalize!r}")
    true, predicted, K, names = check_predictions(where, y_true, y_pred, num_classes)
    weight = check_sample_weight(where, sample_weight, len(true))
    C: Array = np.bincount(true * K + predicted, weights=weight, minlength=K * K).reshape(K, K)
    if normalize is not None:
        total = C.sum(axis={"true": 1, "pred": 0, "all": None}[normalize], keepdims=True)
        C = C / np.where(total > 0, total, 1)
    return C, names


def precision(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    average: str | None = "macro",
    zero_division: float = 0.0,
    num_classes: int | None = None,
    sample_weight: ArrayLike | None = None,
) -> float | Floats:
    """TP / (TP + FP) of each class: how many of the samples predicted as k are k. Takes scores or predictions.

    average: None gives the array (K,) of all classes; "macro" their mean; "weighted" their mean weighted with
        the number of samples of each class; "micro" the ratio of the sums over classes, which is the accuracy.
    zero_division: the value of a class for which the denominator is 0 (here: never predicted), from 0 to 1.
        With nan such classes are left out of averages.

    All K classes count, also one that never occurs; scikit-learn leaves it out unless ``labels=range(K)``.
    """
    counts, _ = _count("precision", y_true, y_pred, num_classes, sample_weight)
    return _ratio(np.diag(counts), counts.sum(axis=0), counts.sum(axis=1), average, zero_division)


def recall(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    average: str | None = "macro",
    zero_division: float = 0.0,
    num_classes: int | None = None,
    sample_weight: ArrayLike | None = None,
) -> float | Floats:
    """TP / (TP + FN) of each class: how many of the samples of class k are predicted as k.

    Arguments as for ``precision``; the denominator is 0 for a class without samples.
    """
    counts, _ = _count("recall", y_true, y_pred, num_classes, sample_weight)
    support = counts.sum(axis=1)
    return _ratio(np.diag(counts), support, support, average, zero_division)


def f1(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    average: str | None = "macro",
    zero_division: float = 0.0,
    num_classes: int | None = None,
    sample_weight: ArrayLike | None = None,
) -> float | Floats:
    """2 TP / (2 TP + FP + FN) of each class, the harmonic mean of precision and recall.

    Arguments as for ``precision``; the denominator is 0 for a class that neither occurs nor is predicted.
    "macro" is the mean of the classes' F1, not the F1 of the mean precision and recall.

    C. J. van Rijsbergen, "Information Retrieval", 1979.
    """
    counts, _ = _count("f1", y_true, y_pred, num_classes, sample_weight)
    support = counts.sum(axis=1)
    return _ratio(2 * np.diag(counts), counts.sum(axis=0) + support, support, average, zero_division)


def classification_report(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    zero_division: float = 0.0,
    num_classes: int | None = None,
    sample_weight: ArrayLike | None = None,
) -> ClassificationReport:
    """Precision, recall, F1 and number of samples of every class, with their averages: a table to print.

    Arguments as for ``precision``; ``class_names`` are K words for the rows, by default those that came as
    labels, or the numbers.
    """
    counts, found = _count("classification_report", y_true, y_pred, num_classes, sample_weight)
    correct, predicted, support = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    names = tuple(map(str, found or range(len(counts)) if class_names is None else class_names))
    if len(names) != len(counts):
        raise InputError(f"classification_report: {len(counts)} classes need as many names, got {len(names)}")

    def averaged(average: str | None) -> Floats:
        return np.array([
            _ratio(correct, predicted, support, average, zero_division),
            _ratio(correct, support, support, average, zero_division),
            _ratio(2 * correct, predicted + support, support, average, zero_division),
        ])  # fmt: skip

    by_class = averaged(None)
    return ClassificationReport(
        class_names=names,
        precision=by_class[0],
        recall=by_class[1],
        f1=by_class[2],
        support=support,
        accuracy=float(correct.sum() / support.sum()),
        macro=averaged("macro"),
        weighted=averaged("weighted"),
    )


def _ratio(
    numerator: Array, denominator: Array, support: Array, average: str | None, undefined: float
) -> float | Floats:
    """numerator / denominator of each class, (K,), averaged over the classes."""
    if average not in AVERAGES:
        raise InputError(f"average must be one of {', '.join(map(str, AVERAGES))}, got {average!r}")
    if not (isinstance(undefined, float | np.floating) and math.isnan(undefined)):
        undefined = check_number("zero_division", undefined, 0, 1)
    if average == "micro":
        return float(numerator.sum() / denominator.sum())
    defined = denominator > 0
    ratio = np.where(defined, numerator / np.where(defined, denominator, 1), undefined)
    if average is None:
        return ratio
    counted = ~np.isnan(ratio)
    weights = support[counted] if average == "weighted" else np.zeros(0)
    # Where all classes that are left have no samples, nothing speaks for one or the other.
    return float(np.average(ratio[counted], weights=weights if weights.any() else None))
