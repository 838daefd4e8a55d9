"""The learning-rate range test, on a problem whose largest rate is known."""

import numpy as np
import pytest

from mlp import SGD, CrossEntropyLoss, Dataset, InputError, Linear, MSELoss, Network, ReLU
from mlp.diagnosis.rate_finder import LearningRateFinder, RangeTest, find_learning_rate, range_test
from mlp.layers import BatchNorm, Dropout
from mlp.optim import Adam, WeightAverage


def quadratic() -> tuple[Network, Dataset]:
    """½ |W x - t|² with curvature 4 in all directions: gradient descent diverges for rates above 2/4."""
    x = 4.0 * np.eye(4)  # mean of x xᵀ = 16/4 = 4
    return Network(Linear(4, 2, bias=False), dtype=np.float64), Dataset(x, np.ones((4, 2)))


def test_it_finds_where_gradient_descent_begins_to_diverge():
    network, data = quadratic()
    result = find_learning_rate(
        network, MSELoss(), SGD(network.parameters, lr=0.1), data, low=0.4, high=4, steps=100, batch_size=4,
        smoothing=0.0,
    )  # fmt: skip
    # A step multiplies the loss by (1 - 4 η)²: 0.36 at η = 0.4, 1 at η = 1/2, more beyond. The rates grow by
    # factors of 10^(1/99) = 1.024.
    assert result.largest == pytest.approx(0.5, rel=0.03)
    assert result.suggestion < result.largest
    assert result.rates[0] == pytest.approx(0.4)
    np.testing.assert_allclose(np.diff(np.log(result.rates)), np.log(10) / 99)
    growth = result.losses[1:] / result.losses[:-1]
    np.testing.assert_allclose(growth, (1 - 4 * result.rates[:-1]) ** 2, rtol=1e-6)
    assert len(result.rates) < 100  # it stopped when the loss had exploded


def test_everything_is_left_as_it_was():
    rng = np.random.default_rng(0)
    network = Network(Linear(5, 8), BatchNorm(8), ReLU(), Dropout(0.2), Linear(8, 3), rng=0)
    optimizer = Adam(network.parameters, lr=0.123)
    data = Dataset(rng.normal(size=(40, 5)), rng.integers(0, 3, 40))
    network.training_step(*data.arrays(), CrossEntropyLoss())
    optimizer.step()
    before = network.state_dict() | optimizer.state_dict(), network.snapshot()[1]
    result = find_learning_rate(network, CrossEntropyLoss(), optimizer, data, steps=30, batch_size=8)
    after = network.state_dict() | optimizer.state_dict(), network.snapshot()[1]
    assert optimizer.lr == 0.123
    assert after[1] == before[1]
    assert all(np.array_equal(before[0][name], array) for name, array in after[0].items())
    again = find_learning_rate(network, CrossEntropyLoss(), optimizer, data, steps=30, batch_size=8)
    np.testing.assert_array_equal(again.losses, result.losses)


def test_it_draws_itself():
    pytest.importorskip("matplotlib", reason="draws a figure")
    network, data = quadratic()
    figure = find_learning_rate(network, MSELoss(), SGD(network.parameters), data, steps=20, batch_size=4).plot()
    (ax,) = figure.axes
    assert ax.get_xscale() == "log"
    assert [line.get_label() for line in ax.lines][:2] == ["each step", "smoothed"]


def test_refused():
    network, data = quadratic()
    optimizer = SGD(network.parameters)
    for options, message in (
        ({"low": 0}, "low must be"),
        ({"low": 2, "high": 1}, "low must be below high, got 2 and 1"),
        ({"steps": 2}, "steps must be an integer of at least 3, got 2"),
        ({"average": WeightAverage(network.parameters)}, "a schedule or an average"),
        ({"low": 1e200, "high": 1e300}, "not finite from step"),
    ):
        with pytest.raises(InputError, match=message):
            find_learning_rate(network, MSELoss(), optimizer, data, **options)


def test_the_names_that_they_had_before():
    assert (range_test, RangeTest) == (find_learning_rate, LearningRateFinder)
