"""Losses of a choice among K classes: minus the log-probability of the right one, from scores or its logarithm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_number
from mlp.functional import ones
from mlp.losses.base import (
    Loss,
    Share,
    check_class_labels,
    check_scores,
    check_weights,
    register_loss,
    weighted_sum,
)

# How far the sum of a distribution may be from 1: rounding in float32, over thousands of classes.
SUM_TOLERANCE = 1e-4
# How far above 0 rounding may lift a log-probability; scores that are none are soon larger.
LOG_TOLERANCE = 1e-2


class CategoricalLoss(Loss):
    """l = - sum_k c_k q_k log p_k for class probabilities p, which a subclass computes from the scores.

    q is the target distribution over the classes: 1 at the class label, or given as targets of the scores' shape
    (soft labels), mixed with the uniform distribution by ``label_smoothing``. c are the class weights.
    """

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

    def class_rows(self, num_classes: int) -> Array:
        """c_k q_k for each label: (K, K)."""
        q = (1 - self.label_smoothing) * np.eye(num_classes) + self.label_smoothing / num_classes
        return q if self.class_weight is None else q * self._class_weights(num_classes)

    def _class_weights(self, num_classes: int) -> NDArray[np.float64]:
        c = np.array(self.class_weight)
        if len(c) != num_classes:
            raise InputError(
                f"{type(self).__name__}: class_weight has {len(c)} entries, the scores have {num_classes} classes"
            )
        return c

    def weigh_targets(
        self, s: Array, scores: Array, targets: Array, sample_weight: Array | None
    ) -> tuple[Array, Share]:
        """A with A_ik = share_i c_k q_ik, so that L = - sum A log p, and its row sums: a number if equal."""
        targets = np.asarray(targets)
        if targets.shape == scores.shape:
            return self._weigh_distributions(s, scores, targets, sample_weight)
        labels = check_class_labels(self, scores, targets)
        if sample_weight is None and self.class_weight is None:
            equal = self.equal_share(scores)
            return self.target_rows(s, labels, equal), equal
        c = None if self.class_weight is None else self._class_weights(s.shape[1])
        share = self.share(scores, sample_weight, None if c is None else c[labels])
        A = self.target_rows(s, labels)
        A *= share
        return A, A.sum(axis=1, keepdims=True)

    def _weigh_distributions(
        self, s: Array, scores: Array, targets: Array, sample_weight: Array | None
    ) -> tuple[Array, Share]:
        t = check_distributions(self, targets)
        c = None if self.class_weight is None else self._class_weights(s.shape[1])
        share = self.share(scores, sample_weight, None if c is None else t @ c)
        A = self.empty("Y", s.shape, s.dtype)
        np.multiply(t, 1 - self.label_smoothing, out=A, dtype=s.dtype, casting="same_kind")
        A += self.label_smoothing / s.shape[1]
        if c is not None:
            A *= c.astype(s.dtype)
        A *= share
        return A, A.sum(axis=1, keepdims=True)


def check_distributions(loss: Loss, targets: Array) -> Array:
    """The targets as (N, K). Raises ``InputError`` unless each row is finite, >= 0, and sums to 1 within 1e-4."""
    t = targets.reshape(-1, targets.shape[-1])
    if t.dtype.kind not in "fiu":
        raise InputError(f"{type(loss).__name__}: a distribution over the classes needs numbers, got {t.dtype}")
    with np.errstate(over="ignore", invalid="ignore"):
        sums, smallest = t.sum(axis=1), t.min(axis=1)
    wrong = ~((smallest >= 0) & (np.abs(sums - 1) <= SUM_TOLERANCE))
    if wrong.any():
        i = int(wrong.argmax())
        raise InputError(
            f"{type(loss).__name__}: targets of the scores' shape are distributions over the classes, numbers of "
            f"at least 0 with sum 1 (within {SUM_TOLERANCE:g}); row {i} has sum {sums[i]:g} and smallest entry "
            f"{smallest[i]:g}"
        )
    return t


@register_loss("CE")
class CrossEntropyLoss(CategoricalLoss):
    """Cross-entropy of softmax(scores): l = - sum_k c_k q_k log p_k,  p_k = e^(s_k) / sum_j e^(s_j),

    which for a class label y and no options is -log p_y = log sum_k e^(s_k) - s_y. For the mean over N samples
    dL/ds = (p - q) / N; with class weights c, which ``sample_weight`` w multiplies,

        dL/ds_k = w (p_k sum_j c_j q_j - c_k q_k) / weight,   weight = sum_i w_i sum_k c_k t_ik

    with t the one-hot row of the label, or the soft label, before smoothing: q = (1 - eps) t + eps / K for
    ``label_smoothing`` = eps. So a weighted mean divides by the sum of the weights, w_i c_y for labels, as PyTorch
    does; but for soft labels PyTorch divides by N, and a one-hot row is not the same as its label there.

    The largest score of each row is subtracted before the exponential, which changes neither result and rules out
    overflow. At equal scores and without weights L = log K. It is minus the log-likelihood of the labels under a
    categorical distribution: its minimum is the maximum-likelihood fit, or with weight decay the MAP estimate.

    Targets are class labels (...), integers, or distributions (..., K), whose rows sum to 1 within 1e-4. Raises
    ``InputError`` for other targets, a ``label_smoothing`` outside [0, 1), and a ``class_weight`` that is not K
    finite numbers of at least 0.

    Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990. Label smoothing:
    Szegedy, Vanhoucke, Ioffe, Shlens & Wojna, "Rethinking the Inception architecture", CVPR 2016.
    """

    def forward(self, scores: Array, targets: Array, sample_weight: Array | None = None) -> float:
        s = check_scores(self, scores)
        A, mass = self.weigh_targets(s, scores, targets, sample_weight)  # q / N and 1 / N without weights
        z = np.subtract(s, row_max(s), out=self.empty("z", s.shape, s.dtype))
        p = np.exp(z, out=self.empty("p", s.shape, s.dtype))
        total = (p @ ones(s.shape[1], s.dtype))[:, np.newaxis]  # (N, 1): sum over the classes
        # - sum A log p, with log p = z - log(total)
        loss = weighted_sum(mass, np.log(total)) - float(z.reshape(-1) @ A.reshape(-1))
        p *= mass / total  # from e^z to softmax, / N
        p -= A
        return self.keep(loss, p, scores.shape)


def row_max(s: Array) -> Array:
    """The largest entry of each row, (N, K) -> (N, 1)."""
    # Down the columns of the transpose the maximum runs over N numbers at a time, not over K.
    return np.maximum.reduce(np.ascontiguousarray(s.T))[:, np.newaxis]


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

    def forward(self, scores: Array, targets: Array, sample_weight: Array | None = None) -> float:
        log_p = check_scores(self, scores)
        if log_p.max(initial=0) > LOG_TOLERANCE:
            raise InputError(
                f"NLLLoss: scores must be log-probabilities, at most 0, got {log_p.max():g}; end the network with "
                "LogSoftmax, or use CrossEntropyLoss, which takes raw scores"
            )
        A, _ = self.weigh_targets(log_p, scores, targets, sample_weight)
        loss = -float(log_p.reshape(-1) @ A.reshape(-1))
        return self.keep(loss, np.negative(A, out=A), scores.shape)
