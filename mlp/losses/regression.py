"""Losses of real-valued targets: squared, absolute and Huber's error, each the likelihood of another noise."""

from __future__ import annotations

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_positive
from mlp.losses.base import Loss, check_class_labels, check_scores, register_loss


class RegressionLoss(Loss):
    """l = sum_k rho(s_k - t_k), for targets t of the scores' shape.

    Class labels stand for one-hot rows. ``reduction="element_mean"`` is the mean over samples and outputs alike.
    """

    reductions = ("mean", "sum", "element_mean")

    def difference(self, scores: Array, targets: Array) -> Array:
        """d = s - t, (N, K). Raises ``InputError`` unless targets are real numbers that fit, or class labels."""
        s = check_scores(self, scores)
        t = np.asarray(targets)
        if np.issubdtype(t.dtype, np.integer) and t.shape != scores.shape:
            t = self.target_rows(s, check_class_labels(self, scores, t))
        elif t.shape != scores.shape or not np.issubdtype(t.dtype, np.number) or np.iscomplexobj(t):
            raise InputError(
                f"{type(self).__name__}: scores of shape {scores.shape} need targets of the same shape or class "
                f"labels of shape {scores.shape[:-1]}, got {t.dtype} of shape {t.shape}"
            )
        return np.subtract(s, t.reshape(s.shape), out=self.empty("d", s.shape, s.dtype), casting="same_kind")


@register_loss("MSE")
class MSELoss(RegressionLoss):
    """Squared error l = ½ sum_k (s_k - t_k)²; dL/ds = (s - t) / N for the mean over N samples.

    Targets are real numbers of the scores' shape, or class labels, which stand for one-hot rows.
    ``reduction="element_mean"`` is PyTorch's MSELoss: no ½, and the mean over samples and outputs alike.
    The squared error is the negative log-likelihood of Gaussian noise, up to constants; with weight decay, a
    Gaussian prior, its minimum is the MAP estimate. Scores beyond 1e154 in float64 (1e19 in float32) have squares
    that no number holds: their loss is inf.
    """

    def forward(self, scores: Array, targets: Array, sample_weight: Array | None = None) -> float:
        d = self.difference(scores, targets)
        share = self.share(scores, sample_weight)
        if self.reduction == "element_mean":
            share = 2 * share
        loss = 0.5 * self.weighted_dot(share, d, d)
        d *= share
        return self.keep(loss, d, scores.shape)


@register_loss("MAE")
class MAELoss(RegressionLoss):
    """Absolute error l = sum_k |s_k - t_k|; dL/ds = sign(s - t) / N for the mean over N samples, 0 where s = t.

    At s = t every slope from -1 to 1 is a subgradient; 0 leaves a perfect score where it is. Targets are real
    numbers of the scores' shape, or class labels, which stand for one-hot rows. ``reduction="element_mean"`` is
    PyTorch's L1Loss. The absolute error is the negative log-likelihood of Laplace noise, up to constants, whose
    heavier tails forgive outliers that a Gaussian does not; the best constant score is the median of the targets.

    Laplace, "Mémoire sur la probabilité des causes par les évènements", 1774.
    """

    def forward(self, scores: Array, targets: Array, sample_weight: Array | None = None) -> float:
        d = self.difference(scores, targets)
        share = self.share(scores, sample_weight)
        slope = np.sign(d, out=self.empty("slope", d.shape, d.dtype))
        loss = self.weighted_dot(share, slope, d)
        slope *= share
        return self.keep(loss, slope, scores.shape)


@register_loss("Huber")
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

    def forward(self, scores: Array, targets: Array, sample_weight: Array | None = None) -> float:
        d = self.difference(scores, targets)
        share = self.share(scores, sample_weight)
        slope = np.clip(d, -self.delta, self.delta, out=self.empty("slope", d.shape, d.dtype))
        # rho(d) = slope d - ½ slope², on both sides of delta
        loss = self.weighted_dot(share, slope, d) - 0.5 * self.weighted_dot(share, slope, slope)
        slope *= share
        return self.keep(loss, slope, scores.shape)
