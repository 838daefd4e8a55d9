"""Elastic distortions: every pixel a little off its place, neighbours together, as a hand trembles."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlp.arrays import Array
from mlp.checks import check_number
from mlp.data.augmentation.base import Range
from mlp.data.augmentation.geometry import Affine, Warp
from mlp.data.augmentation.resampling import pixel_grid

# The Gaussian is cut off after so many standard deviations.
TRUNCATE = 4.0


def gaussian_matrix(size: int, sigma: float) -> NDArray[np.float64]:
    """G (size, size), the matrix that smooths a vector by a Gaussian: G[i, j] = e^(-(i - j)²/2σ²) / Z.

    Z sums the Gaussian over -4σ .. 4σ, beyond which G is 0; outside the vector there are zeros, so rows near the
    ends sum to less than 1. G f Gᵀ smooths an image f in both directions
    (``scipy.ndimage.gaussian_filter(f, sigma, mode="constant")``). σ = 0 gives the identity.
    """
    distance = abs(np.subtract.outer(np.arange(size), np.arange(size)))
    if sigma == 0:
        return np.eye(size)
    radius = int(TRUNCATE * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    kernel /= 2 * kernel.sum() - kernel[0]
    return np.where(distance <= radius, kernel[np.minimum(distance, radius)], 0)


class ElasticDistortion(Warp):
    """Pixel p shows what was at p + d(p), with d = α · (u smoothed by a Gaussian of σ), u uniform in -1 .. 1.

    Row and column displacements are drawn separately, for each pixel of each image. Outside the image u is 0, so
    near the edge pixels move less. α and σ are in pixels; d has a standard deviation of about 0.16 α / σ, which is
    1.4 pixels for the defaults, and varies over a distance of σ.

    Raises ``InputError`` for negative α or σ.

    Simard, Steinkraus & Platt, "Best practices for convolutional neural networks applied to visual document
    analysis", ICDAR 2003, with their α and σ for MNIST.
    """

    def __init__(
        self,
        alpha: float = 34.0,
        sigma: float = 4.0,
        *,
        fill: float = 0.0,
        image_shape: tuple[int, int] = (28, 28),
    ) -> None:
        super().__init__(image_shape, fill)
        name = type(self).__name__
        self.alpha = check_number(f"{name}: alpha", alpha, 0)
        self.sigma = check_number(f"{name}: sigma", sigma, 0)
        self._grid = pixel_grid(self.image_shape)
        self._down, self._across = (gaussian_matrix(size, self.sigma) for size in self.image_shape)

    def is_identity(self) -> bool:
        return self.alpha == 0

    def places(self, count: int, rng: np.random.Generator, dtype: DTypeLike) -> Array:
        return self._grid.astype(dtype) + self.displacements(count, rng, dtype)

    def displacements(self, count: int, rng: np.random.Generator, dtype: DTypeLike) -> Array:
        """d of ``count`` images: (count, 2, rows · columns), in pixels."""
        u = rng.random((count, 2, *self.image_shape), dtype)  # type: ignore[arg-type]
        u *= 2
        u -= 1
        G, H = (self.alpha * self._down).astype(dtype), self._across.astype(dtype)
        return (G @ (u @ H)).reshape(count, 2, -1)

    def __repr__(self) -> str:
        return f"ElasticDistortion(alpha={self.alpha:g}, sigma={self.sigma:g}, fill={self.fill:g})"


class AffineElastic(Warp):
    """An affine map and an elastic distortion in one resampling: pixel p shows what was at A p + d(p).

    The arguments are those of ``Affine`` and of ``ElasticDistortion``, whose formulas hold.
    """

    def __init__(
        self,
        *,
        degrees: Range = 0.0,
        shift: Range = 0.0,
        scale: Range = 0.0,
        shear: Range = 0.0,
        alpha: float = 34.0,
        sigma: float = 4.0,
        fill: float = 0.0,
        image_shape: tuple[int, int] = (28, 28),
    ) -> None:
        super().__init__(image_shape, fill)
        self.affine = Affine(
            degrees=degrees, shift=shift, scale=scale, shear=shear, fill=fill, image_shape=image_shape
        )
        self.elastic = ElasticDistortion(alpha, sigma, fill=fill, image_shape=image_shape)

    def is_identity(self) -> bool:
        return self.affine.is_identity() and self.elastic.is_identity()

    def places(self, count: int, rng: np.random.Generator, dtype: DTypeLike) -> Array:
        places = self.affine.places(count, rng, dtype)
        places += self.elastic.displacements(count, rng, dtype)
        return places

    def __repr__(self) -> str:
        return f"AffineElastic({self.affine!r}, {self.elastic!r})"
