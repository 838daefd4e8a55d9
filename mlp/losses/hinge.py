"""Losses of margins: the right class must lead the others by a distance, and beyond it nothing is left to learn."""

from __future__ import annotations

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_flag, check_number
from mlp.functional import check_labels
from mlp.losses.base import Loss, register_loss


@register_loss("Hinge", "HingeLoss")
class HingeLoss(Loss):
    """Multi-class margin loss of the violations v_k = max(0, margin - s_y + s_k) for classes k ≠ y, in two kinds:

        l = sum over k ≠ y of v_k  ("weston-watkins")   or   l = the largest v_k  ("crammer-singer")

    Each violation that counts (strictly above 0) adds 1/N to dL/ds_k and -1/N to dL/ds_y, for the mean over N
    samples. Where two violations of Crammer and Singer's are largest, the class with the smaller number takes the
    subgradient. At equal scores l = (K - 1) margin or margin. PyTorch's MultiMarginLoss is the first divided by K.
    ``squared=True`` takes v_k² in place of v_k, with the slope 2 v_k in place of 1: a violation counts the more the
    larger it is, and the loss has no kink.
    Unlike the other losses a margin is not the likelihood of anything: its scores are no log-probabilities.

    Raises ``InputError`` for a margin that is negative or not finite, another kind, and labels out of range.

    Weston & Watkins, "Support vector machines for multi-class pattern recognition", ESANN 1999. Crammer & Singer,
    "On the algorithmic implementation of multiclass kernel-based vector machines", JMLR 2 (2001).
    """

    fewest_scores = 2
    kinds = ("weston-watkins", "crammer-singer")

    def __init__(
        self, margin: float = 1.0, reduction: str = "mean", kind: str = "weston-watkins", squared: bool = False
    ) -> None:
        super().__init__(reduction)
        self.margin = check_number(f"{type(self).__name__}: margin", margin, 0)
        if kind not in self.kinds:
            raise InputError(f"{type(self).__name__}: kind must be one of {', '.join(self.kinds)}, got {kind!r}")
        self.kind, self.squared = kind, check_flag(f"{type(self).__name__}: squared", squared)

    def written_options(self) -> list[str]:
        options = [f"margin={self.margin:g}", *super().written_options()]
        options += [] if self.kind == "weston-watkins" else [f"kind={self.kind!r}"]
        return options + (["squared=True"] if self.squared else [])

    def per_sample(self, s: Array, targets: Array) -> tuple[Array, Array]:
        y, i = check_single_labels(self, s, targets), np.arange(len(s))
        v = np.maximum(s - s[i, y][:, np.newaxis] + s.dtype.type(self.margin), 0)
        v[i, y] = 0  # k = y is left out
        if self.kind == "crammer-singer":
            k = v.argmax(axis=1)
            largest = v[i, k]
            v[...] = 0
            v[i, k] = largest
        slope = 2 * v if self.squared else (v > 0).astype(s.dtype)
        slope[i, y] = -slope.sum(axis=1)
        return np.vecdot(v, v) if self.squared else v.sum(axis=1), slope


def check_single_labels(loss: Loss, s: Array, targets: Array) -> Array:
    """The labels (N,). Raises ``InputError`` for targets of the scores' shape, and labels out of range."""
    if targets.ndim != 1:
        raise InputError(
            f"{type(loss).__name__}: scores of shape {s.shape} need class labels of shape {s.shape[:1]}, got "
            f"{targets.dtype} of shape {targets.shape}; of one-hot rows these are targets.argmax(axis=-1)"
        )
    return check_labels(targets, s.shape[1])


@register_loss("CrammerSinger")
class CrammerSingerLoss(HingeLoss):
    """``HingeLoss`` of the kind "crammer-singer", the largest violation alone, under a name for configurations."""

    def __init__(self, margin: float = 1.0, reduction: str = "mean", squared: bool = False) -> None:
        super().__init__(margin, reduction, "crammer-singer", squared)

    def written_options(self) -> list[str]:
        return [option for option in super().written_options() if not option.startswith("kind")]
