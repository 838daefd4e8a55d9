"""Measuring memory and the error of compression leaves a network as it is, and counts what is there."""

import tracemalloc

import numpy as np
import pytest

from mlp import CrossEntropyLoss, Linear, Network, ReLU
from mlp.efficiency.memory import compression_error, measure_activation_bytes
from mlp.layers import BatchNorm, Compressed, Dropout, Recompute


def state(network: Network) -> dict:
    arrays = {**network.state_dict(), "gradient": network.parameters.grad.copy()}
    return {n: a.tolist() for n, a in arrays.items()} | {
        n: rng.bit_generator.state for n, rng in network.generators().items()
    }


def make() -> Network:
    return Network(
        Compressed(Linear(6, 8), BatchNorm(8), ReLU(), Dropout(0.5)), Recompute(Linear(8, 8), ReLU()), Linear(8, 4),
        rng=0,
    )  # fmt: skip


X = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
LABELS = np.arange(20) % 4


def test_both_leave_the_network_as_it_is():
    network = make().eval()
    network.training_step(X, LABELS, CrossEntropyLoss())
    before = state(network)
    measure_activation_bytes(network, X)
    compression_error(network, X, LABELS, CrossEntropyLoss())
    assert state(network) == before
    assert not network.training
    assert network[0].storage == "float16"


def test_the_scores_of_a_linear_are_all_that_is_held_beside_its_input():
    # 1000 rows of 100 scores of 4 bytes; then dL/dscores as well, and what the loss keeps of it.
    x = np.zeros((1000, 10), np.float32)
    measured = measure_activation_bytes(Network(Linear(10, 100)), x)
    assert measured.held == pytest.approx(400_000, abs=5_000)
    assert measured.peak == pytest.approx(1_200_000, abs=50_000)


def test_twice_the_bytes_in_float64():
    x = np.zeros((500, 50), np.float32)
    network = Network(Linear(50, 50), Linear(50, 50))
    single, double = (measure_activation_bytes(n, x).held for n in (network, network.astype(np.float64)))
    # x itself is converted first, which counts in neither.
    assert double == pytest.approx(2 * single, rel=0.05)


@pytest.mark.parametrize("was_tracing", [False, True])
def test_tracing_goes_on_where_it_was_on(was_tracing):
    if was_tracing:
        tracemalloc.start()
    try:
        measure_activation_bytes(make(), X)
        assert tracemalloc.is_tracing() == was_tracing
    finally:
        tracemalloc.stop()


def test_errors_are_relative_and_repeatable():
    network = make()
    errors = compression_error(network, X, LABELS, CrossEntropyLoss())
    assert errors == compression_error(network, X, LABELS, CrossEntropyLoss())
    assert errors.keys() == {"all", *(p.name for p in network.parameters)}
    assert errors["2.weight"] == errors["1.0.weight"] == 0  # outside
    assert 0 < errors["0.0.weight"] < 2e-3
    total = Network(Linear(6, 4))
    assert set(compression_error(total, X, LABELS, CrossEntropyLoss()).values()) == {0}
    nothing = Network(Compressed(Linear(6, 4)))
    assert compression_error(nothing, 0 * X, LABELS, CrossEntropyLoss())["0.0.weight"] == 0
