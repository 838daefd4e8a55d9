"""The rate that falls when progress stops, value by value."""

import math

import numpy as np
import pytest

from mlp import InputError
from mlp.optim import ReduceOnPlateau


def factors(plateau: ReduceOnPlateau, values) -> list[float]:
    return [plateau.update(value) for value in values]


@pytest.mark.parametrize(
    ("options", "values", "expected"),
    [
        # Two bad values are borne, the third halves.
        ({"patience": 2}, [5, 4, 4, 4, 4, 4, 4, 4], [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25]),
        ({"patience": 0}, [5, 6, 4, 4], [1, 0.5, 0.5, 0.25]),
        ({"patience": 0, "mode": "max"}, [5, 6, 4, 7], [1, 1, 0.5, 0.5]),
        # Better by less than a tenth is no better.
        ({"patience": 0, "threshold": 0.1}, [10, 9.5, 8.9], [1, 0.5, 0.5]),
        ({"patience": 0, "threshold": 0.1, "mode": "max"}, [10, 10.5, 11.1], [1, 0.5, 0.5]),
        ({"patience": 0, "threshold": 1, "relative": False}, [10, 9.5, 8.9], [1, 0.5, 0.5]),
        ({"patience": 0, "threshold": 1, "relative": False, "mode": "max"}, [10, 10.5, 11.1], [1, 0.5, 0.5]),
        # Two values after a cut are not counted.
        ({"patience": 0, "cooldown": 2}, [5, 5, 5, 5, 5], [1, 0.5, 0.5, 0.5, 0.25]),
        ({"patience": 0, "min_factor": 0.4}, [5, 5, 5, 5], [1, 0.5, 0.4, 0.4]),
        ({"patience": 1}, [math.nan, math.nan, 5, 6], [1, 0.5, 0.5, 0.5]),
        ({"patience": 0}, [math.inf, 5, math.nan, 4], [0.5, 0.5, 0.25, 0.25]),
    ],
)
def test_worked_numbers(options, values, expected):
    assert factors(ReduceOnPlateau(factor=0.5, **options), values) == expected


@pytest.mark.parametrize("stop", range(10))
def test_a_run_that_was_stopped_continues(stop):
    values = [5, 4, 4, 4, 3, 3, 3, 3, 3, 3]
    whole, first, second = (ReduceOnPlateau(factor=0.3, patience=1, cooldown=1) for _ in range(3))
    expected = factors(whole, values)
    factors(first, values[:stop])
    second.load_state_dict(first.state_dict())
    assert factors(second, values[stop:]) == expected[stop:]


@pytest.mark.parametrize(
    "state", [{}, {"best": np.array(1.0)}, {"current": [1], "best": 1, "bad": 1, "resting": 1}]
)
def test_a_state_must_fit(state):
    with pytest.raises(InputError, match="ReduceOnPlateau: a state with"):
        ReduceOnPlateau().load_state_dict(state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "least"}, "ReduceOnPlateau: mode must be 'min' or 'max', got 'least'"),
        ({"factor": 2}, "ReduceOnPlateau: factor must be a finite number from 0 to 1, got 2"),
        ({"patience": -1}, "ReduceOnPlateau: patience must be an integer of at least 0, got -1"),
        ({"cooldown": 1.5}, "ReduceOnPlateau: cooldown must be an integer of at least 0, got 1.5"),
        ({"threshold": -1}, "ReduceOnPlateau: threshold must be a finite number >= 0, got -1"),
        ({"min_factor": 3}, "ReduceOnPlateau: min_factor must be a finite number from 0 to 1, got 3"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(InputError) as error:
        ReduceOnPlateau(**options)
    assert str(error.value) == message
