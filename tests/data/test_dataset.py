"""Dataset and Batches against worked numbers, exact arithmetic and the invariants of an epoch."""

from fractions import Fraction

import numpy as np
import pytest

from mlp.checks import InputError
from mlp.data import Batches, Dataset

PIXELS = {"offset": 128, "scale": 1 / 255}


def images(n=10, features=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, features), dtype=np.uint8), rng.integers(0, 3, n)


def numbered(n):
    """Sample i is the row (i, -i), its label i: a batch shows which samples it holds."""
    i = np.arange(n)
    return Dataset(np.stack([i, -i], axis=1).astype(np.float32), i)


# ---------------------------------------------------------------- Dataset


def test_worked_numbers():
    data = Dataset(np.array([[0, 128], [255, 77]], dtype=np.uint8), [1, 0], **PIXELS)
    x, y = data
    # -128/255, 0, 127/255, -51/255
    np.testing.assert_allclose(x, [[-0.50196078, 0], [0.49803922, -0.2]], rtol=1e-6)
    assert x.dtype == np.float32
    assert y.dtype == np.intp
    assert y.tolist() == [1, 0]


def test_attributes():
    inputs, labels = images()
    data = Dataset(inputs, labels, name="toy", **PIXELS)
    assert data.stored is inputs or np.shares_memory(data.stored, inputs)
    assert data.stored.dtype == np.uint8
    assert (len(data), data.num_features, data.num_classes) == (10, 6, 3)
    assert (data.name, data.offset, data.scale) == ("toy", 128.0, 1 / 255)
    assert data.is_classification
    assert data.image_shape is None
    assert repr(data) == "Dataset('toy': 10 samples, 6 features, 3 classes, x = (stored - 128) / 255 (uint8))"
    assert Dataset(inputs, labels, num_classes=7).num_classes == 7


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({}, "x = stored (uint8)"),
        ({"scale": 1 / 255}, "x = stored / 255 (uint8)"),
        ({"offset": -3, "scale": 0.3}, "x = (stored + 3) * 0.3 (uint8)"),
        ({"scale": -1}, "x = stored / -1 (uint8)"),
        ({"scale": 1e9}, "x = stored * 1e+09 (uint8)"),
    ],
)
def test_repr_says_how_stored_values_become_inputs(options, rule):
    assert rule in repr(Dataset(*images(), **options))


def test_repr_names_classes_and_weights():
    data = Dataset(np.eye(3), ["dog", "cat", "dog"], sample_weight=[1, 2, 3])
    assert "3 features, 2 classes (cat, dog), sample weights, x = stored (float64)" in repr(data)


def test_inputs_are_what_a_network_takes():
    stored, labels = images()
    data = Dataset(stored, labels, **PIXELS)
    np.testing.assert_array_equal(data.inputs, data.arrays()[0])
    assert data.inputs.dtype == np.float32
    assert data.inputs.max() < 0.5
    plain = Dataset(stored.astype(np.float64), labels)
    assert np.shares_memory(plain.inputs, plain.stored)  # no rule, no copy
    np.testing.assert_array_equal(Dataset(data.inputs, labels).inputs, data.inputs)


@pytest.mark.parametrize("index", [1, -2, np.int64(1)])
def test_one_sample_is_a_data_set_of_one(index):
    x, y = Dataset([[1.0], [2.0], [3.0]], [0, 1, 2])[index]
    assert (x.tolist(), y.tolist()) == ([[2.0]], [1])


def test_a_loop_over_indices_ends():
    data = numbered(3)
    for wrong in (3, -4):
        with pytest.raises(IndexError, match=f"of 3 samples has none of number {wrong}"):
            data[wrong]


def test_images_are_flattened_as_a_view():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    data = Dataset(pixels, [0, 1])
    assert data.stored.shape == (2, 12)
    assert np.shares_memory(data.stored, pixels)
    assert data.image_shape == (3, 4)
    assert "12 features (3×4)" in repr(data)
    assert Dataset(pixels.reshape(2, 12), [0, 1], image_shape=(3, 4)).image_shape == (3, 4)


