"""One table of metrics, one contract: what each takes, what it refuses, and what must not change its value."""

import numpy as np
import pytest

from mlp import calibration, metrics
from mlp.checks import InputError
from mlp.functional import softmax

N, K = 60, 4

# Functions of (..., K) numbers and labels, all of which are happy with probabilities.
METRICS = {
    "accuracy": metrics.accuracy,
    "balanced_accuracy": metrics.balanced_accuracy,
    "classification_report": lambda y, s: metrics.classification_report(y, s).f1,
    "confusion_matrix": metrics.confusion_matrix,
    "f1": metrics.f1,
    "precision": metrics.precision,
    "recall": metrics.recall,
    "top_k_accuracy": lambda y, s: metrics.top_k_accuracy(y, s, 2),
    "brier_score": metrics.brier_score,
    "cohen_kappa": metrics.cohen_kappa,
    "log_loss": metrics.log_loss,
    "matthews_corrcoef": metrics.matthews_corrcoef,
    "negative_log_likelihood": metrics.negative_log_likelihood,
    "roc_auc": metrics.roc_auc,
    "adaptive_calibration_error": calibration.adaptive_calibration_error,
    "average_calibration_error": calibration.average_calibration_error,
    "expected_calibration_error": calibration.expected_calibration_error,
    "maximum_calibration_error": calibration.maximum_calibration_error,
    "reliability_bins": lambda y, s: calibration.reliability_bins(y, s).counts,
    "static_calibration_error": calibration.static_calibration_error,
}
# Those that refuse rows that are no distributions.
OF_PROBABILITIES = [
    n for n in METRICS if n in ("brier_score", "log_loss", "roc_auc") or "calibration" in n or "bins" in n
]
# Functions of one score for each sample, and metrics that a network does without.
OTHERS = {"RocCurve", "ClassificationReport", "roc_curve", "auc", "count_correct", "PrecisionRecallCurve"}
OTHERS |= {"precision_recall_curve", "average_precision"}
OTHERS |= {"ReliabilityBins", "TemperatureScaling", "PlattScaling"}
OF_NUMBERS = {"mean_squared_error", "mean_absolute_error", "r2_score"}
SOFT_TARGETS = {"brier_score", "log_loss", "negative_log_likelihood"}

each_metric = pytest.mark.parametrize("name", METRICS)


@pytest.fixture
def probabilities():
    return softmax(np.random.default_rng(0).normal(size=(N, K)) * 2)


@pytest.fixture
def labels():
    return np.random.default_rng(1).integers(0, K, N)


def test_the_table_is_complete():
    assert set(METRICS) | OTHERS | OF_NUMBERS == {*metrics.__all__, *calibration.__all__}


