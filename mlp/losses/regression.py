"""Losses of real-valued targets: squared, absolute and Huber's error, each the likelihood of another noise."""

from __future__ import annotations

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_positive
from mlp.functional import one_hot
from mlp.losses.base import Loss, register_loss


class RegressionLoss(Loss):
    """l = sum_k rho(s_k - t_k), for targets t of the scores' shape, or (...) for one output.

    Class labels stand for one-hot rows. ``reduction="element_mean"`` is the mean over samples and outputs alike.
    """

    reductions = ("mean", "sum", "none", "element_mean")
    takes_soft_labels = True

    def difference(self, s: Array, targets: Array) -> Array:
        """d = s - t, (N, K). Raises ``InputError`` for single numbers that are no labels of K > 1 classes."""
        if targets.ndim == 1 and s.shape[1] == 1:
            targets = targets[:, np.newaxis]
        elif targets.ndim == 1:
            if targets.dtype.kind not in "iu":
                raise InputError(
                    f"{type(self).__name__}: {s.shape[1]} scores a sample need as many targets, or one class label "
                    f"(an integer), got one {targets.dtype} each; a network with one target has one output"
                )
            targets = one_hot(targets, s.shape[1], s.dtype)
        return s - targets.astype(s.dtype)

    def is_classification(self, targets: Array) -> bool:
        """Labels or one-hot rows are classes; other numbers are numbers."""
        t = np.asarray(targets)
        if t.ndim < 2 or t.shape[-1] == 1:
            return t.dtype.kind in "iu" and t.ndim < 2
        return bool((((t == 0) | (t == 1)).all(axis=-1) & (t.sum(axis=-1) == 1)).all())


@register_loss("MSE", "mean_squared_error", "MSELoss")
class MSELoss(RegressionLoss):
    """Squared error l = ½ sum_k (s_k - t_k)²; dL/ds = (s - t) / N for the mean over N samples.

    Targets are real numbers of the scores' shape, or class labels, which stand for one-hot rows.
    ``reduction="element_mean"`` is PyTorch's MSELoss: no ½, and the mean over samples and outputs alike.
    The squared error is the negative log-likelihood of Gaussian noise, up to constants; with weight decay, a
    Gaussian prior, its minimum is the MAP estimate. Scores beyond 1e154 in float64 (1e19 in float32) have squares
    that no number holds: their loss is inf.
    """

    def per_sample(self, s: Array, targets: Array) -> tuple[Array, Array]:
        d = self.difference(s, targets)
        loss = np.vecdot(d, d)
        return (loss, 2 * d) if self.reduction == "element_mean" else (0.5 * loss, d)


@register_loss("MAE", "mean_absolute_error", "MAELoss")
class MAELoss(RegressionLoss):
    """Absolute error l = sum_k |s_k - t_k|; dL/ds = sign(s - t) / N for the mean over N samples, 0 where s = t.

    At s = t every slope from -1 to 1 is a subgradient; 0 leaves a perfect score where it is. Targets are real
    numbers of the scores' shape, or class labels, which stand for one-hot rows. ``reduction="element_mean"`` is
    PyTorch's L1Loss. The absolute error is the negative log-likelihood of Laplace noise, up to constants, whose
    heavier tails forgive outliers that a Gaussian does not; the best constant score is the median of the targets.

    Laplace, "Mémoire sur la probabilité des causes par les évènements", 1774.
    """

    def per_sample(self, s: Array, targets: Array) -> tuple[Array, Array]:
        d = self.difference(s, targets)
        return np.abs(d).sum(axis=1), np.sign(d)


@register_loss("Huber", "HuberLoss")
class HuberLoss(RegressionLoss):
    """Huber's error l = sum_k rho(s_k - t_k): squared near 0, absolute far out, with delta between the two,

        rho(d) = ½ d²  for |d| <= delta,   delta (|d| - ½ delta)  beyond,     rho'(d) = clip(d, -delta, delta)

    and dL/ds = rho'(s - t) / N for the mean over N samples. Targets are real numbers of the scores' shape, or class
    labels, which stand for one-hot rows. ``reduction="element_mean"`` is PyTorch's HuberLoss. It is the negative
    log-likelihood of noise that is Gaussian in the middle and has Laplace tails. Raises ``InputError`` unless
    delta > 0.

    Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35 (1964).
    """

    def __init__(self, delta: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.delta = check_positive("HuberLoss: delta", delta)

    def written_options(self) -> list[str]:
        return [f"delta={self.delta:g}", *super().written_options()]

    def per_sample(self, s: Array, targets: Array) -> tuple[Array, Array]:
        d = self.difference(s, targets)
        slope = np.clip(d, -self.delta, self.delta)
        return np.vecdot(slope, d) - 0.5 * np.vecdot(slope, slope), slope  # rho(d), on both sides of delta
