"""How good the probabilities are, not only the classes: proper scores, smallest for the true distribution."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mlp.functional import log_softmax
from mlp.metrics.inputs import (
    Floats,
    as_binary,
    check_probabilities,
    check_sample_weight,
    check_scores,
    real_array,
    target_distributions,
)


def negative_log_likelihood(
    y_true: ArrayLike, y_score: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """-1/n sum_i log p_i(y_i) in nats, with p = softmax(scores): the cross-entropy. Takes scores (logits).

    Labels (...) or distributions (..., K), for which it is -1/n sum_i sum_k y_ik log p_ik, and scores (..., K); one
    score (..., 1) is that of class 1, against 0. log p is s_k - logsumexp(s) with the row's maximum taken out, in
    float64, so no probability is rounded to 0. A score of -inf is a class that cannot be; the result is inf if it
    is the label. Log-probabilities are scores too: log(p) gives the log loss of probabilities p.
    """
    y, s = check_scores("negative_log_likelihood", y_true, y_score)
    weight = check_sample_weight("negative_log_likelihood", sample_weight, len(s))
    return _cross_entropy(target_distributions(y, s.shape[1]), log_softmax(s.astype(np.float64)), weight)


def log_loss(y_true: ArrayLike, y_proba: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """-1/n sum_i log p_i(y_i) in nats for probabilities p (..., K), or (N,) of the positive class. Not for scores.

    p is brought into [ε, 1 - ε] first, with ε the rounding of its dtype (2.2e-16 in float64), so a probability of 0
    costs 36 and not infinity, as in scikit-learn; ``negative_log_likelihood`` of the scores rounds nothing.
    """
    y, p = check_probabilities("log_loss", y_true, y_proba)
    weight = check_sample_weight("log_loss", sample_weight, len(p))
    eps = float(np.finfo(np.result_type(p, np.float16)).eps)
    log_p = np.log(np.clip(p.astype(np.float64), eps, 1 - eps))
    return _cross_entropy(target_distributions(y, p.shape[1]), log_p, weight)


def _cross_entropy(Y: Floats, log_p: Floats, weight: Floats | None) -> float:
    """The mean of -sum_k y_k log p_k, where 0 · log 0 is 0."""
    losses = -np.where(Y > 0, Y * np.where(Y > 0, log_p, 0), 0).sum(axis=1)
    counted = slice(None) if weight is None else weight > 0
    return float(np.average(losses[counted], weights=None if weight is None else weight[counted]))


def brier_score(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    scale_by_half: bool | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """The mean squared error of probabilities. Takes probabilities, not scores.

    Labels (...), or distributions (..., K), and probabilities (..., K): Brier's own form,

        1/n sum_i sum_k (p_ik - y_ik)²,   y_i one-hot,   from 0 to 2.

    Labels (N,), 0 and 1, and probabilities (N,) or (N, 1) of the positive class: 1/n sum_i (p_i - y_i)², from 0 to
    1, half of what the first form gives for the rows (1 - p_i, p_i). ``scale_by_half`` chooses: True always gives
    the range 0 to 1, False 0 to 2. These are the conventions of scikit-learn's ``brier_score_loss``, except that
    two columns here are K classes like any other number.

    G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 1950.
    """
    y, p = real_array("brier_score", "y_true", y_true), real_array("brier_score", "y_proba", y_proba)
    is_half = as_binary("brier_score", y, p) is not None if scale_by_half is None else scale_by_half
    y, p = check_probabilities("brier_score", y, p)
    weight = check_sample_weight("brier_score", sample_weight, len(p))
    errors = np.square(p.astype(np.float64) - target_distributions(y, p.shape[1])).sum(axis=1)
    return float(np.average(errors, weights=weight)) * (0.5 if is_half else 1.0)
