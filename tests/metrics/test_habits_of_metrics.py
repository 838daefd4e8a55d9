"""What people hand to metrics: the two arguments in some order, one column, one-hot rows, names, masks, -inf."""

import math

import numpy as np
import pytest

from mlp import metrics
from mlp.checks import InputError
from mlp.functional import sigmoid, softmax
from mlp.metrics import calibration

TRUE = np.array([0, 1, 2, 1])
PREDICTED = np.array([0, 1, 1, 1])  # three of four
SCORES = 3.0 * np.eye(3)[PREDICTED]

of_scores = pytest.mark.parametrize(
    "metric",
    [
        metrics.accuracy,
        metrics.balanced_accuracy,
        metrics.confusion_matrix,
        metrics.f1,
        metrics.negative_log_likelihood,
        metrics.top_k_accuracy,
        metrics.count_correct,
    ],
)


class TestOrder:
    def test_rows_are_the_first_argument_and_columns_the_second(self):
        expected = [[1, 0, 0], [0, 2, 0], [0, 1, 0]]
        np.testing.assert_array_equal(metrics.confusion_matrix(TRUE, PREDICTED), expected)
        np.testing.assert_array_equal(metrics.confusion_matrix(y_true=TRUE, y_pred=SCORES), expected)

    @of_scores
    def test_scores_in_the_first_place_are_refused(self, metric):
        with pytest.raises(InputError, match="y_true comes first"):
            metric(SCORES, TRUE)

    @pytest.mark.parametrize("labels", [TRUE[:2] % 2, TRUE[:2, np.newaxis] % 2])
    def test_one_score_in_the_first_place_is_refused(self, labels):
        for metric in (metrics.roc_auc, metrics.roc_curve, metrics.average_precision):
            with pytest.raises(InputError, match="y_true comes first"):
                metric(np.array([0.3, -2.0]), labels)
        for metric in (calibration.reliability_bins, metrics.brier_score, metrics.log_loss):
            with pytest.raises(InputError, match=r"comes first|class labels must be integers"):
                metric(np.array([0.3, 0.6]), labels)

    def test_probabilities_in_the_first_place_are_refused(self):
        p = softmax(SCORES)
        for metric in (calibration.expected_calibration_error, metrics.brier_score, metrics.log_loss):
            with pytest.raises(InputError, match="y_true comes first"):
                metric(p, TRUE)
        with pytest.raises(InputError, match="scores come first, then labels"):
            calibration.TemperatureScaling().fit(TRUE, SCORES)


class TestOneColumn:
    SCORES = np.array([[5.0], [3.0], [-2.0], [0.5]])
    LABELS = np.array([0, 1, 0, 1])
    # Two scores of which the second says the same: class 1 where it is above 0.
    TWO = np.hstack([np.zeros((4, 1)), SCORES])

    def test_a_positive_score_is_class_1(self):
        assert metrics.accuracy([0, 0], [[5.0], [3.0]]) == 0
        assert metrics.accuracy([1, 1], [[5.0], [3.0]]) == 1
        assert metrics.accuracy(self.LABELS, self.SCORES) == 0.75
        assert metrics.count_correct(self.LABELS, self.SCORES) == 3

    @pytest.mark.parametrize(
        "metric",
        [
            metrics.accuracy,
            metrics.f1,
            metrics.confusion_matrix,
            metrics.negative_log_likelihood,
            metrics.cohen_kappa,
        ],
    )
    def test_it_says_what_two_scores_say(self, metric):
        for labels in (self.LABELS, self.LABELS[:, np.newaxis], self.LABELS.astype(float)):
            np.testing.assert_array_equal(metric(labels, self.SCORES), metric(self.LABELS, self.TWO))

    @pytest.mark.parametrize(
        "metric",
        [
            calibration.expected_calibration_error,
            metrics.brier_score,
            metrics.log_loss,
            metrics.roc_auc,
            metrics.average_precision,
        ],
    )
    def test_probabilities_of_one_column_are_those_of_the_positive_class(self, metric):
        p = sigmoid(self.SCORES)
        assert metric(self.LABELS, p) == metric(self.LABELS, p[:, 0]) == metric(self.LABELS[:, np.newaxis], p)

    def test_classwise_calibration_takes_one_column_as_two(self):
        p, two = sigmoid(self.SCORES), softmax(self.TWO)
        for error in (calibration.static_calibration_error, calibration.adaptive_calibration_error):
            assert error(self.LABELS, p) == pytest.approx(error(self.LABELS, two), abs=1e-15)

    def test_temperature(self):
        labels = np.array([0, 1, 0, 1, 0, 0])
        s = np.array([[5.0], [3.0], [-2.0], [0.5], [-4.0], [-1.0]])
        one = calibration.TemperatureScaling().fit(s, labels)
        two = calibration.TemperatureScaling().fit(np.hstack([np.zeros_like(s), s]), labels)
        assert one.temperature == two.temperature
        np.testing.assert_allclose(one.predict_proba(s)[:, 0], two.predict_proba(np.hstack([0 * s, s]))[:, 1])

    def test_numbers_that_may_be_scores_or_probabilities_are_refused(self):
        with pytest.raises(InputError, match=r"may be scores, .* or probabilities"):
            metrics.accuracy([0, 1], [[0.2], [0.7]])
        assert metrics.accuracy([1, 1], [[0.6], [0.7]]) == 1  # both readings agree
        with pytest.raises(InputError, match=r"p > 0\.5, scores by s > 0"):
            metrics.accuracy([0, 1], [0.2, 0.7])

    def test_labels_of_three_classes_are_refused(self):
        with pytest.raises(InputError, match="from 0 to 1 for 2 scores, got 2"):
            metrics.accuracy([0, 1, 2, 0], self.SCORES)


