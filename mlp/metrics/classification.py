"""How often the predicted class is the right one: counts of (true class, predicted class), and what follows.

Every function here takes scores (..., K), whose largest (the first of equal ones) is the prediction; logits and
probabilities give the same, because softmax keeps the order. ``accuracy``, the confusion matrix and what is made
of it take predicted classes (...), integers, as well. Labels are classes (...), or distributions (..., K), whose
largest entry counts. All raise ``InputError`` for no samples, shapes that do not fit, and values out of range.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_integer, check_number
from mlp.functional import classify
from mlp.metrics.inputs import check_predictions, check_scores, true_classes
from mlp.metrics.report import ClassificationReport

Floats = NDArray[np.float64]

AVERAGES = (None, "macro", "micro", "weighted")
NORMALISATIONS = (None, "true", "pred", "all")


def count_correct(scores: Array, labels: Array) -> int:
    """The number of rows whose largest score is that of the label. Arrays only, and nothing is checked."""
    if labels.dtype.kind == "f" and labels.ndim == scores.ndim:
        labels = labels.argmax(axis=-1)
    return int(np.count_nonzero(classify(scores) == labels))


def accuracy(scores: ArrayLike, labels: ArrayLike) -> float:
    """The share of samples, from 0 to 1, whose predicted class is the true one. Takes scores or predictions."""
    predicted, true, _ = check_predictions("accuracy", scores, labels)
    return float(np.mean(predicted == true))


def top_k_accuracy(scores: ArrayLike, labels: ArrayLike, k: int) -> float:
    """The share of samples whose true class is among the k largest scores. Takes scores.

    Of equal scores the first ranks first, so that k = 1 is ``accuracy``. (scikit-learn ranks the last first.)
    """
    s, y = check_scores("top_k_accuracy", scores, labels)
    true, K = true_classes(y)[:, np.newaxis], s.shape[1]
    if check_integer("top_k_accuracy: k", k, 1) > K:
        raise InputError(f"top_k_accuracy: k must be from 1 to the number of scores, {K}, got {k}")
    own = np.take_along_axis(s, true, axis=1)
    ahead = (s > own) | ((s == own) & (np.arange(K) < true))
    return float(np.mean(ahead.sum(axis=1) < k))


def confusion_matrix(
    scores: ArrayLike, labels: ArrayLike, *, normalize: str | None = None, num_classes: int | None = None
) -> Array:
    """C (K, K): C[i, j] counts the samples of true class i (rows) with predicted class j (columns).

    Takes scores or predictions. ``normalize`` divides by the sum of each row ("true": the diagonal is the
    recall), of each column ("pred": the diagonal is the precision), or by that of all entries ("all");
    rows and columns without a sample stay 0. ``num_classes`` is for predictions that do not show all K classes.
    """
    if normalize not in NORMALISATIONS:
        accepted = ", ".join(map(str, NORMALISATIONS))
        raise InputError(f"confusion_matrix: normalize must be one of {accepted}, got {normalize!r}")
    predicted, true, K = check_predictions("confusion_matrix", scores, labels, num_classes)
    counts: NDArray[np.intp] = np.bincount(true * K + predicted, minlength=K * K).reshape(K, K)
    if normalize is None:
        return counts
    axis = {"true": 1, "pred": 0, "all": None}[normalize]
    shares: Floats = counts / np.maximum(counts.sum(axis=axis, keepdims=True), 1)
    return shares


def precision(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    average: str | None = "macro",
    zero_division: float = 0.0,
    num_classes: int | None = None,
) -> float | Floats:
    """TP / (TP + FP) of each class: how many of the samples predicted as k are k. Takes scores or predictions.

    average: None gives the array (K,) of all classes; "macro" their mean; "weighted" their mean weighted with
        the number of samples of each class; "micro" the ratio of the sums over classes, which is the accuracy.
    zero_division: the value of a class for which the denominator is 0 (here: never predicted), from 0 to 1.
        With nan such classes are left out of averages.

    All K classes count, also one that never occurs; scikit-learn leaves it out unless ``labels=range(K)``.
    """
    counts = confusion_matrix(scores, labels, num_classes=num_classes)
    return _ratio(np.diag(counts), counts.sum(axis=0), counts.sum(axis=1), average, zero_division)


def recall(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    average: str | None = "macro",
    zero_division: float = 0.0,
    num_classes: int | None = None,
) -> float | Floats:
    """TP / (TP + FN) of each class: how many of the samples of class k are predicted as k.

    Arguments as for ``precision``; the denominator is 0 for a class without samples.
    """
    counts = confusion_matrix(scores, labels, num_classes=num_classes)
    support = counts.sum(axis=1)
    return _ratio(np.diag(counts), support, support, average, zero_division)


def f1(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    average: str | None = "macro",
    zero_division: float = 0.0,
    num_classes: int | None = None,
) -> float | Floats:
    """2 TP / (2 TP + FP + FN) of each class, the harmonic mean of precision and recall.

    Arguments as for ``precision``; the denominator is 0 for a class that neither occurs nor is predicted.
    "macro" is the mean of the classes' F1, not the F1 of the mean precision and recall.

    C. J. van Rijsbergen, "Information Retrieval", 1979.
    """
    counts = confusion_matrix(scores, labels, num_classes=num_classes)
    support = counts.sum(axis=1)
    return _ratio(2 * np.diag(counts), counts.sum(axis=0) + support, support, average, zero_division)


def balanced_accuracy(scores: ArrayLike, labels: ArrayLike) -> float:
    """The mean recall of the classes that have samples: 1/K by chance, however unequal the classes are.

    Takes scores or predictions. K. H. Brodersen et al., "The balanced accuracy and its posterior distribution",
    ICPR 2010.
    """
    predicted, true, K = check_predictions("balanced_accuracy", scores, labels)
    support, correct = np.bincount(true, minlength=K), np.bincount(true[predicted == true], minlength=K)
    return float(np.mean(correct[support > 0] / support[support > 0]))


def classification_report(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    zero_division: float = 0.0,
    num_classes: int | None = None,
) -> ClassificationReport:
    """Precision, recall, F1 and number of samples of every class, with their averages: a table to print.

    Arguments as for ``precision``; ``class_names`` are K words for the rows, by default the numbers.
    """
    counts = confusion_matrix(scores, labels, num_classes=num_classes)
    correct, predicted, support = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    names = tuple(map(str, range(len(counts)) if class_names is None else class_names))
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
    ratio = np.where(defined, numerator / np.maximum(denominator, 1), undefined)
    if average is None:
        return ratio
    counted = ~np.isnan(ratio)
    weights = support[counted] if average == "weighted" else np.zeros(0)
    # Where all classes that are left have no samples, nothing speaks for one or the other.
    return float(np.average(ratio[counted], weights=weights if weights.any() else None))
