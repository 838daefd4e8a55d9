"""Compressed activations: bounds on what comes back, on the gradients made of it, and the bytes held meanwhile."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mlp import CrossEntropyLoss, GeLU, InputError, Linear, Network, ReLU, Sigmoid
from mlp.efficiency.compression import Bits, Float16, Int8
from mlp.efficiency.memory import compression_error, measure_activation_bytes
from mlp.initializers import normal
from mlp.layers import (
    BatchNorm,
    Compressed,
    Dropout,
    Embedding,
    GatedMlp,
    LayerNorm,
    Recompute,
    Residual,
    Sequential,
)

quickly = settings(deadline=None, max_examples=100, derandomize=True)
FLOATS = [np.float32, np.float64]


@st.composite
def matrices(draw):
    """float32 or float64, of any size up to half of the largest, subnormal numbers included."""
    dtype = draw(st.sampled_from(FLOATS))
    limit = float(np.finfo(dtype).max) / 2
    elements = st.floats(-limit, limit, width=np.finfo(dtype).bits)
    return draw(arrays(dtype, array_shapes(min_dims=2, max_dims=3, max_side=5), elements=elements))


def smallest(a: np.ndarray) -> np.longdouble:
    """The spacing of the smallest numbers of this dtype, where nothing is rounded any finer."""
    return np.longdouble(np.finfo(a.dtype).smallest_subnormal)


class TestFloat16:
    @quickly
    @given(matrices())
    def test_error_bound(self, a):
        back = Float16.of(a).unpack()
        assert (back.dtype, back.shape) == (a.dtype, a.shape)
        exact = a.astype(np.longdouble)
        bound = 2.0**-11 * np.abs(exact) + np.longdouble(2) ** -39 * np.abs(exact).max() + 2 * smallest(a)
        assert np.all(np.abs(exact - back) <= bound)

    @quickly
    @given(arrays(np.float16, array_shapes(max_side=5), elements=st.floats(-32752, 32752, width=16)))
    def test_numbers_of_float16_come_back_as_they_were(self, a):
        for dtype in FLOATS:
            np.testing.assert_array_equal(Float16.of(a.astype(dtype)).unpack(), a.astype(dtype), strict=True)

    def test_numbers_beyond_the_range_of_float16(self):
        # 10⁶ = 0.9537 · 2²⁰ is divided by 2⁵: k = 20 - 15. In the range of 2⁻²⁴ to 65504 no scale would be needed.
        packed = Float16.of(np.array([[1e6, -3e5, 2.0]], np.float32))
        assert packed.exponent == 5
        assert packed.values.tolist() == [[31248, -9376, 0.0625]]  # spacing 16 from 2¹⁴ on, 8 from 2¹³
        assert packed.unpack().tolist() == [[999936, -300032, 2]]

    def test_small_numbers(self):
        tiny = np.array([[1e-30, -2e-30]], np.float32)
        np.testing.assert_allclose(Float16.of(tiny).unpack(), tiny, rtol=2**-11)
        # float32 has no 2¹⁴⁰ to bring this to 2¹⁴: it gets 2¹²⁶, with which 10⁻⁴⁰ is 0.0085.
        subnormal = np.array([[1e-40, 0]], np.float32)
        np.testing.assert_allclose(Float16.of(subnormal).unpack(), subnormal, rtol=2**-10)


class TestInt8:
    def test_worked_numbers(self):
        # Row 1: s = 254 / 127 = 2; -127 / 2 = -63.5 and 1 / 2 round to the even neighbour, 3 / 2 too: 2.
        packed = Int8.of(np.array([[254.0, -127, 1, 3], [0, 0, 0, 0], [-1.27, 0.013, 0.636, 0]]))
        assert packed.values.tolist() == [[127, -64, 0, 2], [0, 0, 0, 0], [-127, 1, 64, 0]]
        np.testing.assert_allclose(packed.scale, [[2], [1], [0.01]])
        np.testing.assert_allclose(packed.unpack(), [[254, -128, 0, 4], [0, 0, 0, 0], [-1.27, 0.01, 0.64, 0]])

    def test_the_smallest_numbers_there_are_keep_their_sign(self):
        # 136 times the smallest number has s = 136 / 127, rounded to 1 time it: q would be 136, -120 in int8.
        for dtype in FLOATS:
            unit = np.finfo(dtype).smallest_subnormal
            a = np.array([[136, -136]], dtype) * unit
            assert (Int8.of(a).unpack() / unit).tolist() == [[127, -127]]

    def test_an_outlier_spoils_its_own_row_only(self):
        back = Int8.of(np.array([[1e6, 1.0], [1, 0.5]])).unpack()
        assert back[0, 1] == 0
        np.testing.assert_allclose(back[1], [1, 0.5], atol=1 / 254)

    @quickly
    @given(matrices())
    def test_error_bound(self, a):
        packed = Int8.of(a)
        back = packed.unpack()
        assert (packed.values.dtype, back.dtype, back.shape) == (np.int8, a.dtype, a.shape)
        exact = a.astype(np.longdouble)
        bound = np.abs(exact).max(axis=-1, keepdims=True) / 254 * (1 + 1e-4) + 128 * smallest(a)
        assert np.all(np.abs(exact - back) <= bound)
        assert np.all(back[a == 0] == 0)


@quickly
@given(arrays(bool, array_shapes(min_dims=0, max_dims=3, max_side=9)))
def test_bits_come_back_in_an_eighth_of_the_bytes(a):
    packed = Bits.of(a)
    np.testing.assert_array_equal(packed.unpack(), a, strict=True)
    assert packed.values.nbytes == math.ceil(a.size / 8)


WIDTH, CLASSES = 8, 4
LINEAR = {"weight_init": normal(0.5)}


def batch(rows: int = 40, features: int = 6, dtype: type = np.float32) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(rows, features)).astype(dtype), rng.integers(0, CLASSES, rows)


def chain(activation: type = ReLU) -> list:
    return [
        Linear(6, WIDTH, bias=False, **LINEAR), BatchNorm(WIDTH), activation(), Dropout(0.2),
        Residual(LayerNorm(WIDTH), Linear(WIDTH, WIDTH, **LINEAR), activation()), Linear(WIDTH, CLASSES, **LINEAR),
    ]  # fmt: skip


def gradients(network: Network, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    network.training_step(x, labels, CrossEntropyLoss())
    return network.parameters.grad.copy()


class TestGradients:
    @pytest.mark.parametrize("storage", ["float16", "int8", "exact"])
    @pytest.mark.parametrize("activation", [ReLU, Sigmoid, GeLU])
    def test_outputs_are_exact_and_gradients_within_bounds(self, activation, storage):
        bounds = {"float16": 2e-3, "int8": 4e-2, "exact": 0}
        network = Network(Compressed(*chain(activation), storage=storage), rng=0)
        plain = Network(Sequential(*chain(activation)), rng=0)
        x, labels = batch()
        scores = [n.training_step(x, labels, CrossEntropyLoss())[1] for n in (network, plain)]
        np.testing.assert_array_equal(*scores)
        for p, q in zip(network.parameters, plain.parameters, strict=True):
            error, size = np.linalg.norm(p.grad - q.grad), np.linalg.norm(q.grad)
            assert error <= bounds[storage] * size
        assert (storage == "exact") == np.array_equal(network.parameters.grad, plain.parameters.grad)
        np.testing.assert_array_equal(
            network.state_dict()["0.1.running_var"], plain.state_dict()["0.1.running_var"]
        )

    def test_a_linear_multiplies_with_what_came_back(self):
        # x = (254, 1) has s = 2 and comes back as (254, 0); dy = 1, so dW = (254, 0)ᵀ in place of (254, 1)ᵀ.
        layer = Compressed(Linear(2, 1, dtype=np.float64), storage="int8")
        layer.forward(np.array([[254.0, 1]]))
        layer.backward(np.array([[1.0]]))
        assert layer[0].weight.grad.tolist() == [[254], [0]]
        assert layer[0].bias.grad.tolist() == [1]

    @pytest.mark.parametrize("storage", ["float16", "int8"])
    def test_masks_lose_nothing(self, storage):
        ours, plain = (
            Network(block(Dropout(0.4), ReLU(), Dropout(0.4), **options), Linear(6, CLASSES, **LINEAR), rng=0)
            for block, options in ((Compressed, {"storage": storage}), (Sequential, {}))
        )
        x, _ = batch()
        results = [n.backward(np.cos(n.forward(x)), input_gradient=True) for n in (ours, plain)]
        np.testing.assert_array_equal(*results)

    @pytest.mark.parametrize("storage", ["float16", "int8"])
    def test_recomputation_around_it_and_inside_it(self, storage):
        around, bare, inside, input_alone = (
            Network(*layers, rng=0)
            for layers in (
                [Recompute(Compressed(*chain(), storage=storage))],
                [Compressed(Compressed(*chain(), storage=storage), storage="exact")],
                [Compressed(Recompute(*chain()), storage=storage)],
                [Sequential(Recompute(*chain()))],
            )
        )
        x, labels = batch()
        np.testing.assert_array_equal(gradients(around, x, labels), gradients(bare, x, labels))
        # Inside, it is the block's input alone that is rounded, and whole numbers up to 127 are not.
        whole = np.rint(np.clip(20 * x, -126, 126)).astype(np.float32)
        whole[:, 0] = 127
        np.testing.assert_array_equal(gradients(inside, whole, labels), gradients(input_alone, whole, labels))

    def test_numbers_beyond_float16_are_no_overflow(self):
        x, labels = batch()
        network = Network(Compressed(Linear(6, CLASSES), storage="float16"), rng=0)
        plain = Network(Sequential(Linear(6, CLASSES)), rng=0)
        ours, expected = (gradients(n, 1e6 * x, labels) for n in (network, plain))
        assert np.linalg.norm(ours - expected) < 1e-3 * np.linalg.norm(expected)

    @pytest.mark.parametrize("value", [np.nan, np.inf, np.finfo(np.float32).max])
    @pytest.mark.parametrize("storage", ["float16", "int8"])
    def test_what_is_not_finite_is_held_as_it_is(self, value, storage):
        layer = Compressed(Linear(2, 1), storage=storage)
        x = np.array([[value, 1], [0.3, 0.7]], np.float32)
        with np.errstate(invalid="ignore", over="ignore"):
            layer.forward(x)
        assert layer.own_saved[0] is x

    def test_indices_and_statistics_are_held_as_they_are(self):
        layer = Compressed(Embedding(5, 4, rng=0), LayerNorm(4), storage="int8")
        layer.forward(np.array([3, 1, 4]))
        indices, (shape, x_hat, inverse) = layer.own_saved
        assert indices.dtype == np.intp
        assert (shape, inverse.shape, inverse.dtype) == ((3, 4), (3, 1), np.float32)
        assert isinstance(x_hat, Int8)

    def test_hooks_see_what_they_see_in_a_sequence(self):
        seen = []
        for network in (
            Network(Compressed(*chain(), storage="exact"), rng=0),
            Network(Sequential(*chain()), rng=0),
        ):
            log = []
            look = lambda layer, a: log.append((type(layer) in (Compressed, Sequential), a.sum()))  # noqa: B023, E731
            network.add_hook(look)
            network.add_backward_hook(look)
            network.training_step(*batch(), CrossEntropyLoss())
            seen.append(log)
        assert seen[0] == seen[1]


class TestBytes:
    def held(self, layers: list, x: np.ndarray, storage: str) -> int:
        return measure_activation_bytes(
            Network(Compressed(*layers, storage=storage), Linear(256, 2), rng=0), x
        ).held

    def test_of_linear_and_relu(self):
        # Four pairs on 256 rows, in units of 256·256 numbers of 4 bytes. Exact: y of each ReLU and its mask,
        # 4 (1 + 1/4). float16: four inputs, the batch among them, a half each, masks 1/32, and y for the head
        # outside, 1. int8: a quarter each, with 4 bytes of scale for every row of 256.
        x = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
        expected = {
            "exact": 4 * (1 + 1 / 4),
            "float16": 4 / 2 + 4 / 32 + 1,
            "int8": 4 * (1 / 4 + 1 / 256) + 4 / 32 + 1,
        }
        for storage, units in expected.items():
            layers = [layer for _ in range(4) for layer in (Linear(256, 256), ReLU())]
            assert self.held(layers, x, storage) == pytest.approx(units * x.nbytes, abs=x.nbytes / 16)

    def test_a_step_takes_little_more_than_what_is_held(self):
        # What one layer works with: its x, dy and dx, what it saved, and that in a form between.
        x = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
        layers = [layer for _ in range(8) for layer in (Linear(256, 256), ReLU())]
        for storage in ("exact", "float16", "int8"):
            measured = measure_activation_bytes(Network(Compressed(*layers, storage=storage), Linear(256, 2)), x)
            assert measured.peak < measured.held + 5 * x.nbytes
            layers = [layer.astype(np.float32) for layer in layers]

    def test_an_array_that_two_layers_save_is_held_once(self):
        # Both Linear layers of a gated block save the same x.
        x = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
        block = GatedMlp(256, 256, 256, activation="ReLU")
        # The head's x in full; half of x, of v and of a, and of h, the x of fc2; a mask of a bit an entry.
        expected = 1 + 4 / 2 + 1 / 32
        assert self.held([block], x, "float16") == pytest.approx(expected * x.nbytes, abs=x.nbytes / 8)


class TestConstruction:
    def test_text(self):
        block = Compressed(Linear(3, 4), ReLU(), storage="int8")
        assert repr(block) == "Compressed(Linear(3, 4), ReLU(), storage='int8')"
        assert repr(eval(repr(block))) == repr(block)

    @pytest.mark.parametrize("storage", ["float8", None, 8])
    def test_refuses_a_storage(self, storage):
        with pytest.raises(InputError, match=f"storage must be one of float16, int8, exact, got {storage!r}"):
            Compressed(ReLU(), storage=storage)

    @pytest.mark.parametrize("storage", ["float16", "int8"])
    def test_an_empty_batch(self, storage):
        network = Network(Compressed(*chain(), storage=storage), rng=0)
        x, labels = batch(0)
        assert not gradients(network, x, labels).any()

    def test_errors_by_parameter(self):
        network = Network(Compressed(*chain(), storage="int8"), rng=0)
        errors = compression_error(network, *batch(), CrossEntropyLoss())
        assert errors.keys() == {"all", *(p.name for p in network.parameters)}
        assert errors["0.5.bias"] == 0  # the sum of dy, which no saved array is in
        assert 1e-4 < errors["0.5.weight"] < 3e-2
