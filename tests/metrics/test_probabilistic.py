"""Brier score and negative log-likelihood: worked numbers, extremes, and what makes them proper."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp.checks import InputError
from mlp.functional import softmax
from mlp.losses import CrossEntropyLoss
from mlp.metrics import brier_score, negative_log_likelihood

many = settings(deadline=None, max_examples=50, derandomize=True)
distributions = st.lists(st.integers(1, 20), min_size=3, max_size=3).map(lambda n: np.array(n) / sum(n))


class TestBrier:
    P = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3]])
    # Label 0: 0.3² + 0.2² + 0.1² = 0.14. Label 2: 0.2² + 0.5² + 0.7² = 0.78.

    def test_sum_over_the_classes(self):
        assert brier_score([0, 2], self.P) == pytest.approx((0.14 + 0.78) / 2)
        assert brier_score([0, 2], self.P, scale_by_half=True) == pytest.approx((0.14 + 0.78) / 4)
        assert brier_score([0, 1, 2], np.eye(3)) == 0
        assert brier_score([1, 2, 0], np.eye(3)) == 2  # the worst there is
        assert brier_score([0, 1, 2, 3, 0], np.full((5, 4), 1 / 4)) == pytest.approx(1 - 1 / 4)

    def test_probabilities_of_the_positive_class(self):
        # 0.2² and 0.6²
        assert brier_score([1, 0], [0.8, 0.6]) == pytest.approx((0.04 + 0.36) / 2)
        assert brier_score([True, False], [0.8, 0.6]) == pytest.approx(0.2)
        assert brier_score([1, 0], [0.8, 0.6], scale_by_half=False) == pytest.approx(0.4)
        assert brier_score([1, 0], [[0.2, 0.8], [0.4, 0.6]]) == pytest.approx(0.4)
        assert brier_score([1, 0], [[0.2, 0.8], [0.4, 0.6]], scale_by_half=True) == pytest.approx(0.2)
        assert brier_score([1, 1], [1, 0]) == 0.5  # hard answers

    def test_distributions_as_labels(self):
        assert brier_score(self.P, self.P) == 0
        # (0.7 - 0.5)² + (0.2 - 0.5)² + 0.1²
        assert brier_score(np.array([[0.5, 0.5, 0.0]]), self.P[:1]) == pytest.approx(0.14)

    def test_refuses_what_is_no_probability(self):
        for wrong in (1.2, -0.2):
            with pytest.raises(InputError, match=f"brier_score: probabilities must be from 0 to 1, got {wrong}"):
                brier_score([1, 0], [0.5, wrong])
        with pytest.raises(InputError, match=r"got \(0,\) and \(0,\)"):
            brier_score(np.zeros(0, int), np.zeros(0))


class TestNegativeLogLikelihood:
    def test_worked_numbers(self):
        assert negative_log_likelihood(np.arange(7), np.zeros((7, 10))) == pytest.approx(math.log(10))
        # Probabilities 1/5, 4/5 and 1/2, 1/2.
        scores = np.array([[0.0, math.log(4)], [3.0, 3.0]])
        assert negative_log_likelihood([0, 1], scores) == pytest.approx((math.log(5) + math.log(2)) / 2)
        assert negative_log_likelihood([1, 1], scores) == pytest.approx((math.log(5 / 4) + math.log(2)) / 2)

    def test_distributions_as_labels(self):
        scores = np.log([[0.25, 0.75]])
        expected = -(0.5 * math.log(0.25) + 0.5 * math.log(0.75))
        assert negative_log_likelihood(np.array([[0.5, 0.5]]), scores) == pytest.approx(expected)

    def test_no_probability_is_rounded_to_0(self):
        assert negative_log_likelihood([1], np.array([[1e5, 0.0]])) == 1e5
        assert negative_log_likelihood([1], np.array([[1e200, 0.0]])) == 1e200
        # A probability of 1 - e^-40, which float64 rounds to 1.
        assert negative_log_likelihood([0], np.array([[40.0, 0.0]])) == pytest.approx(math.exp(-40), abs=1e-16)

    def test_float32_scores_are_added_in_float64(self):
        scores = np.random.default_rng(0).normal(size=(1000, 5)).astype(np.float32)
        labels = np.arange(1000) % 5
        exact = negative_log_likelihood(labels, scores.astype(np.float64))
        assert negative_log_likelihood(labels, scores) == exact

    def test_is_the_cross_entropy_loss(self):
        scores = np.random.default_rng(0).normal(size=(30, 5)) * 3
        labels = np.arange(30) % 5
        assert negative_log_likelihood(labels, scores) == pytest.approx(
            CrossEntropyLoss()(scores, labels), rel=1e-12
        )


@given(truth=distributions, answer=distributions)
@many
def test_both_are_proper_no_answer_is_better_than_the_truth(truth, answer):
    """For labels drawn from a distribution, the mean score is least if one answers with it."""
    y, p, q = truth[np.newaxis], answer[np.newaxis], truth[np.newaxis]
    assert negative_log_likelihood(y, np.log(q)) <= negative_log_likelihood(y, np.log(p)) + 1e-12
    # The Brier score of labels, weighted with their probabilities.
    mean = [sum(w * brier_score([k], r) for k, w in enumerate(truth)) for r in (q, p)]
    assert mean[0] <= mean[1] + 1e-12


@given(shift=st.integers(-1000, 1000))
@many
def test_a_constant_in_a_row_of_scores_changes_nothing(shift):
    scores = np.array([[1.0, -2.0, 5.0]])
    assert negative_log_likelihood([1], scores + shift) == pytest.approx(negative_log_likelihood([1], scores))
    assert brier_score([1], softmax(scores + shift)) == pytest.approx(brier_score([1], softmax(scores)))
