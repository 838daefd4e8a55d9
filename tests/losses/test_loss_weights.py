"""Sample weights: what they mean for every loss at the extremes, and which ones are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import InputError, MSELoss
from mlp.gradcheck import check_loss
from mlp.losses import LOSSES, make_loss

SCORES = -np.array([[1.0, 2, 0.5], [0.1, 3, 1], [2, 2.5, 0.3]])
LABELS = np.array([0, 1, 1])
each_loss = pytest.mark.parametrize("name", LOSSES)


@each_loss
def test_worked_weights(name):
    """Weights 1, 0, 3: a quarter of the first loss and three quarters of the last."""
    loss, one = make_loss(name), make_loss(name)
    singles = [one(SCORES[i : i + 1], LABELS[i : i + 1]) for i in range(3)]
    slopes = [one(SCORES[i : i + 1], LABELS[i : i + 1]) * 0 + one.backward()[0] for i in range(3)]
    value = loss(SCORES, LABELS, np.array([1, 0, 3]))
    assert value == pytest.approx(singles[0] / 4 + 3 * singles[2] / 4, rel=1e-14, abs=0)
    assert loss.total == pytest.approx(singles[0] + 3 * singles[2], rel=1e-14, abs=0)
    assert loss.weight == 4
    np.testing.assert_allclose(loss.backward(), [slopes[0] / 4, 0 * slopes[1], 3 * slopes[2] / 4], rtol=1e-14)


@each_loss
def test_before_the_first_batch_there_is_no_total(name):
    loss = make_loss(name)
    assert np.isnan([loss.total, loss.weight]).all()


@each_loss
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_weights_that_are_all_zero_leave_nothing(name, reduction):
    loss = make_loss(name, reduction=reduction)
    assert loss(SCORES, LABELS, np.zeros(3)) == 0
    assert (loss.total, loss.weight) == (0, 0)
    assert not loss.backward().any()


@each_loss
def test_true_and_false_are_weights(name):
    loss, keep = make_loss(name), np.array([True, False, True])
    expected = loss(SCORES[keep], LABELS[keep])
    assert loss(SCORES, LABELS, keep) == pytest.approx(expected, rel=1e-15, abs=0)
    assert loss(SCORES, LABELS, keep.tolist()) == pytest.approx(expected, rel=1e-15, abs=0)


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.integers(-290, 290), st.sampled_from(sorted(LOSSES)))
def test_the_scale_of_the_weights_changes_no_mean(exponent, name):
    """Also beyond what float32 can hold: weights are divided by their sum in float64."""
    loss, weights, scores = make_loss(name), np.array([1.0, 2, 5]), SCORES.astype(np.float32)
    expected, gradient = loss(scores, LABELS, weights), loss.backward()
    assert loss(scores, LABELS, weights * 10.0**exponent) == pytest.approx(expected, rel=1e-6, abs=0)
    assert loss.total == pytest.approx(8 * 10.0**exponent * expected, rel=1e-6, abs=0)
    np.testing.assert_allclose(loss.backward(), gradient, rtol=1e-6, atol=1e-7, strict=True)


@each_loss
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_of_any_type_keep_the_type_of_the_scores(name, dtype):
    loss, scores = make_loss(name), SCORES.astype(dtype)
    gradients = []
    for weights in (np.array([1, 2, 3]), np.array([1, 2, 3], np.float32), np.array([1.0, 2, 3]), [1, 2, 3]):
        loss(scores, LABELS, weights)
        gradients.append(loss.backward())
        np.testing.assert_array_equal(gradients[-1], gradients[0], strict=True)
    assert gradients[0].dtype == dtype


@each_loss
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 1], r"scores of shape \(3, 3\) need a sample_weight .* \(3,\), got int64 of shape \(2,\)"),
        ([[1], [1], [1]], r"got int64 of shape \(3, 1\)"),
        (np.ones((3, 3)), r"got float64 of shape \(3, 3\)"),
        (1.0, r"got float64 of shape \(\)"),
        (["1", "1", "1"], "got <U1"),
        ([1j, 1, 1], "got complex128"),
        ([1, -0.5, 1], "sample_weight must be finite numbers of at least 0, got -0.5"),
        ([1, np.nan, 1], "got nan"),
        ([1, np.inf, 1], "got inf"),
        ([-np.inf, 1, np.inf], "got -inf"),
        ([1e308, 1e308, 1e308], r"sample_weight must have a finite sum, got numbers up to 1e\+308"),
    ],
    ids=str,
)
def test_refuses(name, weights, message):
    loss = make_loss(name)
    with pytest.raises(InputError, match=f"^{type(loss).__name__}: .*{message}"):
        loss(SCORES, LABELS, np.asarray(weights))


def test_the_gradient_check_passes_weights_on():
    class Forgetful(MSELoss):
        def backward(self):
            return self.saved_before

        def forward(self, scores, targets, sample_weight=None):
            super().forward(scores, targets)
            self.saved_before = super().backward()  # without the weights
            return super().forward(scores, targets, sample_weight)

    weights = np.array([1, 2, 3])
    assert check_loss(MSELoss(), SCORES, LABELS, sample_weight=weights)
    assert check_loss(Forgetful(), SCORES, LABELS)
    assert not check_loss(Forgetful(), SCORES, LABELS, sample_weight=weights)
    assert weights.tolist() == [1, 2, 3]
