"""The losses on numbers worked by hand, far out, and with arguments that cannot be right."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlp import CrossEntropyLoss, HingeLoss, InputError, MSELoss
from mlp.losses import (
    LOSSES,
    BinaryCrossEntropyLoss,
    CrammerSingerLoss,
    HuberLoss,
    Loss,
    MAELoss,
    NLLLoss,
    make_loss,
)


def value_and_gradient(loss, scores, targets) -> tuple[float, list]:
    return loss(np.asarray(scores, np.float64), np.asarray(targets)), loss.backward().tolist()


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (CrossEntropyLoss(), math.log(10)),  # every class has probability 1/10
        (HingeLoss(), 9),  # nine other classes, each a full margin of 1 too close
        (HingeLoss(margin=0.5), 4.5),
        (MSELoss(), 0.5),  # ½ (0 - 1)²
        (HingeLoss(kind="crammer-singer"), 1),  # the largest of the nine
        (CrammerSingerLoss(margin=0.5), 0.5),
        (MSELoss(reduction="element_mean"), 0.1),  # one 1 among ten outputs
        (MAELoss(), 1),  # |0 - 1|
        (MAELoss(reduction="element_mean"), 0.1),
        (HuberLoss(), 0.5),  # at delta = 1 the square has not ended yet
        (HuberLoss(delta=0.5), 0.375),  # 0.5 (1 - 0.25)
        (BinaryCrossEntropyLoss(), 10 * math.log(2)),  # ten answers of probability 1/2
        (BinaryCrossEntropyLoss("element_mean"), math.log(2)),
    ],
    ids=repr,
)
def test_at_zero_scores_for_ten_classes(loss, expected):
    for batch in (1, 6):
        assert loss(np.zeros((batch, 10)), np.arange(batch)) == pytest.approx(expected, rel=1e-15, abs=0)
    assert loss(np.zeros((6, 10), np.float32), np.arange(6)) == pytest.approx(expected, rel=1e-6, abs=0)


def test_cross_entropy_worked_numbers():
    # Scores ln 1, ln 2, ln 5 have probabilities 1/8, 2/8, 5/8: -log p is ln 8 for the first, ln 8/5 for the last.
    s = np.log([[1.0, 2, 5], [1, 2, 5]])
    value, gradient = value_and_gradient(CrossEntropyLoss(), s, [0, 2])
    assert value == pytest.approx((math.log(8) + math.log(8 / 5)) / 2, rel=1e-15, abs=0)
    # p minus one at the label, halved for the mean over two samples.
    expected = np.array([[-7, 2, 5], [1, 2, -3]]) / 16
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-16)
    value, gradient = value_and_gradient(CrossEntropyLoss(reduction="sum"), s, [0, 2])
    assert value == pytest.approx(math.log(8) + math.log(8 / 5), rel=1e-15, abs=0)
    np.testing.assert_allclose(gradient, 2 * expected, rtol=0, atol=1e-16)


@pytest.mark.parametrize(
    ("reduction", "value", "gradient"),
    [
        # Differences (1, 2, 0) and (2, 3, 0): squares sum to 5 and 13, so ½ 5 + ½ 13 = 9 for two samples.
        ("sum", 9, [[1, 2, 0], [2, 3, 0]]),
        ("mean", 4.5, [[0.5, 1, 0], [1, 1.5, 0]]),
        # 18 / 6 without the ½, and 2 (s - t) / 6.
        ("element_mean", 3, [[1 / 3, 2 / 3, 0], [2 / 3, 1, 0]]),
    ],
)
def test_mse_worked_numbers(reduction, value, gradient):
    scores, targets = [[1, 2, 0], [3, 4, 1]], [[0.0, 0, 0], [1, 1, 1]]
    actual = value_and_gradient(MSELoss(reduction), scores, targets)
    assert actual[0] == pytest.approx(value, rel=1e-15, abs=0)
    np.testing.assert_allclose(actual[1], gradient, rtol=1e-15)
    # Whole numbers of the scores' shape are real targets too.
    assert value_and_gradient(MSELoss(reduction), scores, np.array(targets, int)) == actual


def test_mse_takes_labels_as_one_hot_rows():
    # Label 1 is (0, 1, 0), label 0 is (1, 0, 0): differences (1, 1, 0) and (2, 4, 1), ½ (2 + 21) = 11.5.
    scores, labels = [[1, 2, 0], [3, 4, 1]], [1, 0]
    assert value_and_gradient(MSELoss("sum"), scores, labels) == (11.5, [[1, 1, 0], [2, 4, 1]])


@pytest.mark.parametrize(
    ("margin", "label", "value", "gradient"),
    [
        # Scores (3, 1, 2.5). Label 0: 1 - 3 + 1 < 0 is no violation, 1 - 3 + 2.5 = 0.5 is one.
        (1, 0, 0.5, [-1, 0, 1]),
        # Label 1: 1 - 1 + 3 = 3 and 1 - 1 + 2.5 = 2.5.
        (1, 1, 5.5, [1, -2, 1]),
        # Label 0, margin 2: 2 - 3 + 1 = 0 lies on the margin, which is not a violation; 2 - 3 + 2.5 = 1.5.
        (2, 0, 1.5, [-1, 0, 1]),
        # Margin 0 asks for the largest score alone: label 0 has it, label 2 lacks 0.5.
        (0, 0, 0, [0, 0, 0]),
        (0, 2, 0.5, [1, 0, -1]),
    ],
)
def test_hinge_worked_numbers(margin, label, value, gradient):
    assert value_and_gradient(HingeLoss(margin), [[3, 1, 2.5]], [label]) == (value, [gradient])
    # Twice the same sample: the mean stays, its gradient is shared between the two.
    halved = [[g / 2 for g in gradient]] * 2
    assert value_and_gradient(HingeLoss(margin), [[3, 1, 2.5]] * 2, [label] * 2) == (value, halved)


LOSSES_OF_LABELS = [
    CrossEntropyLoss(),
    CrossEntropyLoss(label_smoothing=0.1),
    HingeLoss(),
    CrammerSingerLoss(),
    MSELoss(),
    MSELoss("element_mean"),
    MAELoss(),
    HuberLoss(),
    BinaryCrossEntropyLoss(),
]
each_loss = pytest.mark.parametrize("loss", LOSSES_OF_LABELS, ids=repr)


@each_loss
def test_a_mean_is_the_mean_of_single_samples(loss):
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(7, 5)), rng.integers(0, 5, 7)
    singles = [value_and_gradient(loss, scores[i : i + 1], labels[i : i + 1]) for i in range(7)]
    value, gradient = value_and_gradient(loss, scores, labels)
    assert value == pytest.approx(np.mean([v for v, _ in singles]), rel=1e-14, abs=0)
    np.testing.assert_allclose(gradient, [g[0] for _, [*g] in singles] / np.float64(7), rtol=1e-13)


@each_loss
def test_the_loss_does_not_depend_on_the_batches_before(loss):
    """The last, shorter batch of an epoch, and a data set with another number of classes."""
    rng = np.random.default_rng(0)
    for shape in [(5, 4), (3, 4), (5, 4), (5, 6), (3, 4)]:
        scores, labels = rng.normal(size=shape), rng.integers(0, shape[1], shape[0])
        fresh = eval(repr(loss))
        assert value_and_gradient(loss, scores, labels) == value_and_gradient(fresh, scores, labels)


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=6), st.integers(-(10**6), 10**6), st.data())
def test_a_shift_of_all_scores_of_a_row_changes_nothing(row, shift, data):
    label = data.draw(st.integers(0, len(row) - 1))
    for loss in (CrossEntropyLoss(), HingeLoss(), CrammerSingerLoss()):
        scores = np.array([row], np.float64)
        assert value_and_gradient(loss, scores + shift, [label]) == value_and_gradient(loss, scores, [label])
        assert np.sum(loss.backward()) == pytest.approx(0, abs=1e-15)


@given(st.permutations(range(4)))
def test_renaming_the_classes_renames_the_gradient(order):
    scores = np.array([[0.3, -1.2, 2.0, 0.7]])
    for loss in LOSSES_OF_LABELS:
        value, gradient = value_and_gradient(loss, scores, [2])
        renamed = value_and_gradient(loss, scores[:, list(order)], [order.index(2)])
        assert renamed[0] == pytest.approx(value, rel=1e-14, abs=0)
        np.testing.assert_allclose(renamed[1][0], np.array(gradient[0])[list(order)], rtol=1e-13)


# Two scores, 2·size apart: a right answer costs nothing, a wrong one the distance between them.
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e4), (np.float64, 1e300)])
@pytest.mark.parametrize("loss", [CrossEntropyLoss(), HingeLoss(), CrammerSingerLoss()], ids=repr)
def test_huge_scores_give_finite_losses_without_a_warning(loss, dtype, size):
    scores = np.array([[size, -size]], dtype)
    assert loss(scores, np.array([0])) == 0
    assert loss.backward().tolist() == [[0, 0]]
    margin = getattr(loss, "margin", 0)
    assert loss(scores, np.array([1])) == pytest.approx(2 * size + margin, rel=1e-6, abs=0)
    assert loss.backward().tolist() == [[1, -1]]


# Only to 1e150 in float64: the square of 1e300 is beyond the largest float64, 1.8e308.
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e4), (np.float64, 1e150)])
def test_huge_scores_give_a_finite_squared_error_without_a_warning(dtype, size):
    loss = MSELoss()
    assert loss(np.array([[size, -size]], dtype), np.zeros((1, 2), dtype)) == pytest.approx(
        size * size, rel=1e-6, abs=0
    )
    np.testing.assert_array_equal(loss.backward(), np.array([[size, -size]], dtype))


def test_cross_entropy_is_never_negative_and_small_where_the_answer_is_sure():
    # -log(1 / (1 + e^-20)) = log(1 + e^-20) = 2.0611536e-9.
    assert CrossEntropyLoss()(np.array([[20.0, 0.0]]), np.array([0])) == pytest.approx(
        2.0611536e-9, rel=1e-6, abs=0
    )


@pytest.mark.parametrize("make", [*LOSSES.values(), Loss])
def test_refuses_an_unknown_reduction(make):
    with pytest.raises(InputError, match=rf"{make.__name__}: reduction must be one of mean, sum.*, got 'average'"):
        make(reduction="average")


@pytest.mark.parametrize("margin", [-1, np.nan, np.inf, "1", None])
def test_hinge_refuses_margins(margin):
    with pytest.raises(InputError, match="HingeLoss: margin must be a finite number >= 0, got"):
        HingeLoss(margin=margin)


@each_loss
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.zeros((2, 3)), [0, 3], "integers from 0 to 2 for 3 scores, got 3"),
        (np.zeros((2, 3)), [0, -1], "got -1"),
        (np.zeros((2, 3)), [0], r"scores of shape \(2, 3\).*\(2,\).*got .*\(1,\)"),
        (np.zeros((2, 3)), [[0, 1], [1, 0]], r"scores of shape \(2, 3\).*got .*\(2, 2\)"),
        (np.zeros((2, 3)), [0.5, 1.0], "float64"),
        (np.zeros((2, 3)), ["a", "b"], "got <U1; a Dataset numbers names of classes"),
        (np.zeros((2, 3), int), [0, 1], "scores must be a floating-point array, got int64"),
        ([[0.0, 1.0]], [0], "scores must be a floating-point array, got list"),
        (np.zeros((2, 0)), [0, 0], r"scores need a class axis, got shape \(2, 0\)"),
        (np.float64(1), 0, "scores must be a floating-point array, got float64"),
    ],
)
def test_refuses_scores_and_labels(loss, scores, labels, message):
    with pytest.raises(InputError, match=message):
        loss(scores, np.asarray(labels))


@pytest.mark.parametrize("targets", [np.zeros((2, 4)), np.zeros((3, 2)), np.zeros((2, 3)) * 1j])
def test_mse_refuses_targets_that_are_neither_scores_nor_labels(targets):
    with pytest.raises(InputError) as error:
        MSELoss()(np.zeros((2, 3)), targets)
    assert f"got {targets.dtype}" in str(error.value)


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (CrossEntropyLoss(), "CrossEntropyLoss()"),
        (CrossEntropyLoss("sum"), "CrossEntropyLoss(reduction='sum')"),
        (
            CrossEntropyLoss("sum", 0.1, [1, 2]),
            "CrossEntropyLoss(reduction='sum', label_smoothing=0.1, class_weight=(1.0, 2.0))",
        ),
        (NLLLoss(), "NLLLoss()"),
        (NLLLoss(class_weight=np.array([0.5, 0])), "NLLLoss(class_weight=(0.5, 0.0))"),
        (MSELoss("element_mean"), "MSELoss(reduction='element_mean')"),
        (MAELoss(), "MAELoss()"),
        (HuberLoss(), "HuberLoss(delta=1)"),
        (HuberLoss(0.5, "sum"), "HuberLoss(delta=0.5, reduction='sum')"),
        (BinaryCrossEntropyLoss(), "BinaryCrossEntropyLoss()"),
        (BinaryCrossEntropyLoss("sum", 3), "BinaryCrossEntropyLoss(reduction='sum', pos_weight=3.0)"),
        (BinaryCrossEntropyLoss(pos_weight=[3, 1]), "BinaryCrossEntropyLoss(pos_weight=(3.0, 1.0))"),
        (HingeLoss(), "HingeLoss(margin=1)"),
        (HingeLoss(0.5, "sum"), "HingeLoss(margin=0.5, reduction='sum')"),
        (HingeLoss(kind="crammer-singer"), "HingeLoss(margin=1, kind='crammer-singer')"),
        (CrammerSingerLoss(2), "CrammerSingerLoss(margin=2)"),
    ],
)
def test_repr_can_be_written_as_code(loss, text):
    assert repr(loss) == text
    assert repr(eval(text)) == text


def test_losses_are_made_by_name_with_options():
    by_name = {"CE": CrossEntropyLoss, "ce": CrossEntropyLoss, "nll": NLLLoss, "BCE": BinaryCrossEntropyLoss}
    by_name |= {"mse": MSELoss, "MAE": MAELoss, "huber": HuberLoss}
    by_name |= {"Hinge": HingeLoss, "crammersinger": CrammerSingerLoss}
    for name, loss in by_name.items():
        assert type(make_loss(name, reduction="sum")) is loss
    assert repr(make_loss("hinge", margin=2)) == "HingeLoss(margin=2)"
    with pytest.raises(InputError, match=r"unknown loss 'l3'; there are: BCE, CE, .*NLL"):
        make_loss("l3")
    with pytest.raises(InputError, match=r"MAE: .*'margin'; options: reduction"):
        make_loss("MAE", margin=2)


def test_a_loss_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Loss needs a per_sample method"):
        Loss().forward(np.zeros((1, 2)), np.zeros(1, int))


@pytest.mark.parametrize("loss", [CrossEntropyLoss, HingeLoss, MSELoss])
def test_without_reduction_there_is_a_loss_for_each_sample(loss):
    rng = np.random.default_rng(0)
    scores, labels, weight = rng.normal(size=(2, 3, 4)), rng.integers(0, 4, (2, 3)), rng.uniform(size=(2, 3))
    each, total = loss(reduction="none"), loss(reduction="sum")
    losses = each(scores, labels, weight)
    alone = [[total(scores[i, j], labels[i, j]) * weight[i, j] for j in range(3)] for i in range(2)]
    np.testing.assert_allclose(losses, alone, rtol=1e-12)
    assert total(scores, labels, weight) == pytest.approx(losses.sum())
    np.testing.assert_allclose(each.backward(), total.backward(), rtol=1e-12)


def test_one_output_learns_numbers():
    # Whole numbers are numbers where there is one output: 0 is not class 0 of one class.
    for targets in (np.array([0, 1, 2]), np.array([0.0, 1, 2]), np.array([[0], [1], [2]])):
        assert MSELoss()(np.zeros((3, 1)), targets) == pytest.approx(5 / 6)  # ½ (0 + 1 + 4) / 3


def test_masked_entries_are_refused():
    scores, labels = np.zeros((2, 3)), np.ma.array([0, 1], mask=[False, True])
    with pytest.raises(InputError, match=r"targets has 1 masked entries, .* sample_weight 0"):
        CrossEntropyLoss()(scores, labels)
    with pytest.raises(InputError, match="scores has 2 masked entries"):
        MSELoss()(np.ma.masked_less([[-1.0, 1], [-2, 3]], 0), np.zeros((2, 2)))
