"""Mini-batches without allocation: fresh arrays at every step would cost more than the arithmetic."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlp.arrays import Array, aligned_empty
from mlp.checks import InputError, check_dtype, check_integer
from mlp.data.dataset import Dataset


class Batches:
    """Cuts a Dataset into mini-batches, which it builds in buffers of its own::

        batches = Batches(train, 100)
        for x, y in batches.epoch(rng):  # x (100, features) in dtype, y (100,) np.intp or (100, k) in dtype
            ...

    ``batches.sample_weight`` (m,), in dtype, are the weights of the samples of the last batch, or None if the data
    set has none.

    **What it returns is lent**: x, y and weights are views of buffers, valid until the next batch; copy to keep.

    ``len(batches)`` is the number of batches in an epoch, ⌈n / batch_size⌉; the last one may be shorter.

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
            raise InputError(f"batch_size {batch_size} is larger than the {len(dataset)} samples{name}")
        self.dataset = dataset
        self.dtype = check_dtype(dtype)

        # `take` copies a source that is not contiguous and in native byte order: the whole of it, every time.
        self._inputs = _takeable(dataset.inputs, dataset.inputs.dtype)
        kind = self.dtype if dataset.labels.dtype.kind == "f" else dataset.labels.dtype
        self._labels = _takeable(dataset.labels, kind)
        weights = dataset.sample_weight
        self._weights = None if weights is None else _takeable(weights, self.dtype)
        self.sample_weight: Array | None = None

        shape = (self.batch_size, dataset.num_features)
        stored = self._inputs.dtype
        # The rule is computed where no type loses digits, as in Dataset.arrays; for bytes that is x itself.
        work = np.result_type(stored, self.dtype)
        self._x = aligned_empty(shape, self.dtype)
        self._work = self._x if work == self.dtype else aligned_empty(shape, work)
        # Values that are stored as they are computed with are gathered into place: no pass to convert them.
        self._raw = self._work if stored == work else aligned_empty(shape, stored)
        self._y = aligned_empty((self.batch_size, *self._labels.shape[1:]), self._labels.dtype)
        self._w = aligned_empty((self.batch_size,), self.dtype)

        # Arrays of one value in the dtype of the work: quicker than Python floats, and they promote nothing.
        self._offset = None if dataset.offset == 0 else np.array(dataset.offset, dtype=work)
        self._scale = None if dataset.scale == 1 else np.array(dataset.scale, dtype=work)

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __repr__(self) -> str:
        return f"Batches({self.dataset!r}, batch_size={self.batch_size}, dtype={self.dtype})"

    def load(self, indices: NDArray[np.intp]) -> tuple[Array, Array]:
        """The samples at ``indices`` (m,), m <= batch_size: x (m, features) and labels, both lent.

            x = (stored[indices] - offset) · scale

        Raises InputError for more indices than batch_size, or an index outside the data set.
        """
        x, work, raw, y = self._x, self._work, self._raw, self._y
        count = len(indices)
        if count != self.batch_size:
            if count > self.batch_size:
                raise InputError(f"{count} indices do not fit into batches of {self.batch_size}")
            x, work, raw, y = x[:count], work[:count], raw[:count], y[:count]

        # mode="raise" fills a hidden buffer first, which is dear for the inputs and nothing for the labels.
        # So the labels check the range for both, and "wrap" reads the indices -n .. n-1 in the same way.
        try:
            self._labels.take(indices, 0, y, "raise")
        except IndexError as error:
            raise InputError(f"cannot load from {len(self.dataset)} samples: {error}") from error
        self._inputs.take(indices, 0, raw, "wrap")
        if self._weights is not None:
            self.sample_weight = self._weights.take(indices, 0, self._w[:count], "wrap")

        if work is not raw:
            np.copyto(work, raw)
        if self._offset is not None:
            np.subtract(work, self._offset, work)
        if self._scale is not None:
            np.multiply(work, self._scale, work)
        if x is not work:
            np.copyto(x, work)
        return x, y

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
        return self._walk(order.astype(np.intp, copy=False), int(start))

    # A generator runs nothing before its first batch; apart from `epoch`, so that the draw is not put off.
    def _walk(self, order: NDArray[np.intp], start: int) -> Iterator[tuple[Array, Array]]:
        size = self.batch_size
        for begin in range(start * size, len(order), size):
            yield self.load(order[begin : begin + size])


def _takeable(array: Array, dtype: np.dtype[Any]) -> Array:
    return np.require(array, dtype.newbyteorder("="), ["C", "A"])
