"""Data sets made from another: small classes repeated until all are of one size, labels made wrong on purpose."""

from __future__ import annotations

import numpy as np

from mlp.checks import InputError, check_number, check_rng
from mlp.data.dataset import Dataset
from mlp.data.splits import class_of


def oversample(dataset: Dataset, rng: int | np.random.Generator) -> Dataset:
    """A data set whose classes all have as many samples as the largest one, by repeating samples of the others.

    A class of n_k samples, where the largest has m, holds each sample ⌊m / n_k⌋ times, and m mod n_k of them,
    drawn without replacement, once more. Samples keep their order, copies side by side. Classes that have no
    samples stay without. Split first: copies of one sample must not be in both parts.

    Raises ``InputError`` for a regression, which has no classes.
    """
    if not dataset.is_classification:
        raise InputError(f"oversample needs classes to balance, got {dataset!r}")
    classes, rng = class_of(dataset.labels), check_rng(rng)
    counts = np.bincount(classes)
    most = counts.max()
    chosen = []
    for k in np.flatnonzero(counts):
        members = np.flatnonzero(classes == k)
        whole, rest = divmod(most, counts[k])
        chosen += [np.repeat(members, whole), rng.permutation(members)[:rest]]
    return dataset[np.sort(np.concatenate(chosen))]


upsample = oversample  # the name that it had before


def corrupt_labels(dataset: Dataset, rate: float, rng: int | np.random.Generator) -> Dataset:
    """The data set with wrong labels: ``rate`` · n of them, rounded, each replaced by one of the other classes.

    Which samples, and which of the K - 1 other classes, is drawn uniformly (symmetric noise). Compare the labels
    with those of ``dataset`` to see which were changed.

    Raises ``InputError`` for a rate outside 0 .. 1, for fewer than two classes, and unless labels are classes.

    The lesson: Zhang, Bengio, Hardt, Recht & Vinyals, "Understanding deep learning requires rethinking
    generalization", ICLR 2017.
    """
    rate = check_number("corrupt_labels: rate", rate, 0, 1)
    if dataset.labels.dtype.kind == "f" or dataset.num_classes < 2:
        raise InputError(f"corrupt_labels needs class labels of two classes or more, got {dataset!r}")
    rng = check_rng(rng)
    wrong = rng.permutation(len(dataset))[: int(rate * len(dataset) + 0.5)]
    labels = dataset.labels.copy()
    # Adding 1 .. K - 1 modulo K leads to every other class, and never back to the same one.
    labels[wrong] = (labels[wrong] + rng.integers(1, dataset.num_classes, len(wrong))) % dataset.num_classes
    return dataset.replace(labels=labels)
