"""Dropout: how much it drops, what it keeps in the mean, and where its randomness comes from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import InputError, Linear, Network
from mlp.layers import Dropout


def test_a_worked_number():
    # p = 0.75: what stays is multiplied by 4, forward and backward.
    layer = Dropout(0.75, rng=0)
    y = layer.forward(np.full((40, 50), 3.0))
    assert set(np.unique(y)) == {0.0, 12.0}
    np.testing.assert_array_equal(layer.backward(np.ones((40, 50))), y / 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_dropped_is_p_and_the_mean_stays(p, dtype):
    n = 10**6
    y = Dropout(p, rng=1).forward(np.ones((1000, 1000), dtype))
    # Five standard deviations of a binomial share.
    assert np.mean(y == 0) == pytest.approx(p, abs=5 * np.sqrt(p * (1 - p) / n))
    assert y.mean(dtype=float) == pytest.approx(1, abs=5 * np.sqrt(p / (1 - p) / n))
    assert y.dtype == dtype


def test_in_use_it_does_nothing():
    x = np.random.default_rng(0).normal(size=(4, 3))
    layer = Dropout(0.9).eval()
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(x), x)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.integers(0, 2**32))
def test_a_seed_fixes_the_masks(seed):
    x = np.ones((5, 8))
    first, second = Dropout(0.5, rng=seed), Dropout(0.5, rng=np.random.default_rng(seed))
    a = [first.forward(x) for _ in range(3)]
    np.testing.assert_array_equal(a, [second.forward(x) for _ in range(3)])
    assert not np.array_equal(a[0], a[1])


def test_a_network_gives_each_its_own_generator():
    make = lambda: Network(Dropout(0.5), Linear(64, 64), Dropout(0.5), rng=7)  # noqa: E731
    one, other = make(), make()
    masks = [[layer.forward(np.ones((1, 64))) for layer in (net[0], net[2])] for net in (one, other)]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert not np.array_equal(*masks[0])
    # Dropout takes nothing from the stream that the weights come from.
    np.testing.assert_array_equal(one[1].weight.data, Network(Linear(64, 64), rng=7)[0].weight.data)


@pytest.mark.parametrize("p", [1, 1.0, -0.1, 2, np.nan, "0.5", None])
def test_refuses_what_is_no_probability_below_1(p):
    with pytest.raises(InputError, match="Dropout: p must be"):
        Dropout(p)