@each_metric
class TestEveryMetric:
    def test_does_not_depend_on_the_order_of_the_samples(self, name, probabilities, labels):
        # Few different values, so that there are ties to get wrong.
        coarse = np.round(probabilities * 4) + 1
        coarse /= coarse.sum(axis=1, keepdims=True)
        expected = METRICS[name](labels, coarse)
        for seed in range(5):
            order = np.random.default_rng(seed).permutation(N)
            np.testing.assert_allclose(METRICS[name](labels[order], coarse[order]), expected, rtol=1e-12)

    def test_leading_axes_are_samples(self, name, probabilities, labels):
        folded = METRICS[name](labels.reshape(3, 4, 5), probabilities.reshape(3, 4, 5, K))
        np.testing.assert_array_equal(folded, METRICS[name](labels, probabilities))

    def test_lists_and_other_types_of_integers(self, name, probabilities, labels):
        expected = METRICS[name](labels, probabilities)
        np.testing.assert_array_equal(METRICS[name](labels.tolist(), probabilities.tolist()), expected)
        np.testing.assert_array_equal(METRICS[name](labels.astype(np.uint8), probabilities), expected)

    def test_float32_gives_nearly_the_same(self, name, probabilities, labels):
        actual = METRICS[name](labels, probabilities.astype(np.float32))
        np.testing.assert_allclose(actual, METRICS[name](labels, probabilities), rtol=1e-5)

    def test_soft_labels(self, name, probabilities, labels):
        one_hot = np.eye(K)[labels]
        expected = METRICS[name](labels, probabilities)
        np.testing.assert_allclose(METRICS[name](one_hot, probabilities), expected, rtol=1e-15)
        # The largest entry counts, except where the whole distribution does.
        smoothed = 0.7 * one_hot + 0.3 / K
        is_same = np.array_equal(METRICS[name](smoothed, probabilities), expected)
        assert is_same == (name not in SOFT_TARGETS)

    def test_arguments_are_not_changed(self, name, probabilities, labels):
        p, y = probabilities.copy(), labels.copy()
        p.flags.writeable = y.flags.writeable = False
        METRICS[name](y, p)

    @pytest.mark.parametrize(
        ("shape", "label_shape"), [((0, K), (0,)), ((N, K), (N - 1,)), ((N, K), (N, 2)), ((N, 0), (N,)), ((), ())]
    )
    def test_refuses_no_samples_and_shapes_that_do_not_fit(self, name, shape, label_shape):
        with pytest.raises(InputError) as error:
            METRICS[name](np.zeros(label_shape, int), np.full(shape, 1 / K))
        assert f"got {label_shape} and {shape}" in str(error.value)

    def test_refuses_labels_that_are_no_classes(self, name, probabilities, labels):
        for wrong in (-1, K):
            with pytest.raises(InputError, match=f"from 0 to {K - 1} for {K} scores, got {wrong}"):
                METRICS[name](np.where(np.arange(N) == 7, wrong, labels), probabilities)
        with pytest.raises(InputError, match=r"class labels must be integers from 0 to 3, got float64 0\.5"):
            METRICS[name](np.where(np.arange(N) == 7, 0.5, labels), probabilities)

    @pytest.mark.parametrize("wrong", [np.nan, np.inf])
    def test_refuses_numbers_that_are_not_finite(self, name, probabilities, labels, wrong):
        probabilities[3, 2] = wrong
        with pytest.raises(InputError, match=f"must be finite, got {wrong}"):
            METRICS[name](labels, probabilities)

    @pytest.mark.parametrize("wrong", [[[1j, 0]], [[None, 1]], [[1.0], [1.0, 2.0]]])
    def test_refuses_what_is_no_array_of_numbers(self, name, wrong):
        with pytest.raises(InputError, match=r"must be real numbers|do not form an array"):
            METRICS[name]([0] * len(wrong), wrong)

    def test_refuses_soft_labels_that_are_no_distributions(self, name, probabilities):
        with pytest.raises(InputError, match="y_true must not be negative, got -1"):
            METRICS[name](np.full((N, K), -1.0), probabilities)
        with pytest.raises(
            InputError, match=r"each row of y_true must sum to 1, row 0 sums to 4; .* y_true comes first"
        ):
            METRICS[name](np.ones((N, K)), probabilities)
        with pytest.raises(InputError, match="one-hot rows or distributions, but these integers are neither"):
            METRICS[name](np.full((N, K), 2), probabilities)


@pytest.mark.parametrize("name", OF_PROBABILITIES)
def test_metrics_of_probabilities_refuse_scores(name, labels):
    with pytest.raises(InputError, match=r"row of y_proba must sum to 1, row 5 sums to 1\.01; .*softmax"):
        METRICS[name](labels, np.full((N, K), 1 / K) * np.where(np.arange(N) == 5, 1.01, 1)[:, np.newaxis])
    with pytest.raises(InputError, match=r"y_proba must not be negative, got -0\.5"):
        METRICS[name](labels, np.tile([1.0, 0.5, -0.5, 0.0], (N, 1)))


@pytest.mark.parametrize("name", sorted(set(METRICS) - set(OF_PROBABILITIES)))
def test_other_metrics_take_scores(name, labels):
    scores = np.random.default_rng(3).normal(size=(N, K)) * 100
    assert np.isfinite(METRICS[name](labels, scores)).all()


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "confusion_matrix", "f1", "precision", "recall"])
def test_predictions_must_be_classes(name):
    metric = getattr(metrics, name)
    with pytest.raises(InputError, match="must be classes, integers, got float64"):
        metric([0, 1], np.array([0.0, 1.0]))
    with pytest.raises(InputError, match=r"got \(0,\) and \(0,\)"):
        metric(np.zeros(0, int), np.zeros(0, int))
    with pytest.raises(InputError, match="integers from 0 to 1 for 2 scores, got -1"):
        metric([0, 1], [0, -1])
    if name in ("accuracy", "balanced_accuracy"):
        return
    with pytest.raises(InputError, match="integers from 0 to 1 for 2 scores, got 2"):
        metric([0, 1], [0, 2], num_classes=2)
    with pytest.raises(InputError, match="num_classes must be an integer of at least 1, got 0"):
        metric([0, 1], [0, 2], num_classes=0)
    with pytest.raises(InputError, match="num_classes is 2, but there are 3 scores"):
        metric([0, 1, 2], np.eye(3), num_classes=2)
