"""Embedding: a table of vectors, beside one-hot products and PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import CrossEntropyLoss, InputError, Linear, Network
from mlp.gradcheck import check_layer
from mlp.layers import EmbeddedColumns, Embedding


def embedding(rows: int = 6, width: int = 3) -> Embedding:
    return Embedding(rows, width, rng=0, dtype=np.float64)


def test_worked_numbers():
    layer = embedding(3, 2)
    layer.weight.data = [[1, 2], [3, 4], [5, 6]]
    np.testing.assert_array_equal(layer.forward(np.array([2, 0, 2])), [[5, 6], [1, 2], [5, 6]])
    # Index 2 occurs twice: its two gradients add up. Index 1 does not occur.
    layer.backward(np.array([[10.0, 0], [1, 1], [7, 5]]))
    np.testing.assert_array_equal(layer.weight.grad, [[1, 1], [0, 0], [17, 5]])


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.integers(1, 8), st.integers(1, 4), st.integers(0, 30), st.integers(0, 1000))
def test_it_is_a_product_with_one_hot_rows(rows, width, count, seed):
    rng = np.random.default_rng(seed)
    layer, indices, upstream = embedding(rows, width), rng.integers(0, rows, count), rng.normal(size=(count, width))
    one_hot = np.eye(rows)[indices]
    np.testing.assert_array_equal(layer.forward(indices), one_hot @ layer.weight.data)
    for times in (1, 2):  # gradients add up
        layer.backward(upstream)
        np.testing.assert_allclose(layer.weight.grad, times * one_hot.T @ upstream, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(7,), (2, 3), (0,), ()])
def test_gradients_and_shapes(shape):
    x = np.random.default_rng(0).integers(0, 6, shape)
    layer = embedding()
    y = layer.forward(x)
    assert y.shape == layer.output_shape(shape) == (*shape, 3)
    assert not layer.backward(np.ones_like(y)).any()
    check_layer(layer, x, input_gradient=False, behaviour=bool(shape)).assert_ok()


@pytest.mark.parametrize("x", [[6], [-1], [1.5], [np.nan], [np.inf]])
def test_refuses_what_is_no_index(x):
    with pytest.raises(InputError, match=rf"expects whole numbers from 0 to 5, got {x[0]}"):
        embedding().forward(np.array(x))


def test_parity_with_torch():
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test and is not installed")
    layer = embedding()
    twin = torch.nn.Embedding(6, 3, dtype=torch.float64)
    twin.weight.data = torch.tensor(layer.weight.data)
    rng = np.random.default_rng(0)
    x, upstream = rng.integers(0, 6, (4, 5)), rng.normal(size=(4, 5, 3))
    y = twin(torch.tensor(x))
    y.backward(torch.tensor(upstream))
    np.testing.assert_array_equal(layer.forward(x), y.detach())
    layer.backward(upstream)
    np.testing.assert_allclose(layer.weight.grad, twin.weight.grad, rtol=1e-13)


class TestColumns:
    def make(self) -> EmbeddedColumns:
        return EmbeddedColumns(4, {2: embedding(5, 3), 0: embedding(2, 1)})

    def test_columns_keep_their_order(self):
        layer = self.make()
        y = layer.forward(np.array([[1, 0.5, 4, -7]]))
        first, third = (e.weight.data for e in layer.embeddings)
        np.testing.assert_array_equal(y, [[*first[1], 0.5, *third[4], -7]])
        # The gradient passes through the other columns, and ends at the embedded ones.
        np.testing.assert_array_equal(layer.backward(np.arange(6.0)[None]), [[0, 1, 0, 5]])

    def test_learns_inside_a_network(self):
        # Class = category: only the embedding can tell.
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 5, 200)
        x = np.column_stack([rng.integers(0, 2, 200), rng.normal(size=200), labels, rng.normal(size=200)])
        network = Network(self.make(), Linear(6, 5, dtype=np.float64), rng=0)
        assert [p.name for p in network.parameters][:2] == ["0.0.weight", "0.2.weight"]
        for _ in range(300):
            network.training_step(x, labels, CrossEntropyLoss())
            network.parameters.data[...] -= 0.5 * network.parameters.grad
        assert (network.predict(x) == labels).mean() == 1

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({}, "at least one column"),
            ({4: embedding()}, "there are columns 0 to 3, got 4"),
            ({-1: embedding()}, "column must be an integer of at least 0, got -1"),
            ({1: Linear(1, 3)}, r"column 1 needs an Embedding, got Linear\(1, 3\)"),
        ],
    )
    def test_refused(self, columns, message):
        with pytest.raises(InputError, match=message):
            EmbeddedColumns(4, columns)
