"""Every feature by itself: its mean taken off, its spread made 1."""

from __future__ import annotations

import numpy as np

from mlp.arrays import Array
from mlp.data.preprocessing.base import Array64, Blocks, Centred, mean_of


class Center(Centred):
    """z = x - mean, with the mean of every feature: for images, the mean image."""

    def fit_blocks(self, blocks: Blocks) -> None:
        self.mean, _ = mean_of(blocks)

    def transform(self, x: Array) -> Array:
        return self.centre(x)

    def inverse_transform(self, z: Array) -> Array:
        self._check(z, len(self._fitted("mean")))
        return self.add_mean(z.copy())


class Standardize(Centred):
    """z = (x - mean) / σ for each feature: mean 0 and standard deviation 1 over the training set.

    σ² = sum (x - mean)² / n, as in ``np.std``. A feature that is constant in the training set, σ = 0, has no scale
    of its own: it is centred only.
    """

    deviation: Array64

    def shapes(self, features: int) -> dict[str, tuple[int, ...]]:
        return {"mean": (features,), "deviation": (features,)}

    def fit_blocks(self, blocks: Blocks) -> None:
        mean, samples = mean_of(blocks)
        variance = sum(np.square(x - mean).sum(axis=0) for x in blocks()) / samples
        self.mean, self.deviation = mean, np.sqrt(variance)

    def transform(self, x: Array) -> Array:
        z = self.centre(x)
        z /= self._divisor(x)
        return z

    def inverse_transform(self, z: Array) -> Array:
        self._check(z, len(self._fitted("mean")))
        return self.add_mean(z * self._divisor(z))

    def _divisor(self, x: Array) -> Array:
        deviation = self._fitted("deviation").astype(x.dtype)
        return np.where(deviation > 0, deviation, x.dtype.type(1))