def test_float64_is_exact_to_float64():
    stored = np.arange(256, dtype=np.uint8).reshape(-1, 1)
    x, _ = Dataset(stored, np.zeros(256, int), **PIXELS).arrays(np.float64)
    exact = np.array([float(Fraction(int(v) - 128, 255)) for v in range(256)]).reshape(-1, 1)
    assert x.dtype == np.float64
    np.testing.assert_allclose(x, exact, rtol=3e-16, atol=0)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float64])
def test_offset_is_taken_off_before_rounding_to_float32(dtype):
    # 2**24 + 1 is no float32 number; its difference to 2**24 is.
    stored = np.array([[2**24 + 1], [2**24 + 2]], dtype=dtype)
    data = Dataset(stored, [0, 1], offset=2**24)
    assert data.arrays()[0].tolist() == [[1.0], [2.0]]
    assert Batches(data, 2).load(np.arange(2))[0].tolist() == [[1.0], [2.0]]


def test_returned_arrays_are_the_callers_own():
    data = numbered(3)
    x, y = data.arrays()
    x[:] = -1
    y[:] = -1
    assert data.stored[:, 0].tolist() == [0, 1, 2]
    assert data.labels.tolist() == [0, 1, 2]


def test_regression_targets():
    targets = np.array([[0.5, -1.0], [2.0, 3.0]])
    data = Dataset([[1.0], [2.0]], targets)
    assert not data.is_classification
    assert data.num_classes == 2
    assert "2 targets" in repr(data)
    x, y = data.arrays(np.float32)
    assert x.dtype == y.dtype == np.float32
    np.testing.assert_array_equal(y, targets)
    xb, yb = Batches(data, 1, np.float64).load(np.array([1]))
    assert xb.dtype == yb.dtype == np.float64
    assert yb.tolist() == [[2.0, 3.0]]


def test_slice_shares_memory_and_keeps_the_rule():
    inputs, labels = images()
    data = Dataset(inputs.reshape(10, 2, 3), labels, num_classes=5, name="toy", **PIXELS)
    part = data[2:6]
    assert np.shares_memory(part.stored, inputs)
    assert (len(part), part.num_classes, part.image_shape, part.name) == (4, 5, (2, 3), "toy")
    np.testing.assert_array_equal(part.arrays()[0], data.arrays()[0][2:6])
    assert len(data) == 10


def test_index_arrays():
    data = numbered(5)
    assert data[[3, 0, 3]].labels.tolist() == [3, 0, 3]
    assert data[np.array([-1])].inputs.tolist() == [[4, -4]]
    assert data[data.labels > 2].labels.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (None, "index None; expected a slice, or one axis"),
        ([[0, 1]], "one axis of integers"),
        ([0.5], "integers or booleans"),
        ([5], "of 5 samples: index 5 is out of bounds"),
        ([True, False], "of 5 samples: boolean index"),
        (slice(3, 3), "selects none of the 5 samples"),
        ([], "selects none of the 5 samples"),
    ],
)
def test_bad_index(index, message):
    with pytest.raises(InputError, match=message):
        numbered(5)[index]


