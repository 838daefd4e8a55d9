"""Networks and runs with one disease each, which is found by its name and its place; healthy ones, which pass."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import (
    SGD,
    CrossEntropyLoss,
    Dataset,
    GeLU,
    HingeLoss,
    History,
    InputError,
    Linear,
    MSELoss,
    Network,
    ReLU,
    ReLU6,
    Sigmoid,
    Solver,
    Tanh,
    load_mnist,
)
from mlp.diagnosis import diagnose, diagnose_history, layer_statistics
from mlp.diagnosis.activity import GradientFlow
from mlp.diagnosis.advice import ADVICE
from mlp.efficiency.activation_checkpointing import Recompute
from mlp.efficiency.compression import Compressed
from mlp.initializers import constant, he_normal, normal, xavier_normal, zeros
from mlp.layers import (
    BatchNorm,
    Dropout,
    EmbeddedColumns,
    Embedding,
    GatedMlp,
    LayerNorm,
    LeakyReLU,
    Mlp,
    Residual,
    Sequential,
)
from mlp.solver.loop import NotFinite

CE = CrossEntropyLoss()
HE, XAVIER = he_normal(), xavier_normal()


def stack(activation, init, *widths, norm=None) -> list:
    """Linear, (norm,) activation, Linear, ..., Linear: the last one without activation."""
    layers = []
    for i, (a, b) in enumerate(pairwise(widths)):
        layers.append(Linear(a, b, weight_init=init))
        if i < len(widths) - 2:
            layers += [norm(b), activation()] if norm else [activation()]
    return layers


def chain(factor: float, layers: int = 5) -> Network:
    """Linear layers that multiply by ``factor`` each."""
    network = Network(*(Linear(4, 4, bias=False) for _ in range(layers)), dtype=np.float64)
    for p in network.parameters:
        p.data = factor * np.eye(4)
    return network


def normal_batch(rows: int = 50, features: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(rows, features)), rng.normal(size=(rows, features))


@pytest.fixture(scope="session")
def batch(mnist) -> tuple[np.ndarray, np.ndarray]:
    return mnist[0][:200].arrays(np.float32)


class TestWorkedNumbers:
    """x -> Linear(2, 3) -> ReLU -> Linear(3, 2), half the squared error, two samples; all numbers worked out here.

    x = [1  2]   W1 = [1 -1  0]   b1 = [0 0 -5]   W2 = [1 0]   targets = [0 1]
        [3 -1]        [0  1 -1]                        [0 1]             [3 2]
                                                       [1 1]

    z = [1  1 -7]   y = [1 1 0]   s = [1 1]   s - t = [1  0]   L = (1 + 4) / 2 / 2 = 1.25
        [3 -4 -4]       [3 0 0]       [3 0]           [0 -2]

    ds = [0.5  0]   dy = [0.5  0 0.5]   dz = [0.5 0 0]   dW1 = [0.5 0 0]   dW2 = [0.5 -3]   db2 = [0.5 -1]
         [0   -1]        [0   -1  -1]        [0   0 0]         [1   0 0]         [0.5  0]
                                                                                 [0    0]
    """

    X, TARGETS = np.array([[1.0, 2], [3, -1]]), np.array([[0.0, 1], [3, 2]])

    @pytest.fixture
    def statistics(self):
        network = Network(Linear(2, 3), ReLU(), Linear(3, 2), dtype=np.float64)
        for name, values in {
            "0.weight": [[1, -1, 0], [0, 1, -1]], "0.bias": [0, 0, -5],
            "2.weight": [[1, 0], [0, 1], [1, 1]], "2.bias": [0, 0],
        }.items():  # fmt: skip
            network.parameters[name].data = np.array(values, float)
        return layer_statistics(network, MSELoss(), self.X, self.TARGETS)

    def test_activations(self, statistics):
        names = ["layer 0 Linear(2, 3)", "layer 1 ReLU()", "layer 2 Linear(3, 2)"]
        assert [row.name for row in statistics.layers] == names
        assert statistics.trunk == statistics.layers
        assert statistics.loss == 1.25
        relu = statistics.layers[1]
        assert (relu.shape, relu.min, relu.max) == ((2, 3), 0, 3)
        # Entries 1 1 0 3 0 0: mean 5/6, mean square 11/6; units (1 3), (1 0), (0 0) have std 1, 0.5, 0.
        assert relu.mean == pytest.approx(5 / 6, rel=1e-15)
        assert relu.std == pytest.approx(math.sqrt(11 / 6 - 25 / 36), rel=1e-15)
        assert relu.signal == pytest.approx(math.sqrt((1 + 0.25) / 3), rel=1e-15)
        assert (relu.zeros, relu.dead, relu.saturated) == (3 / 6, 1 / 3, None)
        assert [row.dead for row in statistics.layers] == [None, 1 / 3, None]
        assert (statistics.input.mean, statistics.input.min, statistics.input.max) == (1.25, -1, 3)
        assert statistics.input.gradient_rms is None

    def test_gradients(self, statistics):
        rms = [math.sqrt(0.25 / 6), math.sqrt(2.5 / 6), math.sqrt(1.25 / 4)]
        np.testing.assert_allclose([row.gradient_rms for row in statistics.layers], rms, rtol=1e-15)
        norms = [math.sqrt(0.25), math.sqrt(2.5), math.sqrt(1.25)]
        np.testing.assert_allclose([row.gradient_norm for row in statistics.layers], norms, rtol=1e-15)

    def test_parameters(self, statistics):
        rows = {p.name: (p.weight_norm, p.gradient_norm, p.ratio, p.finite) for p in statistics.parameters}
        root = math.sqrt
        expected = {
            "0.weight": (2, root(1.25), root(1.25) / 2, True),
            "0.bias": (5, 0.5, 0.1, True),
            "2.weight": (2, root(9.5), root(9.5) / 2, True),
            "2.bias": (0, root(1.25), math.inf, True),
        }
        assert list(rows) == list(expected)
        for name, row in rows.items():
            assert row == pytest.approx(expected[name], rel=1e-15), name

    def test_table(self, statistics):
        # z has the mean -10/6 and the mean square 92/6, so std sqrt(92/6 - 100/36) = 3.54.
        assert repr(statistics).splitlines() == [
            "loss 1.25",
            "",
            "layer                  mean   std  min  max  zeros   dead  saturated  rms dL/dy",
            "-------------------------------------------------------------------------------",
            "input                  1.25  1.48   -1    3   0.0%                             ",
            "layer 0 Linear(2, 3)  -1.67  3.54   -7    3   0.0%                        0.204",
            "layer 1 ReLU()        0.833  1.07    0    3  50.0%  33.3%                 0.645",
            "layer 2 Linear(3, 2)   1.25  1.09    0    3  25.0%                        0.559",
            "",
            "parameter  |w|   |g|  |g| / |w|  finite",
            "---------------------------------------",
            "0.weight     2  1.12      0.559     yes",
            "0.bias       5   0.5        0.1     yes",
            "2.weight     2  3.08       1.54     yes",
            "2.bias       0  1.12        inf     yes",
        ]


@pytest.mark.parametrize(
    ("activation", "outputs", "share"),
    [
        # y (1 - y) is 0.0384, 0.0564, 0.25, 0.0564, 0.0384
        (Sigmoid(), [0.04, 0.06, 0.5, 0.94, 0.96], 2 / 5),
        # 1 - y² is 0.0396, 0.0591, 1, 0.0591
        (Tanh(), [-0.98, -0.97, 0, 0.97], 1 / 4),
        (ReLU6(), [0, 3, 5.9, 6], 1 / 4),
        (ReLU(), [0, 3, 5.9, 6], None),
        (GeLU(), [0, 3, 5.9, 6], None),
    ],
)
def test_saturation(activation, outputs, share):
    inverse = {Sigmoid: lambda y: np.log(y / (1 - y)), Tanh: np.arctanh}.get(type(activation), lambda y: y)
    network = Network(Linear(1, len(outputs)), activation, Linear(len(outputs), 2), dtype=np.float64)
    network.parameters["0.weight"].data[...] = 0
    network.parameters["0.bias"].data = inverse(np.array(outputs))
    row = layer_statistics(network, CE, np.zeros((3, 1)), np.zeros(3, int)).layers[1]
    assert row.saturated == (None if share is None else pytest.approx(share))
    assert row.signal == pytest.approx(0, abs=1e-15)


def test_parity_with_torch():
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(12, 5)), rng.integers(0, 3, 12)
    init = normal(0.6)
    network = Network(
        Linear(5, 6, weight_init=init),
        Sigmoid(),
        Residual(Linear(6, 6, weight_init=init), Tanh()),
        BatchNorm(6),
        Linear(6, 3, weight_init=init),
        rng=1,
        dtype=np.float64,
    )
    w = {p.name: torch.tensor(p.data, requires_grad=True) for p in network.parameters}
    a = torch.tensor(x) @ w["0.weight"] + w["0.bias"]
    b = torch.sigmoid(a)
    c = b @ w["2.body.0.weight"] + w["2.body.0.bias"]
    d = torch.tanh(c)
    e = b + d
    f = torch.nn.functional.batch_norm(e, None, None, w["3.weight"], w["3.bias"], training=True)
    g = f @ w["4.weight"] + w["4.bias"]
    for y in (outputs := [a, b, c, d, e, f, g]):
        y.retain_grad()
    loss = torch.nn.functional.cross_entropy(g, torch.tensor(labels))
    loss.backward()
    statistics = layer_statistics(network, CE, x, labels)
    assert statistics.loss == pytest.approx(loss.item(), rel=1e-12)
    paths = [row.name.split()[1] for row in statistics.layers]
    assert paths == ["0", "1", "2.body.0", "2.body.1", "2", "3", "4"]
    assert [row.name.split()[1] for row in statistics.trunk] == ["0", "1", "2", "3", "4"]
    for row, y in zip(statistics.layers, outputs, strict=True):
        value, grad = y.detach(), y.grad
        expected = [value.mean(), value.std(correction=0), value.min(), value.max(), grad.square().mean().sqrt()]
        actual = [row.mean, row.std, row.min, row.max, row.gradient_rms]
        np.testing.assert_allclose(actual, [float(v) for v in expected], rtol=1e-10, atol=1e-14, err_msg=row.name)
        spread = value.std(dim=0, correction=0).square().mean().sqrt()
        assert row.signal == pytest.approx(float(spread), rel=1e-10)
    for row in statistics.parameters:
        p = w[row.name]
        expected = p.detach().norm().item(), p.grad.norm().item()
        assert (row.weight_norm, row.gradient_norm) == pytest.approx(expected, rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("wrap", [Sequential, Recompute, lambda *layers: Compressed(*layers, storage="exact")])
def test_layers_in_a_row_of_their_own_give_the_same_rows(wrap):
    def make(wrap):
        body = [Linear(4, 6, weight_init=normal(0.5)), Tanh(), Dropout(0.3), Linear(6, 5, weight_init=normal(0.5))]
        return Network(wrap(*body) if wrap else Sequential(*body), ReLU(), Linear(5, 3), rng=0, dtype=np.float64)

    x, y = normal_batch()[0], np.arange(50) % 3
    plain, wrapped = (layer_statistics(make(kind), CE, x, y) for kind in (None, wrap))
    assert wrapped.layers == plain.layers == plain.trunk
    assert [row.name for row in plain.layers][:2] == ["layer 0.0 Linear(4, 6)", "layer 0.1 Tanh()"]
    assert len(plain.layers) == 6
    assert all(row.gradient_rms is not None for row in plain.layers)


def test_layers_inside_blocks_are_seen():
    network = Network(Linear(4, 4), Mlp(4, 8), Residual(GatedMlp(4, multiple_of=1)), rng=0)
    x = normal_batch()[0]
    rows = layer_statistics(network, MSELoss(), x, x).layers
    paths = [row.name.split()[1] for row in rows]
    assert paths == [
        "0", "1.fc1", "1.activation", "1.fc2", "1",
        "2.body.0.value", "2.body.0.gate", "2.body.0.activation", "2.body.0.fc2", "2.body.0", "2",
    ]  # fmt: skip
    assert all(row.gradient_rms is not None for row in rows)


def test_below_the_first_parameters_there_is_no_gradient():
    rows = layer_statistics(Network(Dropout(0.1), Tanh(), Linear(4, 2)), CE, *classes()).layers
    assert [row.gradient_rms is None for row in rows] == [True, True, False]


def classes(rows: int = 50, features: int = 4) -> tuple[np.ndarray, np.ndarray]:
    return normal_batch(rows, features)[0], np.arange(rows) % 2


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    widths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    kind=st.sampled_from([ReLU, ReLU6, Sigmoid, Tanh, GeLU]),
    rows=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_what_always_holds(widths, kind, rows, seed):
    network = Network(*stack(kind, normal(1.0), 3, *widths, 2), rng=seed, dtype=np.float64)
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(rows, 3)), rng.integers(0, 2, rows)
    statistics = layer_statistics(network, CE, x, y)
    order = rng.permutation(rows)
    for row, other in zip(statistics.layers, layer_statistics(network, CE, x[order], y[order]).layers, strict=True):
        assert row.min <= row.mean + 1e-12
        assert row.mean <= row.max + 1e-12
        assert row.signal <= row.std + 1e-12  # the variance within units is part of all variance
        assert 0 <= (row.dead or 0) <= row.zeros <= 1
        for name in ("mean", "std", "min", "max", "signal", "gradient_rms"):
            assert getattr(row, name) == pytest.approx(getattr(other, name), rel=1e-9, abs=1e-12)
    # A step of size h along -g lowers the loss by h |g|², for h -> 0: the norms are those of the loss's derivative.
    square = sum(p.gradient_norm**2 for p in statistics.parameters)
    h = 1e-6 / max(square, 1e-3)
    network.training_step(x, y, CE)
    for p in network.parameters:
        p.data -= h * p.grad
    lower = CE(network(x), y)
    assert statistics.loss - lower == pytest.approx(h * square, rel=0.02, abs=1e-11)


class TestNothingIsDisturbed:
    def make(self):
        network = Network(
            Linear(4, 6, weight_init=normal(0.5)),
            BatchNorm(6),
            Residual(Linear(6, 6, weight_init=normal(0.5)), ReLU(), Dropout(0.4)),
            Mlp(6, 5, 6),
            Linear(6, 2, weight_init=normal(0.5)),
            rng=3,
        )
        network.training_step(*classes(), CE)
        network.training_step(*classes(), CE, accumulate=True)
        return network

    def state(self, network) -> dict:
        """All that a network holds; layers' attributes by identity."""
        layers = list(network.body.walk())
        held = {
            (i, name): id(value)
            for i, layer in enumerate(layers)
            for name, value in vars(layer).items()
            if name not in ("saved", "own_saved")
        }
        return {
            "held": held,
            "hooks": [list(s.forward_hooks) + list(s.backward_hooks) for s in network._sequences()],
            "arrays": {name: a.tobytes() for name, a in network.state_dict().items()},
            "gradients": network.parameters.grad.tobytes(),
            "generators": {name: g.bit_generator.state for name, g in network.generators().items()},
            "training": [network.training, *(layer.training for layer in layers)],
        }

    @pytest.mark.parametrize("training", [True, False])
    @pytest.mark.parametrize("look", [layer_statistics, diagnose])
    def test_by_a_look(self, look, training):
        network, seen = self.make().train(training), []
        network.add_hook(lambda layer, y: seen.append(layer))
        network.add_backward_hook(lambda layer, y: seen.append(layer))
        before = self.state(network)
        loss, x, y = CrossEntropyLoss(), *classes()
        kept = x.copy(), y.copy()
        first = look(network, loss, x, y)
        assert self.state(network) == before
        assert seen == []
        assert loss.saved is None
        assert np.array_equal(x, kept[0])
        assert np.array_equal(y, kept[1])
        assert str(look(network, loss, x, y)) == str(first)

    def test_between_forward_and_backward(self):
        network, twin = self.make(), self.make()
        x, y = classes()
        for net in (network, twin):
            loss = CrossEntropyLoss()
            net.zero_grad()
            loss(net(x), y)
            if net is network:
                layer_statistics(net, loss, x[:7], y[:7])
                diagnose(net, loss, x[:21], y[:21])
            net.backward(loss.backward())
        assert self.state(network)["gradients"] == self.state(twin)["gradients"]
        assert network.training_step(x, y, CE)[0] == twin.training_step(x, y, CE)[0]
        assert self.state(network)["arrays"] == self.state(twin)["arrays"]
        assert self.state(network)["generators"] == self.state(twin)["generators"]

    @pytest.mark.parametrize(
        ("x", "y"),
        [
            (np.ones((3, 5)), np.zeros(3, int)),
            (np.ones((3, 4)), np.array([0, 1, 2])),
            (np.ones((0, 4)), np.zeros(0)),
        ],
    )
    @pytest.mark.parametrize("look", [layer_statistics, diagnose])
    def test_by_an_error(self, look, x, y):
        network = self.make()
        before = self.state(network)
        with pytest.raises(InputError):
            look(network, CE, x, y)
        assert self.state(network) == before

    def test_by_an_error_in_a_layer(self):
        class Broken(Tanh):
            def backward(self, grad_y):
                raise RuntimeError("broken")

        network = Network(Linear(4, 4), Broken(), Linear(4, 2), rng=0)
        before = self.state(network)
        with pytest.raises(RuntimeError, match="broken"):
            layer_statistics(network, CE, *classes())
        assert self.state(network) == before

    def test_dtypes_stay(self):
        network = self.make()
        layer_statistics(network, CE, *classes())
        assert {p.data.dtype for p in network.parameters} == {np.dtype(np.float32)}


