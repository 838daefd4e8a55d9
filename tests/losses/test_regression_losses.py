"""Absolute and Huber's error on numbers worked by hand, and how they lie between each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import InputError, MSELoss
from mlp.losses import HuberLoss, MAELoss

few_examples = settings(deadline=None, max_examples=50, derandomize=True)
some_numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=7)

# Differences (1, -2, 0) and (4, 0.5, 0).
SCORES, TARGETS = np.array([[1.0, 2, 0], [5, 1.5, 1]]), np.array([[0.0, 4, 0], [1, 1, 1]])
SIGNS = np.array([[1, -1, 0], [1, 1, 0]])


@pytest.mark.parametrize(
    ("loss", "value", "gradient"),
    [
        (MAELoss("sum"), 7.5, SIGNS),  # 3 + 4.5
        (MAELoss(), 3.75, SIGNS / 2),
        (MAELoss("element_mean"), 1.25, SIGNS / 6),
        # ½ 1², 2 - ½; 4 - ½, ½ (½)²: 0.5 + 1.5 + 3.5 + 0.125
        (HuberLoss(reduction="sum"), 5.625, [[1, -1, 0], [1, 0.5, 0]]),
        (HuberLoss(), 2.8125, np.array([[1, -1, 0], [1, 0.5, 0]]) / 2),
        (HuberLoss(1, "element_mean"), 0.9375, np.array([[1, -1, 0], [1, 0.5, 0]]) / 6),
        # delta = 3 leaves 1, -2 and 0.5 in the square: ½ + 2 + 3 (4 - 1.5) + 0.125
        (HuberLoss(3, "sum"), 10.125, [[1, -2, 0], [3, 0.5, 0]]),
    ],
    ids=repr,
)
def test_worked_numbers(loss, value, gradient):
    assert loss(SCORES, TARGETS) == pytest.approx(value, rel=1e-15, abs=0)
    np.testing.assert_allclose(loss.backward(), gradient, rtol=1e-15)
    # Whole numbers are real targets too, and the same loss takes labels for one-hot rows.
    assert loss(np.array([[1.0, 0, 3]]), np.array([[1, 0, 3]])) == 0
    assert loss(SCORES, np.array([1, 0])) == loss(SCORES, np.array([[0.0, 1, 0], [1, 0, 0]]))


@few_examples
@given(some_numbers, st.floats(0.01, 100))
def test_huber_lies_between_square_and_absolute_value(numbers, delta):
    scores, zero = np.array([numbers]), np.zeros((1, len(numbers)))
    huber = HuberLoss(delta)(scores, zero)
    assert huber <= MSELoss()(scores, zero) * (1 + 1e-12)
    assert huber <= delta * MAELoss()(scores, zero) * (1 + 1e-12)
    # Beyond its largest difference it is the square.
    wide = HuberLoss(2e6)
    assert wide(scores, zero) == pytest.approx(MSELoss()(scores, zero), rel=1e-12, abs=1e-300)
    np.testing.assert_array_equal(wide.backward(), scores)


@few_examples
@given(st.lists(st.integers(-1000, 1000), min_size=3, max_size=9, unique=True).filter(lambda t: len(t) % 2))
def test_the_best_constant_is_the_median_for_mae_and_the_mean_for_mse(targets):
    t = np.array(targets, np.float64)[:, np.newaxis]
    for loss, best in ((MAELoss(), np.median(t)), (MSELoss(), np.mean(t))):
        loss(np.full_like(t, best), t)
        assert loss.backward().sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("loss", [MAELoss(), HuberLoss(1e-3)], ids=repr)
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e30), (np.float64, 1e300)])
def test_huge_differences_give_finite_losses(loss, dtype, size):
    slope = getattr(loss, "delta", 1)
    value = loss(np.array([[size, -size]], dtype), np.zeros((1, 2), dtype))
    assert value == pytest.approx(2 * size * slope, rel=1e-6, abs=0)
    np.testing.assert_array_equal(loss.backward(), np.array([[slope, -slope]], dtype))


@pytest.mark.parametrize("loss", [MAELoss(), HuberLoss(), MSELoss()], ids=repr)
def test_a_perfect_score_stays_where_it_is(loss):
    assert loss(TARGETS, TARGETS) == 0
    assert not loss.backward().any()


@pytest.mark.parametrize("delta", [0, -1, np.nan, np.inf, "1", None])
def test_huber_refuses_deltas(delta):
    with pytest.raises(InputError, match="HuberLoss: delta must be a finite number above 0, got"):
        HuberLoss(delta=delta)


@pytest.mark.parametrize("targets", [np.zeros((2, 4)), np.zeros((3, 2)), np.zeros((2, 3)) * 1j])
@pytest.mark.parametrize("loss", [MAELoss(), HuberLoss()], ids=repr)
def test_refuses_targets(loss, targets):
    with pytest.raises(InputError, match=type(loss).__name__) as error:
        loss(np.zeros((2, 3)), targets)
    assert f"got {targets.dtype}" in str(error.value)