@pytest.mark.parametrize(
    ("inputs", "labels", "options", "message"),
    [
        (np.empty((0, 3)), [], {}, r"inputs are empty, got shape \(0, 3\)"),
        (np.empty((2, 0)), [0, 1], {}, "inputs are empty"),
        ([1.0, 2.0], [0, 1], {}, r"inputs must have shape \(n, features\), got shape \(2,\)"),
        (3.0, [0], {}, r"got shape \(\)"),
        ([[1.0], [2.0, 3.0]], [0, 1], {}, "inputs do not form an array"),
        (np.array([[None]]), [0], {}, "inputs must be real numbers, got dtype object"),
        ([[1j]], [0], {}, "inputs must be real numbers, got dtype complex128"),
        ([["a"]], [0], {}, "inputs must be real numbers, got dtype <U1"),
        (
            [[1.0], [2.0], [np.nan], [np.inf]],
            [0, 0, 0, 0],
            {},
            "inputs must be finite, sample 2 contains nan",
        ),
        ([[1.0, -np.inf]], [0], {}, "sample 0 contains -inf"),
        ([[1.0], [2.0]], [0], {}, r"2 inputs but labels of shape \(1,\)"),
        ([[1.0]], 0, {}, r"1 inputs but labels of shape \(\)"),
        ([[1.0]], [None], {}, "labels must be integers, names or real numbers, got dtype object"),
        ([[1.0]], [1.0], {}, r"may be classes or .* a regression; give y\.astype\(int\) .*, y\[:, None\]"),
        ([[1.0]], [[1, 1]], {}, r"must be one-hot rows, sample 0 is \[1 1\]"),
        ([[1.0]], [[0, 2]], {}, r"must be one-hot rows, sample 0 is \[0 2\]"),
        ([[1.0]], [[[1]]], {}, r"integer labels must have shape \(n,\), got shape \(1, 1, 1\)"),
        (np.ma.masked_less([[1.0], [2.0]], 2), [0, 1], {}, "inputs has 1 masked entries"),
        ([[1.0], [2.0]], np.ma.masked_less([0, 1], 1), {}, "labels has 1 masked entries"),
        ([[1.0], [2.0]], [0, -1], {}, "sample 1 has label -1"),
        ([[1.0]], [-1], {}, "sample 0 has label -1"),
        ([[1.0], [2.0]], [0, 3], {"num_classes": 3}, r"labels must lie in 0\.\.2, sample 1 has label 3"),
        ([[1.0]], [0], {"num_classes": 0}, "num_classes must be an integer of at least 1, got 0"),
        ([[1.0]], [0], {"num_classes": 2.0}, r"num_classes .* got 2\.0"),
        ([[1.0]], [0], {"num_classes": True}, "num_classes .* got True"),
        ([[1.0]], [[1.0, 2.0]], {"num_classes": 3}, "num_classes 3, but the targets have 2 columns"),
        ([[1.0]], [[np.nan]], {}, "targets must be finite, sample 0"),
        ([[1.0]], [0], {"offset": np.inf}, "offset must be a finite number, got inf"),
        ([[1.0]], [0], {"scale": "wide"}, "scale must be a finite number, got 'wide'"),
        ([[1.0]], [0], {"scale": 0}, "scale is 0"),
        ([[1.0]], [0], {"image_shape": (2, 2)}, r"image_shape \(2, 2\) does not hold 1 features"),
    ],
)
def test_refused(inputs, labels, options, message):
    with pytest.raises(InputError, match=message) as caught:
        Dataset(inputs, labels, name="toy", **options)
    assert "Dataset 'toy'" in str(caught.value)


@pytest.mark.parametrize("dtype", [np.float16, np.int32, np.complex64, "nonsense"])
def test_network_dtypes(dtype):
    with pytest.raises(InputError, match="must be float32 or float64"):
        numbered(2).arrays(dtype)
    with pytest.raises(InputError, match="must be float32 or float64"):
        Batches(numbered(2), 1, dtype)


# ---------------------------------------------------------------- Batches

STORED = [np.bool_, np.uint8, np.int8, np.int16, np.int64, np.float16, np.float32, np.float64, ">f4", ">i2"]