class TestSickNetworks:
    """Each has one disease."""

    def check(self, network, batch, loss, names, *layers):
        found = diagnose(network, loss, *batch)
        assert found.names == names
        assert not found.ok
        for finding, layer in zip(found, layers, strict=True):
            assert finding.layer.startswith(f"layer {layer} ") or finding.layer == layer == ""
            assert finding.layer in finding.seen
        return found

    def test_scales_that_fall(self):
        # Each layer makes 0.05 of its input: the outputs of layers 0, 1, 2 are as 1 : 0.05 : 0.0025, and on the way
        # back so are those of layers 4, 3, 2: the first below a hundredth is layer 2.
        names = ["vanishing activations", "vanishing gradients"]
        x, t = normal_batch()
        found = diagnose(chain(0.05), MSELoss(), x, t)
        assert found.names == names
        assert [finding.layer for finding in found] == ["layer 2 Linear(4, 4, bias=False)"] * 2
        first = 0.05 * np.sqrt(x.var(axis=0).mean())
        assert f"from {first:.3g} at layer 0" in found[names[0]].seen
        assert f"to {first * 0.05**3:.3g} at layer 3" in found[names[0]].seen
        assert "at layer 4" in found[names[1]].seen
        assert "at layer 0" in found[names[1]].seen
        assert diagnose(chain(0.5), MSELoss(), x, t).ok  # down to 1/8 and 1/16

    def test_scales_that_grow(self):
        # 1 : 20 : 400 in layers 0, 1, 2, and in layers 4, 3, 2 on the way back; the limit is 100.
        found = diagnose(chain(20), MSELoss(), *normal_batch())
        assert found.names == ["exploding activations", "exploding gradients"]
        assert [finding.layer for finding in found] == ["layer 2 Linear(4, 4, bias=False)"] * 2
        assert "at layer 3" in found[found.names[0]].seen
        assert "at layer 0" in found[found.names[1]].seen
        assert diagnose(chain(2), MSELoss(), *normal_batch()).ok

    def test_many_sigmoid_layers(self, batch):
        network = Network(*stack(Sigmoid, normal(0.1), 784, *[50] * 12, 10), rng=0)
        found = diagnose(network, CE, *batch)
        assert found.names == ["vanishing activations", "vanishing gradients"]
        assert found["vanishing activations"].consequences == ("collapsed outputs",)
        assert "at layer 0 Linear(784, 50)" in found["vanishing gradients"].seen

    def test_small_weights_in_many_relu_layers(self, batch):
        network = Network(*stack(ReLU, normal(0.01), 784, *[100] * 6, 10), rng=0)
        assert diagnose(network, CE, *batch).names == ["vanishing activations", "vanishing gradients"]

    def test_a_small_first_layer(self, batch):
        network = Network(Linear(784, 30, weight_init=HE), ReLU(), Linear(30, 10, weight_init=normal(1e-4)), rng=0)
        found = diagnose(network, CE, *batch)
        assert (found.names, found["vanishing gradients"].layer) == (["vanishing gradients"], "layer 1 ReLU()")

    def test_large_weights_in_many_tanh_layers(self, batch):
        network = Network(*stack(Tanh, normal(1.0), 784, *[50] * 6, 10), rng=0)
        found = self.check(network, batch, CE, ["saturated units"], 1)
        assert "6 layers altogether" in found["saturated units"].seen
        assert "exploding gradients" in found["saturated units"].consequences

    @pytest.mark.parametrize("kind", [Sigmoid, Tanh])
    def test_saturated_by_one_large_layer(self, kind, batch):
        layers = stack(kind, XAVIER, 784, 40, 40, 10)
        layers[2].weight_init = normal(30.0)
        self.check(Network(*layers, rng=0), batch, CE, ["saturated units"], 3)

    def test_large_weights_in_many_relu_layers(self, batch):
        network = Network(*stack(ReLU, normal(0.6), 784, *[100] * 6, 10), rng=0)
        found = diagnose(network, CE, *batch)
        assert found.names == ["exploding activations", "exploding gradients"]
        assert found["exploding activations"].consequences == ("first loss far from guessing",)

    @pytest.mark.parametrize("kind", [ReLU, ReLU6])
    def test_dead_layer(self, kind, batch):
        network = Network(*stack(kind, HE, 784, 50, 50, 10), rng=0)
        network.parameters["2.bias"].data[...] = -100
        found = self.check(network, batch, CE, ["dead ReLUs"], 3)
        dead = found["dead ReLUs"]
        assert dead.seen.startswith("100% of the units of layer 3")
        assert set(dead.consequences) == {"vanishing activations", "collapsed outputs", "vanishing gradients"}

    @pytest.mark.parametrize(("dead", "found"), [(27, ["dead ReLUs"]), (20, [])])
    def test_dead_share(self, dead, found):
        # Of 4 inputs from -1 to 1 a bias of -100 leaves nothing, one of 10 leaves all.
        network = Network(
            Tanh(), Linear(4, 50, weight_init=normal(0.5)), ReLU(), Linear(50, 2, weight_init=normal(0.01)), rng=0
        )
        network.parameters["1.bias"].data = np.where(np.arange(50) < dead, -100, 10)
        diagnosis = diagnose(network, CE, *classes())
        assert diagnosis.names == found
        if found:
            assert diagnosis["dead ReLUs"].seen == "54% of the units of layer 2 ReLU() are 0 for all 50 samples"

    def test_dead_inside_a_block(self, batch):
        layers = [Linear(784, 20, weight_init=HE), Residual(Mlp(20, 40, activation="ReLU", weight_init=HE))]
        network = Network(*layers, Linear(20, 10, weight_init=XAVIER), rng=0)
        network.parameters["1.body.0.fc1.bias"].data[...] = -100
        # The way around the block keeps all else alive.
        found = self.check(network, batch, CE, ["dead ReLUs"], "1.body.0.activation")
        assert found["dead ReLUs"].consequences == ()

    def test_last_layer_of_zeros(self, batch):
        network = Network(Linear(784, 30, weight_init=HE), ReLU(), Linear(30, 10, weight_init=zeros), rng=0)
        found = diagnose(network, CE, *batch)
        assert (found.names, found["collapsed outputs"].layer) == (["collapsed outputs"], "layer 2 Linear(30, 10)")
        assert found["collapsed outputs"].consequences == ("vanishing gradients",)

    def test_scores_from_biases_alone(self, batch):
        network = Network(Linear(784, 30, weight_init=HE), ReLU(), Linear(30, 10, weight_init=normal(1e-5)), rng=0)
        network.parameters["2.bias"].data = np.arange(10) / 10
        found = diagnose(network, CE, *batch)
        assert found.names == ["collapsed outputs"]
        # sqrt(mean of 0, 0.01, 0.04, ... 0.81) = sqrt(0.285)
        assert "rms 0.534" in found["collapsed outputs"].seen

    @pytest.mark.parametrize("value", [0.0, 0.1, -0.5])
    @pytest.mark.parametrize("kind", [ReLU, Tanh, Sigmoid, GeLU])
    def test_equal_weights(self, kind, value, batch):
        network = Network(*stack(kind, constant(value), 784, 30, 30, 10), rng=0)
        found = self.check(network, batch, CE, ["symmetric units"], 0)
        assert "all 30 units" in found["symmetric units"].seen
        assert found["symmetric units"].severity == "error"

    def test_equal_weights_above_a_sound_layer(self, batch):
        layers = stack(Tanh, constant(0.1), 784, 30, 20, 10)
        layers[0].weight_init = XAVIER
        found = self.check(Network(*layers, rng=0), batch, CE, ["symmetric units"], 2)
        assert "all 20 units" in found["symmetric units"].seen

    def test_equal_up_to_rounding(self, batch):
        class Rounded(Tanh):
            def backward(self, grad_y):
                noise = np.random.default_rng(0).normal(size=grad_y.shape)
                return super().backward(grad_y) + 1e-9 * noise.astype(grad_y.dtype)

        # All that comes back to the first layer is noise: the gradients of the ten scores have the sum 0.
        network = Network(*stack(Rounded, constant(0.1), 784, 30, 10), rng=0)
        self.check(network, batch, CE, ["symmetric units"], 0)

    def test_they_do_stay_equal(self, batch):
        network = Network(*stack(Tanh, constant(0.1), 784, 5, 10), rng=0)
        optimizer = SGD(network.parameters, lr=0.1)
        for _ in range(5):
            network.training_step(*batch, CE)
            optimizer.step()
        assert np.ptp(network.parameters["0.weight"].data, axis=1).max() < 1e-6
        assert diagnose(network, CE, *batch).names == ["symmetric units"]

    def test_equal_weights_below_random_ones_part_ways(self, batch):
        layers = stack(Tanh, XAVIER, 784, 30, 10)
        layers[0].weight_init = constant(0.001)
        assert diagnose(Network(*layers, rng=0), CE, *batch).ok

    @pytest.mark.parametrize("kind", [ReLU, Tanh])
    def test_pixels_from_0_to_255(self, kind, batch):
        x, y = batch
        network = Network(*stack(kind, HE, 784, 50, 10), rng=0)
        assert diagnose(network, CE, x, y).ok
        found = self.check(network, ((x + 0.5) * 255, y), CE, ["badly scaled inputs"], "")
        assert "to 25" in found["badly scaled inputs"].seen

    @pytest.mark.parametrize(
        ("scale", "shift", "seen"),
        [(1e-4, 0, "std 9.24e-05"), (0.1, 5, "mean 4.99, std 0.0924"), ([1, 1, 1, 1e-4], 0, None),
         ([1, 1, 1, 1e3], 0, "to 2"), ([1e-3, 1e-3, 1, 1e-3], 0, "feature 2 has rms")],
    )  # fmt: skip
    def test_inputs_of_another_scale(self, scale, shift, seen):
        x, t = normal_batch()
        x = x * scale + shift
        network = Network(Linear(4, 10, weight_init=HE), Tanh(), Linear(10, 4, weight_init=HE), rng=0)
        found = diagnose(network, MSELoss(), x, t)
        assert found.names == ([] if seen is None else ["badly scaled inputs"])
        assert seen is None or seen in str(found)
        # BatchNorm makes its own scale.
        layers = network.body.astype(np.float32)
        assert diagnose(Network(BatchNorm(4, eps=1e-12), *layers), MSELoss(), x, t).ok

    def test_indices_have_no_scale(self):
        rng = np.random.default_rng(0)
        x = np.column_stack([rng.integers(0, 5000, 60), rng.normal(size=60)])
        columns = EmbeddedColumns(2, {0: Embedding(5000, 4)})
        network = Network(columns, Linear(5, 8, weight_init=HE), ReLU(), Linear(8, 2, weight_init=HE), rng=0)
        assert diagnose(network, CE, x, np.arange(60) % 2).ok

    def test_large_last_layer(self, batch):
        layers = stack(ReLU, HE, 784, 50, 10)
        layers[-1].weight_init = normal(5.0)
        network = Network(*layers, rng=0)
        found = diagnose(network, CE, *batch)
        assert found.names == ["first loss far from guessing"]
        assert "with equal scores for all classes it is 2.303" in found[found.names[0]].seen  # log 10
        assert "it is 9" in diagnose(network, HingeLoss(), *batch)[found.names[0]].seen  # (10 - 1) · margin

    def test_nan_in_the_weights(self, batch):
        network = Network(*stack(ReLU, HE, 784, 50, 50, 10), rng=0)
        network.parameters["2.weight"].data[3, 4] = np.nan
        found = diagnose(network, CE, *batch)
        assert found.names == ["values that are not finite"]
        finding = found[found.names[0]]
        assert finding.seen == "the weight of layer 2 Linear(50, 50) is not finite"
        assert (finding.layer, finding.severity) == ("layer 2 Linear(50, 50)", "error")
        assert "nan" in str(layer_statistics(network, CE, *batch))

    def test_overflow_on_the_way_up(self, batch):
        network = Network(*stack(ReLU, normal(1e15), 784, 50, 50, 50, 10), rng=0)
        found = diagnose(network, CE, *batch)
        assert found.names == ["values that are not finite"]
        # 1e15 · 10, then · 1e15 · 7, and beyond 3e38 in the third layer
        assert (
            found[found.names[0]].seen == "the output of layer 4 Linear(50, 50) is not finite, though its input is"
        )
        assert found[found.names[0]].layer == "layer 4 Linear(50, 50)"

    def test_nan_in_the_input(self, batch):
        x = batch[0].copy()
        x[3, 5] = np.nan
        found = diagnose(Network(*stack(ReLU, HE, 784, 20, 10), rng=0), CE, x, batch[1])
        finding = found["values that are not finite"]
        assert (finding.seen, finding.layer) == ("the input is not finite", "")

    def test_overflow_in_the_loss(self):
        x, t = normal_batch()
        network = Network(Linear(4, 4, weight_init=normal(1e25)), rng=0)
        assert "the loss is inf" in str(diagnose(network, MSELoss(), x, t))

    def test_overflow_on_the_way_down(self):
        class Steep(Tanh):
            def backward(self, grad_y):
                return super().backward(grad_y) * np.float32(np.inf)

        network = Network(Linear(4, 4), Steep(), Linear(4, 2), rng=0)
        found = diagnose(network, CE, *classes())
        finding = found["values that are not finite"]
        assert finding.layer == "layer 0 Linear(4, 4)"
        assert finding.seen.startswith("dL/dy of layer 0 Linear(4, 4) is not finite")


