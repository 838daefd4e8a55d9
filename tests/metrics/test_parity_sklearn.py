"""The same numbers as scikit-learn, to 1e-10."""

import math

import numpy as np
import pytest

from mlp import metrics
from mlp.functional import softmax

sk = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the oracle of these tests and is not installed")

N = 400


class Case:
    """Scores over K classes of a network that is right now and then; the last ``unseen`` have no samples."""

    def __init__(self, K: int, unseen: int = 0, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.K = K
        self.labels = rng.integers(0, K - unseen, N)
        self.scores = rng.normal(size=(N, K)) * 1.5
        self.scores[np.arange(N), self.labels] += 1
        # Coarse, so that there are ties between samples; and one class that nobody predicts.
        self.scores = np.round(self.scores, 1)
        self.scores[:, 1] -= 50
        self.predicted = self.scores.argmax(axis=1)
        self.p = softmax(self.scores)


CASES = {"2 classes": Case(2), "5 classes": Case(5), "5 classes, 1 unseen": Case(5, unseen=1), "10": Case(10)}
AVERAGES = [None, "macro", "micro", "weighted"]


def close(actual, expected) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-10)


@pytest.fixture(params=CASES)
def case(request) -> Case:
    return CASES[request.param]


def test_accuracy(case):
    close(metrics.accuracy(case.labels, case.scores), sk.accuracy_score(case.labels, case.predicted))


@pytest.mark.parametrize("normalize", [None, "true", "pred", "all"])
def test_confusion_matrix(case, normalize):
    expected = sk.confusion_matrix(case.labels, case.predicted, labels=range(case.K), normalize=normalize)
    close(metrics.confusion_matrix(case.labels, case.scores, normalize=normalize), expected)


@pytest.mark.parametrize("zero_division", [0.0, 1.0, math.nan])
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (metrics.precision, sk.precision_score),
        (metrics.recall, sk.recall_score),
        (metrics.f1, sk.f1_score),
    ],
)
def test_precision_recall_f1(case, ours, theirs, average, zero_division):
    options = {"average": average, "zero_division": zero_division}
    expected = theirs(case.labels, case.predicted, labels=range(case.K), **options)
    close(ours(case.labels, case.scores, **options), expected)


@pytest.mark.parametrize("predicted", [[1, 1, 2], [0, 0, 2], [2, 2, 2], [1, 1, 1]])
@pytest.mark.parametrize("average", AVERAGES)
def test_classes_left_out_of_averages_one_after_the_other(predicted, average):
    options = {"average": average, "zero_division": math.nan}
    expected = sk.precision_score([0, 0, 1], predicted, labels=[0, 1, 2], **options)
    close(metrics.precision([0, 0, 1], predicted, num_classes=3, **options), expected)


def test_balanced_accuracy():
    for case in (CASES["2 classes"], CASES["5 classes"], CASES["10"]):
        expected = sk.balanced_accuracy_score(case.labels, case.predicted)
        close(metrics.balanced_accuracy(case.labels, case.scores), expected)


def test_classification_report(case):
    ours = metrics.classification_report(case.labels, case.scores)
    theirs = sk.classification_report(
        case.labels, case.predicted, labels=range(case.K), zero_division=0, output_dict=True
    )
    for k in range(case.K):
        row = theirs[str(k)]
        expected = row["precision"], row["recall"], row["f1-score"], row["support"]
        close([ours.precision[k], ours.recall[k], ours.f1[k], ours.support[k]], expected)
    for name in ("macro", "weighted"):
        row = theirs[f"{name} avg"]
        close(getattr(ours, name), [row["precision"], row["recall"], row["f1-score"]])
    close(ours.accuracy, np.mean(case.predicted == case.labels))


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_top_k_accuracy(k):
    rng = np.random.default_rng(5)
    scores, labels = rng.normal(size=(N, 5)), rng.integers(0, 5, N)  # no ties: they are ranked differently
    close(metrics.top_k_accuracy(labels, scores, k), sk.top_k_accuracy_score(labels, scores, k=k))


@pytest.mark.parametrize("decimals", [0, 1, 8])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_roc_curve(decimals, dtype):
    rng = np.random.default_rng(decimals)
    labels = rng.integers(0, 2, N)
    scores = np.round(rng.normal(size=N) + labels, decimals).astype(dtype)
    ours = metrics.roc_curve(labels, scores)
    theirs = sk.roc_curve(labels, scores, drop_intermediate=False)
    for a, b in zip(ours, theirs, strict=True):
        close(a, b)
    close(metrics.auc(*ours[:2]), sk.auc(*theirs[:2]))
    close(metrics.roc_auc(labels, scores), sk.roc_auc_score(labels, scores))


