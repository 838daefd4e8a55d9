"""Stable mathematics against the standard library, worked numbers, and what must hold for every input."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlp.checks import InputError
from mlp.functional import (
    check_labels,
    erf,
    erfc,
    log_sigmoid,
    log_softmax,
    logsumexp,
    normal_cdf,
    normal_pdf,
    one_hot,
    relu,
    sigmoid,
    softmax,
    softplus,
)

ELEMENTWISE = [erf, erfc, log_sigmoid, normal_cdf, normal_pdf, relu, sigmoid, softplus]
FUNCTIONS = [*ELEMENTWISE, log_softmax, logsumexp, softmax]

each_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)

# Rows of whole numbers: adding one whole number to all of them is exact in float64.
rows = st.lists(st.integers(-1000, 1000), min_size=1, max_size=8)


@each_function
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept_and_the_argument_unchanged(function, dtype):
    x = np.linspace(-3, 3, 12, dtype=dtype).reshape(3, 4)
    kept = x.copy()
    y = function(x)
    assert y.dtype == dtype
    assert y.shape == ((3,) if function is logsumexp else (3, 4))
    np.testing.assert_array_equal(x, kept)


@each_function
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e4), (np.float32, 1e37), (np.float64, 1e300)])
def test_huge_arguments_give_finite_values_without_a_warning(function, dtype, size):
    assert np.isfinite(function(np.array([[size, -size, 0, 1]], dtype))).all()


@each_function
def test_an_empty_batch_stays_empty(function):
    assert function(np.zeros((0, 4))).size == 0


GRID = np.concatenate([np.linspace(-6, 6, 24_001), np.linspace(-1.001, 1.001, 2003), [0.0, -0.0, 1e-300, 5e-324]])


def test_erf_agrees_with_the_standard_library():
    expected = np.array([math.erf(x) for x in GRID])
    np.testing.assert_allclose(erf(GRID), expected, rtol=7e-16, atol=0)
    np.testing.assert_array_equal(np.signbit(erf(GRID)), np.signbit(GRID))


def test_erfc_agrees_with_the_standard_library_even_where_it_is_tiny():
    x = np.linspace(-6, 26, 32_001)
    np.testing.assert_allclose(erfc(x), [math.erfc(v) for v in x], rtol=1e-13, atol=0)
    np.testing.assert_allclose(erfc(GRID), [math.erfc(v) for v in GRID], rtol=1e-13, atol=0)


def test_erf_and_erfc_in_float32():
    x = GRID.astype(np.float32)
    np.testing.assert_allclose(erf(x), [math.erf(v) for v in x], rtol=5e-7, atol=0)
    np.testing.assert_allclose(erfc(x), [math.erfc(v) for v in x], rtol=5e-6, atol=1e-30)


def test_normal_distribution_agrees_with_the_standard_library():
    x = np.linspace(-5, 8, 2001)
    normal = NormalDist()
    np.testing.assert_allclose(normal_pdf(x), [normal.pdf(v) for v in x], rtol=1e-14)
    np.testing.assert_allclose(normal_cdf(x), [normal.cdf(v) for v in x], rtol=0, atol=5e-16)
    # The table at the end of every statistics book; the last one is the probability of "five sigma".
    assert normal_cdf(np.array([1.0, 1.959963984540054])) == pytest.approx([0.8413447460685429, 0.975], abs=1e-15)
    assert normal_cdf(np.array([-5.0])) == pytest.approx([2.8665157187919391e-07], rel=1e-13, abs=0)


def test_sigmoid_worked_numbers():
    # s(ln 3) = 1 / (1 + 1/3) = 3/4, and s(-ln 3) = 1 / (1 + 3) = 1/4.
    x = np.log([1.0, 3, 1 / 3, 999])
    np.testing.assert_allclose(sigmoid(x), [0.5, 0.75, 0.25, 0.999], rtol=1e-15)


@given(st.floats(-1e300, 1e300))
def test_sigmoid_is_symmetric_about_one_half(x):
    both = sigmoid(np.array([x, -x]))
    assert 0 <= both.min() <= both.max() <= 1
    assert both.sum() == pytest.approx(1, abs=2e-16)


@pytest.mark.parametrize("function", ELEMENTWISE, ids=lambda f: f.__name__)
def test_single_numbers_and_whole_ones_are_taken_too(function):
    assert function(0.5) == function(np.array([0.5]))[0]
    np.testing.assert_array_equal(function(np.array([-1, 2])), function(np.array([-1.0, 2.0])))


def test_relu_worked_numbers():
    assert relu(np.array([-2, -0.0, 0, 1e-300, 3])).tolist() == [0, 0, 0, 1e-300, 3]


def test_softplus_worked_numbers():
    # log(1 + e^x) at ln 3 is ln 4, at -ln 3 it is ln(4/3); the difference is x.
    x = np.log([3, 1 / 3])
    np.testing.assert_allclose(softplus(x), np.log([4, 4 / 3]), rtol=1e-15)
    # With beta = 2: log(1 + 9) / 2 and log(1 + 1/9) / 2.
    np.testing.assert_allclose(softplus(x, beta=2), np.log([10, 10 / 9]) / 2, rtol=1e-15)
    # Far to the left it is e^x, far to the right x.
    np.testing.assert_array_equal(softplus(np.array([-700.0, 700.0])), [math.exp(-700), 700])


@given(st.floats(-1e300, 1e300), st.sampled_from([1e-6, 0.5, 1, 3, 1e6]))
def test_softplus_lies_between_relu_and_log_2_over_beta_above_it(x, beta):
    excess = softplus(np.array([x]), beta) - relu(np.array([x]))
    assert (excess >= 0).all()
    assert (excess <= math.log(2) / beta * (1 + 1e-15)).all()


def test_log_sigmoid_is_finite_where_the_logarithm_of_sigmoid_is_not():
    x = np.array([-1000.0, 0, np.log(3), 50])
    # log(1 / (1 + e^1000)) = -1000; at ln 3 it is log(3/4); at 50 it is -e^-50.
    np.testing.assert_allclose(log_sigmoid(x), [-1000, -math.log(2), math.log(0.75), -math.exp(-50)], rtol=1e-15)


def test_scipy_agrees():
    special = pytest.importorskip("scipy.special", reason="SciPy is the oracle of this test and is not installed")
    x = np.concatenate([GRID, np.linspace(-37, 37, 2001)])
    np.testing.assert_allclose(sigmoid(x), special.expit(x), rtol=0, atol=3e-16)  # two units of numbers near 1
    np.testing.assert_allclose(log_sigmoid(x), special.log_expit(x), rtol=1e-14, atol=0)
    np.testing.assert_allclose(softplus(x), -special.log_expit(-x), rtol=1e-14, atol=0)
    np.testing.assert_allclose(normal_cdf(x), special.ndtr(x), rtol=1e-12, atol=0)
    np.testing.assert_allclose(erf(x), special.erf(x), rtol=1e-15, atol=0)
    scores = np.random.default_rng(0).normal(0, 30, size=(20, 7))
    for ours in (softmax, log_softmax, logsumexp):
        theirs = getattr(special, ours.__name__)
        np.testing.assert_allclose(ours(scores), theirs(scores, axis=-1), rtol=1e-13, atol=1e-15)


def test_softmax_family_worked_numbers():
    # Scores ln 1, ln 2, ln 5: the exponentials are 1, 2, 5 and their sum is 8.
    scores = np.log([[1.0, 2, 5], [5, 2, 1]])
    np.testing.assert_allclose(softmax(scores), [[1 / 8, 2 / 8, 5 / 8], [5 / 8, 2 / 8, 1 / 8]], rtol=1e-15)
    np.testing.assert_allclose(logsumexp(scores), [math.log(8)] * 2, rtol=1e-15)
    np.testing.assert_allclose(log_softmax(scores)[0], np.log([1 / 8, 2 / 8, 5 / 8]), rtol=1e-15)


def test_log_softmax_is_finite_where_the_logarithm_of_softmax_is_not():
    np.testing.assert_array_equal(log_softmax(np.array([0.0, -2000.0])), [0, -2000])


@given(rows, st.integers(-(10**9), 10**9))
def test_a_shift_of_all_scores_changes_no_probability(row, shift):
    scores = np.array(row, np.float64)
    np.testing.assert_array_equal(softmax(scores + shift), softmax(scores))
    np.testing.assert_array_equal(log_softmax(scores + shift), log_softmax(scores))
    # The sum shift + logsumexp is rounded, to a relative 2^-53 of numbers up to 1e9 here.
    np.testing.assert_allclose(logsumexp(scores + shift), logsumexp(scores) + shift, rtol=1e-15, atol=5e-13)


@given(rows)
def test_softmax_is_a_distribution_in_the_order_of_the_scores(row):
    p = softmax(np.array(row, np.float64))
    assert p.sum() == pytest.approx(1, abs=1e-15)
    assert (np.diff(p[np.argsort(row)]) >= 0).all()


@given(rows)
def test_logsumexp_lies_between_the_maximum_and_log_k_above_it(row):
    scores = np.array(row, np.float64)
    excess = logsumexp(scores) - scores.max()
    assert 0 <= excess <= math.log(len(row)) + 1e-12


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_hot(dtype):
    expected = np.array([[[0, 0, 1], [1, 0, 0]]], dtype)
    np.testing.assert_array_equal(one_hot(np.array([[2, 0]]), 3, dtype), expected, strict=True)
    assert one_hot(np.zeros(0, int), 3).shape == (0, 3)
    assert one_hot(np.int64(1), 3).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3], r"from 0 to 2 for 3 scores, got 3"),
        ([0, -1], r"from 0 to 2 for 3 scores, got -1"),
        (-7, r"got -7"),
        ([0.0, 0.5], r"must be integers from 0 to 2, got float64 0.5"),
        ([1, 2, 3], r"got 3; labels that count from 1 are given as labels - 1"),
        (["one"], r"got <U3"),
        (np.array([300], np.uint16), r"got 300"),
    ],
)
def test_one_hot_refuses_what_is_not_a_label(labels, message):
    with pytest.raises(InputError, match=message):
        one_hot(np.asarray(labels), 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64, ">i4"])
def test_labels_of_every_integer_type_are_indices(dtype):
    labels = check_labels(np.array([[2, 9], [9, 0], [1, 1]], dtype)[::2, :1], 3)
    assert labels.dtype == np.intp
    assert labels.tolist() == [[2], [1]]