def residual(*inside, blocks: int = 4) -> list:
    first, last = Linear(784, 32, weight_init=HE), Linear(32, 10, weight_init=XAVIER)
    return [first, *(Residual(*make()) for _ in range(blocks) for make in inside), last]


HEALTHY = {
    "the library's own initialization": lambda: [Linear(784, 128), ReLU(), Linear(128, 10)],
    "He, ReLU": lambda: stack(ReLU, HE, 784, 128, 64, 10),
    "He, 10 layers": lambda: stack(ReLU, HE, 784, *[100] * 9, 10),
    "He, LeakyReLU": lambda: stack(LeakyReLU, HE, 784, 64, 64, 10),
    "He, GeLU": lambda: stack(GeLU, HE, 784, 64, 64, 10),
    "Xavier, Tanh": lambda: stack(Tanh, XAVIER, 784, 100, 100, 100, 10),
    "Xavier, 10 layers of Tanh": lambda: stack(Tanh, XAVIER, 784, *[100] * 9, 10),
    "Xavier, Sigmoid": lambda: stack(Sigmoid, XAVIER, 784, 100, 100, 10),
    "BatchNorm": lambda: stack(ReLU, HE, 784, *[64] * 5, 10, norm=BatchNorm),
    "BatchNorm after tiny weights": lambda: [
        *stack(ReLU, normal(1e-4), 784, 64, 64, 64, norm=BatchNorm)[:-1],
        Linear(64, 10, weight_init=XAVIER),
    ],
    "LayerNorm": lambda: stack(ReLU, HE, 784, *[64] * 4, 10, norm=LayerNorm),
    "Dropout": lambda: [Linear(784, 64, weight_init=HE), ReLU(), Dropout(0.5), Linear(64, 10, weight_init=XAVIER)],
    "Residual": lambda: residual(lambda: [BatchNorm(32), ReLU(), Linear(32, 32, weight_init=XAVIER)]),
    "Residual, branches that end in zeros": lambda: residual(
        lambda: [Linear(32, 32, weight_init=HE), ReLU(), Linear(32, 32, weight_init=zeros)]
    ),
    "Residual, nearly empty branches": lambda: residual(
        lambda: [Linear(32, 32, weight_init=normal(1e-5)), Sigmoid(), Linear(32, 32, weight_init=normal(1e-5))]
    ),
    "blocks": lambda: residual(
        lambda: [LayerNorm(32), Mlp(32, weight_init=XAVIER)],
        lambda: [LayerNorm(32), GatedMlp(32, weight_init=XAVIER)],
        blocks=2,
    ),
}


