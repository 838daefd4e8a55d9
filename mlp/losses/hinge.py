"""Losses of margins: the right class must lead the others by a distance, and beyond it nothing is left to learn."""

from __future__ import annotations

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_number
from mlp.functional import ones
from mlp.losses.base import (
    Labels,
    Loss,
    check_class_labels,
    check_scores,
    register_loss,
    weighted_sum,
)


@register_loss("Hinge")
class HingeLoss(Loss):
    """Multi-class margin loss of the violations v_k = max(0, margin - s_y + s_k) for classes k ≠ y, in two kinds:

        l = sum over k ≠ y of v_k  ("weston-watkins")   or   l = the largest v_k  ("crammer-singer")

    Each violation that counts (strictly above 0) adds 1/N to dL/ds_k and -1/N to dL/ds_y, for the mean over N
    samples. Where two violations of Crammer and Singer's are largest, the class with the smaller number takes the
    subgradient. At equal scores l = (K - 1) margin or margin. PyTorch's MultiMarginLoss is the first divided by K.
    Unlike the other losses a margin is not the likelihood of anything: its scores are no log-probabilities.

    Raises ``InputError`` for a margin that is negative or not finite, another kind, and labels out of range.

    Weston & Watkins, "Support vector machines for multi-class pattern recognition", ESANN 1999. Crammer & Singer,
    "On the algorithmic implementation of multiclass kernel-based vector machines", JMLR 2 (2001).
    """

    kinds = ("weston-watkins", "crammer-singer")

    def __init__(self, margin: float = 1.0, reduction: str = "mean", kind: str = "weston-watkins") -> None:
        super().__init__(reduction)
        self.margin = check_number(f"{type(self).__name__}: margin", margin, 0)
        if kind not in self.kinds:
            raise InputError(f"{type(self).__name__}: kind must be one of {', '.join(self.kinds)}, got {kind!r}")
        self.kind = kind

    def written_options(self) -> list[str]:
        kind = [] if self.kind == "weston-watkins" else [f"kind={self.kind!r}"]
        return [f"margin={self.margin:g}", *super().written_options(), *kind]

    def forward(self, scores: Array, targets: Labels, sample_weight: Array | None = None) -> float:
        s = check_scores(self, scores)
        y = check_class_labels(self, scores, targets)
        N, K = s.shape
        rows = np.arange(0, N * K, K)
        own = rows + y  # where s_y stands in the flattened scores
        violation = np.subtract(
            s, s.reshape(-1)[own][:, np.newaxis] - s.dtype.type(self.margin),
            out=self.empty("violation", s.shape, s.dtype),
        )  # fmt: skip
        violation.reshape(-1)[own] = 0  # k = y is left out
        np.maximum(violation, 0, out=violation)
        if self.kind == "crammer-singer":
            place = rows + violation.argmax(axis=1)
            largest = violation.reshape(-1)[place]
            violation[...] = 0
            violation.reshape(-1)[place] = largest
        share = self.share(scores, sample_weight)
        loss = weighted_sum(share, violation)
        grad = np.multiply(violation > 0, np.asarray(share, s.dtype), out=self.empty("grad", s.shape, s.dtype))
        grad.reshape(-1)[own] = -(grad @ ones(K, s.dtype))
        return self.keep(loss, grad, scores.shape)


@register_loss("CrammerSinger")
class CrammerSingerLoss(HingeLoss):
    """``HingeLoss`` of the kind "crammer-singer", the largest violation alone, under a name for configurations."""

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(margin, reduction, kind="crammer-singer")

    def written_options(self) -> list[str]:
        return [option for option in super().written_options() if not option.startswith("kind")]
