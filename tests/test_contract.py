"""One table of cases, one contract: what every layer and every loss owes its callers, whatever its mathematics.

A new layer, loss or option needs one more line in the tables; the tests of completeness fail until it is there.
"""

import copy
import inspect
import itertools
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pytest

import mlp.efficiency
import mlp.layers
from mlp import CrossEntropyLoss, GeLU, HingeLoss, InputError, Layer, Linear, MSELoss, Network, ReLU, Sigmoid
from mlp.gradcheck import check_layer, check_loss
from mlp.initializers import normal
from mlp.layers import (
    ELU,
    SELU,
    AlphaDropout,
    BatchNorm,
    Compressed,
    Container,
    Dropout,
    Elementwise,
    EmbeddedColumns,
    Embedding,
    GatedMlp,
    Hardswish,
    Identity,
    LayerNorm,
    LeakyReLU,
    LogSoftmax,
    Mish,
    Mlp,
    PReLU,
    QuantizedLinear,
    Recompute,
    ReLU6,
    Residual,
    RMSNorm,
    Sequential,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from mlp.losses import (
    LOSSES,
    BinaryCrossEntropyLoss,
    CrammerSingerLoss,
    HuberLoss,
    KLDivLoss,
    Loss,
    MAELoss,
    NLLLoss,
)

FEATURES = 4
CLASSES = 4


class LayerCase(NamedTuple):
    make: Callable[[type], Layer]
    out_features: int = FEATURES
    # Columns of x that hold an index from 0 to 2: they have no derivative.
    index_columns: tuple[int, ...] = ()


def linear(dtype: type, out: int = 3, **options) -> Linear:
    return Linear(FEATURES, out, weight_init=normal(1.0), rng=1, dtype=dtype, **options)


class RepeatedAlphaDropout(AlphaDropout):
    """The same for the other dropout."""

    def forward(self, x):
        self.rng = np.random.default_rng(5)
        return super().forward(x)


class RepeatedDropout(Dropout):
    """Drops the same entries at every call: a function that can be compared with itself."""

    def forward(self, x):
        self.rng = np.random.default_rng(5)
        return super().forward(x)


def normalized(kind: type, dtype: type, **options) -> Layer:
    """A layer of this kind with parameters and running statistics that are not those it starts with."""
    # With eps = 0.1 a batch without variance still has a derivative that differences can find.
    layer = kind(FEATURES, eps=0.1, dtype=dtype, **options)
    rng = np.random.default_rng(0)
    for values in (*(p.data for p in layer.parameters().values()), *layer.statistics().values()):
        values[...] = rng.uniform(0.5, 2, values.shape)
    return layer


def block(kind: type, dtype: type, **options) -> Layer:
    """A block of this kind with large weights, and biases that are not zero."""
    return kind(FEATURES, weight_init=normal(1.0), bias_init=normal(1.0), rng=1, dtype=dtype, **options)


LAYERS = {
    "Linear": LayerCase(linear, out_features=3),
    "Linear without bias": LayerCase(lambda dtype: linear(dtype, bias=False), out_features=3),
    "ReLU": LayerCase(lambda dtype: ReLU()),
    "Sigmoid": LayerCase(lambda dtype: Sigmoid()),
    "GeLU, tanh": LayerCase(lambda dtype: GeLU()),
    "GeLU, exact": LayerCase(lambda dtype: GeLU(approximate="none")),
    "Identity": LayerCase(lambda dtype: Identity()),
    "LeakyReLU": LayerCase(lambda dtype: LeakyReLU()),
    "LeakyReLU, steep": LayerCase(lambda dtype: LeakyReLU(slope=0.5)),
    "ReLU6": LayerCase(lambda dtype: ReLU6()),
    "SELU": LayerCase(lambda dtype: SELU()),
    "PReLU": LayerCase(lambda dtype: PReLU(dtype=dtype)),
    "PReLU, one a feature": LayerCase(lambda dtype: PReLU(FEATURES, 0.5, dtype)),
    "Mish": LayerCase(lambda dtype: Mish()),
    "Hardswish": LayerCase(lambda dtype: Hardswish()),
    "ELU": LayerCase(lambda dtype: ELU()),
    "ELU, small": LayerCase(lambda dtype: ELU(alpha=0.3)),
    "Tanh": LayerCase(lambda dtype: Tanh()),
    "SiLU": LayerCase(lambda dtype: SiLU()),
    "Softplus": LayerCase(lambda dtype: Softplus()),
    "Softplus, sharp": LayerCase(lambda dtype: Softplus(beta=3)),
    "Softmax": LayerCase(lambda dtype: Softmax()),
    "LogSoftmax": LayerCase(lambda dtype: LogSoftmax()),
    "Dropout": LayerCase(lambda dtype: RepeatedDropout(0.4)),
    "AlphaDropout": LayerCase(lambda dtype: RepeatedAlphaDropout(0.4)),
    "Dropout of nothing": LayerCase(lambda dtype: RepeatedDropout(0.0)),
    "Dropout, in use": LayerCase(lambda dtype: Dropout(0.4).eval()),
    "BatchNorm": LayerCase(lambda dtype: normalized(BatchNorm, dtype)),
    "BatchNorm, plain": LayerCase(lambda dtype: normalized(BatchNorm, dtype, affine=False, momentum=0.5)),
    "BatchNorm, in use": LayerCase(lambda dtype: normalized(BatchNorm, dtype).eval()),
    "LayerNorm": LayerCase(lambda dtype: normalized(LayerNorm, dtype)),
    "LayerNorm without bias": LayerCase(lambda dtype: normalized(LayerNorm, dtype, bias=False)),
    "LayerNorm, plain": LayerCase(lambda dtype: normalized(LayerNorm, dtype, affine=False)),
    "RMSNorm": LayerCase(lambda dtype: normalized(RMSNorm, dtype)),
    "RMSNorm, plain": LayerCase(lambda dtype: normalized(RMSNorm, dtype, affine=False)),
    "Sequential": LayerCase(lambda dtype: Sequential(linear(dtype), Sigmoid()), out_features=3),
    "Residual": LayerCase(lambda dtype: Residual(linear(dtype, out=FEATURES), GeLU())),
    "Residual with shortcut": LayerCase(
        lambda dtype: Residual(Sigmoid(), linear(dtype), shortcut=linear(dtype, bias=False)), out_features=3
    ),
    "Recompute": LayerCase(lambda dtype: Recompute(linear(dtype), Sigmoid()), out_features=3),
    "Recompute with dropout, statistics and another inside": LayerCase(
        lambda dtype: Recompute(
            normalized(BatchNorm, dtype), RepeatedDropout(0.4), Recompute(linear(dtype), Tanh()), GeLU()
        ),
        out_features=3,
    ),
    # The other storages are not exact: tests/layers/test_compression.py has their bounds.
    "Compressed, exact": LayerCase(
        lambda dtype: Compressed(linear(dtype), Sigmoid(), Residual(Dropout(0), GeLU()), storage="exact"),
        out_features=3,
    ),
    "QuantizedLinear": LayerCase(lambda dtype: QuantizedLinear.of(linear(dtype)), out_features=3),
    "QuantizedLinear without bias": LayerCase(
        lambda dtype: QuantizedLinear.of(linear(dtype, bias=False)), out_features=3
    ),
    "Mlp": LayerCase(lambda dtype: block(Mlp, dtype)),
    "Mlp without bias1": LayerCase(lambda dtype: block(Mlp, dtype, bias1=False)),
    "Mlp without bias2, all widths given": LayerCase(
        lambda dtype: block(Mlp, dtype, hidden_features=7, out_features=3, activation="ReLU", bias2=False),
        out_features=3,
    ),
    "GatedMlp": LayerCase(lambda dtype: block(GatedMlp, dtype, multiple_of=4)),
    "GatedMlp without bias1": LayerCase(
        lambda dtype: block(GatedMlp, dtype, activation="GeLU", multiple_of=3, bias1=False)
    ),
    "GatedMlp, SwiGLU": LayerCase(lambda dtype: block(GatedMlp, dtype, activation="SiLU", multiple_of=8)),
    "GatedMlp, bilinear": LayerCase(lambda dtype: block(GatedMlp, dtype, activation="Identity", multiple_of=8)),
    "GatedMlp without bias2, all widths given": LayerCase(
        lambda dtype: block(
            GatedMlp, dtype, hidden_features=5, out_features=3, activation="ReLU", multiple_of=1, bias2=False
        ),
        out_features=3,
    ),
    "EmbeddedColumns": LayerCase(
        lambda dtype: EmbeddedColumns(
            FEATURES, {1: Embedding(3, 2, rng=0, dtype=dtype), 3: Embedding(3, 4, rng=1, dtype=dtype)}
        ),
        out_features=1 + 2 + 1 + 4,
        index_columns=(1, 3),
    ),
}


class LossCase(NamedTuple):
    loss: mlp.losses.Loss
    # "labels", "real" numbers, "soft" labels (distributions over the classes), or "answers" from 0 to 1
    targets: str = "labels"

    @property
    def classes(self) -> int | None:
        """How many classes the loss is made for, if it was given a weight for each."""
        options = vars(self.loss).values()
        return next((len(option) for option in options if isinstance(option, tuple)), None)


# Normal numbers around this are below 0, as log-probabilities are.
LOG_PROBABILITIES = -6
CLASS_WEIGHT = (0.5, 2.0, 0.0, 1.5)


def numbers(loss: type[Loss]) -> list[str]:
    """The reductions of a loss that give a number."""
    return [reduction for reduction in loss.reductions if reduction != "none"]


LOSS_CASES = [
    LossCase(CrossEntropyLoss()),
    LossCase(CrossEntropyLoss(reduction="sum")),
    LossCase(CrossEntropyLoss(label_smoothing=0.2)),
    LossCase(CrossEntropyLoss(class_weight=CLASS_WEIGHT)),
    LossCase(CrossEntropyLoss(), "soft"),
    LossCase(CrossEntropyLoss(class_weight=CLASS_WEIGHT), "soft"),
    *(LossCase(CrossEntropyLoss(r, 0.2, CLASS_WEIGHT), t) for r in ("mean", "sum") for t in ("labels", "soft")),
    LossCase(NLLLoss()),
    LossCase(NLLLoss(reduction="sum")),
    LossCase(NLLLoss(class_weight=CLASS_WEIGHT)),
    LossCase(NLLLoss("sum", CLASS_WEIGHT), "soft"),
    LossCase(HingeLoss()),
    LossCase(HingeLoss(reduction="sum")),
    LossCase(HingeLoss(margin=0)),
    LossCase(HingeLoss(margin=2.5)),
    LossCase(HingeLoss(kind="crammer-singer")),
    LossCase(CrammerSingerLoss()),
    LossCase(CrammerSingerLoss(margin=2.5, reduction="sum")),
    *(LossCase(MSELoss(reduction=r), t) for r in numbers(MSELoss) for t in ("labels", "real")),
    LossCase(HingeLoss(squared=True)),
    LossCase(CrammerSingerLoss(squared=True)),
    LossCase(KLDivLoss()),
    *(LossCase(KLDivLoss(r), "soft") for r in numbers(KLDivLoss)),
    LossCase(MAELoss()),
    *(LossCase(MAELoss(reduction=r), "real") for r in numbers(MAELoss)),
    LossCase(HuberLoss()),
    *(LossCase(HuberLoss(delta=0.5, reduction=r), "real") for r in numbers(HuberLoss)),
    LossCase(BinaryCrossEntropyLoss()),
    *(LossCase(BinaryCrossEntropyLoss(reduction=r), "answers") for r in numbers(BinaryCrossEntropyLoss)),
    LossCase(BinaryCrossEntropyLoss(pos_weight=3), "answers"),
    LossCase(BinaryCrossEntropyLoss(pos_weight=CLASS_WEIGHT), "answers"),
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
# What does not depend on where numbers lie is seen with these.
SOME_INPUTS = ["batch of 5", "no batch axis", "two leading axes"]
DTYPES = [np.float32, np.float64]

each_layer = pytest.mark.parametrize("name", LAYERS)
each_input = pytest.mark.parametrize("kind", INPUTS)
some_inputs = pytest.mark.parametrize("kind", SOME_INPUTS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)


def draw(kind: str, dtype: type, seed: int = 0, offset: float = 0) -> np.ndarray:
    """An array of this kind that nobody can write to."""
    rng = np.random.default_rng(seed)
    return read_only(INPUTS[kind](lambda *size: (offset + rng.normal(size=size)).astype(dtype)))


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


@pytest.fixture
def layer(name, dtype):
    return LAYERS[name].make(dtype)


@pytest.fixture
def x(name, kind, dtype):
    x = draw(kind, dtype)
    columns = list(LAYERS[name].index_columns)
    if not columns:
        return x
    x = x.copy()
    x[..., columns] = np.random.default_rng(2).integers(0, 3, (*x.shape[:-1], len(columns)))
    return read_only(x)


@pytest.fixture
def other_x(name, kind, dtype, x):
    """Another input of the same shape."""
    other = draw(kind, dtype, seed=1)
    columns = list(LAYERS[name].index_columns)
    if not columns:
        return other
    other = other.copy()
    other[..., columns] = 2 - x[..., columns]
    return read_only(other)


@pytest.fixture
def upstream(name, x, dtype):
    shape = (*x.shape[:-1], LAYERS[name].out_features)
    return read_only(np.random.default_rng(7).normal(size=shape).astype(dtype))


@each_dtype
@each_input
@each_layer
class TestLayersInEveryLayout:
    """Shapes, values and whose memory it is, wherever the numbers of an input lie."""

    def test_shapes_and_dtypes_follow_the_input(self, layer, x, upstream, dtype):
        y = layer.forward(x)
        grad_x = layer.backward(upstream)
        assert y.shape == layer.output_shape(x.shape) == upstream.shape
        assert grad_x.shape == x.shape
        assert {y.dtype, grad_x.dtype, *(g.dtype for g in gradients(layer).values())} == {np.dtype(dtype)}
        assert all(g.shape == layer.parameters()[n].shape for n, g in gradients(layer).items())

    def test_where_numbers_lie_does_not_matter(self, layer, x, upstream, dtype):
        """Outputs and gradients are those of a copy of the input that lies in one block."""
        apart = layer.forward(x), layer.backward(upstream), gradients(layer)
        layer.zero_grad()
        block = layer.forward(np.array(x, order="C")), layer.backward(upstream), gradients(layer)
        close = {"rtol": 1e-12, "atol": 1e-12} if dtype == np.float64 else {"rtol": 1e-5, "atol": 1e-5}
        for a, b in zip(apart[:2], block[:2], strict=True):
            np.testing.assert_allclose(a, b, **close, strict=True)
        for name, gradient in block[2].items():
            np.testing.assert_allclose(apart[2][name], gradient, **close, err_msg=name)

    def test_arguments_and_parameters_are_not_changed(self, layer, x, upstream):
        x, g = x.copy(), upstream.copy()
        before = {n: p.data.copy() for n, p in layer.parameters().items()}
        kept_x, kept_g = x.copy(), g.copy()
        layer.forward(x)
        layer.backward(g)
        assert_same(x, kept_x)
        assert_same(g, kept_g)
        assert_same({n: p.data for n, p in layer.parameters().items()}, before)

    def test_results_belong_to_the_caller(self, layer, x, other_x, upstream, dtype, name):
        network = Network(layer, Linear(LAYERS[name].out_features, CLASSES, dtype=dtype), rng=0)
        owned = layer.forward(x), layer.backward(upstream), network.forward(x)
        kept = [a.copy() for a in owned]
        labels = np.zeros(x.shape[:-1], int)
        for _ in range(2):
            network.training_step(other_x, labels, CrossEntropyLoss())
            layer.backward(-layer.forward(other_x))
        for a, b in zip(owned, kept, strict=True):
            assert_same(a, b)
            assert not any(np.may_share_memory(a, p.data) for p in network.parameters)


@each_dtype
@some_inputs
@each_layer
class TestLayerContract:
    def test_calls_are_deterministic_and_forget_each_other(self, layer, x, other_x, upstream, dtype, name):
        first = layer.forward(x).copy(), layer.backward(upstream).copy(), gradients(layer)
        layer.forward(other_x)
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

    def test_saved_is_all_that_backward_needs(self, layer, x, other_x, upstream):
        layer.forward(x)
        expected = layer.backward(upstream)
        in_flight = layer.saved
        layer.forward(other_x)
        layer.saved = in_flight
        assert_same(layer.backward(upstream), expected)

    def test_backward_is_the_derivative_of_forward(self, layer, x, name):
        differentiable = not LAYERS[name].index_columns
        check_layer(layer, x, rtol=1e-7, input_gradient=differentiable, behaviour=differentiable).assert_ok()

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
        with pytest.raises(InputError, match="backward needs a forward pass first"):
            twin.backward(np.zeros(layer.output_shape(x.shape), other))
        assert twin.forward(x.astype(other)).dtype == other
        for p in twin.parameters().values():
            p.data[...] = 0
        assert_same(layer.forward(x), y)


def loss_arguments(inputs: Iterable[str]) -> pytest.MarkDecorator:
    """Every loss with each of these inputs and dtypes; its other options with two of them, to save time."""
    arguments, seen = [], set()
    for case in LOSS_CASES:
        first = (type(case.loss), case.targets) not in seen
        seen.add((type(case.loss), case.targets))
        some = [("batch of 5", np.float64), ("two leading axes", np.float32)]
        for kind, dtype in itertools.product(inputs, DTYPES) if first else some:
            name = f"{case.loss!r} {case.targets}-{kind}-{dtype.__name__}"
            arguments.append(pytest.param(case, kind, dtype, id=name))
    return pytest.mark.parametrize(("case", "kind", "dtype"), arguments)


@pytest.fixture
def loss(case):
    return copy.deepcopy(case.loss)


@pytest.fixture
def scores(case, kind, dtype):
    return draw(kind, dtype, offset=LOG_PROBABILITIES if isinstance(case.loss, NLLLoss) else 0)


@pytest.fixture
def targets(case, scores, dtype):
    rng = np.random.default_rng(3)
    match case.targets:
        case "labels":
            return read_only(np.asarray(rng.integers(0, CLASSES, scores.shape[:-1])))
        case "real":
            return read_only(rng.normal(size=scores.shape).astype(dtype))
        case "soft":
            return read_only(rng.dirichlet(np.ones(CLASSES), scores.shape[:-1]).astype(dtype))
    return read_only(rng.choice(np.array([0, 0.3, 1], dtype), scores.shape))


@loss_arguments(INPUTS)
class TestLossesInEveryLayout:
    """Shapes, values and whose memory it is, wherever the scores lie."""

    def test_value_and_gradient_have_the_right_type_and_shape(self, loss, scores, targets, dtype):
        assert type(loss.forward(scores, targets)) is float
        gradient = loss.backward()
        assert gradient.shape == scores.shape
        assert gradient.dtype == dtype

    def test_where_scores_lie_does_not_matter(self, loss, scores, targets):
        value, gradient = loss.forward(scores, targets), loss.backward()
        close = {"rtol": 1e-13, "atol": 1e-13} if scores.dtype == np.float64 else {"rtol": 1e-6, "atol": 1e-6}
        assert loss.forward(np.array(scores, order="C"), targets) == pytest.approx(value, rel=close["rtol"])
        np.testing.assert_allclose(loss.backward(), gradient, **close, strict=True)

    def test_an_empty_batch_costs_nothing(self, loss, scores, targets):
        assert scores.size or loss.forward(scores, targets) == 0

    def test_arguments_are_not_changed(self, loss, scores, targets):
        s, t = scores.copy(), targets.copy()
        loss.forward(s, t)
        loss.backward()
        assert_same(s, scores)
        assert_same(t, targets)

    def test_the_gradient_belongs_to_the_caller(self, loss, scores, targets, kind, dtype):
        loss.forward(scores, targets)
        gradient = loss.backward()
        kept = gradient.copy()
        network = Network(Linear(FEATURES, CLASSES, dtype=dtype), rng=0)
        network[0].bias.data[...] = LOG_PROBABILITIES
        for _ in range(2):
            network.training_step(draw(kind, dtype, seed=1), targets, loss)
            assert_same(gradient, kept)
        loss.forward(scores, targets)
        loss.backward()[...] = 7
        assert_same(loss.backward(), kept)

    def test_leading_axes_are_a_batch(self, loss, scores, targets):
        """A loss over (2, 3, K) is that over (6, K); its gradient is the same numbers."""
        value = loss.forward(scores, targets)
        gradient = loss.backward()
        flat = targets.reshape(-1, CLASSES) if targets.shape == scores.shape else targets.reshape(-1)
        assert loss.forward(scores.reshape(-1, CLASSES), flat) == value
        assert_same(loss.backward().reshape(scores.shape), gradient)


@loss_arguments(SOME_INPUTS)
class TestLossContract:
    def test_calls_are_deterministic_and_forget_each_other(self, loss, case, scores, targets):
        first = loss.forward(scores, targets), loss.backward()
        loss.forward(-np.ones((7, case.classes or CLASSES + 2), scores.dtype), np.zeros(7, int))
        for other in (loss, copy.deepcopy(case.loss)):
            again = other.forward(scores, targets), other.backward()
            assert again[0] == first[0]
            assert_same(again[1], first[1])
            assert_same(other.backward(), first[1])

    def test_backward_is_the_derivative_of_forward(self, loss, scores, targets):
        check_loss(loss, scores, targets, rtol=1e-7).assert_ok()

    def test_backward_needs_a_forward_pass(self, loss, scores, targets):
        with pytest.raises(InputError, match=f"{type(loss).__name__}: backward needs a forward pass first"):
            loss.backward()

    def test_total_and_weight_of_batches_add_up(self, loss, scores, targets):
        """The loss of a whole is the sum of the totals of its parts over that of their weights."""
        s, t, w = rows(scores, targets)
        parts = []
        for part in (slice(0, 2), slice(2, None)):
            loss.forward(s[part], t[part], w[part])
            parts.append((loss.total, loss.weight))
        total, weight = np.sum(parts, axis=0)
        value = loss.forward(s, t, w)
        close = {"rel": 1e-13 if s.dtype == np.float64 else 1e-5, "abs": 0}
        assert (loss.total, loss.weight) == (pytest.approx(total, **close), pytest.approx(weight, rel=1e-15, abs=0))
        expected = total if loss.reduction == "sum" else total / weight if weight else 0
        assert value == pytest.approx(expected, **close)

    def test_weights_of_one_are_no_weights(self, loss, scores, targets):
        value, gradient = loss.forward(scores, targets), loss.backward()
        total, weight = loss.total, loss.weight
        rtol = 1e-13 if scores.dtype == np.float64 else 1e-5
        assert loss.forward(scores, targets, np.ones(scores.shape[:-1], int)) == pytest.approx(
            value, rel=rtol, abs=0
        )
        assert loss.total == pytest.approx(total, rel=rtol, abs=0)
        assert loss.weight == weight
        np.testing.assert_allclose(loss.backward(), gradient, rtol=0, atol=rtol, strict=True)

    def test_a_weight_is_how_often_a_sample_is_there(self, loss, scores, targets):
        """A weight of 0 removes a sample, 2 is the same as the sample twice."""
        s, t, w = rows(scores, targets)
        value, gradient = loss.forward(s, t, w), loss.backward()
        total, weight = loss.total, loss.weight
        again = np.repeat(np.arange(len(s)), w.astype(int))
        rtol = 1e-13 if s.dtype == np.float64 else 1e-5
        assert loss.forward(s[again], t[again]) == pytest.approx(value, rel=rtol, abs=0)
        assert (loss.total, loss.weight) == (
            pytest.approx(total, rel=rtol, abs=0),
            pytest.approx(weight, rel=1e-15),
        )
        added = np.zeros_like(gradient)
        np.add.at(added, again, loss.backward())
        np.testing.assert_allclose(gradient, added, rtol=0, atol=rtol)

    def test_backward_is_the_derivative_with_weights(self, loss, scores, targets):
        weights = np.random.default_rng(4).uniform(0, 2, scores.shape[:-1])
        check_loss(loss, scores, targets, sample_weight=weights, rtol=1e-7).assert_ok()

    def test_refuses_weights(self, loss, scores, targets):
        good = np.ones(scores.shape[:-1])
        for bad in (-good, np.nan * good, np.inf * good, good[..., np.newaxis], good * 1j):
            if scores.size or bad.shape != good.shape:
                with pytest.raises(InputError, match=f"{type(loss).__name__}: .*sample_weight"):
                    loss.forward(scores, targets, bad)


def rows(scores, targets) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores and targets with one batch axis, and weights 1, 2, 0, 1, 2, 0 ... for them."""
    s = scores.reshape(-1, CLASSES)
    t = targets.reshape(-1, CLASSES) if targets.shape == scores.shape else targets.reshape(-1)
    return s, t, ((np.arange(len(s)) + 1) % 3).astype(s.dtype)


def names(classes) -> set[str]:
    return {c.__name__ for c in classes}


def missing_layers() -> set[str]:
    """Exported layers and registered activations without a case."""
    exported = (getattr(room, name) for room in (mlp.layers, mlp.efficiency) for name in room.__all__)
    abstract = (Layer, Container, Elementwise)
    layers = {c for c in exported if isinstance(c, type) and issubclass(c, Layer) and c not in abstract}
    activations = {type(make()) for make in mlp.layers.ACTIVATIONS.values()}
    covered = {
        kind for case in LAYERS.values() for layer in case.make(np.float32).walk() for kind in type(layer).mro()
    }
    return names(layers | activations) - names(covered)


def missing_losses() -> set[str]:
    """Registered losses without a case."""
    return names(LOSSES.values()) - names(type(case.loss) for case in LOSS_CASES)


def test_every_layer_has_a_case():
    assert missing_layers() == set()


def test_every_loss_has_a_case():
    assert missing_losses() == set()


def test_every_reduction_has_a_case():
    covered = {(type(case.loss), case.loss.reduction) for case in LOSS_CASES}
    assert {(loss, reduction) for loss in LOSSES.values() for reduction in numbers(loss)} <= covered


def test_every_option_of_a_loss_has_a_case_with_another_value():
    """For each constructor argument of a loss, some case differs from the default."""
    for loss in LOSSES.values():
        for name, argument in inspect.signature(loss).parameters.items():
            values = {getattr(case.loss, name) for case in LOSS_CASES if type(case.loss) is loss}
            assert values - {argument.default}, f"{loss.__name__}: no case sets {name}"


def options_without_a_case(kind: type[Layer]) -> set[str]:
    """Constructor arguments of an activation that no case sets to something else than the default."""
    layers = [layer for layer in (case.make(np.float32) for case in LAYERS.values()) if type(layer) is kind]
    arguments = inspect.signature(kind).parameters.values()
    return {a.name for a in arguments if all(getattr(layer, a.name) == a.default for layer in layers)}


def test_every_option_of_an_activation_has_a_case_with_another_value():
    for kind in {type(make()) for make in mlp.layers.ACTIVATIONS.values()}:
        assert options_without_a_case(kind) == set(), kind


def test_an_option_without_a_case_is_noticed():
    class Newcomer(Layer):
        def __init__(self, size: float = 1.0) -> None:
            self.size = size

    assert options_without_a_case(Newcomer) == {"size"}


def test_a_new_layer_without_a_case_is_noticed(monkeypatch):
    class Newcomer(Layer):
        pass

    monkeypatch.setitem(mlp.layers.ACTIVATIONS, "newcomer", Newcomer)
    monkeypatch.setitem(LOSSES, "newcomer", Newcomer)
    assert missing_layers() == {"Newcomer"}
    assert missing_losses() == {"Newcomer"}
