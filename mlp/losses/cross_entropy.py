"""Losses of a choice among K classes: minus the log-probability of the right one, from scores or its logarithm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_number
from mlp.functional import check_labels, find_no_distribution
from mlp.losses.base import Loss, check_weights, register_loss
from mlp.registry import also_called

# How far above 0 rounding may lift a log-probability; scores that are none are soon larger.
LOG_TOLERANCE = 1e-2


class CategoricalLoss(Loss):
    """l = - sum_k A_k log p_k with A_k = c_k q_k, for class probabilities p, which a subclass makes of the scores.

    q is the target distribution over the classes: 1 at the class label, or given as targets of the scores' shape
    (soft labels), mixed with the uniform distribution by ``label_smoothing``. c are the class weights.
    """

    takes_soft_labels = True
    fewest_scores = 2

    @also_called(weight="class_weight")
    def __init__(
        self, reduction: str = "mean", label_smoothing: float = 0.0, class_weight: Sequence[float] | None = None
    ) -> None:
        super().__init__(reduction)
        name = type(self).__name__
        self.label_smoothing = check_number(f"{name}: label_smoothing", label_smoothing, 0)
        if self.label_smoothing >= 1:
            raise InputError(f"{name}: label_smoothing must be from 0 to below 1, got {label_smoothing!r}")
        self.class_weight = None if class_weight is None else check_weights(f"{name}: class_weight", class_weight)

    def written_options(self) -> list[str]:
        options = super().written_options()
        options += [f"label_smoothing={self.label_smoothing!r}"] if self.label_smoothing else []
        return options + ([] if self.class_weight is None else [f"class_weight={self.class_weight!r}"])

    def weighted_targets(self, s: Array, targets: Array) -> Array:
        """A, (N, K)."""
        K = s.shape[1]
        if targets.ndim == 1:
            q = np.eye(K, dtype=s.dtype)[check_labels(targets, K)]
        else:
            q = check_distributions(self, targets).astype(s.dtype)
        if self.label_smoothing:
            q *= 1 - self.label_smoothing
            q += self.label_smoothing / K
        if self.class_weight is not None:
            q *= self._class_weights(K).astype(s.dtype)
        return q

    def importance(self, s: Array, targets: Array) -> Array:
        """The class weight of each sample, as t_i · c: a weighted mean divides by their sum."""
        c = self._class_weights(s.shape[1])
        importance: Array = c[targets] if targets.ndim == 1 else targets @ c
        return importance

    def _class_weights(self, num_classes: int) -> Array:
        c = np.array(self.class_weight)
        if len(c) != num_classes:
            raise InputError(
                f"{type(self).__name__}: class_weight has {len(c)} entries, the scores have {num_classes} classes"
            )
        return c


def check_distributions(loss: Loss, targets: Array) -> Array:
    """The targets (N, K). Raises ``InputError`` unless each row is finite, >= 0, and sums to 1 within rounding."""
    wrong = find_no_distribution(targets)
    if wrong is not None:
        with np.errstate(invalid="ignore"):
            total = targets[wrong].sum()
        raise InputError(
            f"{type(loss).__name__}: targets of the scores' shape are distributions over the classes, numbers of "
            f"at least 0 with sum 1; row {wrong} has sum {total:g} and smallest entry "
            f"{targets[wrong].min():g}"
        )
    return targets


@register_loss(
    "CE", "cross_entropy", "CrossEntropyLoss", "categorical_crossentropy", "sparse_categorical_crossentropy"
)
class CrossEntropyLoss(CategoricalLoss):
    """Cross-entropy of softmax(scores): l = - sum_k c_k q_k log p_k,  p_k = e^(s_k) / sum_j e^(s_j),

    which for a class label y and no options is -log p_y = log sum_k e^(s_k) - s_y. For the mean over N samples
    dL/ds = (p - q) / N; with class weights c, which ``sample_weight`` w multiplies,

        dL/ds_k = w (p_k sum_j c_j q_j - c_k q_k) / weight,   weight = sum_i w_i sum_k c_k t_ik

    with t the one-hot row of the label, or the soft label, before smoothing: q = (1 - eps) t + eps / K for
    ``label_smoothing`` = eps. So a weighted mean divides by the sum of the weights, w_i c_y for labels, as PyTorch
    does; but for soft labels PyTorch divides by N, and a one-hot row is not the same as its label there.

    The largest score of each row is subtracted before the exponential, which changes neither result and rules out
    overflow. A score of -inf is a class that cannot be: p_k = 0. At equal scores and without weights L = log K. It
    is minus the log-likelihood of the labels under a categorical distribution: its minimum is the
    maximum-likelihood fit, or with weight decay the MAP estimate.

    Targets are class labels (...), integers, or distributions (..., K), whose rows sum to 1. Raises
    ``InputError`` for other targets, for a single score (two classes with one score are
    ``BinaryCrossEntropyLoss``), a ``label_smoothing`` outside [0, 1), and a ``class_weight`` that is not K finite
    numbers of at least 0.

    Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990. Label smoothing:
    Szegedy, Vanhoucke, Ioffe, Shlens & Wojna, "Rethinking the Inception architecture", CVPR 2016.
    """

    def per_sample(self, s: Array, targets: Array) -> tuple[Array, Array]:
        z = s - s.max(axis=1, keepdims=True)
        p = np.exp(z)
        total = p.sum(axis=1, keepdims=True)
        p /= total  # softmax(s)
        if targets.ndim == 1 and not self.label_smoothing and self.class_weight is None:
            y, i = check_labels(targets, s.shape[1]), np.arange(len(s))
            loss = np.log(total[:, 0]) - z[i, y]  # -log p_y
            p[i, y] -= 1  # p - q
            return loss, p
        A = self.weighted_targets(s, targets)
        loss = np.multiply(A, np.log(total) - z, where=A > 0, out=np.zeros_like(A)).sum(axis=1)
        return loss, p * A.sum(axis=1, keepdims=True) - A


@register_loss("NLL")
class NLLLoss(CategoricalLoss):
    """Negative log-likelihood l = - c_y s_y of a class label y, for scores s that are log-probabilities already.

    dL/ds_y = -c_y / N for the mean without weights, 0 elsewhere. After a LogSoftmax layer it is the same loss as
    CrossEntropyLoss after the layer before, and so are its weights, soft labels (l = - sum_k c_k t_k s_k), sources
    and errors: the categorical likelihood. It also raises ``InputError`` for scores above 0, which no probability
    has: on scores that are none it has no minimum.
    """

    def __init__(self, reduction: str = "mean", class_weight: Sequence[float] | None = None) -> None:
        super().__init__(reduction, class_weight=class_weight)

    def per_sample(self, s: Array, targets: Array) -> tuple[Array, Array]:
        if s.max(initial=0) > LOG_TOLERANCE:
            raise InputError(
                f"NLLLoss: scores must be log-probabilities, at most 0, got {s.max():g}; end the network with "
                "LogSoftmax, or use CrossEntropyLoss, which takes raw scores"
            )
        A = self.weighted_targets(s, targets)
        return -np.multiply(A, s, where=A > 0, out=np.zeros_like(A)).sum(axis=1), -A


@register_loss("KLDiv")
class KLDivLoss(Loss):
    """Kullback-Leibler divergence of softmax(scores) from target distributions q: l = sum_k q_k log(q_k / p_k).

    It is the cross-entropy less the entropy of q, -sum_k q_k log q_k, which no score changes: dL/ds = (p - q) / N
    is the same, and l is 0 where p = q. (PyTorch takes log-probabilities, and its mean is "batchmean".) Targets are
    distributions (..., K), or class labels, for which it is the cross-entropy.

    Raises ``InputError`` as CrossEntropyLoss does. Kullback & Leibler, "On information and sufficiency", 1951.
    """

    takes_soft_labels = True
    fewest_scores = 2

    def per_sample(self, s: Array, targets: Array) -> tuple[Array, Array]:
        loss, gradient = CrossEntropyLoss().per_sample(s, targets)
        if targets.ndim == 2:
            q = targets.astype(s.dtype)
            loss = loss + (q * np.log(q, where=q > 0, out=np.zeros_like(q))).sum(axis=1)
        return loss, gradient