class TestHealthyNetworks:
    def test_an_output_may_be_sure(self, batch):
        layers = [*stack(ReLU, HE, 784, 40, 10), Sigmoid()]
        network = Network(*layers, rng=0)
        network.parameters["2.bias"].data[...] = -4  # where the slope is 0.018
        x, targets = batch[0], np.eye(10)[batch[1]]
        assert layer_statistics(network, MSELoss(), x, targets).layers[-1].saturated > 0.7
        assert diagnose(network, MSELoss(), x, targets).ok

    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("name", HEALTHY)
    def test_untrained(self, name, seed, batch):
        assert diagnose(Network(*HEALTHY[name](), rng=seed), CE, *batch).names == []

    @pytest.mark.parametrize("loss", [CrossEntropyLoss(label_smoothing=0.1), HingeLoss()], ids=repr)
    def test_other_losses(self, loss, batch):
        network = Network(*HEALTHY["He, ReLU"](), rng=0, dtype=np.float64)
        assert diagnose(network, loss, *batch).ok

    @pytest.mark.parametrize(
        "name", ["He, ReLU", "Xavier, Tanh", "Xavier, Sigmoid", "BatchNorm", "Residual", "Dropout", "blocks"]
    )
    def test_trained(self, name, mnist, batch):
        network = Network(*HEALTHY[name](), rng=0)
        optimizer = SGD(network.parameters, lr=0.01, momentum=0.9)
        Solver(network, CE, optimizer, epochs=8, batch_size=20).fit(mnist[0])
        assert CE(network.scores(batch[0]), batch[1]) < 2.2
        for data in (batch, mnist[1].arrays(np.float32)):
            assert diagnose(network, CE, *data).names == []

    def test_few_samples_are_not_judged(self, batch):
        network = Network(Linear(784, 30, weight_init=HE), ReLU(), Linear(30, 10, weight_init=zeros), rng=0)
        few = diagnose(network, CE, batch[0][:19], batch[1][:19])
        assert few.names == ["vanishing gradients"]
        assert "19 of 20 samples" in str(few)
        one = diagnose(Network(*HEALTHY["He, ReLU"](), rng=0), CE, batch[0][:1], batch[1][:1])
        assert one.ok
        assert diagnose(network, CE, batch[0][:20], batch[1][:20]).remark == ""

    def test_equal_inputs_are_not_the_networks_fault(self):
        network = Network(*stack(ReLU, HE, 4, 8, 2), rng=0)
        x = np.tile([0.5, -1.0, 0.3, 0.9], (30, 1))
        assert "collapsed outputs" not in diagnose(network, CE, x, np.arange(30) % 2).names

    def test_axes_before_the_last_are_samples(self):
        network = Network(*stack(ReLU, HE, 4, 50, 2), rng=0, dtype=np.float64)
        network.parameters["0.bias"].data = np.where(np.arange(50) < 30, -100, 0)
        x, y = classes()
        flat = diagnose(network, CE, x, y)
        assert flat.names == ["dead ReLUs"]
        folded = diagnose(network, CE, x.reshape(5, 10, 4), y.reshape(5, 10))
        assert [finding.seen for finding in folded] == [finding.seen for finding in flat]


