"""Layers made of layers: the chain rule through them, shared layers, hooks, passes in flight, modes."""

import copy

import numpy as np
import pytest

from mlp import GeLU, InputError, Linear, Network, ReLU, Sigmoid
from mlp.gradcheck import check_layer, check_network
from mlp.initializers import constant, normal
from mlp.layers import BatchNorm, Dropout, Residual, Sequential


def linear(n_in: int, n_out: int, seed: int = 0, **options) -> Linear:
    return Linear(n_in, n_out, weight_init=normal(1.0), rng=seed, dtype=np.float64, **options)


def x(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape)


class TestResidual:
    def test_a_worked_number(self):
        # f(x) = 3 x, so y = x + 3 x = 4 x and dy/dx = 4; with a shortcut 5 x it is 8 x.
        triple = Linear(1, 1, weight_init=constant(3), dtype=np.float64)
        five = Linear(1, 1, weight_init=constant(5), bias=False, dtype=np.float64)
        assert Residual(triple).forward(np.array([[2.0]])) == 8
        block = Residual(triple.astype(np.float64), shortcut=five)
        assert block.forward(np.array([[2.0]])) == 16
        assert block.backward(np.array([[1.0]])) == 8

    def test_without_its_layers_gradient_it_still_passes_the_gradient_on(self):
        block = Residual(Linear(3, 3, weight_init=constant(0), dtype=np.float64), ReLU())
        block.forward(x(4, 3))
        np.testing.assert_array_equal(block.backward(np.ones((4, 3))), 1)

    def test_widths(self):
        with pytest.raises(InputError, match=r"give 5 features, the way around them 3; .*shortcut=Linear\(3, 5\)"):
            Residual(linear(3, 5))
        with pytest.raises(InputError, match="give 5 features, the way around them 4"):
            Residual(linear(3, 5), shortcut=linear(3, 4))
        with pytest.raises(InputError, match="expects 5 features, but receives 6"):
            Network(linear(4, 6), Residual(linear(5, 5)))

    def test_inside_a_network(self):
        network = Network(linear(4, 5), Residual(linear(5, 5), GeLU(), linear(5, 5)), Sigmoid(), rng=3)
        assert [p.name for p in network.parameters] == [
            "0.weight", "0.bias", "1.body.0.weight", "1.body.0.bias", "1.body.2.weight", "1.body.2.bias",
        ]  # fmt: skip
        check_network(network, x(6, 4)).assert_ok()


class TestSharing:
    """One layer in two places has one gradient, the sum."""

    def test_the_gradient_is_the_sum_over_both_places(self):
        shared = linear(3, 3)
        twice = Sequential(shared, Sigmoid(), shared)
        first, second = copy.deepcopy(shared), copy.deepcopy(shared)
        apart = Sequential(first, Sigmoid(), second)
        upstream = x(5, 3)
        for chain in (twice, apart):
            chain.forward(2 * x(5, 3))
        np.testing.assert_array_equal(twice.backward(upstream), apart.backward(upstream))
        for name in ("weight", "bias"):
            total = getattr(first, name).grad + getattr(second, name).grad
            np.testing.assert_allclose(getattr(shared, name).grad, total, rtol=1e-14)

    def test_gradients_are_right(self):
        shared = linear(3, 3)
        check_layer(Sequential(shared, Sigmoid(), shared, Sigmoid(), shared), x(5, 3)).assert_ok()

    def test_a_network_stores_and_counts_it_once(self):
        shared = linear(3, 3)
        network = Network(shared, ReLU(), shared, linear(3, 2))
        assert network.parameters.size == 9 + 3 + 6 + 2
        assert [p.name for p in network.parameters] == ["0.weight", "0.bias", "3.weight", "3.bias"]
        assert network[0].weight is network[2].weight
        assert "20" in str(network.summary()).splitlines()[-2]
        check_network(network, x(5, 3)).assert_ok()

    def test_copies_stay_shared(self):
        network = Network(*2 * [linear(3, 3)])
        for twin in (copy.deepcopy(network), network.astype(np.float32)):
            assert twin[0].weight is twin[1].weight
            assert twin[0].weight is not network[0].weight
            assert twin.parameters.size == 12

    def test_layers_may_be_tied_across_containers(self):
        shared = linear(3, 3)
        network = Network(shared, Residual(shared.tied()))
        assert network.parameters.size == 12
        check_network(network, x(5, 3)).assert_ok()


