"""ROC curves drawn by hand, and the area as the chance that a positive sample scores higher."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp.checks import InputError
from mlp.functional import softmax
from mlp.metrics import auc, roc_auc, roc_curve

# Sorted: 0.9 +, 0.8 -, then a tie of + and - at 0.5, then 0.1 -. Two positives, three negatives.
SCORES = np.array([0.5, 0.1, 0.9, 0.5, 0.8])
LABELS = np.array([1, 0, 1, 0, 0])

many = settings(deadline=None, max_examples=50, derandomize=True)


@st.composite
def binary_samples(draw):
    """Scores with many ties, and labels of both classes."""
    labels = [0, 1, *draw(st.lists(st.integers(0, 1), max_size=20))]
    scores = draw(st.lists(st.integers(-3, 3), min_size=len(labels), max_size=len(labels)))
    return np.array(scores, float), np.array(labels)


class TestRocCurve:
    def test_worked_example(self):
        curve = roc_curve(LABELS, SCORES)
        # Nothing; 0.9; 0.8; both at 0.5 in one step; 0.1.
        np.testing.assert_allclose(curve.true_positive_rate, [0, 1 / 2, 1 / 2, 1, 1])
        np.testing.assert_allclose(curve.false_positive_rate, [0, 0, 1 / 3, 2 / 3, 1])
        np.testing.assert_array_equal(curve.thresholds, [np.inf, 0.9, 0.8, 0.5, 0.1])

    def test_equal_scores_are_one_step(self):
        fpr, tpr, thresholds = roc_curve([0, 1, 0, 1, 1, 1], np.full(6, 2.5))
        assert (fpr.tolist(), tpr.tolist(), thresholds.tolist()) == ([0, 1], [0, 1], [np.inf, 2.5])

    @given(samples=binary_samples())
    @many
    def test_it_rises_from_0_0_to_1_1_and_each_point_is_its_threshold(self, samples):
        scores, labels = samples
        curve = roc_curve(labels, scores)
        for rate in curve[:2]:
            assert (rate[0], rate[-1]) == (0, 1)
            assert (np.diff(rate) >= 0).all()
        assert (np.diff(curve.thresholds) < 0).all()
        for fpr, tpr, threshold in zip(*curve, strict=True):
            assert tpr == np.mean(scores[labels == 1] >= threshold)
            assert fpr == np.mean(scores[labels == 0] >= threshold)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_thresholds_have_the_dtype_of_the_scores(self, dtype):
        assert roc_curve(LABELS, SCORES.astype(dtype)).thresholds.dtype == dtype

    def test_takes_lists_booleans_and_whole_numbers(self):
        expected = roc_curve(np.array([1, 0, 0]), np.array([3.0, 1.0, 2.0]))
        for scores in ([3, 1, 2], np.array([3, 1, 2], np.uint8)):
            for labels in ([True, False, False], [1, 0, 0]):
                for a, b in zip(roc_curve(labels, scores), expected, strict=True):
                    np.testing.assert_array_equal(a, b)

    def test_huge_scores(self):
        curve = roc_curve([1, 0, 1, 0], np.array([1e308, -1e308, 5e-324, 0]))
        np.testing.assert_array_equal(curve.true_positive_rate, [0, 0.5, 1, 1, 1])

    @pytest.mark.parametrize("function", [roc_curve, roc_auc])
    def test_refuses_what_has_no_curve(self, function):
        with pytest.raises(InputError, match="needs samples of both classes, got 3 positive and 0 negative"):
            function([1, 1, 1], SCORES[:3])
        with pytest.raises(InputError, match="needs samples of both classes, got 0 positive and 3 negative"):
            function([0, 0, 0], SCORES[:3])
        with pytest.raises(InputError, match="from 0 to 1 for 2 scores, got 2"):
            function(LABELS * 2, SCORES)
        with pytest.raises(InputError, match=r"got \(0,\) and \(0,\)"):
            function(np.zeros(0, int), np.zeros(0))
        with pytest.raises(InputError, match=r"got \(4,\) and \(5,\)"):
            function(LABELS[:4], SCORES)
        with pytest.raises(InputError, match="must be finite, got nan"):
            function(LABELS, np.where(LABELS, np.nan, SCORES))


class TestAuc:
    def test_trapezoids(self):
        assert auc([0, 1, 3], [0, 2, 4]) == 1 + 6
        assert auc([0, 0, 1], [0, 1, 1]) == 1

    def test_refuses_what_is_no_line(self):
        with pytest.raises(InputError, match="x must not decrease"):
            auc([0, 1, 0.5], [0, 0, 0])
        for x, y in (([0], [0]), ([0, 1], [0, 1, 2]), ([[0, 1]], [[0, 1]])):
            with pytest.raises(InputError, match="n at least 2"):
                auc(x, y)


class TestRocAuc:
    def test_worked_example(self):
        # Pairs: 0.9 beats all three negatives; 0.5 beats 0.1, ties with 0.5, loses to 0.8. (3 + 1.5) of 6.
        assert roc_auc(LABELS, SCORES) == pytest.approx(4.5 / 6)
        curve = roc_curve(LABELS, SCORES)
        assert auc(curve.false_positive_rate, curve.true_positive_rate) == pytest.approx(4.5 / 6)

    @given(samples=binary_samples())
    @many
    def test_is_the_share_of_pairs_won_where_ties_are_half_a_win(self, samples):
        """The statistic of Mann and Whitney, pair by pair."""
        scores, labels = samples
        positive, negative = scores[labels == 1], scores[labels == 0]
        won = [1.0 if p > n else 0.5 if p == n else 0.0 for p in positive for n in negative]
        assert roc_auc(labels, scores) == pytest.approx(sum(won) / len(won), abs=1e-12)

    @given(samples=binary_samples())
    @many
    def test_only_the_order_counts(self, samples):
        scores, labels = samples
        area = roc_auc(labels, scores)
        assert roc_auc(labels, scores**3 + 100) == area
        assert roc_auc(labels, -scores) == pytest.approx(1 - area, abs=1e-12)
        assert roc_auc(1 - labels, scores) == pytest.approx(1 - area, abs=1e-12)

    def test_agrees_with_scipy(self):
        stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle of this test and is not installed")
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 2, 500)
        scores = np.round(rng.normal(size=500) + labels, 1)
        u = stats.mannwhitneyu(scores[labels == 1], scores[labels == 0]).statistic
        expected = u / (labels.sum() * (1 - labels).sum())
        assert roc_auc(labels, scores) == pytest.approx(expected, abs=1e-12)

    def test_one_class_against_the_rest(self):
        p = np.array([[0.6, 0.2, 0.2], [0.3, 0.4, 0.3], [0.5, 0.1, 0.4], [0.2, 0.7, 0.1]])
        labels = np.array([0, 0, 2, 1])
        # Class 0: 0.6 and 0.3 against 0.5 and 0.2: 3 of 4 pairs. Class 1: 0.7 beats all. Class 2: so does 0.4.
        np.testing.assert_allclose(roc_auc(labels, p, average=None), [3 / 4, 1, 1])
        assert roc_auc(labels, p) == pytest.approx((3 / 4 + 1 + 1) / 3)
        assert roc_auc(labels, p, average="weighted") == pytest.approx((2 * 3 / 4 + 1 + 1) / 4)
        assert type(roc_auc(labels, p)) is float

    def test_two_columns_say_the_same_as_one(self):
        scores = np.random.default_rng(0).normal(size=(50, 2))
        labels = np.arange(50) % 2
        areas = roc_auc(labels, softmax(scores), average=None)
        np.testing.assert_allclose(areas, roc_auc(labels, scores[:, 1] - scores[:, 0]), rtol=1e-12)

    def test_refuses_classes_without_samples_and_unknown_averages(self):
        p = np.full((4, 3), 1 / 3)
        with pytest.raises(InputError, match="samples of every class, there are none of class 1"):
            roc_auc([0, 0, 2, 2], p)
        with pytest.raises(InputError, match="needs samples of both classes, got 0 positive"):
            roc_auc([0, 0, 0, 0], np.ones((4, 1)))
        with pytest.raises(InputError, match="average must be one of None, macro, weighted, got 'micro'"):
            roc_auc([0, 1, 2, 2], p, average="micro")
