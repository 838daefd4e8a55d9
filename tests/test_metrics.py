"""Accuracy, counted by hand."""

import numpy as np
import pytest

from mlp.errors import InputError
from mlp.metrics import accuracy, count_correct

SCORES = np.array([[0.1, 0.9, 0.0], [2.0, 2.0, 1.0], [-1.0, -3.0, -2.0], [0.0, 1.0, 5.0]])
# Largest: class 1; 0, the first of two equal ones; 0; 2.
LARGEST = np.array([1, 0, 0, 2])


def test_counts_rows_whose_largest_score_is_that_of_the_label():
    assert accuracy(SCORES, LARGEST) == 1.0
    assert accuracy(SCORES, np.array([1, 1, 0, 1])) == 0.5
    assert accuracy(SCORES, np.array([0, 1, 1, 1])) == 0.0
    assert count_correct(SCORES, np.array([1, 0, 2, 2])) == 3
    assert type(count_correct(SCORES, LARGEST)) is int
    assert type(accuracy(SCORES, LARGEST)) is float


def test_takes_leading_axes_lists_and_one_row():
    assert accuracy(SCORES.reshape(2, 2, 3), LARGEST.reshape(2, 2)) == 1.0
    assert accuracy(SCORES.tolist(), LARGEST.tolist()) == 1.0
    assert accuracy(SCORES[0], 1) == 1.0


@pytest.mark.parametrize(("scores", "labels"), [(SCORES, LARGEST[:3]), (SCORES, SCORES), (SCORES[:0], LARGEST[:0])])
def test_refuses_shapes_that_do_not_fit_and_no_rows(scores, labels):
    with pytest.raises(InputError) as error:
        accuracy(scores, labels)
    assert f"got {scores.shape} and {labels.shape}" in str(error.value)
