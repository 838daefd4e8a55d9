"""Binary cross-entropy on numbers worked by hand, far out, and beside the cross-entropy of two classes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import CrossEntropyLoss, InputError
from mlp.losses import BinaryCrossEntropyLoss

few_examples = settings(deadline=None, max_examples=50, derandomize=True)
LN3 = math.log(3)  # sigmoid(ln 3) = 3/4


@pytest.mark.parametrize(
    ("target", "pos_weight", "value", "slope"),
    [
        (1, None, math.log(4 / 3), -1 / 4),
        (0, None, math.log(4), 3 / 4),
        (0.5, None, 0.5 * math.log(4 / 3) + 0.5 * math.log(4), 1 / 4),
        (1, 2, 2 * math.log(4 / 3), -2 / 4),
        (0, 2, math.log(4), 3 / 4),
        (0.5, 4, 2 * math.log(4 / 3) + 0.5 * math.log(4), 2.5 * 3 / 4 - 2),
        (1, 0, 0, 0),
    ],
)
def test_worked_numbers(target, pos_weight, value, slope):
    loss = BinaryCrossEntropyLoss(pos_weight=pos_weight)
    for t in (np.array([[target]]), np.array([target])):  # scores (1, 1), answers (1, 1) or (1,)
        assert loss(np.array([[LN3]]), t) == pytest.approx(value, rel=1e-15, abs=0)
        assert loss.backward().item() == pytest.approx(slope, rel=1e-15, abs=0)
    # Two questions: the sum of both, and a weight for each. The mean over elements divides by 2 again.
    both = np.array([[LN3, -LN3]]), np.array([[1, 0]])
    two = BinaryCrossEntropyLoss(pos_weight=[3, 1])
    assert two(*both) == pytest.approx(4 * math.log(4 / 3), rel=1e-15, abs=0)
    assert BinaryCrossEntropyLoss("element_mean", [3, 1])(*both) == pytest.approx(two(*both) / 2, rel=1e-15, abs=0)


def test_labels_of_several_classes_are_one_against_the_rest():
    scores, labels = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])
    loss = BinaryCrossEntropyLoss()
    value, gradient = loss(scores, labels), loss.backward()
    assert value == loss(scores, np.eye(3, dtype=bool)[labels])
    np.testing.assert_array_equal(loss.backward(), gradient)


@few_examples
@given(
    st.lists(st.tuples(st.floats(-30, 30), st.integers(0, 1)), min_size=1, max_size=6),
    st.sampled_from(["mean", "sum"]),
)
def test_it_is_the_cross_entropy_of_two_classes_with_scores_0_and_s(pairs, reduction):
    s, labels = np.array([s for s, _ in pairs])[:, np.newaxis], np.array([t for _, t in pairs])
    two = CrossEntropyLoss(reduction)
    loss = BinaryCrossEntropyLoss(reduction)
    expected = two(np.hstack([np.zeros_like(s), s]), labels)
    assert loss(s, labels) == pytest.approx(expected, rel=1e-13, abs=1e-14)
    np.testing.assert_allclose(loss.backward()[:, 0], two.backward()[:, 1], rtol=0, atol=1e-15)


@few_examples
@given(st.floats(-700, 700), st.floats(0, 1), st.floats(0, 10))
def test_turning_the_question_round_turns_the_gradient(score, target, c):
    """Yes and no change places: c t becomes c (1 - t), which the scores' sign makes up for if c is 1."""
    loss = BinaryCrossEntropyLoss()
    value, slope = loss(np.array([[score]]), np.array([[target]])), loss.backward()
    assert loss(np.array([[-score]]), np.array([[1 - target]])) == pytest.approx(value, rel=1e-12, abs=1e-300)
    np.testing.assert_allclose(loss.backward(), -slope, rtol=0, atol=1e-15)
    # The positive part alone is weighted: c times the loss of a yes, plus that of a no.
    yes, no = loss(np.array([[score]]), np.ones((1, 1))), loss(np.array([[score]]), np.zeros((1, 1)))
    weighted = BinaryCrossEntropyLoss(pos_weight=c)(np.array([[score]]), np.array([[target]]))
    assert weighted == pytest.approx(c * target * yes + (1 - target) * no, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e30), (np.float64, 1e300)])