class TestOneHot:
    @pytest.mark.parametrize("kind", [np.int64, np.uint8, bool])
    def test_rows_of_integers_are_the_classes_they_mark(self, kind):
        true, predicted = np.eye(3, dtype=kind)[TRUE], np.eye(3, dtype=kind)[PREDICTED]
        for y in (TRUE, true):
            for p in (PREDICTED, predicted, SCORES):
                assert metrics.accuracy(y, p) == 0.75
        assert metrics.negative_log_likelihood(true, SCORES) == metrics.negative_log_likelihood(TRUE, SCORES)
        assert metrics.top_k_accuracy(true, SCORES, 1) == 0.75

    def test_answers_that_are_no_rows_of_one_class_are_refused(self):
        true, several = np.eye(3, dtype=int)[TRUE], np.ones((4, 3), int)
        with pytest.raises(InputError, match=r"not all of them one-hot.*argmax\(axis=1\).*ravel"):
            metrics.accuracy(true, several)

    def test_columns_of_classes(self):
        for y in (TRUE, TRUE[:, np.newaxis], TRUE.astype(float)):
            for p in (PREDICTED, PREDICTED[:, np.newaxis]):
                assert metrics.accuracy(y, p) == 0.75


class TestNames:
    NAMES = np.array(["cat", "dog", "cow"])

    def test_names_are_compared_with_names(self):
        assert metrics.accuracy(self.NAMES[TRUE], self.NAMES[PREDICTED]) == 0.75
        assert metrics.accuracy(list(self.NAMES[TRUE]), self.NAMES.astype(object)[PREDICTED]) == 0.75
        # In sorted order: cat, cow, dog. The cow was called a dog.
        C = metrics.confusion_matrix(self.NAMES[TRUE], self.NAMES[PREDICTED])
        np.testing.assert_array_equal(C, [[1, 0, 0], [0, 0, 1], [0, 0, 2]])
        assert metrics.classification_report(self.NAMES[TRUE], self.NAMES[PREDICTED]).class_names == (
            "cat", "cow", "dog",
        )  # fmt: skip

    def test_names_and_scores_are_refused(self):
        for predicted in (SCORES, PREDICTED):
            with pytest.raises(InputError, match=r"names of classes are compared with names.*dataset\.labels"):
                metrics.accuracy(self.NAMES[TRUE], predicted)


def test_masked_values_are_refused():
    masked = np.ma.masked_array(PREDICTED, [False, False, True, False])
    for arguments in ((masked, PREDICTED), (TRUE, masked), (TRUE, np.ma.masked_greater(SCORES, 2))):
        with pytest.raises(InputError, match=r"has \d+ masked entries"):
            metrics.accuracy(*arguments)
    assert metrics.accuracy(TRUE, np.ma.masked_array(PREDICTED)) == 0.75  # a mask that hides nothing


class TestImpossibleClasses:
    """A score of -inf is a class that cannot be: its probability is exactly 0."""

    S = np.array([[0.0, -np.inf, 1.0], [2.0, -np.inf, -np.inf]])

    def test_log_likelihood(self):
        # log(1 + e) and 0.
        assert metrics.negative_log_likelihood([0, 0], self.S) == pytest.approx(math.log(1 + math.e) / 2)
        assert metrics.negative_log_likelihood([0, 1], self.S) == math.inf
        assert metrics.negative_log_likelihood(np.eye(3)[[0, 0]], self.S) == pytest.approx(0.656631, abs=1e-6)

    def test_order(self):
        assert metrics.accuracy([2, 0], self.S) == 1
        assert metrics.roc_auc([0, 1, 1], [-np.inf, 0.0, 1.0]) == 1
        with pytest.raises(InputError, match="-inf for every class"):
            metrics.accuracy([0], [[-np.inf, -np.inf]])

    def test_temperature(self):
        free, S = np.array([[0.3, 1.0], [2.0, -1.0], [0.2, 0.5]]), np.full((3, 3), -np.inf)
        S[:, ::2] = free
        fitted = calibration.TemperatureScaling().fit(S, [0, 0, 2])
        assert fitted.temperature == calibration.TemperatureScaling().fit(free, [0, 0, 1]).temperature
        assert fitted.predict_proba(S)[0, 1] == 0
        with pytest.raises(InputError, match="must be finite"):
            calibration.PlattScaling().fit([-np.inf, 1.0], [0, 1])


def test_log_loss_of_a_probability_of_0_is_finite():
    # scikit-learn's convention: 0 counts as the rounding of 1.
    assert metrics.log_loss([1, 0], [[1.0, 0.0], [1.0, 0.0]]) == pytest.approx(-math.log(2**-52) / 2)


@pytest.mark.parametrize("weights", [[1, 2, 3], [1, -1, 1, 1], [0, 0, 0, 0], [1, np.nan, 1, 1]])
def test_weights_without_meaning_are_refused(weights):
    with pytest.raises(InputError, match="sample_weight"):
        metrics.accuracy(TRUE, PREDICTED, sample_weight=weights)
