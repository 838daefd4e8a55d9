"""Crammer and Singer's margin loss on numbers worked by hand, and against scikit-learn's."""

import numpy as np
import pytest

from mlp import HingeLoss, InputError
from mlp.losses import CrammerSingerLoss, make_loss


@pytest.mark.parametrize(
    ("margin", "label", "value", "gradient"),
    [
        # Scores (3, 1, 2.5). Label 0: 1 - 3 + 2.5 = 0.5 is the only violation.
        (1, 0, 0.5, [-1, 0, 1]),
        # Label 1: 1 - 1 + 3 = 3 is larger than 1 - 1 + 2.5 = 2.5.
        (1, 1, 3, [1, -1, 0]),
        # Label 2: 1 - 2.5 + 3 = 1.5, and 1 - 2.5 + 1 < 0.
        (1, 2, 1.5, [1, 0, -1]),
        # Label 0, margin 0.5: 0.5 - 3 + 2.5 = 0 lies on the margin, which is not a violation.
        (0.5, 0, 0, [0, 0, 0]),
    ],
)
def test_crammer_singer_worked_numbers(margin, label, value, gradient):
    loss = CrammerSingerLoss(margin)
    assert loss(np.array([[3, 1, 2.5]]), np.array([label])) == value
    assert loss.backward().tolist() == [gradient]
    twice = HingeLoss(margin, "sum", "crammer-singer")
    assert twice(np.array([[3, 1, 2.5]] * 2), np.array([label] * 2), np.array([1, 3])) == 4 * value
    assert twice.backward().tolist() == [gradient, [3 * g for g in gradient]]


def test_of_equal_violations_the_first_class_takes_the_subgradient():
    loss = CrammerSingerLoss()
    assert loss(np.array([[2.0, 0, 2, 2]]), np.array([1])) == 3
    assert loss.backward().tolist() == [[1, -1, 0, 0]]
    assert loss(np.zeros((1, 4)), np.array([0])) == 1
    assert loss.backward().tolist() == [[-1, 1, 0, 0]]


def test_the_two_kinds_agree_on_two_classes_and_are_ordered_on_more():
    rng = np.random.default_rng(0)
    for k in (2, 5):
        scores, labels = rng.normal(size=(50, k)), rng.integers(0, k, 50)
        every, largest = HingeLoss(), CrammerSingerLoss()
        a, b = every(scores, labels), largest(scores, labels)
        if k == 2:
            assert a == b
            np.testing.assert_array_equal(every.backward(), largest.backward())
        else:
            assert b < a < (k - 1) * b


@pytest.mark.parametrize("loss", [HingeLoss(), CrammerSingerLoss()], ids=repr)
def test_a_single_class_is_no_choice(loss):
    with pytest.raises(InputError, match="one score a sample, one class, leaves nothing to choose from"):
        loss(np.array([[-3.0], [4.0]]), np.array([0, 0]))


def test_squared_worked_numbers():
    # Violations of class 0: 1 - 2 + 1.5 = 0.5 and 1 - 2 + 0 = -1, which counts as 0.
    loss = HingeLoss(squared=True)
    assert loss(np.array([[2.0, 1.5, 0.0]]), np.array([0])) == 0.25
    assert loss.backward().tolist() == [[-1.0, 1.0, 0.0]]
    assert repr(loss) == "HingeLoss(margin=1, squared=True)"


@pytest.mark.parametrize("kind", ["weston", "Crammer-Singer", "", None, 1])
def test_refuses_kinds(kind):
    with pytest.raises(InputError, match=r"HingeLoss: kind must be one of weston-watkins, crammer-singer, got"):
        HingeLoss(kind=kind)


@pytest.mark.parametrize("margin", [-1, np.nan, "1"])
def test_crammer_singer_refuses_margins(margin):
    with pytest.raises(InputError, match="CrammerSingerLoss: margin must be a finite number >= 0, got"):
        make_loss("CrammerSinger", margin=margin)


@pytest.mark.parametrize("spread", [0.1, 1, 30])
def test_crammer_singer_is_the_loss_of_scikit_learn(spread):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the oracle of this test")
    rng = np.random.default_rng(0)
    scores, labels = spread * rng.normal(size=(200, 5)), rng.integers(0, 5, 200)
    for weights in (None, rng.uniform(0, 2, 200), rng.integers(0, 3, 200)):
        expected = metrics.hinge_loss(labels, scores, labels=np.arange(5), sample_weight=weights)
        assert CrammerSingerLoss()(scores, labels, weights) == pytest.approx(expected, rel=1e-13, abs=0)
