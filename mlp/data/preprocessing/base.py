"""What a preprocessing is: a map of the inputs that is fitted on the training set, and state to be kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_unmasked, plain_array
from mlp.data.dataset import Dataset
from mlp.data.labels import check_finite

Array64 = NDArray[np.float64]
# Rows of inputs in float64, block by block; each call starts again with the first.
Blocks = Callable[[], Iterator[Array64]]
BLOCK_ROWS = 1000


class Preprocessing:
    """z = T(x), with T chosen on the training set: ``fit`` it there, then ``transform`` the training and test sets.

        standardize = Standardize().fit(train)
        train, test = standardize.transform_dataset(train), standardize.transform_dataset(test)

    If the test set had a part in the choice, its results would no longer be those of unseen data.

    Rows x (n, features) are float32 or float64, and z has the dtype of x. ``fit`` and ``transform_dataset`` read a
    ``Dataset`` too, in blocks, so that its bytes never all become floats. What is fitted is computed in float64.

    Raises ``InputError`` for use before ``fit``, for x of another width, and if ``fit`` finds a value that is not
    finite.
    """

    # Whether feature i of z belongs to feature i of x, so that images stay images.
    keeps_features = True

    def fit(self, x: Array | Dataset) -> Self:
        """Choose T for the training set x, an array (n, features) or a Dataset; returns self."""
        self.fit_blocks(read_blocks(f"{type(self).__name__}.fit", x))
        return self

    def fit_blocks(self, blocks: Blocks) -> None:
        """Choose T for rows that come in blocks."""
        raise NotImplementedError

    def transform(self, x: Array) -> Array:
        """z = T(x): new memory."""
        raise NotImplementedError

    def inverse_transform(self, z: Array) -> Array:
        """The x that z was made from; where T loses something, the nearest x that T could have kept."""
        raise NotImplementedError

    def fit_transform(self, x: Array) -> Array:
        """``fit(x)``, then ``transform(x)``."""
        return self.fit(x).transform(x)

    def transform_dataset(self, dataset: Dataset) -> Dataset:
        """The data set with inputs z, computed in float64 and stored in float32; all else is kept."""
        blocks = read_blocks(f"{type(self).__name__}.transform_dataset", dataset)
        z = np.concatenate([self.transform(x).astype(np.float32) for x in blocks()])
        result = dataset.replace(inputs=z)
        if not self.keeps_features:
            result.image_shape = None
        return result

    def state_dict(self) -> dict[str, Array64]:
        """Copies of the arrays that ``fit`` made, by name."""
        raise NotImplementedError

    def check_state_dict(self, state: Mapping[str, Array]) -> None:
        """Raise ``InputError`` unless ``state`` fits."""
        raise NotImplementedError

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Take what ``fit`` made from ``state``. Raises ``InputError``, and changes nothing, unless it fits."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Centred(Preprocessing):
    """A map of x - mean, with the training set's mean (features,), and what else ``fit`` makes."""

    mean: Array64 | None = None

    def shapes(self, features: int) -> dict[str, tuple[int, ...]]:
        """The arrays that ``fit`` makes, by attribute, with their shapes."""
        return {"mean": (features,)}

    def centre(self, x: Array) -> Array:
        """x - mean, checked."""
        mean = self._fitted("mean")
        self._check(x, len(mean))
        return x - mean.astype(x.dtype)

    def add_mean(self, x: Array) -> Array:
        """x + mean, written over x."""
        x += self._fitted("mean").astype(x.dtype)
        return x

    def _fitted(self, name: str) -> Array64:
        if self.mean is None:
            raise InputError(f"{type(self).__name__}: call fit on the training set first")
        return getattr(self, name)

    def _check(self, x: Array, features: int) -> None:
        name = type(self).__name__
        check_unmasked(f"{name}: x", x)
        if not isinstance(x, np.ndarray) or x.dtype not in (np.float32, np.float64):
            kind = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
            raise InputError(f"{name}: x must be an array of float32 or float64, got {kind}")
        if x.ndim != 2 or x.shape[1] != features:
            raise InputError(f"{name} expects (n, {features}), as it was fitted, got shape {x.shape}")

    def state_dict(self) -> dict[str, Array64]:
        return {name: self._fitted(name).copy() for name in self.shapes(0)}

    def check_state_dict(self, state: Mapping[str, Array]) -> None:
        name = type(self).__name__
        shapes = self.shapes(np.size(state.get("mean", ())))
        if state.keys() != shapes.keys():
            raise InputError(f"{name}: the state holds {', '.join(state)}; expected {', '.join(shapes)}")
        for key, shape in shapes.items():
            array = np.asarray(state[key])
            if array.shape != shape or array.dtype.kind != "f" or not np.isfinite(array).all():
                raise InputError(
                    f"{name}: {key} must be finite floats of shape {shape}, got {array.dtype} of {array.shape}"
                )

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        self.check_state_dict(state)
        for name, array in state.items():
            setattr(self, name, np.array(array, dtype=np.float64))


def read_blocks(where: str, data: Array | Dataset) -> Blocks:
    """The rows of an array or a Dataset, as network inputs, in float64 and in blocks, checked to be finite."""
    if isinstance(data, Dataset):
        starts = range(0, len(data), BLOCK_ROWS)
        return lambda: (data[i : i + BLOCK_ROWS].arrays(np.float64)[0] for i in starts)
    x = plain_array(f"{where}: x", data)
    if x.ndim != 2 or x.size == 0 or x.dtype.kind not in "buif":
        raise InputError(f"{where}: expected a Dataset or real numbers (n, features), got {x.dtype} of {x.shape}")
    check_finite(x, "x", where)
    return lambda: (x[i : i + BLOCK_ROWS].astype(np.float64) for i in range(0, len(x), BLOCK_ROWS))


def mean_of(blocks: Blocks) -> tuple[Array64, int]:
    """(mean (features,), number of rows). The mean of equal numbers is that number to the last bit."""
    first = next(blocks())[0]
    samples, total = 0, np.zeros_like(first)
    for x in blocks():
        samples += len(x)
        total += (x - first).sum(axis=0)
    return first + total / samples, samples
