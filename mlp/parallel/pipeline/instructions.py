"""What a pipeline schedule is made of: instructions to each stage, as data that can be read, tested and drawn.

The network is cut into parts, and a batch into microbatches. What a schedule says is the order in which each stage
takes its forward and backward passes; which messages go between them follows from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from mlp.checks import InputError


@dataclass(frozen=True, repr=False)
class Instruction:
    """What one stage does next, for a microbatch, in a chunk of the network: Forward(2), Backward(0, chunk=1)."""

    microbatch: int
    chunk: int = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.microbatch}{f', chunk={self.chunk}' if self.chunk else ''})"


class ReceiveActivations(Instruction):
    """Wait for this chunk's input."""


class Forward(Instruction):
    """y = f(x) for the layers f of this chunk; what they remember is kept until the Backward."""


class SendActivations(Instruction):
    """Send y to whoever has the next chunk, and go on."""


class ReceiveGradients(Instruction):
    """Wait for dL/dy."""


class Backward(Instruction):
    """dL/dx and the parameters' gradients from dL/dy, or, in the last chunk of all, from the loss of y."""


class SendGradients(Instruction):
    """Send dL/dx to whoever has the chunk before, and go on."""


@dataclass(frozen=True)
class OptimizerStep:
    """The flush: no microbatch is on its way any more, the gradients are complete, the parameters move."""


Work = Forward | Backward
Message = ReceiveActivations | SendActivations | ReceiveGradients | SendGradients


class Route(NamedTuple):
    """Where a message goes, or comes from: the other stage, and a number that is the same at both ends."""

    stage: int
    number: int


@dataclass(frozen=True)
class PipelineSchedule:
    """The order of work: ``work[i]`` are the forward and backward passes of stage i.

    The network is cut into ``stages`` · ``chunks`` parts. Stage i has the parts i, i + stages, i + 2 stages, ...:
    its chunks 0, 1, 2, ... An order of one's own is as good as those that the functions here make:

        PipelineSchedule("mine", stages=1, microbatches=1, chunks=1, work=((Forward(0), Backward(0)),))

    Raises ``InputError`` unless every stage has each microbatch forward once, and then at most once backward, in
    each of its chunks, and, for a schedule with backward passes, all of them.
    """

    name: str
    stages: int
    microbatches: int
    chunks: int
    work: tuple[tuple[Work, ...], ...]
    instructions: tuple[tuple[Instruction | OptimizerStep, ...], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.work) != self.stages:
            raise InputError(f"schedule {self.name}: {self.stages} stages need as many lists, got {len(self.work)}")
        for stage in range(self.stages):
            self._check(stage)
        object.__setattr__(self, "instructions", tuple(self._with_messages(i) for i in range(self.stages)))

    @property
    def parts(self) -> int:
        """In how many parts the network is cut."""
        return self.stages * self.chunks

    @property
    def is_training(self) -> bool:
        """Whether there are backward passes."""
        return any(isinstance(work, Backward) for work in self.work[0])

    def part(self, stage: int, chunk: int) -> int:
        """Which part of the network it is, counted from the input."""
        return chunk * self.stages + stage

    def route(self, stage: int, message: Message) -> Route:
        """Where this stage sends this message to, or receives it from."""
        part = self.part(stage, message.chunk)
        forward = isinstance(message, ReceiveActivations | SendActivations)
        to_next = isinstance(message, SendActivations | ReceiveGradients)
        border = part if to_next else part - 1  # border b lies between the parts b and b + 1
        other = (border + 1 if to_next else border) % self.stages
        return Route(other, 2 * (border * self.microbatches + message.microbatch) + (not forward))

    def in_flight(self, stage: int) -> int:
        """The most microbatches, counted in each chunk, that are forward and not yet backward at the same time.

        That is what the stage has to remember: p - i of them with 1F1B (or m, if that is less), m with GPipe.
        """
        return max(accumulate(1 if isinstance(work, Forward) else -1 for work in self.work[stage]))

    def _check(self, stage: int) -> None:
        everything = {(c, m) for c in range(self.chunks) for m in range(self.microbatches)}
        forward: set[tuple[int, int]] = set()
        backward: set[tuple[int, int]] = set()
        for work in self.work[stage]:
            key = (work.chunk, work.microbatch)
            done = forward if isinstance(work, Forward) else backward
            if key not in everything or key in done or (done is backward and key not in forward):
                raise InputError(f"schedule {self.name}: stage {stage} cannot do {work} there, or not again")
            done.add(key)
        # No backward passes at all are fine: such a schedule evaluates.
        for what, done in (("forward", forward), ("backward", backward or everything)):
            if done != everything:
                missing = sorted(everything - done)
                raise InputError(f"schedule {self.name}: stage {stage} lacks {what} (chunk, microbatch) {missing}")

    def _with_messages(self, stage: int) -> tuple[Instruction | OptimizerStep, ...]:
        """The work, each pass between the message that it needs and the one that needs it."""
        instructions: list[Instruction | OptimizerStep] = []
        for work in self.work[stage]:
            place = work.microbatch, work.chunk
            part = self.part(stage, work.chunk)
            has_part_before, has_part_after = part > 0, part < self.parts - 1
            if isinstance(work, Forward):
                instructions += [ReceiveActivations(*place)] * has_part_before
                instructions += [work]
                instructions += [SendActivations(*place)] * has_part_after
            else:
                instructions += [ReceiveGradients(*place)] * has_part_after
                instructions += [work]
                instructions += [SendGradients(*place)] * has_part_before
        return (*instructions, OptimizerStep()) if self.is_training else tuple(instructions)
