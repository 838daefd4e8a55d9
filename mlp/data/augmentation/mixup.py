"""Mixup: a network should be linear between its training samples."""

from __future__ import annotations

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_integer, check_number, check_rng
from mlp.data.augmentation.base import Augmentation, check_floats
from mlp.data.labels import as_distributions


class Mixup(Augmentation):
    """x'_i = λ_i x_i + (1 - λ_i) x_j,  targets'_i = λ_i y_i + (1 - λ_i) y_j,  with λ_i from Beta(α, α).

    j runs over the same batch in a random order. y are distributions over the classes: the one-hot rows of class
    labels, for which ``num_classes`` is needed, or soft labels as given; or they are the targets of a regression.
    So targets' is always (m, K), in the dtype of x. α = 1 makes λ uniform, a small α puts it near 0 or 1, and
    α = 0 mixes nothing.

    Raises ``InputError`` for a negative α, and for class labels without ``num_classes``.

    Zhang, Cisse, Dauphin & Lopez-Paz, "mixup: Beyond empirical risk minimization", ICLR 2018. Their code draws one
    λ for a whole batch.
    """

    def __init__(self, alpha: float, num_classes: int | None = None) -> None:
        self.alpha = check_number("Mixup: alpha", alpha, 0)
        self.num_classes = None if num_classes is None else check_integer("Mixup: num_classes", num_classes, 1)

    def __call__(self, x: Array, targets: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        check_floats("Mixup", x)
        y = self._as_rows(np.asarray(targets), x)
        if self.alpha == 0:
            return x.copy(), y
        rng = check_rng(rng)
        partner = rng.permutation(len(x))
        share = rng.beta(self.alpha, self.alpha, len(x)).astype(x.dtype)
        return mix(x, x[partner], share), mix(y, y[partner], share)

    def _as_rows(self, targets: Array, x: Array) -> Array:
        if len(targets) != len(x):
            raise InputError(f"Mixup: {len(x)} inputs but targets of shape {targets.shape}")
        if targets.dtype.kind == "f" and targets.ndim == 2 and self.num_classes in (None, targets.shape[1]):
            return targets.astype(x.dtype)
        if self.num_classes is None:
            raise InputError("Mixup: class labels become distributions, which needs num_classes")
        return as_distributions(targets, self.num_classes, x.dtype, "Mixup")

    def __repr__(self) -> str:
        return f"Mixup({self.alpha:g}, num_classes={self.num_classes})"


def mix(a: Array, b: Array, share: Array) -> Array:
    """λ a + (1 - λ) b for each sample: a and b (m, ...), λ (m,)."""
    share = share.reshape(-1, *[1] * (a.ndim - 1))
    return share * a + (1 - share) * b
