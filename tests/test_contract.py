"""One table of cases, one contract: what every layer and every loss owes its callers, whatever its mathematics.

A new layer, loss or option needs one more line in the tables; the tests of completeness fail until it is there.
"""

import copy
import inspect
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

import mlp.layers
from mlp import CrossEntropyLoss, GeLU, HingeLoss, InputError, Layer, Linear, MSELoss, Network, ReLU, Sigmoid
from mlp.gradcheck import check_layer, check_loss
from mlp.initializers import normal
from mlp.losses import LOSSES

FEATURES = 4
CLASSES = 4


class LayerCase(NamedTuple):
    make: Callable[[type], Layer]
    out_features: int = FEATURES


def linear(dtype: type, **options) -> Linear:
    return Linear(FEATURES, 3, weight_init=normal(1.0), rng=1, dtype=dtype, **options)


LAYERS = {
    "Linear": LayerCase(linear, out_features=3),
    "Linear without bias": LayerCase(lambda dtype: linear(dtype, bias=False), out_features=3),
    "ReLU": LayerCase(lambda dtype: ReLU()),
    "Sigmoid": LayerCase(lambda dtype: Sigmoid()),
    "GeLU, tanh": LayerCase(lambda dtype: GeLU()),
    "GeLU, exact": LayerCase(lambda dtype: GeLU(approximate="none")),
}


class LossCase(NamedTuple):
    loss: mlp.losses.Loss
    real_targets: bool = False


LOSS_CASES = [
    LossCase(CrossEntropyLoss()),
    LossCase(CrossEntropyLoss(reduction="sum")),
    LossCase(HingeLoss()),
    LossCase(HingeLoss(reduction="sum")),
    LossCase(HingeLoss(margin=0)),
    LossCase(HingeLoss(margin=2.5)),
    *(LossCase(MSELoss(reduction=r), real) for r in MSELoss.reductions for real in (False, True)),
]

# Every way in which (..., FEATURES) numbers may lie in memory.
INPUTS: dict[str, Callable[[Callable[..., np.ndarray]], np.ndarray]] = {
    "batch of 5": lambda normal: normal(5, FEATURES),
    "batch of 1": lambda normal: normal(1, FEATURES),
    "batch of 0": lambda normal: normal(0, FEATURES),
    "no batch axis": lambda normal: normal(FEATURES),
    "two leading axes": lambda normal: normal(2, 3, FEATURES),
    "empty leading axis": lambda normal: normal(2, 0, FEATURES),
    "strided": lambda normal: normal(10, 2 * FEATURES)[::2, ::2],
    "transposed": lambda normal: normal(FEATURES, 5).T,
    "reversed": lambda normal: normal(5, FEATURES)[::-1, ::-1],
    "broadcast": lambda normal: np.broadcast_to(normal(FEATURES), (5, FEATURES)),
}
DTYPES = [np.float32, np.float64]

each_input = pytest.mark.parametrize("kind", INPUTS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)


def draw(kind: str, dtype: type, seed: int = 0) -> np.ndarray:
    """An array of this kind that nobody can write to."""
    rng = np.random.default_rng(seed)
    return read_only(INPUTS[kind](lambda *size: rng.normal(size=size).astype(dtype)))


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def gradients(layer: Layer) -> dict[str, np.ndarray]:
    return {name: p.grad.copy() for name, p in layer.parameters().items()}


def assert_same(actual, expected) -> None:
    """Equal to the last bit: values, shapes and dtypes, of an array or of a dictionary of arrays."""
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys()
        for name in expected:
            assert_same(actual[name], expected[name])
    else:
        np.testing.assert_array_equal(actual, expected, strict=True)


