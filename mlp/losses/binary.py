"""The loss of yes-or-no answers, one for each output, from raw scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_number
from mlp.functional import one_hot, sigmoid, softplus
from mlp.losses.base import Loss, check_weights, register_loss


@register_loss("BCE", "binary_crossentropy", "BinaryCrossEntropyLoss")
class BinaryCrossEntropyLoss(Loss):
    """Binary cross-entropy l = - sum_k [c_k t_k log p_k + (1 - t_k) log(1 - p_k)],  p = sigmoid(scores),

    computed as sum_k c_k t_k softplus(-s_k) + (1 - t_k) softplus(s_k), softplus(s) = log(1 + e^s) =
    max(s, 0) + log(1 + e^-|s|), which neither overflows nor takes the logarithm of 0. For the mean over N samples

        dL/ds = ((c t + 1 - t) p - c t) / N,   without ``pos_weight`` (c = 1):   (p - t) / N

    Targets t lie in [0, 1] and have the scores' shape, one independent question for each output; with one output,
    scores (..., 1), they may have the shape (...), as labels 0 and 1. With more outputs, integer labels of shape
    (...) stand for one-hot rows: one class against the rest, for each class. ``pos_weight`` c, a number or one for
    each output, makes a missed "yes" cost more (above 1) or less than a false one.

    ``reduction="element_mean"`` is PyTorch's BCEWithLogitsLoss: the mean over samples and outputs alike. At zero
    scores l = K log 2. It is minus the log-likelihood of independent Bernoulli variables. Raises ``InputError`` for
    targets outside [0, 1] or of another shape, and a ``pos_weight`` that is negative, not finite or not K numbers.

    Cox, "The regression analysis of binary sequences", Journal of the Royal Statistical Society B 20 (1958).
    """

    reductions = ("mean", "sum", "none", "element_mean")
    takes_soft_labels = True

    def __init__(self, reduction: str = "mean", pos_weight: float | Sequence[float] | None = None) -> None:
        super().__init__(reduction)
        name = "BinaryCrossEntropyLoss: pos_weight"
        self.pos_weight: float | tuple[float, ...] | None = None
        if np.ndim(pos_weight):  # type: ignore[arg-type]
            self.pos_weight = check_weights(name, pos_weight)  # type: ignore[arg-type]
        elif pos_weight is not None:
            self.pos_weight = check_number(name, pos_weight, 0)

    def written_options(self) -> list[str]:
        return super().written_options() + ([] if self.pos_weight is None else [f"pos_weight={self.pos_weight!r}"])

    def per_sample(self, s: Array, targets: Array) -> tuple[Array, Array]:
        t = self._answers(s, targets)
        c = self._pos_weight(s)
        loss = c * t * softplus(-s) + (1 - t) * softplus(s)
        return loss.sum(axis=1), (c * t + 1 - t) * sigmoid(s) - c * t

    def _answers(self, s: Array, t: Array) -> Array:
        """The targets as (N, K)."""
        if t.ndim == 1 and s.shape[1] > 1:
            if t.dtype.kind not in "iu":
                raise InputError(
                    f"BinaryCrossEntropyLoss: scores of shape {s.shape} need targets of the same shape or class "
                    f"labels of shape {s.shape[:-1]}, got {t.dtype} of shape {t.shape}"
                )
            return one_hot(t, s.shape[1], s.dtype)
        if t.size and not (t.min() >= 0 and t.max() <= 1):
            raise InputError(
                f"BinaryCrossEntropyLoss: targets must be numbers from 0 to 1, got {t.dtype} from {t.min():g} to "
                f"{t.max():g}"
            )
        return t.reshape(s.shape).astype(s.dtype)

    def _pos_weight(self, s: Array) -> Array:
        c = np.array(1 if self.pos_weight is None else self.pos_weight, s.dtype)
        if c.ndim and len(c) != s.shape[1]:
            raise InputError(
                f"BinaryCrossEntropyLoss: pos_weight has {len(c)} entries, the scores have {s.shape[1]} outputs"
            )
        return c
