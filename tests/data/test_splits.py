"""Splits, bootstrap samples and upsampling: which samples are where, counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp.checks import InputError
from mlp.data import Dataset, oversample

laws = settings(deadline=None, max_examples=80, derandomize=True)


def numbered(labels, **options):
    """Sample i has the input i, so that a part shows which samples it holds."""
    return Dataset(np.arange(len(labels))[:, np.newaxis], labels, **options)


def numbers(data):
    return data.stored[:, 0].tolist()


def counts(data):
    return np.bincount(data.labels, minlength=data.num_classes)


class_sizes = st.lists(st.integers(2, 30), min_size=1, max_size=6)


@laws
@given(sizes=class_sizes, fraction=st.floats(0.01, 0.99), seed=st.integers(0, 2**32), stratify=st.booleans())
def test_splits_are_disjoint_complete_exact_and_keep_every_class(sizes, fraction, seed, stratify):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    data = numbered(labels, sample_weight=np.arange(1, len(labels) + 1))
    n, k = len(labels), len(sizes)
    held_out = int(np.floor(fraction * n + 0.5))
    if not 0 < held_out < n or (stratify and not k <= held_out <= n - k):
        with pytest.raises(InputError):
            data.split(fraction, rng, stratify)
        return
    train, validation = data.split(fraction, rng, stratify)
    assert (len(train), len(validation)) == (n - held_out, held_out)
    assert sorted(numbers(train) + numbers(validation)) == list(range(n))
    for part in (train, validation):
        assert numbers(part) == sorted(numbers(part))  # the order they had
        assert part.labels.tolist() == labels[numbers(part)].tolist()
        assert part.sample_weight.tolist() == [i + 1 for i in numbers(part)]
        assert part.num_classes == k
    if stratify:
        assert counts(train).min() >= 1
        assert counts(validation).min() >= 1
        # Where no class is so small that it needs help, each has its quota, rounded up or down.
        quotas = held_out * np.array(sizes) / n
        if quotas.min() >= 1 and (np.array(sizes) - quotas).min() >= 1:
            assert abs(counts(validation) - quotas).max() < 1


def test_worked_quotas():
    # 7 of 20 from classes of 10, 6 and 4: quotas 3.5, 2.1, 1.4, so 3 + 2 + 1, and one for the largest remainder.
    labels = np.repeat([0, 1, 2], [10, 6, 4])
    train, validation = numbered(labels).split(0.35, np.random.default_rng(0))
    assert counts(validation).tolist() == [4, 2, 1]
    assert counts(train).tolist() == [6, 4, 3]
    # 2 of 20 from 18 and 2: quotas 1.8 and 0.2, but each class has one.
    _, validation = numbered(np.repeat([0, 1], [18, 2])).split(0.1, np.random.default_rng(0))
    assert counts(validation).tolist() == [1, 1]
    # 18 of 20: quotas 16.2 and 1.8, and one of each stays.
    train, _ = numbered(np.repeat([0, 1], [18, 2])).split(0.9, np.random.default_rng(0))
    assert counts(train).tolist() == [1, 1]


def test_a_split_is_a_function_of_the_seed_and_uniform():
    data = numbered(np.repeat([0, 1], 10))
    parts = [numbers(data.split(0.3, np.random.default_rng(seed))[1]) for seed in range(400)]
    assert parts[3] == numbers(data.split(0.3, np.random.default_rng(3))[1])
    held_out = np.bincount(np.concatenate(parts), minlength=20)
    # Each sample is held out in 120 of 400 splits, with a standard deviation of sqrt(400 · 0.3 · 0.7) = 9.2.
    assert abs(held_out - 120).max() < 4 * 9.2


def test_classes_without_samples_are_no_obstacle():
    train, validation = numbered([1, 1, 4, 4], num_classes=6).split(0.5, np.random.default_rng(0))
    assert counts(train).tolist() == counts(validation).tolist() == [0, 1, 0, 0, 1, 0]


def test_without_strata_a_class_may_be_missing_and_stays_known():
    labels = [0] * 9 + [1]
    for seed in range(5):
        for part in numbered(labels).split(0.3, np.random.default_rng(seed), stratify=False):
            assert part.num_classes == 2


def test_soft_labels_are_split_by_their_most_probable_class():
    rows = np.eye(3)[np.repeat([0, 1, 2], 4)] * 0.7 + 0.1
    _, validation = numbered(rows, soft_labels=True).split(0.25, np.random.default_rng(0))
    assert sorted(validation.labels.argmax(axis=1)) == [0, 1, 2]


def test_a_regression_is_split_at_random():
    train, validation = numbered(np.zeros((10, 2))).split(0.25, np.random.default_rng(0))
    assert (len(train), len(validation)) == (7, 3)  # 2.5 is rounded up
    assert sorted(numbers(train) + numbers(validation)) == list(range(10))


@pytest.mark.parametrize(
    ("labels", "fraction", "stratify", "message"),
    [
        ([0, 0, 0, 1], 0.5, True, "split: class 1 has one sample, which cannot be in both parts"),
        ([0, 0, 1, 1, 2, 2], 0.3, True, "2 of 6 samples cannot be held out with each of the 3 classes"),
        ([0, 0, 1, 1, 2, 2], 0.7, True, "4 of 6 samples cannot be held out with each of the 3 classes"),
        ([0, 0, 1, 1], 0.1, False, "fraction 0.1 of 4 samples leaves a part empty"),
        ([0, 0, 1, 1], 0.9, False, "fraction 0.9 of 4 samples leaves a part empty"),
        ([0, 0, 1, 1], 0, True, "leaves a part empty"),
        ([0, 0, 1, 1], 1.5, True, "fraction must be a finite number from 0 to 1, got 1.5"),
        ([0, 0, 1, 1], 100, True, "fraction must be a finite number from 0 to 1, got 100"),
    ],
)
def test_bad_splits(labels, fraction, stratify, message):
    with pytest.raises(InputError, match=message):
        numbered(labels, name="toy").split(fraction, np.random.default_rng(0), stratify)


def test_bootstrap_draws_with_replacement():
    data = numbered(np.arange(2000) % 3, sample_weight=np.arange(1, 2001))
    sample = data.bootstrap(np.random.default_rng(0))
    assert len(sample) == 2000
    assert sample.labels.tolist() == [i % 3 for i in numbers(sample)]
    assert sample.sample_weight.tolist() == [i + 1 for i in numbers(sample)]
    # 1 - 1/e of the samples occur: 1264 of 2000, with a standard deviation of about 14.
    assert abs(len(set(numbers(sample))) - 1264) < 4 * 14
    assert numbers(sample) == numbers(data.bootstrap(np.random.default_rng(0)))
    assert numbers(sample) != numbers(data.bootstrap(np.random.default_rng(1)))


@laws
@given(sizes=st.lists(st.integers(0, 20), min_size=1, max_size=5).filter(any), seed=st.integers(0, 2**32))
def test_upsampling_balances_the_classes_and_keeps_every_sample(sizes, seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    data = numbered(labels, num_classes=len(sizes))
    more = oversample(data, rng)
    assert counts(more).tolist() == [max(sizes) if size else 0 for size in sizes]
    assert more.labels.tolist() == labels[numbers(more)].tolist()
    times = np.bincount(numbers(more), minlength=len(labels))
    for k, size in enumerate(sizes):
        if size:  # as evenly as whole numbers allow
            assert set(times[labels == k]) <= {max(sizes) // size, -(-max(sizes) // size)}


def test_upsampling_distributions_and_targets():
    rows = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    more = oversample(numbered(rows, soft_labels=True), np.random.default_rng(0))
    assert numbers(more) == [0, 1, 2, 2]
    with pytest.raises(InputError, match="oversample needs classes to balance"):
        oversample(numbered(rows), np.random.default_rng(0))
