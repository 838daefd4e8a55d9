"""Images looked up between their pixels: what every geometric augmentation ends with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array


def pixel_grid(image_shape: tuple[int, int]) -> NDArray[np.float64]:
    """Row and column of every pixel: (2, rows · columns)."""
    return np.indices(image_shape).reshape(2, -1).astype(np.float64)


def resample(images: Array, places: Array, fill: float = 0.0) -> Array:
    """Image values at ``places``, by bilinear interpolation: the pixels of new images.

        y = (1 - v) [(1 - u) x(r, c)     + u x(r, c + 1)]
               + v  [(1 - u) x(r + 1, c) + u x(r + 1, c + 1)]

    where r and c are row and column of the place rounded down, v and u what was cut off. Around the image lie
    pixels of value ``fill``. Near the edge y blends into them as it does between any two pixels, so it is a
    continuous function of the place: a displacement by a rounding error changes y by a rounding error.
    (``scipy.ndimage.map_coordinates`` calls this order=1, mode="grid-constant".)

    images (m, rows, columns), places (m, 2, p) in pixels, in the dtype of the images; returns (m, p).
    """
    m, rows, columns = images.shape
    # One pixel of the surroundings before, two after: farther out it looks the same.
    width = columns + 3
    padded = np.full((m, rows + 3, width), fill, images.dtype)
    padded[:, 1:-2, 1:-2] = images

    v = np.clip(places[:, 0], -1, rows)
    u = np.clip(places[:, 1], -1, columns)
    v += 1
    u += 1
    r, c = np.floor(v), np.floor(u)
    v -= r
    u -= c
    place = r.astype(np.intp)
    place *= width
    place += c.astype(np.intp)
    place += np.arange(0, padded.size, padded[0].size)[:, np.newaxis]

    flat = padded.reshape(-1)
    # "wrap" never applies; it is the mode that takes without a second look at every index.
    upper, upper_next, lower, lower_next = (
        flat[step:].take(place, mode="wrap") for step in (0, 1, width, width + 1)
    )
    return blend(blend(upper, upper_next, u), blend(lower, lower_next, u), v)


def blend(start: Array, end: Array, t: Array) -> Array:
    """(1 - t) start + t end, as start + t (end - start), written over ``end``."""
    end -= start
    end *= t
    end += start
    return end
