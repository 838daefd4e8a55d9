"""Who works when in a pipeline, predicted from a schedule or measured in a run, and how long stages are idle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mlp.checks import InputError, check_number
from mlp.parallel.pipeline.instructions import (
    Backward,
    Forward,
    Instruction,
    OptimizerStep,
    PipelineSchedule,
    ReceiveActivations,
    ReceiveGradients,
    SendActivations,
    SendGradients,
)

# One time for all parts of the network, or one for each, from the input on.
Times = float | Sequence[float]

WORK = (Forward, Backward, OptimizerStep)
RECEIVE = (ReceiveActivations, ReceiveGradients)
SEND = (SendActivations, SendGradients)


class Interval(NamedTuple):
    """What a stage did from ``start`` to ``end``, in seconds, or in whatever unit the times of a simulation had."""

    stage: int
    instruction: Instruction | OptimizerStep
    start: float
    end: float

    @property
    def length(self) -> float:
        """end - start."""
        return self.end - self.start


@dataclass(frozen=True)
class Timeline:
    """What all stages did in one step.

    A stage is busy in its passes and in the optimizer's step. All other time is idle: waiting for messages, which
    ``waiting`` counts alone, sending them, and before its first and after its last instruction.
    """

    stages: int
    intervals: tuple[Interval, ...]

    @property
    def start(self) -> float:
        """When the first stage began."""
        return min(interval.start for interval in self.intervals)

    @property
    def makespan(self) -> float:
        """From the beginning of the first stage to the end of the last."""
        return max(interval.end for interval in self.intervals) - self.start

    def time_in(self, stage: int, kinds: tuple[type, ...]) -> float:
        """How long this stage took over instructions of these kinds."""
        return sum(i.length for i in self.intervals if i.stage == stage and isinstance(i.instruction, kinds))

    def busy(self, stage: int) -> float:
        """How long this stage computed."""
        return self.time_in(stage, WORK)

    def waiting(self, stage: int) -> float:
        """How long this stage waited for activations and gradients."""
        return self.time_in(stage, RECEIVE)

    @property
    def idle_shares(self) -> tuple[float, ...]:
        """Of each stage, the part of the makespan in which it did not compute."""
        return tuple(1 - self.busy(stage) / self.makespan for stage in range(self.stages))

    @property
    def idle_share(self) -> float:
        """The same of all stages together: 1 - Σ_i busy_i / (stages · makespan)."""
        return sum(self.idle_shares) / self.stages


def simulate(
    schedule: PipelineSchedule,
    forward_time: Times = 1.0,
    backward_time: Times = 2.0,
    message_time: float = 0.0,
    step_time: float = 0.0,
) -> Timeline:
    """What happens if passes, messages (from one stage to another) and optimizer steps take so long.

    ``forward_time`` and ``backward_time`` are those of a microbatch in one part of the network: one number, or one
    for each of the ``schedule.parts`` parts, from the input on. By default a backward pass, which has two matrix
    products where the forward pass has one, takes twice as long. Sending takes the sender no time.

    Raises ``InputError`` for times below 0, and if the schedule cannot be completed, because stages wait for each
    other.
    """
    forward = part_times("simulate: forward_time", forward_time, schedule)
    backward = part_times("simulate: backward_time", backward_time, schedule)
    delay = check_number("simulate: message_time", message_time, 0)
    step = check_number("simulate: step_time", step_time, 0)
    clocks = [0.0] * schedule.stages
    done = [0] * schedule.stages
    arrivals: dict[int, float] = {}  # number of the message -> when
    intervals: list[Interval] = []

    def run(stage: int) -> None:
        """Go on until the stage has to wait for a message that has not been sent."""
        for instruction in schedule.instructions[stage][done[stage] :]:
            start = clocks[stage]
            match instruction:
                case ReceiveActivations() | ReceiveGradients():
                    number = schedule.route(stage, instruction).number
                    if number not in arrivals:
                        return
                    clocks[stage] = max(start, arrivals[number])
                case SendActivations() | SendGradients():
                    arrivals[schedule.route(stage, instruction).number] = start + delay
                case Forward(chunk=chunk):
                    clocks[stage] += forward[schedule.part(stage, chunk)]
                case Backward(chunk=chunk):
                    clocks[stage] += backward[schedule.part(stage, chunk)]
                case OptimizerStep():
                    clocks[stage] += step
            intervals.append(Interval(stage, instruction, start, clocks[stage]))
            done[stage] += 1

    lengths = [len(instructions) for instructions in schedule.instructions]
    while done != lengths:
        before = done.copy()
        for stage in range(schedule.stages):
            run(stage)
        if done == before:
            raise InputError(f"schedule {schedule.name} cannot be completed: {_waiting(schedule, done)} for ever")
    return Timeline(schedule.stages, tuple(intervals))


def _waiting(schedule: PipelineSchedule, done: list[int]) -> str:
    stages = enumerate(zip(schedule.instructions, done, strict=True))
    waiting = [f"stage {i} in {instructions[n]}" for i, (instructions, n) in stages if n < len(instructions)]
    return f"{', '.join(waiting)} would wait"


def part_times(name: str, times: Times, schedule: PipelineSchedule) -> tuple[float, ...]:
    """A time for each part of the network. Raises ``InputError`` unless there are as many, all of at least 0."""
    given = [times] * schedule.parts if isinstance(times, int | float) else list(times)
    if len(given) != schedule.parts:
        raise InputError(f"{name} must be one number, or one for each of {schedule.parts} parts, got {times!r}")
    return tuple(check_number(name, time, 0) for time in given)
