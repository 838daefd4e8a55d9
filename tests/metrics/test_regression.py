"""Errors of numbers, worked out by hand, and the same as scikit-learn's."""

import numpy as np
import pytest

from mlp.checks import InputError
from mlp.metrics import mean_absolute_error, mean_squared_error, r2_score

ALL = (mean_squared_error, mean_absolute_error, r2_score)
Y = np.array([1.0, 2.0, 6.0])  # mean 3, squared deviations 4 + 1 + 9
P = np.array([2.0, 2.0, 4.0])  # errors 1, 0, -2


def test_worked_example():
    assert mean_squared_error(Y, P) == pytest.approx(5 / 3)
    assert mean_absolute_error(Y, P) == 1
    assert r2_score(Y, P) == pytest.approx(1 - 5 / 14)
    assert r2_score(Y, np.full(3, 3.0)) == 0


def test_weights_count_as_repetitions():
    for metric in ALL:
        assert metric(Y, P, sample_weight=[1, 2, 3]) == pytest.approx(
            metric(Y.repeat([1, 2, 3]), P.repeat([1, 2, 3]))
        )


def test_a_column_is_a_vector_and_never_a_table_of_all_pairs():
    for metric in ALL:
        assert metric(Y, P[:, np.newaxis]) == metric(Y[:, np.newaxis], P) == metric(Y, P)


@pytest.mark.parametrize("multioutput", ["uniform_average", "raw_values"])
@pytest.mark.parametrize("weighted", [False, True])
def test_parity_with_sklearn(multioutput, weighted):
    sk = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the oracle of this test")
    rng = np.random.default_rng(0)
    y, p = rng.normal(size=(2, 30, 3))
    y[:, 2] = 5  # constant: 0 for whoever misses it
    options = {"sample_weight": rng.random(30) if weighted else None, "multioutput": multioutput}
    for metric in ALL:
        expected = getattr(sk, metric.__name__)(y, p, **options)
        np.testing.assert_allclose(metric(y, p, **options), expected, rtol=1e-10)


def test_refuses_what_does_not_fit():
    for metric in ALL:
        with pytest.raises(InputError, match=r"of one shape.* got \(3,\) and \(2,\)"):
            metric(Y, P[:2])
        with pytest.raises(InputError, match="must be finite, got nan"):
            metric(Y, [0, 1, np.nan])
        with pytest.raises(InputError, match="multioutput must be one of uniform_average, raw_values, got 'mean'"):
            metric(Y, P, multioutput="mean")
    with pytest.raises(InputError, match="two samples or more"):
        r2_score([1.0], [1.0])
