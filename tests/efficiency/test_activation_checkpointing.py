"""Recomputation: the same numbers to the last bit, statistics and generators included, in less memory."""

import copy

import numpy as np
import pytest

from mlp import SGD, CrossEntropyLoss, GeLU, InputError, Linear, Network, ReLU, Sigmoid
from mlp.efficiency.memory import measure_activation_bytes
from mlp.gradcheck import check_network
from mlp.initializers import normal
from mlp.layers import BatchNorm, Dropout, GatedMlp, LayerNorm, Recompute, Residual, Sequential, Tanh

FEATURES, WIDTH, CLASSES = 6, 8, 4


def linear(n_in: int, n_out: int) -> Linear:
    return Linear(n_in, n_out, weight_init=normal(0.5))


def tied(block):
    """One Linear, one BatchNorm and one Dropout, each in three places, inside and outside."""
    shared, norm, drop = linear(WIDTH, WIDTH), BatchNorm(WIDTH), Dropout(0.3)
    return [
        linear(FEATURES, WIDTH), block(shared, norm, drop),
        shared.tied(), norm.tied(), drop.tied(),
        block(shared.tied(), Tanh(), norm.tied(), drop.tied()),
    ]  # fmt: skip


# ``block`` is Recompute, or Sequential, which gives the same parameters the same names.
ARCHITECTURES = {
    "dropout and statistics": lambda block: [
        block(linear(FEATURES, WIDTH), BatchNorm(WIDTH), ReLU(), Dropout(0.3)),
        block(linear(WIDTH, WIDTH), Dropout(0.2), Sigmoid()),
    ],
    "everything at once": lambda block: [
        block(linear(FEATURES, WIDTH), Tanh(), Dropout(0.5), linear(WIDTH, WIDTH), BatchNorm(WIDTH), GeLU())
    ],
    "inside of a residual": lambda block: [
        linear(FEATURES, WIDTH),
        Residual(block(LayerNorm(WIDTH), linear(WIDTH, WIDTH), BatchNorm(WIDTH), GeLU(), Dropout(0.2))),
    ],
    "around residuals": lambda block: [
        linear(FEATURES, WIDTH),
        block(
            Residual(linear(WIDTH, WIDTH), BatchNorm(WIDTH)), Residual(Dropout(0.4), GatedMlp(WIDTH, multiple_of=8))
        ),
    ],
    "one inside another": lambda block: [
        block(
            block(linear(FEATURES, WIDTH), Dropout(0.3)),
            BatchNorm(WIDTH),
            block(block(Dropout(0.3), linear(WIDTH, WIDTH)), BatchNorm(WIDTH), Sigmoid()),
        )
    ],
    "tied layers": tied,
    "no parameters": lambda block: [linear(FEATURES, WIDTH), block(Dropout(0.5), ReLU())],
}
each_architecture = pytest.mark.parametrize("name", ARCHITECTURES)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda d: d.__name__)


def make(name: str, block: type, dtype: type = np.float32) -> Network:
    return Network(*ARCHITECTURES[name](block), linear(WIDTH, CLASSES), rng=3, dtype=np.float32).astype(dtype)


def batch(seed: int, dtype: type = np.float32) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(9, FEATURES)).astype(dtype), rng.integers(0, CLASSES, 9)


def everything(network: Network) -> dict:
    """All that a step can change, gradients included."""
    return {
        **network.state_dict(),
        "gradient": network.parameters.grad.copy(),
        **{name: repr(rng.bit_generator.state) for name, rng in network.generators().items()},
    }


def assert_same(one: Network, other: Network) -> None:
    a, b = everything(one), everything(other)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@each_architecture
class TestEveryNumberIsTheSame:
    @each_dtype
    def test_over_several_training_steps(self, name, dtype):
        ours, plain = make(name, Recompute, dtype), make(name, Sequential, dtype)
        optimizers = [SGD(n.parameters, lr=0.1, momentum=0.9) for n in (ours, plain)]
        for step in range(5):
            values = [n.training_step(*batch(step, dtype), CrossEntropyLoss())[0] for n in (ours, plain)]
            assert values[0] == values[1]
            assert_same(ours, plain)
            for optimizer in optimizers:
                optimizer.step()

    def test_with_accumulated_gradients(self, name):
        ours, plain = make(name, Recompute), make(name, Sequential)
        for part in range(3):
            for network in (ours, plain):
                network.training_step(*batch(part), CrossEntropyLoss(), accumulate=part > 0, scale=0.25)
        assert_same(ours, plain)

    def test_outside_of_training_steps_with_the_input_gradient(self, name):
        ours, plain = make(name, Recompute), make(name, Sequential)
        for step in range(2):
            x, _ = batch(step)
            scores = [n.forward(x) for n in (ours, plain)]
            np.testing.assert_array_equal(*scores)
            grads = [n.backward(np.cos(s), input_gradient=True) for n, s in zip((ours, plain), scores, strict=True)]
            np.testing.assert_array_equal(*grads)
            assert_same(ours, plain)

    def test_of_a_pass_in_evaluation_mode_also_if_training_goes_on_before_its_backward(self, name):
        ours, plain = make(name, Recompute), make(name, Sequential)
        for network in (ours, plain):
            network.training_step(*batch(0), CrossEntropyLoss())
            network.zero_grad()
            scores = network.eval().forward(batch(1)[0])
            network.train().backward(np.cos(scores))
        assert_same(ours, plain)
        assert all(layer.training for layer in ours.body.walk())

    def test_gradients_are_those_of_differences(self, name):
        check_network(make(name, Recompute, np.float64), *batch(0, np.float64), CrossEntropyLoss()).assert_ok()

    def test_hooks_see_each_layer_once(self, name):
        seen = {}
        for block in (Recompute, Sequential):
            network, log = make(name, block), []
            rename = {"Recompute": "Sequential"}
            look = lambda layer, a: log.append((rename.get(type(layer).__name__, type(layer).__name__), a.sum()))  # noqa: B023, E731
            network.add_hook(look)
            network.add_backward_hook(look)
            network.training_step(*batch(0), CrossEntropyLoss())
            seen[block] = log
        assert seen[Recompute] == seen[Sequential]
        assert len(log) > 6


