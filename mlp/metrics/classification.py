"""How often the predicted class is the right one.

Every function here takes the truth first, as scikit-learn does: ``y_true``, classes (...) or distributions
(..., K), whose largest entry counts; then scores (..., K), whose largest (the first of equal ones) is the
prediction. Logits and probabilities give the same, because softmax keeps the order. ``y_pred`` may be predicted
classes (...) as well, integers or names. ``sample_weight`` (...) says how much each sample counts. All raise
``InputError`` for no samples, shapes that do not fit, values out of range, and arguments in the other order, where
that shows.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from mlp.checks import InputError, check_integer
from mlp.metrics.confusion import confusion_matrix
from mlp.metrics.inputs import check_sample_weight, check_scores, true_classes
from mlp.metrics.predictions import check_predictions


def accuracy(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """The share of samples, from 0 to 1, whose predicted class is the true one. Takes scores or predictions."""
    true, predicted, *_ = check_predictions("accuracy", y_true, y_pred)
    weight = check_sample_weight("accuracy", sample_weight, len(true))
    return float(np.average(predicted == true, weights=weight))


def top_k_accuracy(
    y_true: ArrayLike, y_score: ArrayLike, k: int = 2, *, sample_weight: ArrayLike | None = None
) -> float:
    """The share of samples whose true class is among the k largest scores. Takes scores.

    Of equal scores the first ranks first, so that k = 1 is ``accuracy``. (scikit-learn ranks the last first.)
    """
    y, s = check_scores("top_k_accuracy", y_true, y_score)
    true, K = true_classes(y)[:, np.newaxis], s.shape[1]
    if check_integer("top_k_accuracy: k", k, 1) > K:
        raise InputError(f"top_k_accuracy: k must be from 1 to the number of scores, {K}, got {k}")
    own = np.take_along_axis(s, true, axis=1)
    ahead = (s > own) | ((s == own) & (np.arange(K) < true))
    weight = check_sample_weight("top_k_accuracy", sample_weight, len(true))
    return float(np.average(ahead.sum(axis=1) < k, weights=weight))


def balanced_accuracy(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """The mean recall of the classes that have samples: 1/K by chance, however unequal the classes are.

    Takes scores or predictions. K. H. Brodersen et al., "The balanced accuracy and its posterior distribution",
    ICPR 2010.
    """
    C = confusion_matrix(y_true, y_pred, sample_weight=sample_weight)
    support = C.sum(axis=1)
    return float(np.mean(np.diag(C)[support > 0] / support[support > 0]))


def matthews_corrcoef(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """The correlation of true and predicted classes, from -1 to 1; 0 for answers that do not depend on the truth.

        (n Σ_k C_kk - Σ_k t_k p_k) / sqrt((n² - Σ_k t_k²) (n² - Σ_k p_k²))

    for the confusion matrix C of n samples, t_k of class k and p_k predicted as k. It is 0 where a root is 0: all
    samples of one class, or all predicted as one. Takes scores or predictions.

    B. W. Matthews, Biochimica et Biophysica Acta 405 (1975); for K classes J. Gorodkin, "Comparing two K-category
    assignments by a K-category correlation coefficient", 2004.
    """
    C = confusion_matrix(y_true, y_pred, sample_weight=sample_weight).astype(np.float64)
    n, t, p = C.sum(), C.sum(axis=1), C.sum(axis=0)
    spread = (n * n - t @ t) * (n * n - p @ p)
    return float((n * C.trace() - t @ p) / math.sqrt(spread)) if spread > 0 else 0.0


def cohen_kappa(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """How far the agreement exceeds that of chance: κ = (a - e) / (1 - e), at most 1, and 0 for chance,

    with a the accuracy and e = Σ_k t_k p_k / n², the accuracy of answers drawn at random with the same shares. NaN
    where e = 1: all samples are of one class, and predicted as it. Takes scores or predictions.

    J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 1960.
    """
    C = confusion_matrix(y_true, y_pred, sample_weight=sample_weight).astype(np.float64)
    C /= C.sum()
    chance = C.sum(axis=1) @ C.sum(axis=0)
    return float((C.trace() - chance) / (1 - chance)) if chance < 1 else math.nan