@each_dtype
@each_input
@pytest.mark.parametrize("name", LAYERS)
class TestLayerContract:
    @pytest.fixture
    def layer(self, name, dtype):
        return LAYERS[name].make(dtype)

    @pytest.fixture
    def x(self, kind, dtype):
        return draw(kind, dtype)

    @pytest.fixture
    def upstream(self, name, x, dtype):
        shape = (*x.shape[:-1], LAYERS[name].out_features)
        return read_only(np.random.default_rng(7).normal(size=shape).astype(dtype))

    def test_shapes_and_dtypes_follow_the_input(self, layer, x, upstream, dtype):
        y = layer.forward(x)
        grad_x = layer.backward(upstream)
        assert y.shape == layer.output_shape(x.shape) == upstream.shape
        assert grad_x.shape == x.shape
        assert {y.dtype, grad_x.dtype, *(g.dtype for g in gradients(layer).values())} == {np.dtype(dtype)}
        assert all(g.shape == layer.parameters()[n].shape for n, g in gradients(layer).items())

    def test_arguments_and_parameters_are_not_changed(self, layer, x, upstream):
        x, g = x.copy(), upstream.copy()
        before = {n: p.data.copy() for n, p in layer.parameters().items()}
        kept_x, kept_g = x.copy(), g.copy()
        layer.forward(x)
        layer.backward(g)
        assert_same(x, kept_x)
        assert_same(g, kept_g)
        assert_same({n: p.data for n, p in layer.parameters().items()}, before)

    def test_calls_are_deterministic_and_forget_each_other(self, layer, x, upstream, kind, dtype, name):
        first = layer.forward(x).copy(), layer.backward(upstream).copy(), gradients(layer)
        layer.forward(draw(kind, dtype, seed=1))
        layer.backward(-upstream)
        for other in (layer, LAYERS[name].make(dtype)):
            other.zero_grad()
            again = other.forward(x), other.backward(upstream), gradients(other)
            for a, b in zip(again, first, strict=True):
                assert_same(a, b)

    def test_gradients_add_up_until_cleared(self, layer, x, upstream):
        layer.forward(x)
        layer.backward(upstream)
        once = gradients(layer)
        layer.backward_parameters(upstream)
        assert_same(gradients(layer), {n: 2 * g for n, g in once.items()})
        layer.zero_grad()
        assert_same(gradients(layer), {n: np.zeros_like(g) for n, g in once.items()})
        layer.zero_grad()
        layer.backward(upstream)
        assert_same(gradients(layer), once)

    def test_the_input_gradient_does_not_accumulate(self, layer, x, upstream):
        layer.forward(x)
        assert_same(layer.backward(upstream), layer.backward(upstream))

    def test_saved_is_all_that_backward_needs(self, layer, x, upstream, kind, dtype):
        layer.forward(x)
        expected = layer.backward(upstream)
        in_flight = layer.saved
        layer.forward(draw(kind, dtype, seed=1))
        layer.saved = in_flight
        assert_same(layer.backward(upstream), expected)

    def test_results_belong_to_the_caller(self, layer, x, upstream, kind, dtype, name):
        network = Network(layer, Linear(LAYERS[name].out_features, CLASSES, dtype=dtype), rng=0)
        owned = layer.forward(x), layer.backward(upstream), network.forward(x)
        kept = [a.copy() for a in owned]
        labels = np.zeros(x.shape[:-1], int)
        for _ in range(2):
            network.training_step(draw(kind, dtype, seed=1), labels, CrossEntropyLoss())
            layer.backward(-layer.forward(draw(kind, dtype, seed=2)))
        for a, b in zip(owned, kept, strict=True):
            assert_same(a, b)
            assert not any(np.may_share_memory(a, p.data) for p in network.parameters)

    def test_backward_is_the_derivative_of_forward(self, layer, x):
        check_layer(layer, x, rtol=1e-7).assert_ok()

    def test_backward_refuses_what_cannot_be_right(self, layer, x, upstream):
        with pytest.raises(InputError, match="backward needs a forward pass first"):
            layer.backward(upstream)
        layer.forward(x)
        wrong = np.ones((*upstream.shape, 1), upstream.dtype)
        with pytest.raises(InputError) as error:
            layer.backward(wrong)
        assert str(wrong.shape) in str(error.value)
        assert str(upstream.shape) in str(error.value)

    def test_astype_gives_an_independent_layer(self, layer, x, dtype):
        other = np.float32 if dtype is np.float64 else np.float64
        y = layer.forward(x).copy()
        twin = layer.astype(other)
        assert twin.saved is None
        assert twin.forward(x.astype(other)).dtype == other
        for p in twin.parameters().values():
            p.data[...] = 0
        assert_same(layer.forward(x), y)


