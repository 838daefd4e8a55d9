"""A grid of images, such as the samples of a data set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlp.arrays import Array
from mlp.checks import InputError, check_integer, plain_array
from mlp.data import Dataset
from mlp.data.strip import label_texts
from mlp.plots.figure import new_grid


def plot_images(
    images: ArrayLike | Dataset, titles: Sequence[Any] | None = None, *, columns: int = 10, limit: int = 50
) -> Any:
    """Grey-scale images, dark on light, in a grid, with a title above each.

    ``images`` are (n, rows, columns), one image (rows, columns), or a data set with an ``image_shape``, whose
    titles are its labels, by name if they have names. No more than the first ``limit`` are shown.
    """
    if isinstance(images, Dataset) and titles is None and images.is_classification:
        titles = label_texts(images.labels[:limit], images.classes, is_classification=True)
    pictures = _as_images(images, limit)
    columns = min(check_integer("plot_images: columns", columns, 1), len(pictures))
    rows = math.ceil(len(pictures) / columns)
    figure, axes = new_grid(rows, columns, size=(1.1, 1.4 if titles else 1.1))
    for k, ax in enumerate(axes.flat):
        ax.set_axis_off()
        if k < len(pictures):
            ax.imshow(pictures[k], cmap="gray_r")
        if k < min(len(titles or ()), len(pictures)):
            ax.set_title(str((titles or ())[k]), fontsize=9)
    return figure


def _as_images(images: ArrayLike | Dataset, limit: int) -> Array:
    """(n, rows, columns), at most ``limit`` of them."""
    check_integer("plot_images: limit", limit, 1)
    if isinstance(images, Dataset):
        shape = images.image_shape
        if shape is None or len(shape) != 2:
            raise InputError(
                f"plot_images: {images!r} has no images; give Dataset(..., image_shape=(rows, columns))"
            )
        return images[:limit].inputs.reshape(-1, *shape)
    pictures = plain_array("plot_images: images", images)
    pictures = pictures[np.newaxis] if pictures.ndim == 2 else pictures
    if pictures.ndim != 3 or pictures.size == 0 or pictures.dtype.kind not in "buif":
        raise InputError(
            f"plot_images: images must be numbers (n, rows, columns), got {pictures.dtype} of shape "
            f"{pictures.shape}; rows of a data set become images by x.reshape(-1, 28, 28)"
        )
    return pictures[:limit]