class TestPassesInFlight:
    def test_saved_of_a_container_can_be_taken_away_and_put_back(self):
        block = Residual(linear(3, 4), Sequential(Sigmoid(), linear(4, 3)))
        upstream = x(5, 3)
        block.forward(x(5, 3))
        expected = block.backward(upstream)
        first = block.saved
        block.saved = None
        with pytest.raises(InputError, match="backward needs a forward pass first"):
            block.backward(upstream)
        block.forward(-x(5, 3))
        block.saved = first
        np.testing.assert_array_equal(block.backward(upstream), expected)


class TestHooks:
    def test_every_layer_is_watched_in_order(self):
        network = Network(linear(3, 4), Residual(linear(4, 4), ReLU()), linear(4, 2))
        forward, backward = [], []
        look = lambda layer, y: forward.append((layer.name.split()[1], y.shape))  # noqa: E731
        look_back = lambda layer, g: backward.append((layer.name.split()[1], g.shape))  # noqa: E731
        network.add_hook(look)
        network.add_backward_hook(look_back)
        y = network.forward(x(5, 3))
        network.backward(np.ones_like(y))
        shapes = [("0", (5, 4)), ("1.body.0", (5, 4)), ("1.body.1", (5, 4)), ("1", (5, 4)), ("2", (5, 2))]
        assert forward == shapes
        assert backward == [shapes[4], shapes[3], shapes[2], shapes[1], shapes[0]]
        network.remove_hook(look)
        network.remove_hook(look_back)
        network.backward(network.forward(x(5, 3))[:, :2])
        assert len(forward) == len(backward) == 5


class TestModes:
    def make(self) -> Network:
        return Network(linear(3, 4), BatchNorm(4, dtype=np.float64), Residual(Dropout(0.5), linear(4, 4)), rng=0)

    def test_train_and_eval_reach_every_layer(self):
        network = self.make()
        assert all(layer.training for layer in network.body.walk())
        assert network.eval() is network
        assert not any(layer.training for layer in network.body.walk())
        network.train()
        assert all(layer.training for layer in network.body.walk())

    def test_mode_comes_back_after_an_error(self):
        network = self.make()
        with pytest.raises(InputError, match="expects 3 features"):
            network.scores(x(2, 9))
        assert network.training
        assert network[1].training

    def test_mode_holds_inside_the_block(self):
        network = self.make()
        with network.mode(training=False):
            assert not network.training
            assert not network[2].body[0].training
        assert network[2].body[0].training

    def test_predictions_never_drop_and_never_change_the_statistics(self):
        network = self.make()
        before = network.state_dict()
        first = network.scores(x(6, 3))
        np.testing.assert_array_equal(network.scores(x(6, 3)), first)
        np.testing.assert_allclose(network.scores(x(6, 3), batch_size=1), first, rtol=1e-14, atol=1e-14)
        assert network.training
        assert all(np.array_equal(before[name], array) for name, array in network.state_dict().items())

    def test_a_copy_keeps_the_mode(self):
        assert not copy.deepcopy(self.make().eval()).training

    def test_statistics_are_part_of_the_state(self):
        network, other = self.make(), self.make()
        network.forward(x(6, 3))
        assert {"1.running_mean", "1.running_var"} <= network.state_dict().keys()
        other.load_state_dict(network.state_dict())
        np.testing.assert_array_equal(other.scores(x(2, 3)), network.scores(x(2, 3)))


def test_snapshots_repeat_a_pass_to_the_last_bit():
    layers = Sequential(linear(3, 3), Dropout(0.5, rng=0), BatchNorm(3, dtype=np.float64))
    before = layers.snapshot()
    first, after = layers.forward(x(8, 3)), layers.snapshot()
    assert not np.array_equal(layers.forward(x(8, 3)), first)
    layers.restore(before)
    np.testing.assert_array_equal(layers.forward(x(8, 3)), first)
    again = layers.snapshot()
    assert again[1] == after[1]
    assert all(np.array_equal(again[0][name], array) for name, array in after[0].items())
