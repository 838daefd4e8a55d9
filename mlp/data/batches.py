"""Mini-batches: which samples come next, and their stored values as network inputs."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_dtype, check_integer
from mlp.data.dataset import Dataset


class Batches:
    """Cuts a Dataset into mini-batches::

        batches = Batches(train, 100)
        for x, y in batches.epoch(rng):  # x (100, features) in dtype, y (100,) np.intp or (100, k) in dtype
            ...

    ``batches.sample_weight`` (m,), in dtype, are the weights of the samples of the last batch, or None if the data
    set has none. ``len(batches)`` is the number of batches in an epoch, ⌈n / batch_size⌉; the last one may be
    shorter.

    Args:
        dataset: read, never changed. One whose rows are not contiguous (``dataset[::2]``) is copied once.
        batch_size: 1 .. len(dataset).
        dtype: of x, float32 or float64.

    Raises InputError for a batch_size or dtype outside these.
    """

    def __init__(self, dataset: Dataset, batch_size: int, dtype: DTypeLike = np.float32) -> None:
        self.batch_size = check_integer("batch_size", batch_size, 1)
        if batch_size > len(dataset):
            name = f" of {dataset.name}" if dataset.name else ""
            raise InputError(
                f"batch_size {batch_size} is larger than the {len(dataset)} samples{name}; batch_size=None: all"
            )
        self.dataset = dataset
        self.dtype = check_dtype(dtype)
        self.sample_weight: Array | None = None

        # `take` copies a source that is not contiguous and in native byte order: the whole of it, every time.
        stored = dataset.stored.dtype
        self._stored = _takeable(dataset.stored, stored)
        kind = self.dtype if dataset.labels.dtype.kind == "f" else dataset.labels.dtype
        self._labels = _takeable(dataset.labels, kind)
        weights = dataset.sample_weight
        self._weights = None if weights is None else _takeable(weights, self.dtype)

        # The rule is computed where no type loses digits, as in Dataset.arrays; for bytes that is the dtype of x.
        self._work = np.result_type(stored, self.dtype)
        # Arrays of one value in that dtype: quicker than Python floats, and they promote nothing.
        self._offset = None if dataset.offset == 0 else np.array(dataset.offset, dtype=self._work)
        self._scale = None if dataset.scale == 1 else np.array(dataset.scale, dtype=self._work)

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __repr__(self) -> str:
        return f"Batches({self.dataset!r}, batch_size={self.batch_size}, dtype={self.dtype})"

    def load(self, indices: NDArray[np.intp]) -> tuple[Array, Array]:
        """The samples at ``indices`` (m,), m <= batch_size: x (m, features) and labels.

            x = (stored[indices] - offset) · scale

        Raises InputError for more indices than batch_size, or an index outside the data set.
        """
        if len(indices) > self.batch_size:
            raise InputError(f"{len(indices)} indices do not fit into batches of {self.batch_size}")
        try:
            y = self._labels.take(indices, 0)
        except IndexError as error:
            raise InputError(f"cannot load from {len(self.dataset)} samples: {error}") from error
        x = self._stored.take(indices, 0).astype(self._work, copy=False)
        if self._offset is not None:
            x -= self._offset
        if self._scale is not None:
            x *= self._scale
        if self._weights is not None:
            self.sample_weight = self._weights.take(indices, 0)
        return x.astype(self.dtype, copy=False), y

    def epoch(self, rng: np.random.Generator | None = None, start: int = 0) -> Iterator[tuple[Array, Array]]:
        """Every sample once: an iterator over the batches (x, labels) of one epoch.

        The order is one permutation, drawn from ``rng`` at the call (None: as stored). ``start`` skips that
        many batches of it, so a run that stopped inside an epoch goes on with the batches it has not seen.

        Raises InputError if ``start`` is outside 0 .. len(batches).
        """
        if isinstance(start, bool) or not isinstance(start, int | np.integer) or not 0 <= start <= len(self):
            raise InputError(f"start must be a number of batches from 0 to {len(self)}, got {start!r}")
        samples = len(self.dataset)
        order = np.arange(samples) if rng is None else rng.permutation(samples)
        bounds = range(int(start) * self.batch_size, samples, self.batch_size)
        order = order.astype(np.intp, copy=False)
        return map(self.load, [order[begin : begin + self.batch_size] for begin in bounds])


def _takeable(array: Array, dtype: np.dtype[Any]) -> Array:
    return np.require(array, dtype.newbyteorder("="), ["C", "A"])
