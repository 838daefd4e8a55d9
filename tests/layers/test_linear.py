"""The fully connected layer on numbers small enough to multiply by hand."""

import numpy as np
import pytest

from mlp import Embedding, InputError, Linear, Mlp
from mlp.initializers import constant, normal

X = np.array([[1.0, 2], [3, 4]])
W = np.array([[1.0, 0, -1], [2, 1, 0]])
B = np.array([1.0, 1, 1])
DY = np.array([[1.0, 0, 2], [0, 1, 1]])


@pytest.fixture
def layer():
    layer = Linear(2, 3, dtype=np.float64)
    layer.weight.data, layer.bias.data = W, B
    return layer


def test_forward_worked_numbers(layer):
    # Row 1: (1·1 + 2·2, 1·0 + 2·1, 1·-1 + 2·0) + 1 = (6, 3, 0).
    # Row 2: (3·1 + 4·2, 3·0 + 4·1, 3·-1 + 4·0) + 1 = (12, 5, -2).
    assert layer(X).tolist() == [[6, 3, 0], [12, 5, -2]]


def test_backward_worked_numbers(layer):
    layer(X)
    # dx, row 1: dy·W row by row = (1·1 + 0·0 + 2·-1, 1·2 + 0·1 + 2·0) = (-1, 2); row 2: (-1, 1).
    assert layer.backward(DY).tolist() == [[-1, 2], [-1, 1]]
    # dW: input 1 is (1, 3) over the batch: (1·1 + 3·0, 1·0 + 3·1, 1·2 + 3·1); input 2 is (2, 4).
    assert layer.weight.grad.tolist() == [[1, 3, 5], [2, 4, 8]]
    # db: sums over the batch.
    assert layer.bias.grad.tolist() == [1, 1, 3]


def test_without_bias(layer):
    plain = Linear(2, 3, bias=False, dtype=np.float64)
    plain.weight.data = W
    assert list(plain.parameters()) == ["weight"]
    assert plain.bias is None
    assert plain(X).tolist() == (layer(X) - 1).tolist()
    assert repr(plain) == "Linear(2, 3, bias=False)"


def test_shapes_names_and_repr(layer):
    assert (layer.in_features, layer.out_features) == (2, 3)
    assert {name: p.shape for name, p in layer.parameters().items()} == {"weight": (2, 3), "bias": (3,)}
    assert layer.output_shape((7, 5, 2)) == (7, 5, 3)
    assert repr(layer) == "Linear(2, 3)"


def test_starts_random_with_variance_2_over_fan_in_and_at_zero_in_the_bias():
    layer = Linear(200, 300, rng=0)
    assert layer.weight.dtype == np.float32
    assert layer.weight.data.std() == pytest.approx(0.1, rel=0.02)
    assert not layer.bias.data.any()


def test_rng_is_a_seed_or_a_generator():
    def weights(rng):
        return Linear(4, 3, rng=rng).weight.data.tolist()

    assert weights(5) == weights(np.random.default_rng(5)) != weights(6)
    assert weights(None) != weights(None)


def test_reset_draws_anew_from_the_initializer():
    layer = Linear(4, 3, weight_init=normal(2.0), rng=0)
    drawn = layer.weight.data.copy()
    layer.weight.data[...] = layer.bias.data[...] = 9
    layer.reset_parameters(np.random.default_rng(0))
    np.testing.assert_array_equal(layer.weight.data, drawn)
    assert not layer.bias.data.any()
    assert (Linear(4, 3, weight_init=constant(0.5)).weight.data == 0.5).all()


def test_initializers_by_name():
    layer = Linear(4, 3, weight_init="orthogonal", bias_init="small_positive", rng=0)
    np.testing.assert_allclose(layer.weight.data.T @ layer.weight.data, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(layer.bias.data, 0.01)
    assert not Mlp(4, weight_init="zeros", rng=0).fc2.weight.data.any()
    assert not Embedding(4, 3, weight_init="zeros").weight.data.any()
    with pytest.raises(InputError, match="unknown initializer 'glorot'; there are: auto"):
        Linear(4, 3, weight_init="glorot")


@pytest.mark.parametrize("size", [0, -1, 2.0, "2", None, True])
@pytest.mark.parametrize("which", ["in_features", "out_features"])
def test_refuses_sizes(which, size):
    with pytest.raises(InputError, match=f"Linear: {which} must be an integer of at least 1, got"):
        Linear(**{"in_features": 2, "out_features": 3, which: size})


@pytest.mark.parametrize("dtype", [np.int32, np.float16, np.complex128, "nonsense"])
def test_refuses_dtypes(dtype):
    with pytest.raises(InputError, match="dtype must be float32 or float64, got"):
        Linear(2, 3, dtype=dtype)


@pytest.mark.parametrize("shape", [(100, 3), (2, 1), (3,), (0, 1), ()])
def test_refuses_another_width_and_names_it(layer, shape):
    with pytest.raises(InputError) as error:
        layer(np.zeros(shape))
    assert str(error.value) == f"Linear expects 2 features in the last axis, got shape {shape}"


def test_refuses_another_dtype(layer):
    with pytest.raises(InputError, match="Linear computes in float64, got float32"):
        layer(X.astype(np.float32))