@each_dtype
@each_input
@pytest.mark.parametrize("case", LOSS_CASES, ids=lambda c: f"{c.loss!r} {'real' if c.real_targets else 'labels'}")
class TestLossContract:
    @pytest.fixture
    def loss(self, case):
        return copy.deepcopy(case.loss)

    @pytest.fixture
    def scores(self, kind, dtype):
        return draw(kind, dtype)

    @pytest.fixture
    def targets(self, case, scores, dtype):
        rng = np.random.default_rng(3)
        if case.real_targets:
            return read_only(rng.normal(size=scores.shape).astype(dtype))
        return read_only(np.asarray(rng.integers(0, CLASSES, scores.shape[:-1])))

    def test_value_and_gradient_have_the_right_type_and_shape(self, loss, scores, targets, dtype):
        assert type(loss.forward(scores, targets)) is float
        gradient = loss.backward()
        assert gradient.shape == scores.shape
        assert gradient.dtype == dtype

    def test_an_empty_batch_costs_nothing(self, loss, scores, targets):
        assert scores.size or loss.forward(scores, targets) == 0

    def test_arguments_are_not_changed(self, loss, scores, targets):
        s, t = scores.copy(), targets.copy()
        loss.forward(s, t)
        loss.backward()
        assert_same(s, scores)
        assert_same(t, targets)

    def test_calls_are_deterministic_and_forget_each_other(self, loss, case, scores, targets):
        first = loss.forward(scores, targets), loss.backward()
        loss.forward(np.ones((7, CLASSES + 2), scores.dtype), np.zeros(7, int))
        for other in (loss, copy.deepcopy(case.loss)):
            again = other.forward(scores, targets), other.backward()
            assert again[0] == first[0]
            assert_same(again[1], first[1])
            assert_same(other.backward(), first[1])

    def test_the_gradient_belongs_to_the_caller(self, loss, scores, targets, kind, dtype):
        loss.forward(scores, targets)
        gradient = loss.backward()
        kept = gradient.copy()
        network = Network(Linear(FEATURES, CLASSES, dtype=dtype), rng=0)
        for _ in range(2):
            network.training_step(draw(kind, dtype, seed=1), targets, loss)
            assert_same(gradient, kept)
        loss.forward(scores, targets)
        loss.backward()[...] = 7
        assert_same(loss.backward(), kept)

    def test_backward_is_the_derivative_of_forward(self, loss, scores, targets):
        check_loss(loss, scores, targets, rtol=1e-7).assert_ok()

    def test_backward_needs_a_forward_pass(self, loss, scores, targets):
        with pytest.raises(InputError, match=f"{type(loss).__name__}: backward needs a forward pass first"):
            loss.backward()

    def test_leading_axes_are_a_batch(self, loss, scores, targets):
        """A loss over (2, 3, K) is that over (6, K); its gradient is the same numbers."""
        value = loss.forward(scores, targets)
        gradient = loss.backward()
        flat = targets.reshape(-1, CLASSES) if targets.shape == scores.shape else targets.reshape(-1)
        assert loss.forward(scores.reshape(-1, CLASSES), flat) == value
        assert_same(loss.backward().reshape(scores.shape), gradient)


def names(classes) -> set[str]:
    return {c.__name__ for c in classes}


def missing_layers() -> set[str]:
    """Exported layers and registered activations without a case."""
    exported = (getattr(mlp.layers, name) for name in mlp.layers.__all__)
    layers = {c for c in exported if isinstance(c, type) and issubclass(c, Layer) and c is not Layer}
    activations = {type(make()) for make in mlp.layers.ACTIVATIONS.values()}
    return names(layers | activations) - names(type(case.make(np.float32)) for case in LAYERS.values())


def missing_losses() -> set[str]:
    """Registered losses without a case."""
    return names(LOSSES.values()) - names(type(case.loss) for case in LOSS_CASES)


def test_every_layer_has_a_case():
    assert missing_layers() == set()


def test_every_loss_has_a_case():
    assert missing_losses() == set()


def test_every_reduction_has_a_case():
    covered = {(type(case.loss), case.loss.reduction) for case in LOSS_CASES}
    assert {(loss, reduction) for loss in LOSSES.values() for reduction in loss.reductions} <= covered


def test_every_option_of_a_loss_has_a_case_with_another_value():
    """For each constructor argument of a loss, some case differs from the default."""
    for loss in LOSSES.values():
        for name, argument in inspect.signature(loss).parameters.items():
            values = {getattr(case.loss, name) for case in LOSS_CASES if type(case.loss) is loss}
            assert values - {argument.default}, f"{loss.__name__}: no case sets {name}"


def test_a_new_layer_without_a_case_is_noticed(monkeypatch):
    class Newcomer(Layer):
        pass

    monkeypatch.setitem(mlp.layers.ACTIVATIONS, "newcomer", Newcomer)
    monkeypatch.setitem(LOSSES, "newcomer", Newcomer)
    assert missing_layers() == {"Newcomer"}
    assert missing_losses() == {"Newcomer"}