def run(train, test=None, accuracy=None, test_accuracy=None, watched="test", **columns) -> History:
    """A history with these columns, those left out missing."""
    named = {"train_loss": train, f"{watched}_loss": test, "train_accuracy": accuracy}
    named |= {f"{watched}_accuracy": test_accuracy, **columns}
    rows = [{"step": 10 * k, "epoch": k} for k in range(1, len(train) + 1)]
    for name, values in named.items():
        for row, value in zip(rows, values if values is not None else [], strict=False):
            row[name] = value
    return History(rows)


DECAY = [2.0, 1.0, 0.6, 0.45, 0.38, 0.34, 0.32, 0.31]
NOISE = [0.01, -0.02, 0.015, -0.01, 0.02, -0.015, 0.005, 0.01]
LOG10 = math.log(10)


class TestHistories:
    @pytest.mark.parametrize(
        ("history", "name", "seen"),
        [
            (run([2, 1, math.nan]), "loss not finite", "train_loss is nan in epoch 3"),
            (run([2, 1], [3, math.inf]), "loss not finite", "test_loss is inf in epoch 2"),
            (run([2.3, 1.9, 2.2, 3.5, 6.0]), "divergence", "is 1.9 in epoch 2, 6 in epoch 5, and ends at 6"),
            (run([2.3, 4, 9, 20, 50]), "divergence", "is 2.3 in epoch 1, 50 in epoch 5"),
            (run([1.0, 0.3, 0.1, 0.05, 0.04, 0.9]), "divergence", "ends at 0.9"),
            (run([2.3, 7.0, 4.0, 3.0, 2.4]), "divergence", "7 in epoch 2, and ends at 2.4"),
            (run([1.0, 0.6, 0.9, 0.5, 0.8, 0.5, 0.7, 0.45]), "oscillation", "rises in 3 of 6 epochs, by up to 0.3"),
            # Compared with a first epoch that went wrong nothing seems to move.
            (run([1e9, 180.0, 110, 120, 130, 150, 220, 180]), "oscillation", "rises in 4 of 6 epochs, by up to 70"),
            (run([2.30, 2.29, 2.28, 2.27, 2.26, 2.25]), "learning rate too small", "from 2.3 to 2.25"),
            (run([1.0, 0.92, 0.84, 0.77, 0.70, 0.64]), "learning rate too small", "from 1 to 0.64"),
            (
                run(DECAY, linear1_update_ratio=[0.3] * 8, linear2_update_ratio=[0.01] * 8),
                "learning rate too large", "by 0.3 of their size",
            ),
            (
                run(DECAY, linear1_update_ratio=[3e-6] * 8, linear2_update_ratio=[1e-7] * 8),
                "learning rate too small", "by more than 3e-06 of its size",
            ),
            (
                run([2.303, 2.302, 2.304, 2.301, 2.303], accuracy=[0.11, 0.10, 0.11, 0.112, 0.112]),
                "accuracy stuck at chance", "for 3 epochs the train accuracy has been 0.112 and the loss 2.303",
            ),
            (
                # After a bad start it is down at log 10.
                run([9.0, 2.4, 2.31, 2.30, 2.303, 2.302], accuracy=[0.1, 0.1, 0.1, 0.1, 0.098, 0.1]),
                "accuracy stuck at chance", "the loss 2.302",
            ),
            (run([0.50, 0.499, 0.501, 0.4985, 0.50]), "no learning", "0.5 in the first epoch and 0.4985 at best"),
            (run([2, 1.5, 1.4, 1.398, 1.4, 1.397, 1.399, 1.398]), "plateau", "1.397, before it was 1.4"),
            (
                run(DECAY, [2.0, 1.2, 0.9, 0.8, 0.85, 0.9, 0.95, 1.0]),
                "over-fitting",
                "the test loss was 0.8 and is 1 at the end, while the train loss fell from 0.45 to 0.31",
            ),
            (
                run(DECAY, [2.0, 1.2, 0.9, 0.8, 0.85, 0.9, 0.95, 1.0], watched="validation"),
                "over-fitting", "the validation loss",
            ),
            (
                run(DECAY, DECAY, [0.4, 0.6, 0.8, 0.9, 0.98, 1, 1, 1], [0.4, 0.5, 0.6, 0.7, 0.7, 0.7, 0.71, 0.69]),
                "over-fitting", "the accuracy is 1 on training data and 0.7 on test data",
            ),
            (run(DECAY, [2.1, 1.2, 1, 0.9, 0.9, 0.9, 0.9, 0.9]), "over-fitting", "the loss is 0.323 on train"),
        ],
    )  # fmt: skip
    def test_sick(self, history, name, seen):
        diagnosis = diagnose(history)
        assert diagnosis.names == [name]
        assert seen in diagnosis[name].seen
        assert diagnosis[name].layer == ""

    @pytest.mark.parametrize(
        "history",
        [
            run(DECAY),
            run(DECAY, [1.1 * v for v in DECAY], [1 - v / 3 for v in DECAY], [1 - v / 2.9 for v in DECAY]),
            # Noise on the way down, and at the bottom.
            run([a + b for a, b in zip(DECAY, NOISE, strict=True)]),
            run([1.0, 0.2, 0.01, 0.002, 0.004, 0.001, 0.003, 0.002, 0.001, 0.003]),
            # The test loss rises by 5 % only, or for one epoch only.
            run(DECAY, [2.0, 1.0, 0.7, 0.6, 0.6, 0.61, 0.62, 0.63]),
            run(DECAY, [2.0, 1.0, 0.7, 0.6, 0.55, 0.5, 0.48, 0.7]),
            # Flat at the end, where nothing is left to learn: all right, or little loss left.
            run([1.0, 0.8, 0.7, *[0.65] * 8], accuracy=[0.8, 0.9, 0.95, *[0.99] * 8]),
            run([1.0, 0.4, 0.3, *[0.25] * 8], accuracy=[0.5, 0.7, 0.8, *[0.85] * 8]),
            # Where both losses rise it is not over-fitting.
            run([2, 1, 0.6, 0.5, 0.52, 0.54, 0.55, 0.56], [2, 1.1, 0.7, 0.6, 0.65, 0.68, 0.7, 0.71]),
            # Dropout makes the training set look worse than the test set.
            run(DECAY, [v / 2 for v in DECAY], [0.5] * 4 + [0.8] * 4, [0.9] * 8),
            run(DECAY, linear1_update_ratio=[5e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-7]),
            # Half right can be far better than chance: with 100 classes it is.
            run([4.0, 3.0, 2.5, 2.0, 1.9, 1.85, 1.83], accuracy=[0.1, 0.3, 0.4, 0.5, 0.51, 0.52, 0.52]),
        ],
    )
    def test_healthy(self, history):
        assert diagnose(history).names == []

    def test_rows_without_evaluation_are_left_out(self):
        history = run(DECAY)
        for k, value in {1: 1.0, 3: 0.5, 5: 0.6, 6: 0.65, 7: 0.7}.items():
            history.rows[k]["test_loss"] = value
        assert "was 0.5 and is 0.7 at the end" in diagnose(history)["over-fitting"].seen
        history.append({"epoch": 9})
        assert diagnose(history).names == ["over-fitting"]

    def test_validation_comes_before_test(self):
        rising = [2.0, 1.2, 0.9, 0.8, 0.85, 0.9, 0.95, 1.0]
        history = run(DECAY, rising, validation_loss=DECAY)
        assert diagnose(history).ok

    def test_consequences(self):
        diverged = run([2.3, 1.5, 1.2, 1.1, 1.0, 5.0, 2.3, 2.4], accuracy=[0.1, 0.5, 0.6, 0.6, 0.7, 0.1, 0.1, 0.1])
        assert diagnose(diverged).names == ["divergence"]
        slow = run([2.3026, 2.3025, 2.3024, 2.3023, 2.3022], accuracy=[0.1] * 5)
        finding = diagnose(slow)["learning rate too small"]
        assert finding.consequences == ("accuracy stuck at chance", "no learning")

    @pytest.mark.parametrize("epochs", [1, 4])
    def test_short_ones_are_not_judged(self, epochs):
        diagnosis = diagnose(run([LOG10] * epochs))
        assert diagnosis.ok
        assert f"epochs {epochs}, needed 5" in str(diagnosis)
        assert diagnose(run([1, math.inf])).names == ["loss not finite"]


