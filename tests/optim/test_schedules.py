"""Learning rates step by step on paper, and what holds for every schedule."""

import inspect
import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import InputError
from mlp.optim import (
    SCHEDULES,
    constant,
    cosine,
    exponential,
    inverse_sqrt,
    inverse_time,
    linear,
    make_schedule,
    one_cycle,
    register_schedule,
    sequential,
    step_decay,
    warmup,
)
from mlp.registry import Registry


def rates(schedule, steps) -> list[float]:
    return [schedule(step) for step in steps]


TABLE = {
    "constant": (constant(0.1), {0: 0.1, 10**9: 0.1}),
    "step decay": (step_decay(8.0, every=3, factor=0.5), {0: 8, 2: 8, 3: 4, 5: 4, 6: 2, 300: 8 / 2**100}),
    "step decay to 0": (step_decay(8.0, every=3, factor=0), {0: 8, 2: 8, 3: 0}),
    "exponential": (exponential(8.0, 0.5), {0: 8, 1: 4, 3: 1}),
    "inverse time": (inverse_time(1.0, decay=0.25), {0: 1, 4: 0.5, 12: 0.25}),
    "inverse sqrt": (inverse_sqrt(1.0, decay=0.25), {0: 1, 12: 0.5, 60: 0.25}),
    "linear": (linear(1.0, steps=4), {0: 1, 1: 0.75, 3: 0.25, 4: 0, 99: 0}),
    "linear upwards": (linear(0.0, steps=4, end=2), {0: 0, 1: 0.5, 4: 2, 99: 2}),
    # Half a cosine: 3/4 of the height after a third of the way, as cos 60° = 1/2.
    "cosine": (cosine(1.0, steps=6), {0: 1, 2: 0.75, 3: 0.5, 4: 0.25, 6: 0, 99: 0}),
    "cosine to": (cosine(1.0, steps=6, end=0.2), {0: 1, 2: 0.8, 3: 0.6, 6: 0.2, 99: 0.2}),
    # From 1/4 up to 1 at step 0.5 · 10 - 1 = 4, half-way at 2; down to 1/8 at step 9.
    "one cycle": (
        one_cycle(1.0, steps=10, pct_start=0.5, div_factor=4, final_div_factor=2),
        {0: 0.25, 2: 0.625, 4: 1, 9: 0.125, 99: 0.125},
    ),
    # A peak at or before the first step is a descent from there: cos at 1/4 and 2/4 of the way.
    "one cycle, no rise": (
        one_cycle(1.0, steps=4, pct_start=0.25, div_factor=4, final_div_factor=2),
        {0: 1, 1: 0.125 + 0.875 * 0.75, 3: 0.125},
    ),
    "one cycle, no fall": (one_cycle(1.0, steps=3, pct_start=1, div_factor=4), {0: 0.25, 1: 0.625, 2: 1, 9: 1}),
    "one cycle of two": (
        one_cycle(1.0, steps=2, pct_start=0.5, div_factor=4, final_div_factor=2),
        {0: 1, 1: 0.125},
    ),
    "warmup": (warmup(constant(1.0), 3), {0: 0.25, 1: 0.5, 2: 0.75, 3: 1, 4: 1}),
    "warmup, linear": (warmup(linear(1.0, 4), 3), {0: 0.25, 2: 0.75, 3: 1, 4: 0.75, 7: 0}),
    "warmup of none": (warmup(linear(1.0, 4), 0), {0: 1, 4: 0}),
    "one after the other": (
        sequential([constant(1.0), exponential(8.0, 0.5), constant(0.0)], [2, 4]),
        {0: 1, 1: 1, 2: 8, 3: 4, 4: 0, 99: 0},
    ),
    "nested": (
        sequential([warmup(constant(1.0), 1), cosine(3.0, 2)], [3]),
        {0: 0.5, 1: 1, 2: 1, 3: 3, 4: 1.5, 5: 0},
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_worked_numbers(name):
    schedule, expected = TABLE[name]
    assert rates(schedule, expected) == pytest.approx(list(expected.values()), rel=1e-14, abs=1e-15)


@pytest.mark.parametrize("name", TABLE)
def test_a_schedule_remembers_nothing(name):
    schedule, _ = TABLE[name]
    forwards = rates(schedule, range(20))
    assert rates(schedule, reversed(range(20))) == forwards[::-1]
    assert all(math.isfinite(rate) and rate >= 0 for rate in forwards)


@given(lr=st.floats(1e-6, 10), steps=st.integers(2, 500), end=st.floats(0, 10))
@settings(deadline=None, max_examples=50, derandomize=True)
def test_linear_and_cosine_stay_between_their_ends_and_never_turn(lr, steps, end):
    for make in (linear, cosine):
        path = rates(make(lr, steps, end=end), range(steps + 2))
        assert path[0] == pytest.approx(lr)
        assert path[-2] == path[-1] == pytest.approx(end, abs=1e-12)
        changes = [b - a for a, b in pairwise(path)]
        assert all(change * (end - lr) >= -1e-12 for change in changes)
        # Symmetric about the middle.
        assert path[: steps + 1] == pytest.approx([lr + end - rate for rate in path[steps::-1]], abs=1e-12)


@given(steps=st.integers(2, 300), warm=st.integers(1, 50))
@settings(deadline=None, max_examples=50, derandomize=True)
def test_warmup_rises_in_equal_steps_and_then_leaves_the_schedule_alone(steps, warm):
    schedule = cosine(0.3, steps)
    warmed = warmup(schedule, warm)
    path = rates(warmed, range(warm + 1))
    assert path == pytest.approx([0.3 * (i + 1) / (warm + 1) for i in range(warm + 1)])
    assert rates(warmed, range(warm, warm + steps)) == rates(schedule, range(steps))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cosine(0.1, 0), "cosine: steps must be an integer of at least 1, got 0"),
        (lambda: cosine(0.1, None), "cosine: steps must be an integer of at least 1, got None"),
        (lambda: linear(0.1, 2.5), "linear: steps must be an integer of at least 1, got 2.5"),
        (lambda: one_cycle(0.1, 1), "one_cycle: steps must be an integer of at least 2, got 1"),
        (lambda: step_decay(0.1, 0), "step_decay: every must be an integer of at least 1, got 0"),
        (lambda: step_decay(0.1, 5, 1.5), "step_decay: factor must be a finite number from 0 to 1, got 1.5"),
        (lambda: exponential(0.1, -1), "exponential: factor must be a finite number from 0 to 1, got -1"),
        (lambda: inverse_time(0.1, -1), "inverse_time: decay must be a finite number >= 0, got -1"),
        (lambda: inverse_sqrt(0.1, "slow"), "inverse_sqrt: decay must be a finite number >= 0, got 'slow'"),
        (lambda: constant(-0.1), "constant: lr must be a finite number >= 0, got -0.1"),
        (lambda: cosine(math.nan, 5), "cosine: lr must be a finite number >= 0, got nan"),
        (lambda: cosine(0.1, 5, end=-1), "cosine: end must be a finite number >= 0, got -1"),
        (
            lambda: one_cycle(0.1, 5, pct_start=30),
            "one_cycle: pct_start must be a finite number from 0 to 1, got 30",
        ),
        (lambda: one_cycle(0.1, 5, div_factor=0), "one_cycle: div_factor must be a finite number above 0, got 0"),
        (lambda: warmup(constant(0.1), -1), "warmup: steps must be an integer of at least 0, got -1"),
        (
            lambda: sequential([constant(0.1)], [5]),
            "sequential: 1 schedules need one increasing milestone less, got [5]",
        ),
        (
            lambda: sequential([constant(0.1)] * 3, [5, 5]),
            "sequential: 3 schedules need one increasing milestone less, got [5, 5]",
        ),
        (
            lambda: sequential([constant(0.1)] * 2, [0]),
            "sequential: a milestone must be an integer of at least 1, got 0",
        ),
    ],
)
def test_refuses(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message


# What cannot be left out.
OPTIONS = {
    "step_decay": {"every": 5},
    "exponential": {"factor": 0.9},
    "inverse_time": {"decay": 0.1},
    "inverse_sqrt": {"decay": 0.1},
    "multi_step": {"milestones": [3, 11]},
    "cosine_restarts": {"period": 7},
}


class TestRegistry:
    @pytest.mark.parametrize("name", SCHEDULES)
    def test_each_is_made_by_name(self, name):
        schedule = make_schedule(name, 0.5, 20, **OPTIONS.get(name, {}))
        extra = {"steps": 20} if "steps" in inspect.signature(SCHEDULES[name]).parameters else {}
        same = SCHEDULES[name](0.5, **extra, **OPTIONS.get(name, {}))
        assert rates(schedule, range(25)) == rates(same, range(25))

    def test_an_end_is_reached_after_the_warm_up_and_the_rest(self):
        schedule = make_schedule("Cosine", 1.0, 10, warmup_steps=4, end=0.5)
        assert rates(schedule, [0, 3, 4, 7, 10]) == pytest.approx([0.2, 0.8, 1, 0.75, 0.5])

    def test_steps_can_be_given(self):
        assert make_schedule("linear", 1.0, 100, steps=2)(1) == 0.5

    def test_an_unknown_name(self):
        with pytest.raises(InputError) as error:
            make_schedule("cosinus", 0.1, 10)
        assert str(error.value) == (
            "unknown schedule 'cosinus'; did you mean cosine? There are: constant, cosine, cosine_restarts, "
            "exponential, inverse_sqrt, inverse_time, linear, multi_step, one_cycle, polynomial, step_decay"
        )

    @pytest.mark.parametrize(
        ("name", "total", "options", "message"),
        [
            ("cosine", 10, {"ends": 1}, "cosine: got an unexpected keyword argument 'ends'; options: steps, end"),
            ("constant", 10, {"end": 1}, "constant: got an unexpected keyword argument 'end'; options: none"),
            ("step_decay", 10, {}, "step_decay: missing a required argument: 'every'; options: every, factor"),
            ("cosine", 0, {}, "make_schedule: total_steps must be an integer of at least 1, got 0"),
            ("cosine", 10, {"warmup_steps": 10}, "make_schedule: 10 warm-up steps leave none of 10"),
            (
                "cosine",
                10,
                {"warmup_steps": -1},
                "make_schedule: warmup_steps must be an integer of at least 0, got -1",
            ),
            ("one_cycle", 1, {}, "one_cycle: steps must be an integer of at least 2, got 1"),
        ],
    )
    def test_what_cannot_be_made(self, name, total, options, message):
        with pytest.raises(InputError) as error:
            make_schedule(name, 0.1, total, **options)
        assert str(error.value) == message

    def test_a_new_one(self, monkeypatch):
        monkeypatch.setattr("mlp.optim.schedules.SCHEDULES", Registry("schedule"))

        @register_schedule("halves")
        def halves(lr: float, steps: int):
            return lambda step: lr if 2 * step < steps else lr / 2

        assert rates(make_schedule("Halves", 1.0, 5, warmup_steps=1), range(5)) == [0.5, 1, 1, 0.5, 0.5]
