"""Shifts, rotations, scalings and shears of images: one matrix an image, one resampling for all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_integer, check_number
from mlp.data.augmentation.base import ImageAugmentation, Range, check_range
from mlp.data.augmentation.resampling import pixel_grid, resample

MAX_SHEAR = 80.0  # degrees; at 90 an image would be a line


class Warp(ImageAugmentation):
    """An augmentation that moves pixels: y(p) = x(places(p)), interpolated.

    A subclass writes ``places(count, rng, dtype)``: for each of ``count`` images and each pixel of the new image
    the place in the old one that it shows, (count, 2, rows · columns), in pixels.

    ``fill`` is the value around the image, that of its background. For MNIST as ``load_mnist`` gives it, that is
    -128/255.
    """

    def __init__(self, image_shape: tuple[int, int], fill: float) -> None:
        super().__init__(image_shape)
        self.fill = check_number(f"{type(self).__name__}: fill", fill, -np.inf)

    def places(self, count: int, rng: np.random.Generator, dtype: DTypeLike) -> Array:
        """Where the pixels of new images come from."""
        raise NotImplementedError

    def change(self, images: Array, rng: np.random.Generator) -> Array:
        places = self.places(len(images), rng, images.dtype)
        return resample(images, places, self.fill).reshape(images.shape)


class Affine(Warp):
    """Scaling, shear, rotation and shift, in this order, each drawn uniformly for every image, in one resampling.

    A pixel at p, seen from the middle of the image, goes to q = R H S p + t, in (row, column) with rows downwards:

        S = [s_r 0; 0 s_c],  H = [1 0; tan φ 1],  R = [cos θ  -sin θ; sin θ  cos θ],  t = (t_r, t_c)

    so the new image shows at q what the old one had at S⁻¹ H⁻¹ R⁻¹ (q - t).

    Args:
        degrees: of θ, counter-clockwise if positive.
        shift: of t_r and t_c, drawn separately, in pixels.
        scale: of s_r and s_c, drawn separately.
        shear: of φ, in degrees: rows slide sideways, lower ones to the right if positive.
        fill, image_shape: value around the image; its (rows, columns).

    A range is a number a, for -a .. a (for the scale 1 - a .. 1 + a), or a pair (least, most).

    Raises ``InputError`` for ranges that are none, scales of 0 or below, and shears beyond 80 degrees.

    Cireşan, Meier, Gambardella & Schmidhuber, "Deep, big, simple neural nets for handwritten digit recognition",
    Neural Computation 2010, take about 15 degrees, 15 % and 15 degrees for MNIST, with elastic distortions.
    """

    def __init__(
        self,
        *,
        degrees: Range = 0.0,
        shift: Range = 0.0,
        scale: Range = 0.0,
        shear: Range = 0.0,
        fill: float = 0.0,
        image_shape: tuple[int, int] = (28, 28),
    ) -> None:
        super().__init__(image_shape, fill)
        name = type(self).__name__
        self.degrees = check_range(f"{name}: degrees", degrees, 0, -360, 360)
        self.shift = check_range(f"{name}: shift", shift, 0, -np.inf, np.inf)
        self.scale = check_range(f"{name}: scale", scale, 1, 0, np.inf)
        self.shear = check_range(f"{name}: shear", shear, 0, -MAX_SHEAR, MAX_SHEAR)
        if self.scale[0] == 0:
            raise InputError(f"{name}: scale must be above 0, got {scale!r}")
        # Homogeneous coordinates: with a row of ones below, the shift is part of the product.
        grid = pixel_grid(self.image_shape)
        self._grid = np.concatenate([grid, np.ones_like(grid[:1])])

    def is_identity(self) -> bool:
        return self.degrees == self.shift == self.shear == (0, 0) and self.scale == (1, 1)

    def places(self, count: int, rng: np.random.Generator, dtype: DTypeLike) -> Array:
        A = self._matrices(self._draw(count, rng))
        places = A.reshape(-1, 3).astype(dtype) @ self._grid.astype(dtype)
        return places.reshape(count, 2, -1)

    def _draw(self, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """θ, φ, s_r, s_c, t_r, t_c of ``count`` images: (6, count)."""
        ranges = (self.degrees, self.shear, self.scale, self.scale, self.shift, self.shift)
        low, high = np.array(ranges).T
        return rng.uniform(low, high, (count, 6)).T

    def _matrices(self, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        """A (count, 2, 3): pixel q of the new image shows the place A [q; 1], counted from the first pixel."""
        theta, phi, s_r, s_c, t_r, t_c = drawn
        sin, cos, tan = np.sin(np.radians(theta)), np.cos(np.radians(theta)), np.tan(np.radians(phi))
        A = np.empty((len(theta), 2, 3))
        A[:, 0, 0], A[:, 0, 1] = cos / s_r, sin / s_r
        A[:, 1, 0], A[:, 1, 1] = -(sin + tan * cos) / s_c, (cos - tan * sin) / s_c
        middle = (np.array(self.image_shape) - 1) / 2
        t = np.stack([t_r, t_c], axis=1)
        A[:, :, 2] = middle - np.einsum("nij,nj->ni", A[:, :, :2], middle + t)
        return A

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(degrees={self.degrees}, shift={self.shift}, scale={self.scale}, "
            f"shear={self.shear}, fill={self.fill:g})"
        )


class Rotation(Affine):
    """Rotation about the middle of the image, counter-clockwise by θ from -degrees .. degrees, or from a pair."""

    def __init__(self, degrees: Range, *, fill: float = 0.0, image_shape: tuple[int, int] = (28, 28)) -> None:
        super().__init__(degrees=degrees, fill=fill, image_shape=image_shape)

    def __repr__(self) -> str:
        return f"Rotation({self.degrees}, fill={self.fill:g})"


class Scaling(Affine):
    """Rows and columns stretched by two factors from 1 - factor .. 1 + factor, or from a pair (least, most)."""

    def __init__(self, factor: Range, *, fill: float = 0.0, image_shape: tuple[int, int] = (28, 28)) -> None:
        super().__init__(scale=factor, fill=fill, image_shape=image_shape)

    def __repr__(self) -> str:
        return f"Scaling({self.scale}, fill={self.fill:g})"


class Shear(Affine):
    """Rows slid sideways as in italics, by tan φ pixels for each row below the middle (above it, the other way),
    to the right if positive; φ from -degrees .. degrees, or from a pair."""

    def __init__(self, degrees: Range, *, fill: float = 0.0, image_shape: tuple[int, int] = (28, 28)) -> None:
        super().__init__(shear=degrees, fill=fill, image_shape=image_shape)

    def __repr__(self) -> str:
        return f"Shear({self.shear}, fill={self.fill:g})"


class Shift(Affine):
    """A shift by whole pixels from -pixels .. pixels, down and to the right, drawn separately: nothing is blurred.

    ``Affine(shift=...)`` draws real numbers instead.
    """

    def __init__(self, pixels: int, *, fill: float = 0.0, image_shape: tuple[int, int] = (28, 28)) -> None:
        self.pixels = check_integer("Shift: pixels", pixels, 0)
        super().__init__(shift=self.pixels, fill=fill, image_shape=image_shape)

    def _draw(self, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        shift = rng.integers(-self.pixels, self.pixels + 1, (count, 2)).T
        drawn = np.zeros((6, count))
        drawn[2:4], drawn[4:] = 1, shift
        return drawn

    def __repr__(self) -> str:
        return f"Shift({self.pixels}, fill={self.fill:g})"