@pytest.fixture(scope="module")
def many() -> tuple[Dataset, Dataset]:
    train, test = load_mnist()
    return train[:3000], test[:500]


class TestRealRuns:
    def fit(self, layers, train, test=None, lr=0.05, epochs=8, batch_size=50, callbacks=()):
        network = Network(*layers, rng=0)
        optimizer = SGD(network.parameters, lr=lr, momentum=0.9)
        solver = Solver(network, CE, optimizer, epochs=epochs, batch_size=batch_size, callbacks=callbacks)
        try:
            solver.fit(train, test)
        except NotFinite as error:
            return solver.history, error
        return solver.history, None

    def test_a_good_one(self, many):
        history, _ = self.fit(stack(ReLU, HE, 784, 32, 10), *many, lr=0.02, callbacks=[GradientFlow()])
        assert history["test_accuracy"][-1] > 0.85
        assert diagnose(history).names == []

    def test_few_samples_are_learned_by_heart(self, mnist, many):
        history, _ = self.fit(stack(ReLU, HE, 784, 64, 10), mnist[0][:50], many[1][:300], batch_size=10, epochs=30)
        assert history["train_accuracy"][-1] == 1
        assert diagnose(history).names == ["over-fitting"]

    def test_labels_at_random_are_learned_by_heart(self, mnist):
        data, labels = mnist[0].arrays(np.float32)
        labels = np.random.default_rng(0).permutation(labels)
        history, _ = self.fit(stack(ReLU, HE, 784, 128, 10), (data, labels), mnist[1], batch_size=20, epochs=40)
        assert diagnose(history).names == ["over-fitting"]

    def test_tiny_steps(self, mnist):
        history, _ = self.fit(stack(ReLU, HE, 784, 32, 10), mnist[0], lr=1e-6)
        assert diagnose(history).names == ["learning rate too small"]
        history, _ = self.fit(stack(ReLU, HE, 784, 32, 10), mnist[0], lr=1e-6, callbacks=[GradientFlow()])
        assert "of its size" in diagnose(history)["learning rate too small"].seen

    @pytest.mark.parametrize("kind", [ReLU, GeLU, Tanh])
    def test_large_steps(self, kind, mnist):
        history, _ = self.fit(stack(kind, HE, 784, 64, 10), mnist[0], lr=100.0)
        assert diagnose(history).names in (["divergence"], ["oscillation"])

    def test_huge_steps(self, mnist):
        history, error = self.fit(stack(GeLU, HE, 784, 64, 64, 10), mnist[0], lr=1e25)
        diagnosis = diagnose(history, error=error)
        assert diagnosis.names == ["loss not finite"]
        assert str(error) == diagnosis["loss not finite"].seen

    def test_many_sigmoid_layers_learn_nothing(self, mnist):
        layers = stack(Sigmoid, normal(0.1), 784, *[30] * 8, 10)
        history, _ = self.fit(layers, *mnist, lr=0.01)
        assert diagnose(history).names == ["accuracy stuck at chance"]


