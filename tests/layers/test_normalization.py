"""BatchNorm, LayerNorm and RMSNorm beside PyTorch, and the laws that they obey."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import InputError, Linear, Network, ReLU
from mlp.initializers import normal
from mlp.layers import BatchNorm, LayerNorm, Residual, RMSNorm

quickly = settings(deadline=None, max_examples=50, derandomize=True)
KINDS = [BatchNorm, LayerNorm, RMSNorm]


def randomized(layer, seed: int = 0):
    rng = np.random.default_rng(seed)
    for p in layer.parameters().values():
        p.data = rng.uniform(0.5, 2, p.shape)
    return layer


def batch(rows: int = 8, features: int = 5, seed: int = 1) -> np.ndarray:
    return 3 + 2 * np.random.default_rng(seed).normal(size=(rows, features))


class TestWorkedNumbers:
    def test_batch_norm(self):
        # Column 0, 2, 4: mean 2, variance 8/3; unbiased 4. Running: 0.9 · 0 + 0.1 · 2, 0.9 · 1 + 0.1 · 4.
        layer = BatchNorm(1, eps=0, dtype=np.float64)
        y = layer.forward(np.array([[0.0], [2.0], [4.0]]))
        np.testing.assert_allclose(y[:, 0], [-np.sqrt(1.5), 0, np.sqrt(1.5)], rtol=1e-15)
        np.testing.assert_allclose([layer.running_mean, layer.running_var], [[0.2], [1.3]], rtol=1e-15)
        # In use: (x - 0.2) / sqrt(1.3).
        assert layer.eval().forward(np.array([[1.5]])) == pytest.approx(1.3 / np.sqrt(1.3))

    def test_layer_norm(self):
        # Row 1, 3: mean 2, variance 1.
        np.testing.assert_array_equal(LayerNorm(2, eps=0, affine=False).forward(np.array([[1.0, 3.0]])), [[-1, 1]])

    def test_rms_norm(self):
        # Row 1, 7: mean square 25.
        y = RMSNorm(2, eps=0, affine=False).forward(np.array([[1.0, 7.0]]))
        np.testing.assert_allclose(y, [[0.2, 1.4]], rtol=1e-15)


class TestBatchNorm:
    def test_a_batch_of_one_gives_the_bias_and_leaves_the_statistics(self):
        layer = randomized(BatchNorm(3, dtype=np.float64))
        np.testing.assert_array_equal(layer.forward(np.ones((1, 3))), [layer.bias.data])
        assert (layer.running_mean == 0).all()
        assert (layer.running_var == 1).all()
        np.testing.assert_array_equal(layer.backward(np.ones((1, 3))), 0)

    @quickly
    @given(st.floats(0.01, 100), st.integers(0, 1000))
    def test_the_scale_of_the_input_does_not_matter(self, scale, seed):
        layer = randomized(BatchNorm(4, eps=0, dtype=np.float64))
        x = batch(6, 4, seed)
        np.testing.assert_allclose(layer.forward(scale * x), layer.forward(x), rtol=1e-9, atol=1e-11)

    @quickly
    @given(st.integers(2, 20), st.integers(1, 6), st.integers(0, 1000))
    def test_output_has_mean_0_and_variance_1(self, rows, features, seed):
        y = BatchNorm(features, eps=0, affine=False, dtype=np.float64).forward(batch(rows, features, seed))
        np.testing.assert_allclose(y.mean(0), 0, atol=1e-11)
        np.testing.assert_allclose(y.var(0), 1, rtol=1e-10)

    @quickly
    @given(st.booleans(), st.booleans(), st.integers(0, 1000))
    def test_folding_equals_evaluation(self, bias, affine, seed):
        linear = Linear(4, 5, bias=bias, weight_init=normal(1.0), rng=seed, dtype=np.float64)
        norm = randomized(BatchNorm(5, affine=affine, dtype=np.float64), seed)
        network = Network(
            randomized(linear, seed), norm, ReLU(), Residual(Linear(5, 5, rng=0, dtype=np.float64),
            BatchNorm(5, dtype=np.float64)), Linear(5, 2, rng=1, dtype=np.float64),
        )  # fmt: skip
        for i in range(3):
            network.forward(batch(7, 4, seed + i))
        folded = network.with_folded_batch_norm()
        assert not any(isinstance(layer, BatchNorm) for layer in folded.body.walk())
        assert len(folded) == len(network) - 1
        x = batch(9, 4, seed + 9)
        np.testing.assert_allclose(folded.scores(x), network.scores(x), rtol=1e-12, atol=1e-12)
        assert any(isinstance(layer, BatchNorm) for layer in network.body.walk())

    def test_refuses_to_fold_what_does_not_fit(self):
        with pytest.raises(InputError, match=r"BatchNorm\(3\) in float32 cannot be folded into Linear\(2, 4\)"):
            BatchNorm(3).folded_into(Linear(2, 4))


@pytest.mark.parametrize("kind", KINDS)
class TestArguments:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"num_features": 0}, "num_features must be an integer of at least 1, got 0"),
            ({"num_features": 2, "eps": -1}, "eps must be a finite number >= 0, got -1"),
            ({"num_features": 2, "dtype": int}, "dtype must be float32 or float64"),
        ],
    )
    def test_refused(self, kind, options, message):
        with pytest.raises(InputError, match=message):
            kind(**options)

    def test_input_of_another_width_or_dtype(self, kind):
        with pytest.raises(InputError, match=r"expects 3 features in the last axis, got shape \(2, 4\)"):
            kind(3).forward(np.ones((2, 4), np.float32))
        with pytest.raises(InputError, match="computes in float32, got float64"):
            kind(3).forward(np.ones((2, 3)))


def test_refused_momentum():
    with pytest.raises(InputError, match="BatchNorm: momentum must be a finite number from 0 to 1, got 2"):
        BatchNorm(3, momentum=2)


class TestParity:
    @pytest.fixture(autouse=True)
    def torch(self):
        return pytest.importorskip("torch", reason="PyTorch is the oracle of these tests and is not installed")

    def pairs(self, torch):
        nn, double = torch.nn, {"dtype": torch.float64}
        yield BatchNorm(5, dtype=np.float64), nn.BatchNorm1d(5, **double)
        yield BatchNorm(5, eps=0.1, momentum=0.3, dtype=np.float64), nn.BatchNorm1d(5, 0.1, 0.3, **double)
        yield BatchNorm(5, affine=False, dtype=np.float64), nn.BatchNorm1d(5, affine=False, **double)
        yield LayerNorm(5, dtype=np.float64), nn.LayerNorm(5, **double)
        yield LayerNorm(5, eps=0.1, bias=False, dtype=np.float64), nn.LayerNorm(5, 0.1, bias=False, **double)
        yield LayerNorm(5, affine=False), nn.LayerNorm(5, elementwise_affine=False, **double)
        yield RMSNorm(5, eps=1e-3, dtype=np.float64), nn.RMSNorm(5, 1e-3, **double)
        yield RMSNorm(5, affine=False), nn.RMSNorm(5, 1e-5, elementwise_affine=False, **double)

    def test_forward_backward_and_statistics_step_by_step(self, torch):
        for ours, theirs in self.pairs(torch):
            randomized(ours)
            for name, p in ours.parameters().items():
                getattr(theirs, name).data = torch.tensor(p.data)
            for step in range(6):
                if step == 4:  # from here on they are used, not trained
                    ours.eval()
                    theirs.eval()
                x, upstream = batch(seed=step), batch(seed=100 + step)
                their_x = torch.tensor(x, requires_grad=True)
                their_y = theirs(their_x)
                their_y.backward(torch.tensor(upstream))
                np.testing.assert_allclose(ours.forward(x), their_y.detach(), rtol=1e-12, atol=1e-12)
                np.testing.assert_allclose(ours.backward(upstream), their_x.grad, rtol=1e-11, atol=1e-12)
                for name, array in ours.statistics().items():
                    np.testing.assert_allclose(array, getattr(theirs, name), rtol=1e-12)
            for name, p in ours.parameters().items():  # added up over all steps
                np.testing.assert_allclose(p.grad, getattr(theirs, name).grad, rtol=1e-11, atol=1e-11)
