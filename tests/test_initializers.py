"""Where weights begin: shapes, draws, and what makes them the same again."""

import numpy as np
import pytest

from mlp import Linear
from mlp.errors import InputError
from mlp.initializers import constant, normal, zeros

SHAPE = (300, 200)


@pytest.mark.parametrize("initializer", [zeros, constant(0.5), normal(0.01)])
def test_gives_float64_of_the_shape(initializer):
    values = initializer(SHAPE, np.random.default_rng(0))
    assert values.shape == SHAPE
    assert values.dtype == np.float64


def test_zeros_and_constants_draw_nothing():
    rng = np.random.default_rng(0)
    assert not zeros(SHAPE, rng).any()
    assert (constant(-0.5)(SHAPE, rng) == -0.5).all()
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("std", [0.01, 2.0])
def test_normal_has_mean_0_and_its_standard_deviation(std):
    w = normal(std)(SHAPE, np.random.default_rng(0)) / std
    # 60,000 draws: the mean lies within 5 / sqrt(60000) = 0.02, the deviation within 5 / sqrt(120000) = 0.015,
    # and about 68.27 % of the draws within one standard deviation.
    assert abs(w.mean()) < 0.02
    assert w.std() == pytest.approx(1, abs=0.015)
    assert np.mean(np.abs(w) < 1) == pytest.approx(0.6827, abs=0.01)


def test_the_same_generator_state_draws_the_same_and_the_next_draw_differs():
    rng = np.random.default_rng(3)
    first, second = normal()(SHAPE, rng), normal()(SHAPE, rng)
    np.testing.assert_array_equal(first, normal()(SHAPE, np.random.default_rng(3)))
    assert not np.isin(first, second).any()


@pytest.mark.parametrize("std", [-1, np.nan, np.inf, "0.01", None, True])
def test_normal_refuses(std):
    with pytest.raises(InputError, match=r"normal: std must be a finite number >= 0, got"):
        normal(std)


@pytest.mark.parametrize("value", [np.nan, np.inf, "1"])
def test_constant_refuses(value):
    with pytest.raises(InputError, match=r"constant: value must be a finite number"):
        constant(value)


def test_an_initializer_of_the_wrong_shape_is_refused_with_both_shapes():
    with pytest.raises(InputError, match=r"weight has shape \(4, 3\), cannot take values of shape \(3, 4\)"):
        Linear(4, 3, weight_init=lambda shape, rng: np.zeros(shape[::-1]))