class TestWhatIsHeld:
    def test_layers_inside_hold_nothing_before_and_after_backward(self):
        network = make("dropout and statistics", Recompute)
        scores = network.forward(batch(0)[0])
        inside = [layer for block in network[:2] for layer in block]
        assert all(layer.saved is None for layer in inside)
        network.backward(scores)
        assert all(layer.saved is None for layer in inside)

    def test_a_gradient_that_is_refused_leaves_all_as_it_was(self):
        network = make("dropout and statistics", Recompute)
        network.forward(batch(0)[0])
        before = everything(network)
        with pytest.raises(InputError, match="the gradient has shape"):
            network[0].backward(np.ones((9, WIDTH + 1), np.float32))
        assert {n: repr(v) for n, v in everything(network).items()} == {n: repr(v) for n, v in before.items()}
        assert all(layer.saved is None for layer in network[0])

    def test_several_passes_may_be_in_flight(self):
        network = make("one inside another", Recompute, np.float64).eval()
        block = network[0]
        upstream = np.ones((9, WIDTH))
        block.forward(batch(0, np.float64)[0])
        expected, first = block.backward(upstream), block.saved
        block.forward(batch(1, np.float64)[0])
        block.saved = first
        np.testing.assert_array_equal(block.backward(upstream), expected)

    def test_bytes(self):
        # Eight times Linear(256, 256) and ReLU on 256 rows: y of the Linear, y of the ReLU and a mask in bytes,
        # 1 + 1 + 1/4 units of 256·256·4 bytes each. With Recompute around every two layers, the eight inputs (the
        # first is the batch, and the head's is the eighth); around every eight layers, two.
        def network(pairs_in_a_block: int, block: type) -> Network:
            pairs = [(linear(256, 256), ReLU()) for _ in range(8)]
            blocks = [
                block(*(layer for pair in pairs[i : i + pairs_in_a_block] for layer in pair))
                for i in range(0, 8, pairs_in_a_block)
            ]
            return Network(*blocks, linear(256, 2), rng=0)

        x = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
        unit = x.nbytes
        plain, single, four = (
            measure_activation_bytes(network(pairs, block), x)
            for pairs, block in ((1, Sequential), (1, Recompute), (4, Recompute))
        )
        slack = unit / 5  # Python's objects, the scores
        assert plain.held == pytest.approx(8 * 1.25 * unit, abs=slack)  # x of each Linear, the masks of the ReLUs
        assert single.held == pytest.approx(8 * unit, abs=slack)
        assert four.held == pytest.approx(2 * unit, abs=slack)
        # At the height of the backward pass: what is held, one block's layers, and gradients, three at most.
        assert single.peak < (8 + 2.25 + 3) * unit + slack
        assert four.peak < (2 + 4 * 2.25 + 3) * unit + slack
        assert plain.peak > 8 * 1.25 * unit


class TestConstruction:
    def test_text(self):
        network = Network(Recompute(Linear(3, 4), ReLU()), Linear(4, 2))
        assert repr(network) == "Network(\n    Recompute(Linear(3, 4), ReLU()),\n    Linear(4, 2),\n)"
        assert [p.name for p in network.parameters] == ["0.0.weight", "0.0.bias", "1.weight", "1.bias"]

    def test_refuses_what_a_sequence_refuses(self):
        with pytest.raises(InputError, match=r"Recompute: argument 1 must be a layer, such as .*, got 3"):
            Recompute(ReLU(), 3)
        with pytest.raises(InputError, match=r"layer 1 Linear\(5, 2\) expects 5 features, but receives 4"):
            Recompute(Linear(3, 4), Linear(5, 2))
        with pytest.raises(InputError, match="expects 5 features, but receives 4"):
            Network(Recompute(Linear(3, 4)), Linear(5, 2))

    def test_copies_recompute_too_and_share_no_hooks(self):
        network, log = make("around residuals", Recompute), []
        network.add_hook(lambda layer, y: log.append(layer))
        twin = copy.deepcopy(network)
        twin.training_step(*batch(0), CrossEntropyLoss())
        assert log == []
        assert all(layer.saved is None for layer in twin[1][0].body)
        network.training_step(*batch(0), CrossEntropyLoss())
        assert_same(network, twin)

    def test_batch_norm_inside_can_be_folded(self):
        network = make("dropout and statistics", Recompute, np.float64)
        for step in range(3):
            network.training_step(*batch(step, np.float64), CrossEntropyLoss())
        folded = network.with_folded_batch_norm()
        assert not any(isinstance(layer, BatchNorm) for layer in folded.body.walk())
        x, _ = batch(7, np.float64)
        np.testing.assert_allclose(folded.scores(x), network.scores(x), rtol=1e-12, atol=1e-12)
