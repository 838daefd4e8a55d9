"""Ensembles: the mean of probabilities, and what follows from it."""

import numpy as np
import pytest

from mlp import CrossEntropyLoss, Dataset, InputError, Linear, Network
from mlp.initializers import normal
from mlp.solver.ensemble import Ensemble, bag


def member(seed: int, width: int = 3) -> Network:
    return Network(Linear(4, width, weight_init=normal(2.0)), rng=seed, dtype=np.float64)


def x(rows: int = 50) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, 4))


def test_a_worked_number():
    # Scores (0, log 3) and (0, 0): probabilities (1/4, 3/4) and (1/2, 1/2), mean (3/8, 5/8).
    networks = [Network(Linear(1, 2, dtype=np.float64)) for _ in range(2)]
    networks[0][0].weight.data, networks[1][0].weight.data = [[0, np.log(3)]], [[0, 0]]
    ensemble = Ensemble(networks)
    np.testing.assert_allclose(ensemble.predict_proba(np.array([[1.0]])), [[3 / 8, 5 / 8]], rtol=1e-15)
    assert ensemble.predict(np.array([[1.0]])) == [1]


def test_its_loss_is_at_most_the_mean_of_its_members():
    labels = np.random.default_rng(1).integers(0, 3, 50)
    networks = [member(seed) for seed in range(4)]
    losses = [CrossEntropyLoss().forward(network.scores(x()), labels) for network in networks]
    together = CrossEntropyLoss().forward(Ensemble(networks).log_proba(x()), labels)
    assert together < np.mean(losses)


def test_one_network_is_an_ensemble():
    network = member(0)
    np.testing.assert_array_equal(Ensemble([network]).predict_proba(x()), network.predict_proba(x()))


def test_the_members_are_left_alone():
    network = member(0)
    p = network.predict_proba(x())
    Ensemble([network, member(1)]).predict_proba(x())[...] = 7
    np.testing.assert_array_equal(network.predict_proba(x()), p)


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ([], "a list of one network or more"),
        ([member(0), "network"], "a list of one network or more"),
        ([member(0), member(1, width=2)], r"the same inputs and outputs, got \[\(4, 2\), \(4, 3\)\]"),
    ],
    ids=["none", "something else", "widths"],
)
def test_refused(networks, message):
    with pytest.raises(InputError, match=message):
        Ensemble(networks)


def test_bagging_trains_each_member_on_a_sample_of_its_own():
    rows = 400
    data = Dataset(np.arange(rows, dtype=float)[:, None].repeat(4, 1), np.arange(rows) % 3)
    seen = []

    def train(sample: Dataset, rng: np.random.Generator) -> Network:
        assert len(sample) == rows
        np.testing.assert_array_equal(sample.inputs[:, 0].astype(int) % 3, sample.labels)  # labels go with inputs
        seen.append(set(sample.inputs[:, 0]))
        return Network(Linear(4, 3), rng=rng)

    ensemble = bag(train, data, 5, rng=0)
    assert len(ensemble) == 5
    assert len({network[0].weight.data.tobytes() for network in ensemble}) == 5
    # A share of (1 - 1/n)^n, 36.7 %, is missing; its standard deviation is below 2 %.
    assert all(0.55 < len(rows_seen) / rows < 0.71 for rows_seen in seen)
    again = bag(train, data, 5, rng=0)
    assert repr(again) == "Ensemble(5 networks)"
    np.testing.assert_array_equal(again.predict_proba(x()), ensemble.predict_proba(x()))
    with pytest.raises(InputError, match="bag: members must be an integer of at least 1, got 0"):
        bag(train, data, 0, rng=0)
