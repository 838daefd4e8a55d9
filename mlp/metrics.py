"""How good predictions are: functions (scores, labels) -> float."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlp.errors import InputError


def count_correct(scores: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> int:
    """The number of rows whose largest score (the first of equal ones) is that of the label."""
    return int(np.count_nonzero(scores.argmax(axis=-1) == labels))


def accuracy(scores: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> float:
    """The share of rows, from 0 to 1, whose largest score is that of the label.

    Scores (..., K), labels (...). Raises ``InputError`` for no rows, or shapes that do not fit.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.shape[:-1] != labels.shape or labels.size == 0:
        raise InputError(
            f"accuracy needs scores (..., K) and as many labels (...), at least one; "
            f"got {scores.shape} and {labels.shape}"
        )
    return count_correct(scores, labels) / labels.size
