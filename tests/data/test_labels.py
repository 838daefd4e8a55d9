"""Names, distributions, weights and noise as labels, against worked numbers and counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp.checks import InputError
from mlp.data import Batches, Dataset, class_weights, corrupt_labels, smooth_labels

laws = settings(deadline=None, max_examples=50, derandomize=True)
X = np.arange(8.0).reshape(4, 2)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    "labels",
    [
        ["dog", "cat", "eel", "cat"],
        np.array(["dog", "cat", "eel", "cat"]),
        np.array(["dog", "cat", "eel", "cat"], object),
    ],
    ids=["list", "str", "object"],
)
def test_names_become_the_numbers_of_the_sorted_different_names(labels):
    data = Dataset(X, labels)
    assert data.classes == ("cat", "dog", "eel")
    assert all(type(name) is str for name in data.classes)
    assert data.labels.tolist() == [1, 0, 2, 0]
    assert data.labels.dtype == np.intp
    assert data.num_classes == 3
    assert data.is_classification
    assert data[1:3].classes == data.classes


def test_a_test_set_without_some_names_takes_the_numbers_of_the_training_set():
    train = Dataset(X, ["dog", "cat", "eel", "cat"])
    test = Dataset(X[:2], ["eel", "dog"], classes=train.classes)
    assert test.labels.tolist() == [2, 1]
    assert (test.num_classes, test.classes) == (3, ("cat", "dog", "eel"))


def test_numbers_can_have_names():
    assert Dataset(X, [0, 1, 1, 0]).classes is None
    data = Dataset(X, [0, 1, 1, 0], classes=["shirt", "coat", "bag"])
    assert (data.classes, data.num_classes) == (("shirt", "coat", "bag"), 3)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (["a", "b", "c", "a"], {"classes": ("a", "b")}, "label 'c' is none of the classes a, b"),
        (["a", "b", "c", "a"], {"num_classes": 4}, "num_classes 4, but there are 3 class names"),
        ([0, 1, 2, 0], {"classes": ("a", "b")}, r"labels must lie in 0\.\.1, sample 2 has label 2"),
        ([0, 1, 2, 0], {"classes": ("a", "a")}, "classes must be different names"),
        ([0, 1, 2, 0], {"classes": ()}, "classes must be different names"),
        ([0, 1, 2, 0], {"classes": (1, 2, 3)}, "classes must be different names"),
        (["a", "b"], {}, r"4 inputs but labels of shape \(2,\)"),
        ([["a", "b"]] * 4, {}, r"floats of shape \(n, k\) for a regression, got <U1 of shape \(4, 2\)"),
        (np.array(["a", 1, 2, "b"], object), {}, "labels must be integers, names or real numbers"),
        (np.zeros((4, 2)), {"classes": ("a", "b")}, "classes are given, but the labels are the targets"),
    ],
)
def test_bad_names(labels, options, message):
    with pytest.raises(InputError, match=message):
        Dataset(X, labels, **options)


def test_labels_are_renumbered_by_name():
    train = Dataset(X, ["dog", "cat", "eel", "cat"])
    test = Dataset(X[:2], ["eel", "dog"])
    assert test.labels.tolist() == [1, 0]  # the numbers of its own two names
    same = test.with_classes(train.classes)
    assert (same.labels.tolist(), same.classes, same.num_classes) == ([2, 1], train.classes, 3)
    assert train.with_classes(train.classes).labels is train.labels
    soft = Dataset(X[:2], [[0.25, 0.75], [1, 0]], classes=("eel", "cat"), soft_labels=True)
    assert soft.with_classes(train.classes).labels.tolist() == [[0.75, 0, 0.25], [0, 0, 1]]
    numbers = Dataset(X, [0, 2, 2, 1]).with_classes(train.classes)
    assert (numbers.labels.tolist(), numbers.classes) == ([0, 2, 2, 1], train.classes)


def test_names_that_the_training_set_has_not_are_refused():
    with pytest.raises(InputError, match="label 'emu' is none of the classes cat, dog"):
        Dataset(X, ["emu", "cat", "cat", "dog"]).with_classes(("cat", "dog"))
    with pytest.raises(InputError, match=r"labels must lie in 0\.\.1, sample 2 has label 2"):
        Dataset(X, [0, 1, 2, 0]).with_classes(("cat", "dog"))
    with pytest.raises(InputError, match="the labels are the targets of a regression"):
        Dataset(X, [[0.5]] * 4).with_classes(("cat", "dog"))


# ---------------------------------------------------------------- the forms that labels come in


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([True, False, False, True], [1, 0, 0, 1]),
        ([[1], [0], [2], [0]], [1, 0, 2, 0]),
        ([["b"], ["a"], ["c"], ["a"]], [1, 0, 2, 0]),
        ([[0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]], [1, 0, 2, 0]),
        (np.eye(3, dtype=bool)[[1, 0, 2, 0]], [1, 0, 2, 0]),
    ],
    ids=["bool", "column", "column of names", "one-hot", "one-hot bool"],
)
def test_labels_that_can_only_be_classes(labels, expected):
    data = Dataset(X, labels)
    assert data.is_classification
    assert data.labels.tolist() == expected
    assert data.labels.dtype == np.intp
    assert data.num_classes == max(expected) + 1


def test_a_vector_of_fractions_is_a_regression_of_one_target():
    data = Dataset(X, [0.5, 1, 2, 3])
    assert not data.is_classification
    assert data.labels.tolist() == [[0.5], [1], [2], [3]]
    assert not Dataset(X, np.array([[1.0], [2], [3], [4]])).is_classification


def test_whole_floats_are_classes_where_their_number_is_given():
    for options in ({"num_classes": 3}, {"classes": ("a", "b", "c")}):
        assert Dataset(X, [0.0, 2, 1, 0], **options).labels.tolist() == [0, 2, 1, 0]


def test_one_hot_integers_serve_as_soft_labels():
    data = Dataset(X, np.eye(3, dtype=int)[[1, 0, 2, 0]], soft_labels=True)
    assert data.labels.dtype == np.float32
    assert data.labels.argmax(axis=1).tolist() == [1, 0, 2, 0]


# ---------------------------------------------------------------- distributions

ROWS = np.array([[0.5, 0.5, 0], [1, 0, 0], [0.25, 0.25, 0.5], [0, 0, 1]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_soft_labels_are_classes_and_stay_floats(dtype):
    data = Dataset(X, ROWS, soft_labels=True)
    assert data.is_classification
    assert data.num_classes == 3
    assert "3 classes" in repr(data)
    assert data[2:].soft_labels
    y = data.arrays(dtype)[1]
    assert y.dtype == dtype
    assert y.tolist() == ROWS.tolist()
    _, y = Batches(data, 2, dtype).load(np.array([2, 0]))
    assert y.dtype == dtype
    assert y.tolist() == ROWS[[2, 0]].tolist()
    assert not Dataset(X, ROWS).is_classification  # unless asked for, floats are the targets of a regression


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (ROWS * 0.9, {}, r"sample 0 is \[0.45 0.45 0.  \] with sum 0.9"),
        ([[0.5, 0.5], [1.5, -0.5], [1, 0], [1, 0]], {}, "entries of at least 0 with sum 1; sample 1"),
        ([0, 1, 2, 0], {}, r"soft labels must be floats of shape \(n, K\), got int64"),
        (["a", "b", "c", "a"], {}, "soft labels must be floats"),
        (ROWS, {"num_classes": 4}, "num_classes 4, but the distributions have 3 columns"),
        (np.full((4, 2), np.nan), {}, "distributions must be finite, sample 0"),
    ],
)
def test_bad_soft_labels(labels, options, message):
    with pytest.raises(InputError, match=message):
        Dataset(X, labels, soft_labels=True, **options)


def test_smoothing_worked_numbers():
    # 1 - 0.3 + 0.3/3 = 0.8 for the label, 0.3/3 = 0.1 for the others.
    y = smooth_labels(np.array([2, 0]), 3, 0.3, np.float64)
    np.testing.assert_allclose(y, [[0.1, 0.1, 0.8], [0.8, 0.1, 0.1]], rtol=1e-15)
    # A distribution moves towards the uniform one: 0.7 · 0.5 + 0.1 = 0.45.
    np.testing.assert_allclose(smooth_labels(ROWS, 3, 0.3, np.float64)[0], [0.45, 0.45, 0.1], rtol=1e-15)
    assert smooth_labels(np.array([2, 0]), 3, 0).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert smooth_labels(np.array([2, 0]), 3).dtype == np.float32
    assert Dataset(X[:2], smooth_labels(np.array([2, 0]), 3), soft_labels=True).num_classes == 3


def test_smoothing_is_that_of_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(20, 5)), rng.integers(0, 5, 20)
    s, y = torch.tensor(scores), torch.tensor(labels)
    expected = torch.nn.functional.cross_entropy(s, y, label_smoothing=0.2)
    soft = torch.tensor(smooth_labels(labels, 5, 0.2, np.float64))
    assert float(torch.nn.functional.cross_entropy(s, soft)) == pytest.approx(float(expected), rel=1e-13)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 3], 3), "class labels must be integers from 0 to 2"),
        (([0, 1], 3, 1.5), "smoothing must be a finite number from 0 to 1, got 1.5"),
        (([0, 1], 0), "num_classes must be an integer of at least 1, got 0"),
        (([[0.5, 0.5]], 3), r"distributions must have shape \(n, 3\), got \(1, 2\)"),
        (([[0.5, 0.4]], 2), "entries of at least 0 with sum 1"),
    ],
)
def test_bad_smoothing(arguments, message):
    with pytest.raises(InputError, match=message):
        smooth_labels(*arguments)


# ---------------------------------------------------------------- weights


def test_sample_weights_go_with_their_samples():
    data = Dataset(X, [0, 1, 0, 1], sample_weight=[1, 2, 3, 4])
    assert data.sample_weight.dtype == np.float64
    assert data[1:3].sample_weight.tolist() == [2, 3]
    assert data[[3, 0, 3]].sample_weight.tolist() == [4, 1, 4]
    assert data[data.labels == 1].sample_weight.tolist() == [2, 4]
    assert Dataset(X, [0, 1, 0, 1])[1:].sample_weight is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batches_show_the_weights_of_the_batch_last_loaded(dtype):
    weights = np.arange(1.0, 11)
    data = Dataset(np.arange(10.0)[:, np.newaxis], np.zeros(10, int), sample_weight=weights)
    batches = Batches(data, 4, dtype)
    assert batches.sample_weight is None  # nothing is loaded
    sizes = []
    for x, y in batches.epoch(np.random.default_rng(0)):
        assert batches.sample_weight.dtype == dtype
        assert batches.sample_weight.tolist() == (x[:, 0] + 1).tolist()
        sizes.append(len(batches.sample_weight))
        assert len(y) == sizes[-1]
    assert sizes == [4, 4, 2]
    unweighted = Batches(Dataset(X, [0, 1, 0, 1]), 2)
    unweighted.load(np.arange(2))
    assert unweighted.sample_weight is None


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2, 3], r"sample_weight must have shape \(4,\), got \(3,\)"),
        ([[1, 2, 3, 4]], r"got \(1, 4\)"),
        ([1, 2, 0, 4], "sample weights must be finite and above 0, sample 2 has 0"),
        ([1, 2, 3, -1], "sample 3 has -1"),
        ([1, np.inf, 3, 1], "sample 1 has inf"),
        ([1, np.nan, 3, 1], "sample 1 has nan"),
        (["a", "b", "c", "d"], "sample weights must be real numbers"),
    ],
)
def test_bad_sample_weights(weights, message):
    with pytest.raises(InputError, match=message):
        Dataset(X, [0, 1, 0, 1], sample_weight=weights)


def test_class_weights_worked_numbers():
    # 6 samples, 3 classes: 6/(3·3), 6/(3·2), 6/(3·1)
    weights = class_weights(np.array([0, 0, 0, 1, 1, 2]), 3)
    np.testing.assert_allclose(weights, [2 / 3, 1, 2], rtol=1e-15)


def test_class_weights_are_those_of_scikit_learn():
    utilities = pytest.importorskip("sklearn.utils.class_weight", reason="scikit-learn is not installed")
    labels = np.random.default_rng(0).integers(0, 7, 200) // 2
    expected = utilities.compute_class_weight("balanced", classes=np.arange(4), y=labels)
    np.testing.assert_allclose(class_weights(labels, 4), expected, rtol=1e-14)


def test_a_class_without_samples_has_no_weight():
    with pytest.raises(InputError, match="class 1 has no samples"):
        class_weights(np.array([0, 2]), 3)
    with pytest.raises(InputError, match="class labels must be integers from 0 to 1"):
        class_weights(np.array([0, 2]), 2)


# ---------------------------------------------------------------- noise


@laws
@given(n=st.integers(1, 60), classes=st.integers(2, 5), rate=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_exactly_the_given_share_of_labels_is_wrong(n, classes, rate, seed):
    rng = np.random.default_rng(seed)
    data = Dataset(np.zeros((n, 1)), rng.integers(0, classes, n), num_classes=classes, sample_weight=np.ones(n))
    before = data.labels.copy()
    noisy = corrupt_labels(data, rate, rng)
    assert abs(np.count_nonzero(noisy.labels != data.labels) - rate * n) <= 0.5 + 1e-9
    assert noisy.labels.min() >= 0
    assert noisy.num_classes == classes
    assert noisy.sample_weight is not None
    np.testing.assert_array_equal(data.labels, before)


def test_wrong_labels_are_uniform_over_the_other_classes():
    data = Dataset(np.zeros((30_000, 1)), np.ones(30_000, int), num_classes=4, classes=list("abcd"))
    noisy = corrupt_labels(data, 0.5, np.random.default_rng(0))
    counts = np.bincount(noisy.labels, minlength=4)
    assert counts[1] == 15_000
    # 5000 each is expected, with a standard deviation of sqrt(15000 · 1/3 · 2/3) = 58
    assert abs(counts[[0, 2, 3]] - 5000).max() < 4 * 58
    assert noisy.classes == ("a", "b", "c", "d")


def test_what_cannot_be_corrupted():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="rate must be a finite number from 0 to 1, got 2"):
        corrupt_labels(Dataset(X, [0, 1, 0, 1]), 2, rng)
    for data in (Dataset(X, [0, 0, 0, 0]), Dataset(X, ROWS), Dataset(X, ROWS, soft_labels=True)):
        with pytest.raises(InputError, match="needs class labels of two classes or more"):
            corrupt_labels(data, 0.5, rng)


# ---------------------------------------------------------------- replace


def test_replace_keeps_the_rest():
    data = Dataset(
        np.arange(12, dtype=np.uint8).reshape(2, 2, 3), ["a", "b"], offset=1, scale=2, name="toy",
        sample_weight=[1, 2], classes="abc",
    )  # fmt: skip
    other = data.replace(labels=["c", "a"])
    assert other.labels.tolist() == [2, 0]
    assert (other.name, other.classes, other.image_shape, other.offset, other.scale) == (
        "toy",
        tuple("abc"),
        (2, 3),
        1,
        2,
    )
    assert np.shares_memory(other.stored, data.stored)
    moved = data.replace(inputs=np.ones((2, 6)))
    assert moved.labels.tolist() == [0, 1]
    assert moved.sample_weight.tolist() == [1, 2]
    assert (moved.offset, moved.scale, moved.image_shape, moved.num_classes) == (0, 1, (2, 3), 3)
    assert data.replace(inputs=np.ones((2, 4))).image_shape is None
    soft = data.replace(labels=smooth_labels(data.labels, 3), soft_labels=True)
    assert soft.is_classification
    assert soft.replace(inputs=np.ones((2, 4))).soft_labels
    with pytest.raises(InputError, match="2 inputs but labels of shape"):
        data.replace(labels=["c"])
