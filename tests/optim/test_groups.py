"""Parameters that an optimizer treats in their own way, and parameters that are frozen."""

import numpy as np
import pytest

from mlp import CrossEntropyLoss, InputError, Linear, Network, Tanh
from mlp.optim import OPTIMIZERS, make_optimizer
from mlp.optim.regularizers import MaxNorm
from mlp.parallel import DataParallel, ShardedDataParallel, run_threads
from mlp.parallel.tensor.training import TensorParallel
from mlp.solver import Step

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 5)), RNG.integers(0, 3, 20)
NAMES = sorted(OPTIMIZERS)


def network() -> Network:
    return Network(Linear(5, 4), Tanh(), Linear(4, 3), rng=1, dtype=np.float64)


def train(net: Network, optimizer, steps: int = 5) -> dict[str, np.ndarray]:
    for _ in range(steps):
        net.training_step(X, Y, CrossEntropyLoss())
        optimizer.step()
    return net.state_dict()


@pytest.mark.parametrize("name", NAMES)
def test_a_factor_of_the_rate_is_another_rate_for_these_parameters(name):
    """One step from the same weights: what moves is in proportion to the rate, and the others do not notice."""
    start = network().state_dict()
    grouped, plain = network(), network()
    optimizer = make_optimizer(name, grouped.parameters, lr=0.01).group("0", lr_factor=0.25)
    after, expected = train(grouped, optimizer, 1), train(plain, make_optimizer(name, plain.parameters, lr=0.01), 1)
    for key in start:
        factor = 0.25 if key.startswith("0.") else 1
        np.testing.assert_allclose(after[key] - start[key], factor * (expected[key] - start[key]), rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_a_decay_of_its_own(name):
    """Biases without decay move as those of an optimizer without any, in the first step."""
    grouped, decaying, free = network(), network(), network()
    for net in (grouped, decaying, free):
        net.parameters.data[...] = np.linspace(-1, 1, net.parameters.size)
    optimizer = make_optimizer(name, grouped.parameters, lr=0.01, weight_decay=0.5).group("*.bias", weight_decay=0)
    after = train(grouped, optimizer, 1)
    with_decay = train(decaying, make_optimizer(name, decaying.parameters, lr=0.01, weight_decay=0.5), 1)
    without = train(free, make_optimizer(name, free.parameters, lr=0.01, weight_decay=0.0), 1)
    for key in after:
        expected = without if key.endswith("bias") else with_decay
        np.testing.assert_allclose(after[key], expected[key], rtol=1e-12)
    assert (with_decay["0.bias"] != without["0.bias"]).any()


@pytest.mark.parametrize("name", NAMES)
def test_frozen_parameters_stay_to_the_last_bit_and_learn_again(name):
    net = network()
    optimizer = make_optimizer(name, net.parameters, lr=0.05, weight_decay=0.1)
    start = train(net, optimizer, 2)
    net.freeze("0")
    frozen = train(net, optimizer, 3)
    for key in start:
        assert (frozen[key] == start[key]).all() == key.startswith("0."), key
    assert not net.parameters["0.weight"].grad.any()
    MaxNorm(1e-3).apply(net.parameters)
    np.testing.assert_array_equal(net.parameters["0.weight"].data, start["0.weight"])
    net.unfreeze()
    assert all((value != frozen[key]).any() for key, value in train(net, optimizer, 1).items())


def test_momentum_with_groups_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    net = network()
    theirs = [torch.tensor(p.data.copy(), requires_grad=True) for p in net.parameters]
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    reference = torch.optim.SGD(
        [{"params": theirs[:2], "lr": 0.02}, {"params": theirs[2:3]}, {"params": theirs[3:], "weight_decay": 0}],
        **options,
    )
    optimizer = make_optimizer("SGD", net.parameters, **options)
    optimizer.group("0", lr_factor=0.2).group("2.bias", weight_decay=0)
    for _ in range(4):
        net.training_step(X, Y, CrossEntropyLoss())
        for p, q in zip(net.parameters, theirs, strict=True):
            q.grad = torch.tensor(p.grad.copy())
        optimizer.step()
        reference.step()
        for p, q in zip(net.parameters, theirs, strict=True):
            np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-12, atol=1e-15)


def test_refuses_names_that_nothing_has():
    net = network()
    optimizer = make_optimizer("SGD", net.parameters, lr=0.1)
    for call in (net.freeze, net.unfreeze, optimizer.group):
        with pytest.raises(InputError, match=r"no parameter is called '1.weight'; there are: 0.weight, 0.bias"):
            call("1.weight")
    with pytest.raises(InputError, match="group: lr_factor must be a finite number >= 0, got -1"):
        optimizer.group("0", lr_factor=-1)


def test_copies_and_pieces_stay_frozen():
    net = network().freeze("0.weight")
    assert [p.name for p in net.astype(np.float32).parameters if p.frozen] == ["0.weight"]

    def one_step(communicator, kind):
        parallel = kind(network().freeze("0.weight"), communicator)
        optimizer = make_optimizer("SGD", parallel.parameters, lr=0.1, weight_decay=0.1)
        before = parallel.state_dict()
        Step(parallel, CrossEntropyLoss(), optimizer)(0, X, Y, None, np.random.default_rng(0), True)
        after = parallel.state_dict()
        return [name for name in before if (before[name] == after[name]).all()]

    for kind in (DataParallel, ShardedDataParallel, TensorParallel):
        assert run_threads(one_step, 2, kind) == [["0.weight"]] * 2, kind
