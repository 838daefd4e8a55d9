"""A data set keeps its values as stored (bytes stay bytes), with the rule that makes them network inputs."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from mlp.arrays import Array
from mlp.checks import InputError, check_dtype, check_flag, check_number, check_rng
from mlp.data.class_names import check_class_names, renumber
from mlp.data.labels import check_finite, check_weights, read_labels, real_array
from mlp.data.splits import class_of, split_indices

SHOWN_CLASSES = 10  # as many names of classes fit into one line


class Dataset:
    """Samples and what they should be mapped to. A network sees the stored values as

        x = (stored - offset) · scale

    so 60000 images stay 47 MB of bytes, and only the batch in use becomes floats.

    Args:
        inputs: (n, features), or (n, ...) which is flattened; any real type, kept as given.
        labels: one for each sample. For classification integers or booleans (n,), names (n,), which become the
            numbers of the sorted different names, or one-hot rows of integers (n, K); with ``soft_labels`` rows
            (n, K) that are distributions over the classes. Without it floats (n, k), or (n,) for k = 1, are the
            targets of a regression. Floats (n,) that are all whole numbers may be either, and are refused unless
            ``num_classes`` or ``classes`` says so.
        offset, scale: the rule above, in the unit of the stored values and its inverse.
        num_classes: number of classes, by default the largest label + 1; for a regression it is k.
        name: shown in messages and in the repr.
        image_shape: shape of one sample before flattening, for plots; by default ``inputs.shape[1:]`` if that
            has two axes or more, else None.
        classes: names of the classes, by number. Give the training set's to the test set, whose names may not
            all occur: ``Dataset(x, names, classes=train.classes)``.
        sample_weight: (n,), how much each sample counts in a loss; by default they count the same.

    Attributes: all of the above (``labels`` as np.intp (n,), for distributions and targets (n, k) floats;
    ``classes`` a tuple, or None if the classes are mere numbers; ``sample_weight`` in float64, or None),
    ``num_features`` and ``is_classification``. ``stored`` (n, features) are the values as they were given,
    ``inputs`` what a network takes: x.

    ``x, y = dataset`` gives all samples, ``dataset[:100]`` or ``dataset[indices]`` a smaller Dataset, and
    ``dataset[0]`` that of one sample.

    Raises InputError if the data are empty, differ in length, are not real finite numbers, if a label is outside
    0 .. num_classes - 1, none of ``classes``, or no distribution, or if a weight is not above 0.
    """

    stored: Array
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
        stored = real_array(inputs, "inputs", where)
        if stored.ndim < 2:
            raise InputError(f"{where}: inputs must have shape (n, features), got shape {stored.shape}")
        if stored.size == 0:
            raise InputError(f"{where}: inputs are empty, got shape {stored.shape}; one sample is the least")
        if image_shape is None and stored.ndim > 2:
            image_shape = stored.shape[1:]
        self.stored = stored.reshape(len(stored), -1)
        if image_shape is not None and math.prod(image_shape) != self.num_features:
            raise InputError(
                f"{where}: image_shape {tuple(image_shape)} does not hold {self.num_features} features"
            )
        self.image_shape = None if image_shape is None else tuple(image_shape)
        check_finite(self.stored, "inputs", where)

        self.offset = check_number(f"{where}: offset", offset, -math.inf)
        self.scale = check_number(f"{where}: scale", scale, -math.inf)
        if self.scale == 0:
            raise InputError(f"{where}: scale is 0, which would erase the inputs; give another number")

        self.labels, self.num_classes, self.classes, self.is_classification = read_labels(
            labels, len(self), num_classes, classes, check_flag(f"{where}: soft_labels", soft_labels), where
        )
        self.soft_labels = soft_labels
        self.sample_weight = None if sample_weight is None else check_weights(sample_weight, len(self), where)

    @property
    def _where(self) -> str:
        return f"Dataset {self.name!r}" if self.name else "Dataset"

    @property
    def num_features(self) -> int:
        return int(self.stored.shape[1])

    @property
    def inputs(self) -> Array:
        """x (n, features) as a network takes it: floats, computed at every use where the rule changes something."""
        kind = np.float64 if self.stored.dtype == np.float64 else np.float32
        if (self.offset, self.scale) == (0, 1) and self.stored.dtype == kind:
            return self.stored
        return self.arrays(kind)[0]

    def __len__(self) -> int:
        return len(self.stored)

    def __repr__(self) -> str:
        title = f"{self.name!r}: " if self.name else ""
        image = f" ({'×'.join(map(str, self.image_shape))})" if self.image_shape else ""
        goal = f"{self.num_classes} {'classes' if self.is_classification else 'targets'}"
        if self.classes is not None and len(self.classes) <= SHOWN_CLASSES:
            goal += f" ({', '.join(self.classes)})"
        held = [f"{len(self)} samples", f"{self.num_features} features{image}", goal]
        held += ["sample weights"] if self.sample_weight is not None else []
        return f"Dataset({title}{', '.join(held)}, {self.rule()} ({self.stored.dtype}))"

    def _repr_html_(self) -> str:
        from mlp.data.strip import SHOWN, label_texts, show_samples

        first = self[:SHOWN]
        labels = label_texts(first.labels, self.classes, self.is_classification)
        return show_samples(repr(self), first.inputs, labels, self.image_shape)

    def rule(self) -> str:
        """How stored values become inputs, as one would write it: "x = stored / 255"."""
        x = "stored" if self.offset == 0 else f"(stored - {self.offset:g})".replace("- -", "+ ")
        divisor = round(1 / self.scale)
        if divisor and abs(divisor * self.scale - 1) < 1e-12:
            return f"x = {x}" + (f" / {divisor}" if divisor != 1 else "")
        return f"x = {x} * {self.scale:.6g}"

    def arrays(self, dtype: DTypeLike = np.float32) -> tuple[Array, Array]:
        """All samples as new arrays: x (n, features) in ``dtype``, and the labels, np.intp (n,), or, for
        distributions and the targets of a regression, (n, k) in ``dtype``."""
        kind = check_dtype(dtype)
        # Where float32 cannot hold the stored values (int32, float64), it would lose digits before the
        # offset is taken off; so the rule is computed in the wider of the two types, and rounded once.
        x = self.stored.astype(np.result_type(self.stored.dtype, kind))
        x -= self.offset
        x *= self.scale
        labels = self.labels.astype(kind if self.labels.dtype.kind == "f" else np.intp)
        return x.astype(kind, copy=False), labels

    def __iter__(self) -> Iterator[Array]:
        """``x, y = dataset``: the two arrays of ``arrays()`` in float32."""
        return iter(self.arrays())

    def __getitem__(self, index: int | slice | ArrayLike) -> Dataset:
        """A smaller Dataset: of one sample or a slice (a view), or of indices or booleans (a copy)."""
        where = self._where
        if isinstance(index, int | np.integer) and not isinstance(index, bool):
            if not -len(self) <= index < len(self):
                raise IndexError(f"{where} of {len(self)} samples has none of number {index}")
            index = slice(index % len(self), index % len(self) + 1)
        if not isinstance(index, slice):
            chosen = np.asarray(index)
            if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iub"):
                raise InputError(f"{where}: index {index!r}; expected a slice, or one axis of integers or booleans")
            index = chosen if chosen.size else slice(0, 0)
        part = copy.copy(self)
        try:
            part.stored, part.labels = self.stored[index], self.labels[index]
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
            self.stored if inputs is None else inputs,
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

    def with_classes(self, classes: Sequence[str]) -> Dataset:
        """The same samples with labels numbered as in ``classes``: those of the training set, for a test set.

        Labels that are mere numbers keep them, and get these names. Raises ``InputError`` for a name that is none
        of ``classes``, and for a regression.
        """
        where, names = self._where, check_class_names(classes, None, self._where)
        if not self.is_classification:
            raise InputError(f"{where}: classes {', '.join(names)}, but the labels are the targets of a regression")
        labels = self.labels if self.classes is None else renumber(self.labels, self.classes, names, where)
        twin = copy.copy(self)
        twin.labels, twin.num_classes, twin.classes, _ = read_labels(
            labels, len(self), None, names, self.soft_labels, where
        )
        return twin

    def split(
        self, fraction: float, rng: int | np.random.Generator, stratify: bool = True
    ) -> tuple[Dataset, Dataset]:
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
        classes = class_of(self.labels) if stratify and self.is_classification else None
        rest, taken = split_indices(len(self), held_out, check_rng(rng), classes, where)
        return self[rest], self[taken]

    def bootstrap(self, rng: int | np.random.Generator) -> Dataset:
        """n samples drawn with replacement from the n: about 63 % of them occur, some several times.

        Bagging trains each of several networks on such a sample. Breiman, "Bagging predictors", 1996.
        """
        return self[check_rng(rng).integers(0, len(self), len(self))]
