"""Counts of predicted and true classes, worked out by hand, and what must hold for any of them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp.checks import InputError
from mlp.metrics import (
    accuracy,
    balanced_accuracy,
    classification_report,
    confusion_matrix,
    count_correct,
    f1,
    precision,
    recall,
    top_k_accuracy,
)

SCORES = np.array([[0.1, 0.9, 0.0], [2.0, 2.0, 1.0], [-1.0, -3.0, -2.0], [0.0, 1.0, 5.0]])
# Largest: class 1; 0, the first of two equal ones; 0; 2.
LARGEST = np.array([1, 0, 0, 2])

# True class (row) and predicted class (column) of ten samples:
#        0  1  2
#    0   3  1  0    4 samples
#    1   1  2  0    3 samples
#    2   2  1  0    3 samples, and class 2 is never predicted
TRUE = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
PREDICTED = np.array([0, 0, 0, 1, 0, 1, 1, 0, 0, 1])
COUNTS = [[3, 1, 0], [1, 2, 0], [2, 1, 0]]

many = settings(deadline=None, max_examples=50, derandomize=True)
pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


class TestAccuracy:
    def test_counts_rows_whose_largest_score_is_that_of_the_label(self):
        assert accuracy(LARGEST, SCORES) == 1.0
        assert accuracy(np.array([1, 1, 0, 1]), SCORES) == 0.5
        assert accuracy(np.array([0, 1, 1, 1]), SCORES) == 0.0
        assert count_correct(np.array([1, 0, 2, 2]), SCORES) == 3
        assert type(count_correct(LARGEST, SCORES)) is int
        assert type(accuracy(LARGEST, SCORES)) is float

    def test_takes_leading_axes_lists_and_one_row(self):
        assert accuracy(LARGEST.reshape(2, 2), SCORES.reshape(2, 2, 3)) == 1.0
        assert accuracy(LARGEST.tolist(), SCORES.tolist()) == 1.0
        assert accuracy(1, SCORES[0]) == 1.0

    def test_takes_predicted_classes(self):
        assert accuracy(TRUE, PREDICTED) == 0.5  # 3 + 2 + 0 of 10
        assert accuracy([True, True], [True, False]) == 0.5

    def test_takes_soft_labels(self):
        soft = np.array([[0.2, 0.7, 0.1], [0.5, 0.5, 0.0], [0.1, 0.0, 0.9], [0.0, 0.0, 1.0]])
        # Their largest entries: 1; 0, the first of two equal ones; 2; 2. The third row is wrong.
        for dtype in (np.float32, np.float64):
            assert count_correct(soft.astype(dtype), SCORES) == 3
            assert accuracy(soft.astype(dtype), SCORES) == 0.75
        assert accuracy(soft.reshape(2, 2, 3), SCORES.reshape(2, 2, 3)) == 0.75
        assert accuracy(soft[0], SCORES[0]) == 1.0


class TestTopK:
    # The true class has rank 1, 2, 3 and 2 (of two equal scores the first ranks first).
    SCORES = np.array([[3.0, 1.0, 2.0], [1.0, 2.0, 3.0], [3.0, 1.0, 2.0], [5.0, 5.0, 0.0]])
    LABELS = np.array([0, 1, 1, 1])

    def test_worked_example(self):
        assert [top_k_accuracy(self.LABELS, self.SCORES, k) for k in (1, 2, 3)] == [0.25, 0.75, 1.0]

    def test_soft_labels(self):
        soft = np.eye(3)[self.LABELS]
        assert [top_k_accuracy(soft, self.SCORES, k) for k in (1, 2, 3)] == [0.25, 0.75, 1.0]

    @given(rows=st.lists(st.lists(st.integers(-2, 2), min_size=4, max_size=4), min_size=1, max_size=10))
    @many
    def test_it_grows_with_k_from_the_accuracy_to_1(self, rows):
        scores = np.array(rows, float)
        labels = np.arange(len(rows)) % 4
        shares = [top_k_accuracy(labels, scores, k) for k in (1, 2, 3, 4)]
        assert shares == sorted(shares)
        assert shares[0] == accuracy(labels, scores)
        assert shares[-1] == 1

    @pytest.mark.parametrize("k", [0, 4, 1.0, True])
    def test_refuses_a_k_without_meaning(self, k):
        with pytest.raises(InputError, match=rf"top_k_accuracy: k must be .*got {k!r}"):
            top_k_accuracy(self.LABELS, self.SCORES, k)


class TestConfusionMatrix:
    def test_rows_are_true_classes_and_columns_predicted_ones(self):
        counts = confusion_matrix(TRUE, PREDICTED, num_classes=3)
        np.testing.assert_array_equal(counts, COUNTS)
        assert counts.dtype.kind == "i"
        np.testing.assert_array_equal(confusion_matrix(TRUE, np.eye(3)[PREDICTED]), COUNTS)
        np.testing.assert_array_equal(confusion_matrix(np.eye(3)[TRUE], np.eye(3)[PREDICTED]), COUNTS)

    def test_predictions_have_as_many_classes_as_they_show_or_one_says(self):
        assert confusion_matrix([0, 0], [0, 1]).shape == (2, 2)
        assert confusion_matrix([0, 1], [0, 0]).shape == (2, 2)
        assert confusion_matrix([0, 0], [0, 0]).tolist() == [[2]]
        assert confusion_matrix([0, 0], [0, 0], num_classes=3).shape == (3, 3)

    def test_normalised(self):
        def normalised(by):
            return confusion_matrix(TRUE, PREDICTED, num_classes=4, normalize=by)[:3, :3]

        np.testing.assert_allclose(normalised("true"), [[3 / 4, 1 / 4, 0], [1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0]])
        # Class 2 is never predicted: its column stays 0.
        np.testing.assert_allclose(normalised("pred"), [[3 / 6, 1 / 4, 0], [1 / 6, 2 / 4, 0], [2 / 6, 1 / 4, 0]])
        np.testing.assert_allclose(normalised("all"), np.array(COUNTS) / 10)

    @given(pairs=pairs)
    @many
    def test_sums(self, pairs):
        predicted, true = np.array(pairs).T
        counts = confusion_matrix(true, predicted, num_classes=4)
        assert counts.sum() == len(pairs)
        assert counts.trace() == round(accuracy(true, predicted) * len(pairs))
        assert [int(n) for n in counts.sum(axis=1)] == [list(true).count(k) for k in range(4)]
        assert [int(n) for n in counts.sum(axis=0)] == [list(predicted).count(k) for k in range(4)]
        np.testing.assert_array_equal(confusion_matrix(predicted, true, num_classes=4), counts.T)

    @pytest.mark.parametrize("normalize", ["rows", "predicted", True])
    def test_refuses_an_unknown_normalisation(self, normalize):
        with pytest.raises(InputError, match=f"normalize must be one of None, true, pred, all, got {normalize!r}"):
            confusion_matrix(TRUE, PREDICTED, normalize=normalize)


# From the counts above. Precision: 3/6, 2/4, 0/0. Recall: 3/4, 2/3, 0/3.
# F1 = 2 TP / (predicted + true): 6/10, 4/7, 0/3.
class TestPrecisionRecallF1:
    def test_by_class(self):
        np.testing.assert_allclose(precision(TRUE, PREDICTED, average=None), [1 / 2, 1 / 2, 0])
        np.testing.assert_allclose(recall(TRUE, PREDICTED, average=None), [3 / 4, 2 / 3, 0])
        np.testing.assert_allclose(f1(TRUE, PREDICTED, average=None), [6 / 10, 4 / 7, 0])

    def test_averages(self):
        assert precision(TRUE, PREDICTED) == pytest.approx((1 / 2 + 1 / 2) / 3)
        assert recall(TRUE, PREDICTED) == pytest.approx((3 / 4 + 2 / 3) / 3)
        assert f1(TRUE, PREDICTED) == pytest.approx((6 / 10 + 4 / 7) / 3)
        # 4, 3 and 3 samples
        assert precision(TRUE, PREDICTED, average="weighted") == pytest.approx((4 / 2 + 3 / 2) / 10)
        assert f1(TRUE, PREDICTED, average="weighted") == pytest.approx((4 * 6 / 10 + 3 * 4 / 7) / 10)
        for metric in (precision, recall, f1):
            assert metric(TRUE, PREDICTED, average="micro") == 0.5  # 5 of 10 are right
            assert type(metric(TRUE, PREDICTED)) is float

    def test_a_denominator_of_0(self):
        assert precision(TRUE, PREDICTED, average=None, zero_division=1)[2] == 1
        assert precision(TRUE, PREDICTED, zero_division=0.4) == pytest.approx((1 / 2 + 1 / 2 + 0.4) / 3)
        assert math.isnan(precision(TRUE, PREDICTED, average=None, zero_division=math.nan)[2])
        # With nan the class is left out of the mean.
        assert precision(TRUE, PREDICTED, zero_division=math.nan) == 0.5
        # Class 3 neither occurs nor is predicted; class 2 has samples, so its F1 is 0 and not undefined.
        values = f1(TRUE, PREDICTED, average=None, zero_division=1, num_classes=4)
        np.testing.assert_allclose(values, [6 / 10, 4 / 7, 0, 1])
        assert recall(TRUE, PREDICTED, average=None, zero_division=1, num_classes=4)[3] == 1

    def test_scores_and_predictions_give_the_same(self):
        for metric in (precision, recall, f1, balanced_accuracy):
            assert metric(TRUE, np.eye(3)[PREDICTED]) == metric(TRUE, PREDICTED)

    @given(pairs=pairs)
    @many
    def test_laws(self, pairs):
        predicted, true = np.array(pairs).T
        share = accuracy(true, predicted)
        for metric in (precision, recall, f1):
            assert metric(true, predicted, average="micro") == share
        # Every sample of a class counts once in its recall, whatever the classes.
        assert recall(true, predicted, average="weighted") == pytest.approx(share)
        p, r, f = (m(true, predicted, average=None, num_classes=4) for m in (precision, recall, f1))
        # The harmonic mean lies between the two.
        assert (f >= np.minimum(p, r) - 1e-15).all()
        assert (f <= np.maximum(p, r) + 1e-15).all()
        # Exchanged, predictions and labels exchange precision and recall.
        np.testing.assert_array_equal(precision(predicted, true, average=None, num_classes=4), r)

    @pytest.mark.parametrize("metric", [precision, recall, f1])
    def test_refuses_unknown_options(self, metric):
        with pytest.raises(InputError, match="average must be one of None, macro, micro, weighted, got 'binary'"):
            metric(TRUE, PREDICTED, average="binary")
        for value in (-1, 2, math.inf, "warn", None):
            with pytest.raises(
                InputError, match=f"zero_division must be a finite number from 0 to 1, got {value!r}"
            ):
                metric(TRUE, PREDICTED, zero_division=value)


class TestBalancedAccuracy:
    def test_is_the_mean_recall(self):
        assert balanced_accuracy(TRUE, PREDICTED) == pytest.approx((3 / 4 + 2 / 3 + 0) / 3)

    def test_a_constant_answer_is_chance_however_unequal_the_classes(self):
        true = np.array([0] * 98 + [1] * 2)
        assert accuracy(true, np.zeros(100, int)) == 0.98
        assert balanced_accuracy(true, np.zeros(100, int)) == 0.5

    def test_classes_without_samples_do_not_count(self):
        scores = np.eye(4)[[0, 1, 3]]  # class 3 is predicted, and has no samples
        assert balanced_accuracy([0, 1, 1], scores) == pytest.approx((1 + 1 / 2) / 2)


class TestReport:
    def test_numbers(self):
        report = classification_report(TRUE, PREDICTED)
        np.testing.assert_array_equal(report.support, [4, 3, 3])
        np.testing.assert_allclose(report.precision, [1 / 2, 1 / 2, 0])
        np.testing.assert_allclose(report.recall, [3 / 4, 2 / 3, 0])
        np.testing.assert_allclose(report.f1, [6 / 10, 4 / 7, 0])
        assert report.accuracy == 0.5
        np.testing.assert_allclose(report.macro, [1 / 3, (3 / 4 + 2 / 3) / 3, (6 / 10 + 4 / 7) / 3])
        np.testing.assert_allclose(report.weighted, [3.5 / 10, 5 / 10, (2.4 + 12 / 7) / 10])

    def test_text(self):
        assert str(classification_report(TRUE, PREDICTED, class_names=["cat", "dog", "cow"])) == "\n".join([
            "                  precision     recall         f1    support",
            "------------------------------------------------------------",
            "cat                  0.5000     0.7500     0.6000          4",
            "dog                  0.5000     0.6667     0.5714          3",
            "cow                  0.0000     0.0000     0.0000          3",
            "------------------------------------------------------------",
            "accuracy                                   0.5000         10",
            "macro average        0.3333     0.4722     0.3905         10",
            "weighted average     0.3500     0.5000     0.4114         10",
        ])  # fmt: skip
        assert repr(classification_report([0], [0])).splitlines()[2].split() == ["0"] + 3 * ["1.0000"] + ["1"]

    def test_refuses_another_number_of_names(self):
        with pytest.raises(InputError, match="3 classes need as many names, got 2"):
            classification_report(TRUE, PREDICTED, class_names=["cat", "dog"])
