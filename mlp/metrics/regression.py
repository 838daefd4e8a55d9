"""How far numbers are from the right ones: squared and absolute errors, and the share of variance explained.

Every function takes targets and outputs, (N,) or (N, k), of one shape; a column (N, 1) and a vector (N,) are the
same. Of k > 1 targets it returns the mean over them, or with ``multioutput="raw_values"`` the array (k,).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mlp.checks import InputError
from mlp.metrics.inputs import Floats, check_sample_weight, real_array

MULTIOUTPUT = ("uniform_average", "raw_values")


def mean_squared_error(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    multioutput: str = "uniform_average",
) -> float | Floats:
    """1/n sum_i (y_i - ŷ_i)², in the square of the targets' unit. (``MSELoss`` has a ½ in front, and sums over
    k.)"""
    y, p, weight = _check("mean_squared_error", y_true, y_pred, sample_weight)
    return _average(np.average((y - p) ** 2, axis=0, weights=weight), multioutput)


def mean_absolute_error(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    multioutput: str = "uniform_average",
) -> float | Floats:
    """1/n sum_i |y_i - ŷ_i|, in the unit of the targets."""
    y, p, weight = _check("mean_absolute_error", y_true, y_pred, sample_weight)
    return _average(np.average(abs(y - p), axis=0, weights=weight), multioutput)


def r2_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    multioutput: str = "uniform_average",
) -> float | Floats:
    """R² = 1 - sum_i (y_i - ŷ_i)² / sum_i (y_i - mean y)²: 1 is perfect, 0 as good as the mean, and it may be
    negative.

    For targets that are all equal, where the denominator is 0, it is 1 if they are met, and 0 if not. Needs two
    samples.
    """
    y, p, weight = _check("r2_score", y_true, y_pred, sample_weight)
    if len(y) < 2:
        raise InputError("r2_score needs two samples or more, got 1: one has no variance")
    left = np.average((y - p) ** 2, axis=0, weights=weight)
    variance = np.average((y - np.average(y, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
    constant = np.where(left == 0, 1.0, 0.0)
    r2 = np.where(variance > 0, 1 - left / np.where(variance > 0, variance, 1), constant)
    return _average(r2, multioutput)


def _check(
    where: str, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Floats, Floats, Floats | None]:
    """Both as (N, k) in float64, and the weights."""
    y, p = real_array(where, "y_true", y_true), real_array(where, "y_pred", y_pred)
    rows = [a[:, np.newaxis] if a.ndim == 1 else a for a in (y, p)]
    if rows[0].shape != rows[1].shape or rows[0].ndim != 2 or rows[0].size == 0:
        raise InputError(
            f"{where} needs y_true and y_pred of one shape, (N,) or (N, k), at least one sample; "
            f"got {y.shape} and {p.shape}"
        )
    y, p = (a.astype(np.float64) for a in rows)
    return y, p, check_sample_weight(where, sample_weight, len(y))


def _average(values: Floats, multioutput: str) -> float | Floats:
    if multioutput not in MULTIOUTPUT:
        raise InputError(f"multioutput must be one of {', '.join(MULTIOUTPUT)}, got {multioutput!r}")
    return values if multioutput == "raw_values" else float(values.mean())
