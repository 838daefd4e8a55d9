"""Averages of the weights: what they are on paper, and that training does not notice them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import SGD, InputError
from mlp.optim import WeightAverage
from mlp.parameter import Parameter, ParameterVector


def make_vector(start=0.0, size: int = 1, dtype=np.float64) -> ParameterVector:
    return ParameterVector([Parameter(np.full(size, start, dtype), "w")])


def averages(average: WeightAverage, path) -> list[float]:
    """The first entry of the average after each of these weights."""
    found = []
    for w in path:
        average.parameters.data[...] = w
        average.update()
        found.append(float(average.average[0]))
    return found


def test_worked_numbers():
    # Corrected: 8, then (8/2 + 2) / (1/2 + 1) = 4, then (8/4 + 2/2 + 11) / (1/4 + 1/2 + 1) = 8.
    assert averages(WeightAverage(make_vector(), 0.5), [8, 2, 11]) == pytest.approx([8, 4, 8], rel=1e-14)
    # From the weights at the beginning, 4: (4 + 8) / 2, (6 + 2) / 2, (4 + 12) / 2.
    average = WeightAverage(make_vector(4), 0.5, bias_correction=False)
    assert averages(average, [8, 2, 12]) == pytest.approx([6, 4, 8], rel=1e-14)
    assert averages(WeightAverage(make_vector(), 0.0), [8, 2, 11]) == [8, 2, 11]


@given(path=st.lists(st.floats(-100, 100), min_size=1, max_size=20), decay=st.floats(0.5, 1))
@settings(deadline=None, max_examples=50, derandomize=True)
def test_the_corrected_average_is_numpys_weighted_mean(path, decay):
    weights = decay ** np.arange(len(path))[::-1]
    found = averages(WeightAverage(make_vector(7), decay), path)
    assert found[-1] == pytest.approx(np.average(path, weights=weights), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("bias_correction", [True, False])
def test_weights_that_do_not_change_are_their_own_average(bias_correction):
    average = WeightAverage(make_vector(3), 0.9, bias_correction)
    assert averages(average, [3] * 5) == [3] * 5


def test_before_the_first_update_it_is_the_weights_of_then():
    average = WeightAverage(make_vector(3))
    average.parameters.data[...] = 5
    assert average.average.tolist() == [3]
    average.average[...] = 9  # a copy
    assert average.average.tolist() == [3]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block", [16, 2**18])
def test_swapping_and_back_changes_no_bit_and_no_memory(dtype, block, monkeypatch):
    monkeypatch.setattr("mlp.optim.averaging.BLOCK", block)
    vector = make_vector(0, 100, dtype)
    average = WeightAverage(vector, 0.9)
    rng = np.random.default_rng(0)
    for _ in range(3):
        vector.data[...] = rng.normal(size=100)
        average.update()
    weights, mean, place = vector.data.copy(), average.average, vector.data.ctypes.data
    with average.swapped():
        np.testing.assert_array_equal(vector.data, mean, strict=True)
        assert vector.data.ctypes.data == place
    np.testing.assert_array_equal(vector.data, weights, strict=True)
    np.testing.assert_array_equal(average.average, mean, strict=True)
    assert (vector.rows[[0, 1, 3]] == 0).all()


def test_swapping_ends_with_an_error_inside():
    average = WeightAverage(make_vector(3))
    averages(average, [5, 7])
    with pytest.raises(RuntimeError, match="inside"), average.swapped():
        raise RuntimeError("inside")
    assert average.parameters.data.tolist() == [7]
    average.update()


def test_what_is_refused_while_the_average_is_in_the_parameters():
    average = WeightAverage(make_vector(3))
    state = average.state_dict()
    with average.swapped():
        for name, call in {
            "update": average.update,
            "restart": average.restart,
            "swapped": average.swapped().__enter__,
            "average": average.state_dict,
            "load_state_dict": lambda: average.load_state_dict(state),
        }.items():
            with pytest.raises(InputError, match=f"WeightAverage: {name} inside of swapped"):
                call()
    average.update()


def test_training_does_not_notice():
    vectors = [make_vector(1, 50), make_vector(1, 50)]
    optimizers = [SGD(v, lr=0.1, momentum=0.9) for v in vectors]
    average = WeightAverage(vectors[0], 0.5)
    rng = np.random.default_rng(0)
    for _ in range(5):
        g = rng.normal(size=50)
        for vector, optimizer in zip(vectors, optimizers, strict=True):
            vector.grad[...] = g
            optimizer.step()
        average.update()
        with average.swapped():
            pass
    np.testing.assert_array_equal(vectors[0].data, vectors[1].data)


@pytest.mark.parametrize("bias_correction", [True, False])
@pytest.mark.parametrize("stop", [0, 1, 4])
def test_a_run_that_was_stopped_continues_bit_for_bit(bias_correction, stop):
    path = np.random.default_rng(0).normal(size=8)
    whole, first = (WeightAverage(make_vector(2), 0.7, bias_correction) for _ in range(2))
    second = WeightAverage(make_vector(9), 0.7, bias_correction)
    expected = averages(whole, path)
    averages(first, path[:stop])
    second.load_state_dict(first.state_dict())
    assert averages(second, path[stop:]) == expected[stop:]


@pytest.mark.parametrize("bias_correction", [True, False])
def test_restarting_begins_anew_with_the_weights_of_now(bias_correction):
    average = WeightAverage(make_vector(2), 0.7, bias_correction)
    averages(average, [5, 7, 4])
    average.restart()
    assert average.average.tolist() == [4]
    fresh = WeightAverage(make_vector(4), 0.7, bias_correction)
    assert averages(average, [1, 9]) == averages(fresh, [1, 9])


def test_a_state_must_fit():
    average = WeightAverage(make_vector(3))
    for state in ({}, WeightAverage(make_vector(3, 2)).state_dict()):
        with pytest.raises(InputError, match="WeightAverage: a state with"):
            average.load_state_dict(state)
    assert average.average.tolist() == [3]


def test_refuses():
    for decay in (-0.1, 1.1, "slow"):
        with pytest.raises(
            InputError, match=f"WeightAverage: decay must be a finite number from 0 to 1, got {decay!r}"
        ):
            WeightAverage(make_vector(), decay)
    with pytest.raises(InputError, match="WeightAverage: decay must be below 1 without bias_correction"):
        WeightAverage(make_vector(), 1, bias_correction=False)
    with pytest.raises(InputError, match="no parameters"):
        WeightAverage([])


def test_repr():
    assert repr(WeightAverage(make_vector())) == "WeightAverage(decay=0.999)"
    average = WeightAverage(make_vector(), 0.9, bias_correction=False)
    assert repr(average) == "WeightAverage(decay=0.9, bias_correction=False)"
