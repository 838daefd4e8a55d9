"""A data set keeps its values as stored (bytes stay bytes), with the rule that makes them network inputs."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_dtype, check_number
from mlp.data.labels import check_finite, read_labels
from mlp.data.sampling import class_of, split_at_random, split_by_class


class Dataset:
    """Samples and what they should be mapped to. A network sees the stored values as

        x = (stored - offset) · scale

    so 60000 images stay 47 MB of bytes, and only the batch in use becomes floats.

    Args:
        inputs: (n, features), or (n, ...) which is flattened; any real type, kept as given.
        labels: one for each sample. For classification integers (n,), or names (n,), which become the numbers of
            the sorted different names; with ``soft_labels`` floats (n, K), whose rows are distributions over
            the classes. Without it floats (n, k) are the targets of a regression.
        offset, scale: the rule above, in the unit of the stored values and its inverse.
        num_classes: number of classes, by default the largest label + 1; for a regression it is k.
        name: shown in messages and in the repr.
        image_shape: shape of one sample before flattening, for plots; by default ``inputs.shape[1:]`` if that
            has two axes or more, else None.
        classes: names of the classes, by number. Give the training set's to the test set, whose names may not
            all occur: ``Dataset(x, names, classes=train.classes)``.
        sample_weight: (n,), how much each sample counts in a loss; by default they count the same.

    Attributes: all of the above (``inputs`` flattened; ``labels`` as np.intp (n,), for distributions and targets
    as given; ``classes`` a tuple, or None if the classes are mere numbers; ``sample_weight`` in float64, or None),
    and ``num_features`` and ``is_classification``.

    ``x, y = dataset`` gives all samples, ``dataset[:100]`` or ``dataset[indices]`` a smaller Dataset.

    Raises InputError if the data are empty, differ in length, are not real finite numbers, if a label is outside
    0 .. num_classes - 1, none of ``classes``, or no distribution, or if a weight is not above 0.
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
        classes: Sequence[str] | None = None,
        soft_labels: bool = False,
        sample_weight: ArrayLike | None = None,
    ) -> None:
        self.name = name
        where = self._where
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
        check_finite(self.inputs, "inputs", where)

        self.offset = _finite_number(offset, "offset", where)
        self.scale = _finite_number(scale, "scale", where)
        if self.scale == 0:
            raise InputError(f"{where}: scale is 0, which would erase the inputs; give another number")

        self.labels, self.num_classes, self.classes, self.is_classification = read_labels(
            labels, len(self), num_classes, classes, soft_labels, where
        )
        self.soft_labels = soft_labels
        self.sample_weight = None if sample_weight is None else _weights(sample_weight, len(self), where)

    @property
    def _where(self) -> str:
        return f"Dataset {self.name!r}" if self.name else "Dataset"

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
        """All samples as new arrays: x (n, features) in ``dtype``, and the labels, np.intp (n,), or, for
        distributions and the targets of a regression, (n, k) in ``dtype``."""
        kind = check_dtype(dtype)
        # Where float32 cannot hold the stored values (int32, float64), it would lose digits before the
        # offset is taken off; so the rule is computed in the wider of the two types, and rounded once.
        x = self.inputs.astype(np.result_type(self.inputs.dtype, kind))
        x -= self.offset
        x *= self.scale
        labels = self.labels.astype(kind if self.labels.dtype.kind == "f" else np.intp)
        return x.astype(kind, copy=False), labels

    def __iter__(self) -> Iterator[Array]:
        """``x, y = dataset``: the two arrays of ``arrays()`` in float32."""
        return iter(self.arrays())

    def __getitem__(self, index: slice | ArrayLike) -> Dataset:
        """A smaller Dataset: of a slice (a view), or of an array of indices or booleans (a copy)."""
        where = self._where
        if not isinstance(index, slice):
            chosen = np.asarray(index)
            if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iub"):
                raise InputError(f"{where}: index {index!r}; expected a slice, or one axis of integers or booleans")
            index = chosen if chosen.size else slice(0, 0)
        part = copy.copy(self)
        try:
            part.inputs, part.labels = self.inputs[index], self.labels[index]
            part.sample_weight = None if self.sample_weight is None else self.sample_weight[index]
        except IndexError as error:
            raise InputError(f"{where} of {len(self)} samples: {error}") from error
        if len(part) == 0:
            raise InputError(f"{where}: the index selects none of the {len(self)} samples")
        return part

    def replace(
        self, *, inputs: ArrayLike | None = None, labels: ArrayLike | None = None, soft_labels: bool = False
    ) -> Dataset:
        """A Dataset with other inputs, other labels, or both, for the same samples; the rest is kept.

        New inputs are what a network sees: the offset becomes 0, the scale 1. New labels are given as to
        ``Dataset``, for the same classes.
        """
        twin = Dataset(
            self.inputs if inputs is None else inputs,
            self.labels if labels is None else labels,
            offset=self.offset if inputs is None else 0.0,
            scale=self.scale if inputs is None else 1.0,
            num_classes=self.num_classes,
            name=self.name,
            classes=self.classes,
            soft_labels=self.soft_labels if labels is None else soft_labels,
            sample_weight=self.sample_weight,
        )
        if twin.image_shape is None and twin.num_features == self.num_features:
            twin.image_shape = self.image_shape
        return twin

    def split(self, fraction: float, rng: np.random.Generator, stratify: bool = True) -> tuple[Dataset, Dataset]:
        """(train, validation): a random part of round(fraction · n) samples is held out, halves rounded up.

        Each sample is in one of the two, in the order it had. ``stratify`` keeps the share of every class: of the
        n_k samples of a class its quota, fraction · n_k, is held out, rounded by largest remainders so that the
        total stays exact, but at least 1 and at most n_k - 1. Distributions count as their most probable class.
        A regression has no classes and is split at random.

        With ``stratify=False`` a part may lack a class; its ``num_classes`` stays.

        Raises InputError for a fraction outside 0 .. 1, if a part would be empty, or if a stratified one could
        not have every class.
        """
        where = f"{self._where}: split"
        held_out = int(check_number(f"{where}: fraction", fraction, 0, 1) * len(self) + 0.5)
        if not 0 < held_out < len(self):
            raise InputError(f"{where}: fraction {fraction} of {len(self)} samples leaves a part empty")
        if stratify and self.is_classification:
            parts = split_by_class(class_of(self.labels), held_out, rng, where)
        else:
            parts = split_at_random(len(self), held_out, rng)
        return self[parts[0]], self[parts[1]]

    def bootstrap(self, rng: np.random.Generator) -> Dataset:
        """n samples drawn with replacement from the n: about 63 % of them occur, some several times.

        Bagging trains each of several networks on such a sample. Breiman, "Bagging predictors", 1996.
        """
        return self[rng.integers(0, len(self), len(self))]


def _real_array(values: ArrayLike, what: str, where: str) -> Array:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(f"{where}: {what} do not form an array: {error}") from error
    if array.dtype.kind not in "buif":
        raise InputError(f"{where}: {what} must be real numbers, got dtype {array.dtype}")
    return array


def _finite_number(value: float, what: str, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{where}: {what} must be a finite number, got {value!r}")
    return number


def _weights(weights: ArrayLike, samples: int, where: str) -> NDArray[np.float64]:
    array = _real_array(weights, "sample weights", where)
    if array.shape != (samples,):
        raise InputError(f"{where}: sample_weight must have shape ({samples},), got {array.shape}")
    wrong = np.flatnonzero(~(np.isfinite(array) & (array > 0)))
    if wrong.size:
        raise InputError(
            f"{where}: sample weights must be finite and above 0, sample {wrong[0]} has {array[wrong[0]]}"
        )
    return array.astype(np.float64)
