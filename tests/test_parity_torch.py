"""The same numbers as PyTorch in float64, to 1e-12: layers, losses, optimizers and a whole network."""

import numpy as np
import pytest

from mlp import (
    ELU,
    SELU,
    SGD,
    CrossEntropyLoss,
    GeLU,
    Hardswish,
    HingeLoss,
    Identity,
    LeakyReLU,
    Linear,
    LogSoftmax,
    Mish,
    MSELoss,
    Network,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from mlp.initializers import normal
from mlp.layers import ACTIVATIONS
from mlp.parameter import Parameter, ParameterVector

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests and is not installed")
nn, F = torch.nn, torch.nn.functional

N, FEATURES, CLASSES = 9, 6, 5


def tensor(array: np.ndarray, requires_grad: bool = False):
    """A copy in PyTorch."""
    return torch.tensor(np.ascontiguousarray(array), requires_grad=requires_grad)


def close(actual, expected) -> None:
    expected = expected.detach().numpy() if isinstance(expected, torch.Tensor) else expected
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


def to_torch(layer):
    """PyTorch's twin of a layer; its weight is the transpose of ours."""
    match layer:
        case Linear():
            twin = nn.Linear(
                layer.in_features, layer.out_features, bias=layer.bias is not None, dtype=torch.float64
            )
            twin.weight.data = tensor(layer.weight.data.T)
            if layer.bias is not None:
                twin.bias.data = tensor(layer.bias.data)
            return twin
        case ReLU():
            return nn.ReLU()
        case Sigmoid():
            return nn.Sigmoid()
        case GeLU():
            return nn.GELU(approximate=layer.approximate)
        case LeakyReLU():
            return nn.LeakyReLU(layer.slope)
        case ELU():
            return nn.ELU(layer.alpha)
        case Softplus():
            # Its formula for everything but what would overflow there; by default it is x from beta x = 20 on.
            return nn.Softplus(layer.beta, threshold=700)
        case Softmax() | LogSoftmax():
            return getattr(nn, type(layer).__name__)(dim=-1)
        case Identity() | Hardswish() | Mish() | ReLU6() | SELU() | SiLU() | Tanh():
            return getattr(nn, type(layer).__name__)()
    raise AssertionError(f"no twin of {layer!r} in this table")


def linear(n_in: int, n_out: int, **options) -> Linear:
    layer = Linear(n_in, n_out, weight_init=normal(0.7), rng=n_in, dtype=np.float64, **options)
    if layer.bias is not None:
        layer.bias.data = np.random.default_rng(n_out).normal(size=n_out)
    return layer


ACTIVATION_LAYERS = [
    ReLU(), LeakyReLU(), LeakyReLU(0.3), ReLU6(), ELU(), ELU(0.4), ELU(2.5), Identity(), Sigmoid(), Tanh(), SiLU(),
    Softplus(), Softplus(4), GeLU(), GeLU("none"), SELU(), Mish(), Hardswish(), Softmax(), LogSoftmax(),
]  # fmt: skip


def close_gradients(layer, twin) -> None:
    for name, p in layer.parameters().items():
        close(p.grad.T, getattr(twin, name).grad)


@pytest.mark.parametrize("shape", [(N, FEATURES), (2, 3, FEATURES), (FEATURES,), (0, FEATURES)], ids=str)
@pytest.mark.parametrize(
    "layer",
    [linear(FEATURES, 4), linear(FEATURES, 4, bias=False), *ACTIVATION_LAYERS],
    ids=repr,
)
def test_layers(layer, shape):
    rng = np.random.default_rng(0)
    x = 4 * rng.normal(size=shape)
    x[..., 0] = 0
    twin = to_torch(layer)
    their_x = tensor(x, requires_grad=True)
    y, their_y = layer.forward(x), twin(their_x)
    close(y, their_y)
    upstream = rng.normal(size=y.shape)
    layer.zero_grad()
    close(layer.backward(upstream), torch.autograd.grad(their_y, their_x, tensor(upstream), retain_graph=True)[0])
    if layer.parameters():
        their_y.backward(tensor(upstream))
        close_gradients(layer, twin)


def test_every_activation_has_a_twin():
    assert {type(make()) for make in ACTIVATIONS.values()} <= {type(layer) for layer in ACTIVATION_LAYERS}


# Kinks and their neighbours, where tails end, where exponentials overflow (and, in PyTorch, the cube of 1e200).
EDGES = [0, 5e-324, 1e-300, 1e-8, 1, 6 - 1e-15, 6, 6 + 1e-15, 9, 19, 21, 36, 38, 100, 709, 711, 1e4, 1e20, 1e100]


@pytest.mark.parametrize("layer", ACTIVATION_LAYERS, ids=repr)
def test_activations_at_kinks_and_extremes(layer):
    x = np.array([EDGES, np.negative(EDGES)]).T  # rows of two, for the softmaxes
    their_x = tensor(x, requires_grad=True)
    y, their_y = layer.forward(x), to_torch(layer)(their_x)
    close(y, their_y)
    upstream = np.random.default_rng(0).normal(size=x.shape)
    close(layer.backward(upstream), torch.autograd.grad(their_y, their_x, tensor(upstream))[0])


def one_hot(labels):
    return F.one_hot(labels, CLASSES).double()


# Ours with class labels, theirs as a function of (scores, labels).
LOSSES = [
    (CrossEntropyLoss(), F.cross_entropy),
    (CrossEntropyLoss("sum"), lambda s, y: F.cross_entropy(s, y, reduction="sum")),
    (MSELoss("element_mean"), lambda s, y: F.mse_loss(s, one_hot(y))),
    (MSELoss("sum"), lambda s, y: 0.5 * F.mse_loss(s, one_hot(y), reduction="sum")),
    (MSELoss("mean"), lambda s, y: 0.5 * CLASSES * F.mse_loss(s, one_hot(y))),
    (HingeLoss(), lambda s, y: CLASSES * F.multi_margin_loss(s, y)),
    (HingeLoss(2.5), lambda s, y: CLASSES * F.multi_margin_loss(s, y, margin=2.5)),
    (HingeLoss(0.3, "sum"), lambda s, y: CLASSES * F.multi_margin_loss(s, y, margin=0.3, reduction="sum")),
]
each_loss = pytest.mark.parametrize(("loss", "theirs"), LOSSES, ids=[repr(loss) for loss, _ in LOSSES])


@each_loss
@pytest.mark.parametrize("spread", [0.1, 3, 100])
def test_losses(loss, theirs, spread):
    rng = np.random.default_rng(0)
    scores, labels = spread * rng.normal(size=(N, CLASSES)), rng.integers(0, CLASSES, N)
    their_scores = tensor(scores, requires_grad=True)
    expected = theirs(their_scores, tensor(labels))
    expected.backward()
    assert loss.forward(scores, labels) == pytest.approx(expected.item(), rel=1e-12)
    close(loss.backward(), their_scores.grad)


def test_mse_with_real_targets():
    scores, targets = np.random.default_rng(0).normal(size=(2, N, CLASSES))
    their_scores = tensor(scores, requires_grad=True)
    expected = F.mse_loss(their_scores, tensor(targets))
    expected.backward()
    loss = MSELoss("element_mean")
    assert loss.forward(scores, targets) == pytest.approx(expected.item(), rel=1e-12)
    close(loss.backward(), their_scores.grad)


OPTIONS = [
    {},
    {"weight_decay": 0.1},
    {"momentum": 0.9},
    {"momentum": 0.9, "weight_decay": 0.1},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    {"momentum": 0.9, "dampening": 0.9},
    {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1},
]
SCHEDULES = {
    "constant": lambda i: 0.05,
    "changing": lambda i: 0.1 / (1 + i),
    "steps and pauses": lambda i: (0.1, 0.1, 0.0, 0.01, 0.3)[i % 5],
    "from zero": lambda i: 0.01 * i,
}


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_sgd_step_by_step(options, schedule):
    rng = np.random.default_rng(0)
    start = rng.normal(size=20)
    vector = ParameterVector([Parameter(start.copy(), "w")])
    ours = SGD(vector, lr=SCHEDULES[schedule](0), **options)
    theirs = tensor(start, requires_grad=True)
    optimizer = torch.optim.SGD([theirs], lr=1.0, **options)
    # PyTorch leaves its very first step undamped, unless there is a buffer already.
    optimizer.state[theirs]["momentum_buffer"] = torch.zeros_like(theirs)
    for i in range(50):
        g = rng.normal(size=20)
        vector.grad[...] = g
        theirs.grad = tensor(g)
        ours.lr = optimizer.param_groups[0]["lr"] = SCHEDULES[schedule](i)
        ours.step()
        optimizer.step()
        close(vector.data, theirs)
        if "momentum" in options:
            close(ours.velocity, optimizer.state[theirs]["momentum_buffer"])


def make_pair():
    layers = [linear(FEATURES, 8), GeLU(), linear(8, 7, bias=False), ReLU(), linear(7, CLASSES), Sigmoid()]
    return Network(*layers), nn.Sequential(*map(to_torch, layers))


@each_loss
def test_gradients_of_a_network(loss, theirs):
    network, twin = make_pair()
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(N, FEATURES)), rng.integers(0, CLASSES, N)
    their_x = tensor(x, requires_grad=True)
    expected = theirs(twin(their_x), tensor(labels))
    expected.backward()
    value = loss.forward(network.forward(x), labels)
    assert value == pytest.approx(expected.item(), rel=1e-12)
    close(network.backward(loss.backward(), input_gradient=True), their_x.grad)
    for layer, module in zip(network, twin, strict=True):
        close_gradients(layer, module)


def test_a_network_learns_step_by_step_like_its_twin():
    network, twin = make_pair()
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(N, FEATURES)), rng.integers(0, CLASSES, N)
    options = {"lr": 0.5, "momentum": 0.9, "weight_decay": 1e-3}
    ours, theirs = SGD(network.parameters, **options), torch.optim.SGD(twin.parameters(), **options)
    loss = CrossEntropyLoss()
    for _ in range(30):
        value, _ = network.training_step(x, labels, loss)
        theirs.zero_grad()
        expected = F.cross_entropy(twin(tensor(x)), tensor(labels))
        expected.backward()
        # Rounding errors grow along the path of the weights, so not 1e-12 here.
        assert value == pytest.approx(expected.item(), rel=1e-9)
        ours.step()
        theirs.step()
    assert value < 1.3 < np.log(CLASSES)  # it did learn