class TestWords:
    def test_a_finding_in_full(self):
        network = chain(20)
        text = str(diagnose(network, MSELoss(), *normal_batch()))
        assert repr(diagnose(network, MSELoss(), *normal_batch())) == text
        lines = text.splitlines()
        assert lines[:3] == ["network: 2 findings", "", "warning: exploding activations"]
        assert [line[:10].strip() for line in lines[3:] if line[2:3].strip()][:3] == ["seen", "means", "helps"]
        assert max(map(len, lines)) <= 100

    def test_nothing(self):
        assert str(diagnose(run(DECAY))) == "history: nothing found"
        with pytest.raises(KeyError, match="no finding 'plateau'; there are: none"):
            diagnose(run(DECAY))["plateau"]

    def test_iteration(self):
        diagnosis = diagnose(chain(20), MSELoss(), *normal_batch())
        assert [finding.name for finding in diagnosis] == diagnosis.names
        assert len(diagnosis) == len(diagnosis.findings) == 2

    def test_every_finding_has_its_words(self):
        for name, advice in ADVICE.items():
            assert advice.severity in ("error", "warning")
            assert advice.meaning.endswith(".")
            assert advice.advice.endswith(".")
            assert advice.explains <= ADVICE.keys() - {name}


class TestRefused:
    def test_other_subjects(self):
        with pytest.raises(InputError, match="must be a Network or a History, got list"):
            diagnose([1.0])

    def test_a_network_without_a_batch(self):
        with pytest.raises(InputError, match="a network needs loss, x and targets"):
            diagnose(chain(1.0), MSELoss())

    def test_a_history_with_a_batch(self):
        with pytest.raises(InputError, match="a history is looked at alone"):
            diagnose(run(DECAY), MSELoss())

    def test_a_history_without_rows_or_loss(self):
        with pytest.raises(InputError, match="no epoch has finished"):
            diagnose(History())
        with pytest.raises(InputError, match="needs the column 'train_loss', got epoch, accuracy"):
            diagnose_history(History([{"epoch": 1, "accuracy": 1}]))

    def test_an_empty_batch(self):
        with pytest.raises(InputError, match=r"batch must not be empty, got shape \(0, 4\)"):
            layer_statistics(chain(1.0), MSELoss(), np.zeros((0, 4)), np.zeros((0, 4)))


