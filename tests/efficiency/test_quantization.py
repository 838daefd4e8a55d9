"""Weights in 8 bits: how far they are off, what a network makes of them, how they are saved."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import mlp
from mlp import SGD, Adam, CrossEntropyLoss, Dataset, InputError, Linear, Network, ReLU, Solver, load_mnist
from mlp.efficiency.quantization import count_bytes, quantization_report, quantize
from mlp.efficiency.quantized import quantize_weight
from mlp.initializers import normal
from mlp.layers import BatchNorm, Embedding, GatedMlp, Mlp, QuantizedLinear, Recompute, Residual, Sigmoid

quickly = settings(deadline=None, max_examples=100, derandomize=True)


def linear(n_in: int, n_out: int, dtype: type = np.float64, **options) -> Linear:
    return Linear(n_in, n_out, weight_init=normal(0.5), bias_init=normal(0.5), dtype=dtype, **options)


def normals(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@st.composite
def weights(draw):
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    bits = np.finfo(dtype).bits
    finite = st.floats(allow_nan=False, allow_infinity=False, width=bits)
    return draw(arrays(dtype, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=finite))


class TestWeights:
    def test_worked_numbers(self):
        # Column 1: s = 254 / 127 = 2; -127 / 2 = -63.5 and 1 / 2 round to the even neighbour. Column 2: all 0.
        Q, s = quantize_weight(np.array([[254.0, 0, -0.0127], [-127, 0, 0.00634], [1, 0, 0.00006]]))
        assert Q.tolist() == [[127, 0, -127], [-64, 0, 63], [0, 0, 1]]
        np.testing.assert_allclose(s, [2, 1, 1e-4])

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_the_smallest_numbers_there_are_keep_their_sign(self, dtype):
        # 136 times the smallest number has s = 136 / 127, rounded to 1 time it: Q would be 136, -120 in int8.
        unit = np.finfo(dtype).smallest_subnormal
        Q, s = quantize_weight(np.array([[136], [-136]], dtype) * unit)
        assert Q.tolist() == [[127], [-127]]
        assert s.tolist() == [unit]

    @quickly
    @given(weights())
    def test_no_weight_is_off_by_more_than_half_a_scale(self, W):
        Q, s = quantize_weight(W)
        assert (Q.dtype, s.dtype, Q.shape, s.shape) == (np.int8, W.dtype, W.shape, W.shape[1:])
        assert Q.min() >= -127
        wide = np.longdouble
        smallest = wide(np.finfo(W.dtype).smallest_subnormal)  # next to it s is rounded by half of itself
        assert np.all(
            np.abs(W.astype(wide) - Q.astype(wide) * s) <= s.astype(wide) / 2 * (1 + 1e-4) + 128 * smallest
        )
        assert np.all(Q[W == 0] == 0)

    def test_it_is_pytorchs(self):
        torch = pytest.importorskip("torch", reason="compares with PyTorch")
        W = normals(50, 7).astype(np.float32)
        Q, s = quantize_weight(W)
        theirs = torch.fake_quantize_per_channel_affine(
            torch.tensor(W), torch.tensor(s), torch.zeros(7, dtype=torch.int32), 1, -127, 127
        )
        np.testing.assert_array_equal(Q * s, theirs.numpy(), strict=True)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_refuses_what_is_not_finite(self, value):
        with pytest.raises(InputError, match="the weights must be finite"):
            quantize_weight(np.array([[1.0, value]]))


class TestLayer:
    @pytest.mark.parametrize("bias", [True, False])
    def test_is_a_linear_of_the_weights_it_stands_for(self, bias):
        given = linear(6, 5, bias=bias)
        layer = QuantizedLinear.of(given)
        same = copy.deepcopy(given)
        same.weight.data = layer.dequantized()
        x, upstream = normals(4, 6), normals(4, 5, seed=1)
        np.testing.assert_allclose(layer.forward(x), same.forward(x), rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(layer.backward(upstream), same.backward(upstream), rtol=1e-13, atol=1e-13)
        assert np.abs(layer.forward(x) - given.forward(x)).max() < 0.05

    def test_text_and_parameters(self):
        layer = QuantizedLinear(3, 2)
        assert repr(layer) == "QuantizedLinear(3, 2)"
        assert repr(QuantizedLinear(3, 2, bias=False)) == "QuantizedLinear(3, 2, bias=False)"
        assert list(layer.parameters()) == ["scale", "bias"]
        assert list(layer.statistics()) == ["integers"]

    def test_copies_keep_the_integers_and_their_type(self):
        layer = QuantizedLinear.of(linear(6, 5, np.float32))
        network = Network(layer)
        for twin in (layer.astype(np.float64), network.astype(np.float64)[0], copy.deepcopy(network)[0]):
            assert twin.integers.dtype == np.int8
            np.testing.assert_array_equal(twin.integers, layer.integers)
            assert not np.shares_memory(twin.integers, layer.integers)
        assert np.shares_memory(layer.tied().integers, layer.integers)


class TestNetwork:
    def test_every_linear_wherever_it_is(self):
        network = Network(
            linear(6, 8), BatchNorm(8, dtype=np.float64), ReLU(), Recompute(linear(8, 8), Sigmoid()),
            Residual(linear(8, 8), shortcut=linear(8, 8)),
            Mlp(8, 8, dtype=np.float64), GatedMlp(8, multiple_of=4, dtype=np.float64), linear(8, 3),
            rng=0, init=normal(0.3),
        )  # fmt: skip
        for seed in range(3):
            network.training_step(normals(20, 6, seed=seed), np.arange(20) % 3, CrossEntropyLoss())
        before = network.state_dict()
        small = quantize(network)
        assert not small.training
        assert network.training
        kinds = [type(layer) for layer in small.body.walk()]
        assert kinds.count(QuantizedLinear) == 1 + 1 + 2 + 2 + 3 + 1
        assert Linear not in kinds
        assert BatchNorm not in kinds
        x = normals(30, 6, seed=9)
        scores, quantized = network.scores(x), small.scores(x)
        assert np.linalg.norm(quantized - scores) < 0.03 * np.linalg.norm(scores)
        assert all(np.array_equal(a, network.state_dict()[n]) for n, a in before.items())

    def test_tied_layers_stay_tied(self):
        shared = linear(6, 6)
        network = quantize(Network(shared, ReLU(), shared, Residual(shared.tied()), linear(6, 3)))
        assert network[0].integers is network[2].integers is network[3].body[0].integers
        assert network[0].scale is network[2].scale
        # 6·6 integers once, 6·3 more, scale and bias of 8 bytes for 6 and 3 outputs.
        assert count_bytes(network) == 36 + 18 + 2 * 8 * (6 + 3)

    def test_refuses_a_network_without_linear_and_weights_that_are_not_finite(self):
        with pytest.raises(InputError, match="quantize: there is no Linear in"):
            quantize(Network(Embedding(3, 2)))
        network = Network(Linear(3, 2))
        network[0].weight.data[0, 0] = np.nan
        with pytest.raises(InputError, match="the weights must be finite"):
            quantize(network)

    def test_summary_counts_integers_as_bytes(self):
        # 784·128 integers with 128 scales and 128 biases: 100,352 + 256; 100,352 + 4·256 bytes.
        small = quantize(Network(Linear(784, 128)))
        assert str(small.summary()).splitlines()[-2].split() == ["total", "100,608"]
        assert str(small.summary()).endswith("float32, 101,376 bytes")
        assert count_bytes(small) == 101_376

    def test_scales_and_biases_go_on_learning(self):
        network = Network(linear(6, 8), ReLU(), linear(8, 3), rng=0)
        small = quantize(network)
        x, labels = normals(40, 6), np.arange(40) % 3
        integers = small[0].integers.copy()
        # x Q is about 100 times as large as y, and so is the gradient of s, for an s that is 100 times smaller.
        optimizer = Adam(small.parameters, lr=1e-3)
        values = []
        for _ in range(50):
            values.append(small.training_step(x, labels, CrossEntropyLoss())[0])
            optimizer.step()
        assert values[-1] < 0.9 * values[0]
        np.testing.assert_array_equal(small[0].integers, integers)


class TestSaving:
    def make(self, seed: int = 0) -> Network:
        return Network(Linear(6, 8, weight_init=normal(0.5)), BatchNorm(8), ReLU(), Linear(8, 3), rng=seed)

    def test_comes_back_to_the_last_bit(self, tmp_path):
        small = quantize(self.make())
        mlp.save(small, tmp_path / "small.npz")
        again = mlp.load(quantize(self.make(seed=1)), tmp_path / "small.npz")
        x = normals(5, 6).astype(np.float32)
        np.testing.assert_array_equal(again.scores(x), small.scores(x))
        assert again[0].integers.dtype == np.int8

    @pytest.mark.parametrize(
        ("integers", "message"),
        [
            (np.full((6, 8), 128), "0.integers must hold integers from -128 to 127, got int64"),
            (np.full((6, 8), -129), "must hold integers from -128 to 127"),
            (np.full((6, 8), 1.0), "must hold integers from -128 to 127, got float64"),
            (np.full((8, 6), 1), "another architecture"),
            (np.full((6, 8), "1"), "must be an array of real numbers"),
        ],
        ids=["above", "below", "floats", "shape", "text"],
    )
    def test_refuses_other_integers_and_stays_as_it_is(self, integers, message):
        small = quantize(self.make())
        before = small.state_dict()
        with pytest.raises(InputError, match=message):
            small.load_state_dict({**quantize(self.make(seed=1)).state_dict(), "0.integers": integers})
        assert all(np.array_equal(a, small.state_dict()[n]) for n, a in before.items())

    def test_takes_integers_of_another_size_that_fit(self):
        small = quantize(self.make())
        state = {n: a.astype(np.int64) if a.dtype == np.int8 else a for n, a in small.state_dict().items()}
        small.load_state_dict(state)
        assert small[0].integers.dtype == np.int8


class TestReport:
    def test_a_trained_network_loses_little(self):
        train, test = (data[:2000] for data in load_mnist())
        network = Network(Linear(784, 64, weight_init=normal(0.05)), BatchNorm(64), ReLU(), Linear(64, 10), rng=0)
        optimizer = SGD(network.parameters, lr=0.05, momentum=0.9)
        Solver(network, CrossEntropyLoss(), optimizer, epochs=3, batch_size=50).fit(train)
        report = quantization_report(network, test)
        x, y = test.arrays(np.float32)
        assert report.accuracy_before == np.mean(network.predict(x) == y) > 0.85
        assert report.accuracy_after == np.mean(quantize(network).predict(x) == y)
        assert abs(report.accuracy_loss) <= 0.005
        assert 0 < report.score_error < 0.02
        # Before: 784·64 + 64 + 64·10 + 10 and 4·64 of the BatchNorm, 4 bytes each. After: 784·64 + 64·10 integers,
        # 64 + 10 scales and biases.
        assert report.bytes_before == 4 * (50_176 + 64 + 640 + 10 + 256) == 204_584
        assert report.bytes_after == 50_816 + 4 * 2 * 74 == 51_408
        assert "204,584" in str(report)
        assert "3.98 times smaller" in str(report)

    def test_refuses_targets_that_are_no_classes(self):
        data = Dataset(normals(4, 6), normals(4, 3))
        with pytest.raises(InputError, match="accuracy needs a data set with classes"):
            quantization_report(Network(Linear(6, 3)), data)
