"""Limits to the gradient: lengths, directions, and gradients that have neither."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlp import InputError
from mlp.optim import clip_by_norm, clip_by_value
from mlp.parameter import Parameter, ParameterVector

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def with_gradient(values, dtype=np.float64) -> ParameterVector:
    """Two parameters, or one, with these gradients."""
    values = np.asarray(values, dtype)
    parts = np.split(values, [len(values) // 2]) if len(values) > 1 else [values]
    vector = ParameterVector(Parameter(np.ones_like(part)) for part in parts)
    vector.grad[...] = values
    return vector


@each_dtype
def test_worked_numbers(dtype):
    vector = with_gradient([3, 0, -4, 0], dtype)
    assert clip_by_norm(vector, 1) == 5
    np.testing.assert_allclose(vector.grad, np.array([0.6, 0, -0.8, 0], dtype), rtol=1e-6)
    assert vector.grad.dtype == dtype
    vector = with_gradient([3, 0.5, -4, -0.5], dtype)
    clip_by_value(vector, 1)
    np.testing.assert_array_equal(vector.grad, np.array([1, 0.5, -1, -0.5], dtype))
    np.testing.assert_array_equal(vector.data, np.ones(4))


@pytest.mark.parametrize("limit", [5, 5.0001, 1e300])
def test_a_gradient_within_the_limit_is_not_touched(limit):
    vector = with_gradient([3, 4])
    assert clip_by_norm(vector, limit) == 5
    assert vector.grad.tolist() == [3, 4]


def test_limit_zero_clears():
    vector = with_gradient([3, 4])
    assert clip_by_norm(vector, 0) == 5
    assert vector.grad.tolist() == [0, 0]
    assert clip_by_norm(vector, 0) == 0


gradients = hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e6, 1e6))
limits = st.floats(1e-3, 1e6)


@given(g=gradients, limit=limits)
@settings(deadline=None, max_examples=100, derandomize=True)
def test_the_norm_never_grows_and_the_direction_stays(g, limit):
    vector = with_gradient(g)
    before = clip_by_norm(vector, limit)
    after = np.linalg.norm(vector.grad)
    assert before == pytest.approx(np.linalg.norm(g), rel=1e-12)
    assert after <= min(before, limit) * (1 + 1e-12)
    assert after == pytest.approx(min(before, limit), rel=1e-12)
    assert (np.abs(vector.grad) <= np.abs(g)).all()
    np.testing.assert_allclose(vector.grad * before, g * after, rtol=1e-9, atol=1e-300)


@given(g=gradients, limit=limits)
@settings(deadline=None, max_examples=50, derandomize=True)
def test_clipping_values_twice_is_clipping_once(g, limit):
    vector = with_gradient(g)
    clip_by_value(vector, limit)
    once = vector.grad.copy()
    assert (np.abs(once) <= limit).all()
    np.testing.assert_array_equal(once[np.abs(g) <= limit], g[np.abs(g) <= limit])
    np.testing.assert_array_equal(np.sign(once), np.sign(g))
    clip_by_value(vector, limit)
    np.testing.assert_array_equal(vector.grad, once)


def test_parameters_that_no_backward_pass_reached_count_as_zero():
    vector = with_gradient([30, 40, 3, 4])
    vector.zero_grad()
    list(vector)[1].accumulate(np.multiply, np.ones(2), np.array([3.0, 4.0]))
    assert clip_by_norm(vector, 1) == 5
    np.testing.assert_allclose(vector.grad, [0, 0, 0.6, 0.8])


@each_dtype
@pytest.mark.parametrize(
    ("entry", "norm"), [(math.nan, math.nan), (math.inf, math.inf), (-math.inf, math.inf)], ids=str
)
def test_a_gradient_that_is_not_finite_is_left_alone_and_reported(dtype, entry, norm):
    vector = with_gradient([1, entry, 3], dtype)
    np.testing.assert_equal(clip_by_norm(vector, 1), norm)
    np.testing.assert_array_equal(vector.grad, np.array([1, entry, 3], dtype))
    clip_by_value(vector, 2)
    np.testing.assert_array_equal(vector.grad, np.array([1, np.clip(entry, -2, 2), 2], dtype))


@pytest.mark.parametrize(("dtype", "huge"), [(np.float32, 1e30), (np.float64, 1e200)])
@pytest.mark.parametrize("signs", [(1, 1), (-1, -1), (1, -1)])
def test_a_gradient_whose_squares_are_too_large_is_clipped_all_the_same(dtype, huge, signs):
    vector = with_gradient([3 * huge * signs[0], 4 * huge * signs[1]], dtype)
    assert clip_by_norm(vector, 1) == pytest.approx(5 * huge, rel=1e-6)
    np.testing.assert_allclose(vector.grad, [0.6 * signs[0], 0.8 * signs[1]], rtol=1e-6)


@pytest.mark.parametrize("clip", [clip_by_norm, clip_by_value])
def test_refuses(clip):
    for limit in (-1, math.nan, math.inf, "1"):
        with pytest.raises(InputError, match=f"{clip.__name__}: limit must be a finite number >= 0, got {limit!r}"):
            clip(with_gradient([1, 2]), limit)
    with pytest.raises(InputError, match=r"parameters must be those of a network \(network.parameters\)"):
        clip([np.zeros(2)], 1)
