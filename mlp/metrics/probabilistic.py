"""How good the probabilities are, not only the classes: proper scores, smallest for the true distribution."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mlp.functional import log_softmax
from mlp.metrics.inputs import (
    check_probabilities,
    check_scores,
    check_unit_interval,
    is_binary,
    real_array,
    target_distributions,
)


def negative_log_likelihood(scores: ArrayLike, labels: ArrayLike) -> float:
    """-1/n sum_i log p_i(y_i) in nats, with p = softmax(scores): the cross-entropy. Takes scores (logits).

    Scores (..., K) and labels (...), or distributions (..., K), for which it is -1/n sum_i sum_k y_ik log p_ik.
    log p is s_k - logsumexp(s) with the row's maximum taken out, in float64, so no probability is rounded to 0.
    Log-probabilities are scores too: log(p) gives the log loss of probabilities p.
    """
    s, y = check_scores("negative_log_likelihood", scores, labels)
    log_p = log_softmax(s.astype(np.float64))
    return float(-np.sum(target_distributions(y, s.shape[1]) * log_p) / len(s))


def brier_score(probabilities: ArrayLike, labels: ArrayLike, *, scale_by_half: bool | None = None) -> float:
    """The mean squared error of probabilities. Takes probabilities, not scores.

    Probabilities (..., K) and labels (...), or distributions (..., K): Brier's own form,

        1/n sum_i sum_k (p_ik - y_ik)²,   y_i one-hot,   from 0 to 2.

    Probabilities (N,) of the positive class and labels (N,), 0 and 1: 1/n sum_i (p_i - y_i)², from 0 to 1, half
    of what the first form gives for the rows (1 - p_i, p_i).
    ``scale_by_half`` chooses: True always gives the range 0 to 1, False 0 to 2. These are the conventions of
    scikit-learn's ``brier_score_loss``, except that two columns here are K classes like any other number.

    G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 1950.
    """
    p, y = real_array("brier_score", "probabilities", probabilities), real_array("brier_score", "labels", labels)
    is_half = is_binary(p, y) if scale_by_half is None else scale_by_half
    if is_binary(p, y):
        check_unit_interval("brier_score", p)
        p = np.stack([1 - p, p], axis=-1)
    p, y = check_probabilities("brier_score", p, y)
    difference = p.astype(np.float64) - target_distributions(y, p.shape[1])
    return float(np.sum(difference**2) / len(p)) * (0.5 if is_half else 1.0)