@pytest.mark.parametrize("rule", [{}, PIXELS, {"offset": 3}, {"scale": 0.1}], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stored", STORED)
def test_batches_equal_the_rows_of_arrays(stored, dtype, rule):
    values, labels = images(n=11)
    before = values.astype(stored)
    data = Dataset(before.copy(), labels, **rule)
    x, y = data.arrays(dtype)
    assert x.dtype == dtype
    expected = (before.astype(np.longdouble) - data.offset) * data.scale
    np.testing.assert_allclose(x, expected.astype(dtype), rtol=4 * np.finfo(dtype).eps)
    batches = Batches(data, 4, dtype)
    order = np.random.default_rng(1).permutation(11)
    for begin in range(0, 11, 4):  # the last batch has 3 samples
        chosen = order[begin : begin + 4]
        xb, yb = batches.load(chosen)
        assert xb.dtype == dtype
        np.testing.assert_array_equal(xb, x[chosen])
        np.testing.assert_array_equal(yb, y[chosen])
    np.testing.assert_array_equal(data.stored, before)  # never changed


@pytest.mark.parametrize("step", [2, -1])
def test_rows_apart_in_memory(step):
    data = numbered(10)[::step]
    x, y = Batches(data, len(data)).load(np.arange(len(data)))
    assert y.tolist() == list(range(10))[::step]
    np.testing.assert_array_equal(x[:, 0], y)


@pytest.mark.parametrize("stored", [np.uint8, np.float32, np.float64])
def test_batches_are_the_callers_own(stored):
    values, labels = images()
    data = Dataset(values.astype(stored), labels)
    batches = Batches(data, 4)
    x1, y1 = batches.load(np.arange(4))
    kept = x1.copy()
    x2, y2 = batches.load(np.arange(4, 8))
    np.testing.assert_array_equal(x1, kept)
    for one, other in ((x1, x2), (y1, y2), (x1, data.stored), (y1, data.labels)):
        assert not np.shares_memory(one, other)
    assert x1.flags.c_contiguous


def test_load_reads_indices_as_numpy_does():
    batches = Batches(numbered(5), 3)
    x, y = batches.load(np.array([-1, 0, -5]))
    assert y.tolist() == x[:, 0].tolist() == [4, 0, 0]
    for wrong in ([5], [-6], [0, 99]):
        with pytest.raises(InputError, match=r"cannot load from 5 samples: index .* out of bounds"):
            batches.load(np.array(wrong))
    with pytest.raises(InputError, match="4 indices do not fit into batches of 3"):
        batches.load(np.arange(4))


@pytest.mark.parametrize(("n", "size", "count"), [(10, 3, 4), (10, 5, 2), (10, 10, 1), (10, 1, 10)])
def test_every_sample_once_an_epoch(n, size, count):
    batches = Batches(numbered(n), size)
    assert len(batches) == count
    seen = [(x[:, 0].tolist(), y.tolist()) for x, y in batches.epoch(np.random.default_rng(0))]
    assert len(seen) == count
    assert all(x == y for x, y in seen)
    assert [len(y) for _, y in seen[:-1]] == [size] * (count - 1)
    assert sorted(i for _, y in seen for i in y) == list(range(n))


def labels_of(iterator):
    return [y.tolist() for _, y in iterator]


def test_epoch_without_rng_is_in_order():
    assert labels_of(Batches(numbered(5), 2).epoch()) == [[0, 1], [2, 3], [4]]


def test_epoch_is_a_function_of_the_seed():
    batches = Batches(numbered(50), 7)
    first = labels_of(batches.epoch(np.random.default_rng(3)))
    assert first == labels_of(batches.epoch(np.random.default_rng(3)))
    assert first != labels_of(batches.epoch(np.random.default_rng(4)))
    rng = np.random.default_rng(3)
    assert first == labels_of(batches.epoch(rng))
    assert first != labels_of(batches.epoch(rng))


@pytest.mark.parametrize("start", range(5))
def test_start_gives_the_tail_of_the_epoch(start):
    batches = Batches(numbered(10), 3)
    whole = labels_of(batches.epoch(np.random.default_rng(5)))
    rng = np.random.default_rng(5)
    assert labels_of(batches.epoch(rng, start=start)) == whole[start:]
    reference = np.random.default_rng(5)
    reference.permutation(10)
    assert rng.random() == reference.random()  # skipping leaves the generator where a whole epoch does


def test_the_permutation_is_drawn_at_the_call():
    rng, reference = np.random.default_rng(5), np.random.default_rng(5)
    Batches(numbered(10), 3).epoch(rng)
    reference.permutation(10)
    assert rng.random() == reference.random()


@pytest.mark.parametrize("start", [-1, 5, 1.0, True])
def test_bad_start(start):
    with pytest.raises(InputError, match="start must be a number of batches from 0 to 4"):
        Batches(numbered(10), 3).epoch(start=start)


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "3", None])
def test_bad_batch_size(size):
    with pytest.raises(InputError, match="batch_size must be an integer of at least 1, got"):
        Batches(numbered(10), size)


def test_batch_size_larger_than_the_data():
    with pytest.raises(InputError, match="batch_size 11 is larger than the 10 samples"):
        Batches(numbered(10), 11)
    assert "batch_size=10" in repr(Batches(numbered(10), np.int64(10)))