class TestFigure:
    def test_scales_by_depth(self):
        pytest.importorskip("matplotlib", reason="draws a figure")
        network = Network(Linear(4, 4, weight_init=HE), Residual(Linear(4, 4, weight_init=HE), Tanh()), rng=0)
        statistics = layer_statistics(network, MSELoss(), *normal_batch())
        left, right = statistics.plot().axes
        ticks = [tick.get_text() for tick in left.get_xticklabels()]
        assert ticks == ["input", "0 Linear", "1.body.0 Linear", "1.body.1 Tanh", "1 Residual"]
        rows = (statistics.input, *statistics.layers)
        line, inside = (artist.get_xydata().T for artist in left.lines)
        assert line[0].tolist() == [0, 1, 4]
        assert line[1].tolist() == [rows[i].std for i in (0, 1, 4)]
        assert inside.tolist() == [[2, 3], [rows[2].std, rows[3].std]]
        drawn = right.lines[0].get_ydata()
        assert math.isnan(drawn[0])
        assert drawn[1:].tolist() == [rows[1].gradient_rms, rows[4].gradient_rms]
        assert (left.get_yscale(), right.get_yscale()) == ("log", "log")
        assert (left.get_ylabel(), right.get_ylabel()) == ("std of y", "rms of dL/dy")

    def test_zeros_leave_a_gap(self):
        pytest.importorskip("matplotlib", reason="draws a figure")
        network = Network(Linear(4, 4, weight_init=zeros), Linear(4, 4, weight_init=HE), rng=0)
        left, _ = layer_statistics(network, MSELoss(), *normal_batch()).plot().axes
        assert np.isnan(left.lines[0].get_ydata()).tolist() == [False, True, True]
