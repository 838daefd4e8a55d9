"""Learning rates that change while training: a schedule is a pure function of the step, counted from 0.

    schedule = warmup(cosine(0.1, steps=9_000), steps=1_000)
    optimizer.lr = schedule(step)

Because it remembers nothing, a run that is resumed at some step goes on as if it had never stopped.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from inspect import signature
from itertools import pairwise
from typing import Any

from mlp.checks import InputError, check_integer, check_number, check_positive
from mlp.registry import Registry

Schedule = Callable[[int], float]

SCHEDULES: Registry[Schedule] = Registry("schedule")


def register_schedule(name: str) -> Callable[[Callable[..., Schedule]], Callable[..., Schedule]]:
    """Decorator that lets a configuration name this schedule (upper and lower case are one).

    The function takes the learning rate ``lr`` and, if the schedule has an end, the number of ``steps`` to it.
    """
    return SCHEDULES.register(name)


@register_schedule("constant")
def constant(lr: float) -> Schedule:
    """η(t) = lr. Raises ``InputError`` for lr < 0."""
    lr = check_number("constant: lr", lr, 0)
    return lambda step: lr


@register_schedule("step_decay")
def step_decay(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """η(t) = lr · factor^⌊t / every⌋: every so many steps the rate is multiplied by ``factor``.

    Raises ``InputError`` for lr < 0, every < 1 or factor outside [0, 1].
    """
    lr = check_number("step_decay: lr", lr, 0)
    every = check_integer("step_decay: every", every, 1)
    factor = check_number("step_decay: factor", factor, 0, 1)
    return lambda step: lr * factor ** (step // every)


@register_schedule("multi_step")
def multi_step(lr: float, milestones: Sequence[int], factor: float = 0.1) -> Schedule:
    """η(t) = lr · factor^(the number of milestones ≤ t): steps at which the rate is multiplied by ``factor``.

    Raises ``InputError`` for lr < 0, factor outside [0, 1], or milestones that are not increasing steps ≥ 1.
    """
    lr = check_number("multi_step: lr", lr, 0)
    factor = check_number("multi_step: factor", factor, 0, 1)
    steps = [check_integer("multi_step: a milestone", m, 1) for m in milestones]
    if any(a >= b for a, b in pairwise(steps)):
        raise InputError(f"multi_step: milestones must increase, got {steps}")
    return lambda step: lr * factor ** bisect_right(steps, step)


@register_schedule("exponential")
def exponential(lr: float, factor: float) -> Schedule:
    """η(t) = lr · factor^t. Raises ``InputError`` for lr < 0 or factor outside [0, 1]."""
    lr = check_number("exponential: lr", lr, 0)
    factor = check_number("exponential: factor", factor, 0, 1)
    return lambda step: lr * factor**step


@register_schedule("inverse_time")
def inverse_time(lr: float, decay: float) -> Schedule:
    """η(t) = lr / (1 + decay · t). It falls as 1/t in the end, so that Σ η = ∞ and Σ η² < ∞.

    Raises ``InputError`` for lr < 0 or decay < 0.

    Robbins & Monro, "A stochastic approximation method", 1951.
    """
    lr = check_number("inverse_time: lr", lr, 0)
    decay = check_number("inverse_time: decay", decay, 0)
    return lambda step: lr / (1 + decay * step)


@register_schedule("inverse_sqrt")
def inverse_sqrt(lr: float, decay: float) -> Schedule:
    """η(t) = lr / √(1 + decay · t).

    After ``warmup`` over n steps, decay = 1/n gives lr √(n/t): the schedule of Vaswani et al., "Attention is all
    you need", NIPS 2017. Raises ``InputError`` for lr < 0 or decay < 0.
    """
    lr = check_number("inverse_sqrt: lr", lr, 0)
    decay = check_number("inverse_sqrt: decay", decay, 0)
    return lambda step: lr / math.sqrt(1 + decay * step)


@register_schedule("linear")
def linear(lr: float, steps: int, end: float = 0.0) -> Schedule:
    """A straight line from lr at step 0 to ``end`` at step ``steps``; constant from there on.

    Raises ``InputError`` for lr < 0, end < 0 or steps < 1.
    """
    lr, end = check_number("linear: lr", lr, 0), check_number("linear: end", end, 0)
    steps = check_integer("linear: steps", steps, 1)
    return lambda step: lr + (end - lr) * min(step / steps, 1)


@register_schedule("polynomial")
def polynomial(lr: float, steps: int, power: float = 1.0, end: float = 0.0) -> Schedule:
    """η(t) = end + (lr - end) (1 - t / steps)^power, then constant; power 1 is ``linear``, 2 falls early.

    Raises ``InputError`` for lr < 0, end < 0, power < 0 or steps < 1.
    """
    lr, end = check_number("polynomial: lr", lr, 0), check_number("polynomial: end", end, 0)
    power = check_number("polynomial: power", power, 0)
    steps = check_integer("polynomial: steps", steps, 1)
    return lambda step: end + (lr - end) * (1 - min(step / steps, 1)) ** power


@register_schedule("cosine")
def cosine(lr: float, steps: int, end: float = 0.0) -> Schedule:
    """Half a cosine wave from lr to ``end``: η(t) = end + ½ (lr - end) (1 + cos(π t / steps)), then constant.

    Raises ``InputError`` for lr < 0, end < 0 or steps < 1.

    Loshchilov & Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017; without the restarts.
    """
    lr, end = check_number("cosine: lr", lr, 0), check_number("cosine: end", end, 0)
    steps = check_integer("cosine: steps", steps, 1)
    return lambda step: _half_cosine(lr, end, step / steps)


@register_schedule("cosine_restarts")
def cosine_restarts(lr: float, period: int, growth: int = 1, end: float = 0.0) -> Schedule:
    """``cosine`` over ``period`` steps, then from lr again, each time ``growth`` times as long as before.

    Raises ``InputError`` for lr < 0, end < 0, period < 1 or growth < 1. Loshchilov & Hutter, ICLR 2017 (SGDR).
    """
    lr, end = check_number("cosine_restarts: lr", lr, 0), check_number("cosine_restarts: end", end, 0)
    first = check_integer("cosine_restarts: period", period, 1)
    growth = check_integer("cosine_restarts: growth", growth, 1)

    def schedule(step: int) -> float:
        length = first
        while step >= length and growth > 1:
            step, length = step - length, length * growth
        return _half_cosine(lr, end, step % length / length)

    return schedule


@register_schedule("one_cycle")
def one_cycle(
    lr: float, steps: int, pct_start: float = 0.3, div_factor: float = 25.0, final_div_factor: float = 1e4
) -> Schedule:
    """Up and down once: half a cosine wave from lr/div_factor up to lr, then one down to where it began
    divided by final_div_factor.

    The peak stands at pct_start · steps - 1 and the end at the last step, steps - 1; constant from there on.
    Names and form are those of PyTorch's OneCycleLR (its momentum stays as it is here).

    Raises ``InputError`` for lr < 0, steps < 2, pct_start outside [0, 1] or a divisor of 0 or less.

    Smith, "A disciplined approach to neural network hyper-parameters, part 1", arXiv:1803.09820, 2018.
    """
    lr = check_number("one_cycle: lr", lr, 0)
    start = lr / check_positive("one_cycle: div_factor", div_factor)
    end = start / check_positive("one_cycle: final_div_factor", final_div_factor)
    last = check_integer("one_cycle: steps", steps, 2) - 1
    peak = check_number("one_cycle: pct_start", pct_start, 0, 1) * steps - 1

    def schedule(step: int) -> float:
        if step < peak:
            return _half_cosine(start, lr, step / peak)
        return _half_cosine(lr, end, (step - peak) / (last - peak)) if peak < last else lr

    return schedule


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * min(progress, 1)))


def sequential(schedules: Sequence[Schedule], milestones: Sequence[int]) -> Schedule:
    """One schedule after the other: ``schedules[i + 1]`` takes over at step ``milestones[i]`` and counts from 0.

    Raises ``InputError`` unless there is one milestone between each two schedules, in increasing order.
    """
    schedules, milestones = tuple(schedules), [check_integer("sequential: a milestone", m, 1) for m in milestones]
    if len(schedules) != len(milestones) + 1 or any(a >= b for a, b in pairwise(milestones)):
        raise InputError(
            f"sequential: {len(schedules)} schedules need one increasing milestone less, got {milestones}"
        )
    starts = [0, *milestones]

    def schedule(step: int) -> float:
        i = bisect_right(milestones, step)
        return schedules[i](step - starts[i])

    return schedule


def warmup(schedule: Schedule, steps: int) -> Schedule:
    """``schedule``, after so many steps in which the rate rises linearly to where it begins:

        η(t) = schedule(0) · (t + 1) / (steps + 1)   for t < steps,   then schedule(t - steps)

    No step is wasted on a rate of 0. Raises ``InputError`` for steps < 0.

    Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", arXiv:1706.02677, 2017.
    """
    if check_integer("warmup: steps", steps, 0) == 0:
        return schedule
    peak = schedule(0)
    return sequential([linear(peak / (steps + 1), steps, end=peak), schedule], [steps])


def make_schedule(name: str, lr: float, total_steps: int, *, warmup_steps: int = 0, **options: Any) -> Schedule:
    """The schedule registered under ``name`` for ``total_steps`` steps, the first ``warmup_steps`` of them warm-up.

    ``options`` are those of the schedule. One that takes the number of ``steps`` to its end is given those after
    the warm-up, unless the options name another number.

    Raises ``InputError`` for an unknown name or option, a warm-up that leaves no steps, and whatever the schedule
    refuses.
    """
    name = SCHEDULES.known(name)
    total_steps = check_integer("make_schedule: total_steps", total_steps, 1)
    if check_integer("make_schedule: warmup_steps", warmup_steps, 0) >= total_steps:
        raise InputError(f"make_schedule: {warmup_steps} warm-up steps leave none of {total_steps}")
    if "steps" in signature(SCHEDULES[name]).parameters:
        options = {"steps": total_steps - warmup_steps, **options}
    return warmup(SCHEDULES.make(name, lr, **options), warmup_steps)