def test_huge_scores_give_finite_losses_without_a_warning(dtype, size):
    loss = BinaryCrossEntropyLoss()
    scores = np.array([[size, -size]], dtype)
    assert loss(scores, np.array([[1, 0]])) == 0
    assert loss.backward().tolist() == [[0, 0]]
    assert loss(scores, np.array([[0, 1]])) == pytest.approx(2 * size, rel=1e-6, abs=0)
    assert loss.backward().tolist() == [[1, -1]]


def test_what_is_nearly_certain_keeps_its_digits():
    # log(1 + e^-40) = e^-40 - ½ e^-80 + ..., which is e^-40 to 17 digits.
    for score, target in ((40.0, 1), (-40.0, 0)):
        value = BinaryCrossEntropyLoss()(np.array([[score]]), np.array([[target]]))
        assert value == pytest.approx(math.exp(-40), rel=1e-14, abs=0)


@pytest.mark.parametrize(
    ("scores", "targets", "message"),
    [
        (np.zeros((2, 3)), np.array([[0, 0.5, 1], [0, 0, 1.5]]), "numbers from 0 to 1, got float64 from 0 to 1.5"),
        (np.zeros((2, 3)), np.array([[0, -1, 1], [0, 0, 1]]), "got int64 from -1 to 1"),
        (np.zeros((2, 1)), np.array([[0], [np.nan]]), "got float64 from nan to nan"),
        (np.zeros((2, 1)), np.array([1, 2]), "got int64 from 1 to 2"),
        (np.zeros((2, 3)), np.zeros((2, 3)) * 1j, "got complex128"),
        (np.zeros((2, 3)), np.array([0, 3]), "integers from 0 to 2"),
        (
            np.zeros((2, 3)),
            np.array([0.0, 1]),
            r"need targets of the same shape or class labels of shape \(2,\), got float64",
        ),
        (
            np.zeros((2, 3)),
            np.array([0, 1, 1]),
            r"need labels of shape \(2,\) or targets .*got int64 of shape \(3,\)",
        ),
        (np.zeros((2, 3)), np.zeros((2, 2)), r"got float64 of shape \(2, 2\)"),
    ],
)
def test_refuses_targets(scores, targets, message):
    with pytest.raises(InputError, match=f"{message}"):
        BinaryCrossEntropyLoss()(scores, targets)


@pytest.mark.parametrize("weight", [-1, np.nan, np.inf, "1", [1, -1], [1, np.nan], [0, 0], [], [[1, 2]]], ids=str)
def test_refuses_pos_weights(weight):
    with pytest.raises(InputError, match="BinaryCrossEntropyLoss: pos_weight must "):
        BinaryCrossEntropyLoss(pos_weight=weight)


def test_refuses_pos_weights_of_another_number():
    with pytest.raises(InputError, match="pos_weight has 2 entries, the scores have 3 outputs"):
        BinaryCrossEntropyLoss(pos_weight=[1, 2])(np.zeros((1, 3)), np.zeros((1, 3)))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, bool, np.uint8])
def test_targets_of_any_type_are_computed_in_that_of_the_scores(kind):
    # 1/4 is a number in every floating-point type; as an integer, or a bool, it is 0 or 1.
    target = np.array([[0.25]]).astype(kind)
    t = float(target[0, 0])
    expected = t * math.log(4 / 3) + (1 - t) * math.log(4)
    assert BinaryCrossEntropyLoss()(np.array([[LN3]]), target) == pytest.approx(expected, rel=1e-15, abs=0)
    assert CrossEntropyLoss()(np.array([[0, LN3]]), np.hstack([1 - 1.0 * target, target])) == pytest.approx(
        expected, rel=1e-15, abs=0
    )