@pytest.mark.parametrize("average", [None, "macro", "weighted"])
@pytest.mark.parametrize("name", ["5 classes", "10"])
def test_roc_auc_one_against_the_rest(name, average):
    case = CASES[name]
    expected = sk.roc_auc_score(case.labels, case.p, multi_class="ovr", average=average)
    close(metrics.roc_auc(case.labels, case.p, average=average), expected)


def test_negative_log_likelihood(case):
    # scikit-learn cuts probabilities at 2e-16, which the class nobody predicts would meet.
    scores = case.scores + np.where(np.arange(case.K) == 1, 45, 0)
    expected = sk.log_loss(case.labels, softmax(scores), labels=range(case.K))
    close(metrics.negative_log_likelihood(case.labels, scores), expected)


@pytest.mark.parametrize("half", [True, False])
def test_brier_score(case, half):
    expected = sk.brier_score_loss(case.labels, case.p, labels=range(case.K), scale_by_half=half)
    close(metrics.brier_score(case.labels, case.p, scale_by_half=half), expected)
    if case.K > 2:
        expected = sk.brier_score_loss(case.labels, case.p, labels=range(case.K))
        close(metrics.brier_score(case.labels, case.p), expected)


def test_brier_score_of_the_positive_class():
    rng = np.random.default_rng(0)
    p, labels = rng.random(N), rng.integers(0, 2, N)
    close(metrics.brier_score(labels, p), sk.brier_score_loss(labels, p))
    close(metrics.brier_score(labels, p, scale_by_half=False), sk.brier_score_loss(labels, p, scale_by_half=False))


WEIGHTED = {
    "accuracy": (sk.accuracy_score, "predicted"),
    "balanced_accuracy": (sk.balanced_accuracy_score, "predicted"),
    "cohen_kappa": (sk.cohen_kappa_score, "predicted"),
    "confusion_matrix": (sk.confusion_matrix, "predicted"),
    "matthews_corrcoef": (sk.matthews_corrcoef, "predicted"),
    "log_loss": (sk.log_loss, "p"),
    "brier_score": (lambda y, p, sample_weight: sk.brier_score_loss(y, p, sample_weight=sample_weight), "p"),
    "roc_auc": (
        lambda y, p, sample_weight: sk.roc_auc_score(y, p, multi_class="ovr", sample_weight=sample_weight),
        "p",
    ),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", WEIGHTED)
def test_sample_weight(name, weighted):
    theirs, argument = WEIGHTED[name]
    for case in (CASES["5 classes"], CASES["10"]):
        weight = np.random.default_rng(1).integers(0, 4, N) / 2 if weighted else None
        expected = theirs(case.labels, getattr(case, argument), sample_weight=weight)
        close(getattr(metrics, name)(case.labels, getattr(case, argument), sample_weight=weight), expected)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(metrics.precision, sk.precision_score), (metrics.recall, sk.recall_score), (metrics.f1, sk.f1_score)],
)
def test_weighted_precision_recall_f1(ours, theirs):
    case, weight = CASES["5 classes"], np.random.default_rng(1).random(N)
    for average in AVERAGES:
        expected = theirs(case.labels, case.predicted, average=average, sample_weight=weight, zero_division=0)
        close(ours(case.labels, case.scores, average=average, sample_weight=weight), expected)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_curves_of_the_positive_class(decimals, weighted):
    rng = np.random.default_rng(decimals)
    labels = rng.integers(0, 2, N)
    scores = np.round(rng.normal(size=N) + labels, decimals)
    weight = rng.random(N) if weighted else None
    ours = metrics.precision_recall_curve(labels, scores, sample_weight=weight)
    for a, b in zip(ours, sk.precision_recall_curve(labels, scores, sample_weight=weight), strict=True):
        close(a, b)
    expected = sk.average_precision_score(labels, scores, sample_weight=weight)
    close(metrics.average_precision(labels, scores, sample_weight=weight), expected)
    close(
        metrics.roc_auc(labels, scores, sample_weight=weight),
        sk.roc_auc_score(labels, scores, sample_weight=weight),
    )


def test_matthews_and_kappa_of_answers_without_information():
    for true, predicted in (([0, 0, 1], [1, 1, 1]), ([0, 0, 1], [0, 0, 0])):
        assert metrics.matthews_corrcoef(true, predicted) == sk.matthews_corrcoef(true, predicted) == 0
        assert metrics.cohen_kappa(true, predicted) == sk.cohen_kappa_score(true, predicted) == 0


def test_log_loss_with_zeros():
    p = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    close(metrics.log_loss([0, 2, 1], p), sk.log_loss([0, 2, 1], p))
    close(metrics.log_loss([0, 1, 1], [0.0, 0.0, 1.0]), sk.log_loss([0, 1, 1], [0.0, 0.0, 1.0]))
