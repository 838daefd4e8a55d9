"""A data set keeps its values as stored (bytes stay bytes), with the rule that makes them network inputs."""

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from mlp.checks import check_dtype
from mlp.errors import InputError

Array = NDArray[Any]


class Dataset:
    """Samples and what they should be mapped to. A network sees the stored values as

        x = (stored - offset) · scale

    so 60000 images stay 47 MB of bytes, and only the batch in use becomes floats.

    Args:
        inputs: (n, features), or (n, ...) which is flattened; any real type, kept as given.
        labels: integers (n,) for classification, or floats (n, k), the targets of a regression.
        offset, scale: the rule above, in the unit of the stored values and its inverse.
        num_classes: number of classes, by default the largest label + 1; for a regression it is k.
        name: shown in messages and in the repr.
        image_shape: shape of one sample before flattening, for plots; by default ``inputs.shape[1:]`` if that
            has two axes or more, else None.

    Attributes: all of the above (``inputs`` flattened, ``labels`` as np.intp for classification), and
    ``num_features`` and ``is_classification``.

    ``x, y = dataset`` gives all samples, ``dataset[:100]`` or ``dataset[indices]`` a smaller Dataset.

    Raises InputError if the data are empty, differ in length, are not real finite numbers, or if a label is
    outside 0 .. num_classes - 1.
    """

    inputs: Array
    labels: Array

    def __init__(
        self,
        inputs: ArrayLike,
        labels: ArrayLike,
        *,
        offset: float = 0.0,
        scale: float = 1.0,
        num_classes: int | None = None,
        name: str = "",
        image_shape: tuple[int, ...] | None = None,
    ) -> None:
        where = f"Dataset {name!r}" if name else "Dataset"
        self.name = name
        stored = _real_array(inputs, "inputs", where)
        if stored.ndim < 2:
            raise InputError(f"{where}: inputs must have shape (n, features), got shape {stored.shape}")
        if stored.size == 0:
            raise InputError(f"{where}: inputs are empty, got shape {stored.shape}; one sample is the least")
        if image_shape is None and stored.ndim > 2:
            image_shape = stored.shape[1:]
        self.inputs = stored.reshape(len(stored), -1)
        if image_shape is not None and math.prod(image_shape) != self.num_features:
            raise InputError(
                f"{where}: image_shape {tuple(image_shape)} does not hold {self.num_features} features"
            )
        self.image_shape = None if image_shape is None else tuple(image_shape)
        _check_finite(self.inputs, "inputs", where)

        self.offset = _finite_number(offset, "offset", where)
        self.scale = _finite_number(scale, "scale", where)
        if self.scale == 0:
            raise InputError(f"{where}: scale is 0, which would erase the inputs; give another number")

        targets = _real_array(labels, "labels", where)
        if targets.ndim == 0 or len(targets) != len(self):
            raise InputError(f"{where}: {len(self)} inputs but labels of shape {targets.shape}")
        self.is_classification = targets.dtype.kind in "iu"
        if self.is_classification:
            self.labels, self.num_classes = _class_labels(targets, num_classes, where)
        else:
            self.labels, self.num_classes = _regression_targets(targets, num_classes, where)

    @property
    def num_features(self) -> int:
        return int(self.inputs.shape[1])

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        title = f"{self.name!r}: " if self.name else ""
        image = f" ({'×'.join(map(str, self.image_shape))})" if self.image_shape else ""
        goal = f"{self.num_classes} {'classes' if self.is_classification else 'targets'}"
        rule = f"x = (stored - {self.offset:g}) * {self.scale:.6g}"
        return f"Dataset({title}{len(self)} samples, {self.num_features} features{image}, {goal}, {rule})"

    def arrays(self, dtype: DTypeLike = np.float32) -> tuple[Array, Array]:
        """All samples as new arrays: x (n, features) in ``dtype`` and the labels, np.intp (n,), or for a
        regression the targets (n, k) in ``dtype``."""
        kind = check_dtype(dtype)
        # Where float32 cannot hold the stored values (int32, float64), it would lose digits before the
        # offset is taken off; so the rule is computed in the wider of the two types, and rounded once.
        x = self.inputs.astype(np.result_type(self.inputs.dtype, kind))
        x -= self.offset
        x *= self.scale
        labels = self.labels.copy() if self.is_classification else self.labels.astype(kind)
        return x.astype(kind, copy=False), labels

    def __iter__(self) -> Iterator[Array]:
        """``x, y = dataset``: the two arrays of ``arrays()`` in float32."""
        return iter(self.arrays())

    def __getitem__(self, index: slice | ArrayLike) -> "Dataset":
        """A smaller Dataset: of a slice (a view), or of an array of indices or booleans (a copy)."""
        where = f"Dataset {self.name!r}" if self.name else "Dataset"
        if not isinstance(index, slice):
            chosen = np.asarray(index)
            if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iub"):
                raise InputError(f"{where}: index {index!r}; expected a slice, or one axis of integers or booleans")
            index = chosen if chosen.size else slice(0, 0)
        part = copy.copy(self)
        try:
            part.inputs, part.labels = self.inputs[index], self.labels[index]
        except IndexError as error:
            raise InputError(f"{where} of {len(self)} samples: {error}") from error
        if len(part) == 0:
            raise InputError(f"{where}: the index selects none of the {len(self)} samples")
        return part


def _real_array(values: ArrayLike, what: str, where: str) -> Array:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(f"{where}: {what} do not form an array: {error}") from error
    if array.dtype.kind not in "buif":
        raise InputError(f"{where}: {what} must be real numbers, got dtype {array.dtype}")
    return array


def _check_finite(array: Array, what: str, where: str) -> None:
    if array.dtype.kind != "f":
        return
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        sample = int(np.argmin(finite))
        value = array[sample][~np.isfinite(array[sample])][0]
        raise InputError(f"{where}: {what} must be finite, sample {sample} contains {value}")


def _finite_number(value: float, what: str, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{where}: {what} must be a finite number, got {value!r}")
    return number


def _class_labels(labels: Array, num_classes: int | None, where: str) -> tuple[Array, int]:
    if labels.ndim != 1:
        raise InputError(f"{where}: integer labels must have shape (n,), got shape {labels.shape}")
    classes = max(int(labels.max()) + 1, 1) if num_classes is None else num_classes
    if isinstance(classes, bool) or not isinstance(classes, int | np.integer) or classes < 1:
        raise InputError(f"{where}: num_classes must be an integer of at least 1, got {num_classes!r}")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        raise InputError(
            f"{where}: labels must lie in 0..{classes - 1}, sample {wrong[0]} has label {labels[wrong[0]]}"
        )
    return labels.astype(np.intp, copy=False), int(classes)


def _regression_targets(targets: Array, num_classes: int | None, where: str) -> tuple[Array, int]:
    if targets.dtype.kind != "f" or targets.ndim != 2 or targets.shape[1] == 0:
        raise InputError(
            f"{where}: labels must be integers of shape (n,), or floats of shape (n, k) for a regression, "
            f"got {targets.dtype} of shape {targets.shape}"
        )
    _check_finite(targets, "targets", where)
    if num_classes not in (None, targets.shape[1]):
        raise InputError(f"{where}: num_classes {num_classes!r}, but the targets have {targets.shape[1]} columns")
    return targets, int(targets.shape[1])
