"""One batch on one stage of a pipeline: its instructions, carried out one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mlp.arrays import Array
from mlp.losses import Loss
from mlp.parallel.communicator import Communicator
from mlp.parallel.pipeline.chunk import Chunk
from mlp.parallel.pipeline.instructions import (
    Backward,
    Forward,
    Instruction,
    Message,
    OptimizerStep,
    PipelineSchedule,
    ReceiveActivations,
    ReceiveGradients,
    SendActivations,
    SendGradients,
)
from mlp.parallel.pipeline.timeline import Interval


@dataclass
class Batch:
    """A batch in microbatches: their rows, and the shapes that each of this stage's chunks receives of them."""

    x: Array
    rows: list[slice]
    shapes: list[list[tuple[int, ...]]]


@dataclass
class BatchLoss:
    """The loss of a batch from those of its microbatches, and its gradient, times ``scale``.

    With ``summed``, and wherever there are several ``microbatches``, the gradient is that of the sum over the
    samples if the loss is a mean: the mean of the microbatches' means is another one.
    """

    loss: Loss
    targets: Array
    sample_weight: Array | None
    scale: float
    summed: bool
    microbatches: int
    total: float = 0.0
    weight: float = 0.0
    last: float = 0.0

    def __post_init__(self) -> None:
        self.is_mean = self.loss.is_mean
        self.is_summed = self.is_mean and (self.summed or self.microbatches > 1)
        # Whether the gradients have to be divided by ``weight`` in the end.
        self.is_to_divide = self.is_summed and not self.summed

    def gradient(self, scores: Array, rows: slice) -> Array:
        """That with respect to the scores of a microbatch, which counts in ``total`` and ``weight`` from now on."""
        loss, w = self.loss, self.sample_weight
        self.last = loss.forward(scores, self.targets[rows], None if w is None else w[rows])
        self.total += loss.total
        self.weight += loss.weight
        grad_scores = loss.backward()
        scale = self.scale * loss.weight if self.is_summed else self.scale
        if scale != 1:
            grad_scores *= grad_scores.dtype.type(scale)
        return grad_scores

    @property
    def value(self) -> float:
        """The loss of all microbatches together."""
        if self.microbatches == 1:
            return self.last
        return self.total / (self.weight or 1) if self.is_mean else self.total


@dataclass
class Run:
    """Carries out the instructions of a schedule to this stage.

    ``scores`` is where the last stage writes what the network makes of the batch, and ``input_gradient`` where the
    first stage writes dL/dx, or None. ``finish`` is called when the instructions say so, with no microbatch on its
    way. ``intervals`` tells what took how long. ``most_in_flight`` is how many microbatches, counted in each chunk,
    were between forward and backward at the same time.
    """

    communicator: Communicator
    schedule: PipelineSchedule
    chunks: Sequence[Chunk]
    batch: Batch
    scores: Array
    loss: BatchLoss | None = None
    input_gradient: Array | None = None
    finish: Callable[[], None] = lambda: None
    intervals: list[Interval] = field(default_factory=list)
    most_in_flight: int = 0

    def __post_init__(self) -> None:
        self.stage = self.communicator.rank
        # What one instruction leaves for the next.
        nothing: Array = np.empty(0)
        self._x = self._y = self._grad_y = self._grad_x = nothing

    def execute(self) -> None:
        """From the first instruction to the last."""
        for instruction in self.schedule.instructions[self.stage]:
            start = time.perf_counter()
            self._do(instruction)
            self.intervals.append(Interval(self.stage, instruction, start, time.perf_counter()))

    def _do(self, instruction: Instruction | OptimizerStep) -> None:
        match instruction:
            case ReceiveActivations(m, c):
                self._x = self._receive(instruction, np.empty(self.batch.shapes[c][m], self.batch.x.dtype))
            case Forward(m, c):
                self._forward(m, c)
            case SendActivations(_, _):
                self._send(instruction, self._y)
            case ReceiveGradients(m, c):
                self._grad_y = self._receive(instruction, np.empty_like(self.chunks[c].output(m)))
            case Backward(m, c):
                self._backward(m, c)
            case SendGradients(_, _):
                self._send(instruction, self._grad_x)
            case OptimizerStep():
                self.finish()

    def _forward(self, m: int, c: int) -> None:
        part, rows = self.schedule.part(self.stage, c), self.batch.rows[m]
        self._y = self.chunks[c].forward(m, self.batch.x[rows] if part == 0 else self._x)
        self.most_in_flight = max(self.most_in_flight, sum(chunk.in_flight for chunk in self.chunks))
        if part == self.schedule.parts - 1:
            self.scores[rows] = self._y
        if not self.schedule.is_training:
            self.chunks[c].land(m)

    def _backward(self, m: int, c: int) -> None:
        part, rows = self.schedule.part(self.stage, c), self.batch.rows[m]
        if part == self.schedule.parts - 1:
            assert self.loss is not None
            self._grad_y = self.loss.gradient(self.chunks[c].output(m), rows)
        asked = part > 0 or self.input_gradient is not None
        grad_x = self.chunks[c].backward(m, self._grad_y, asked)
        if grad_x is not None:
            self._grad_x = grad_x
            if part == 0 and self.input_gradient is not None:
                self.input_gradient[rows] = grad_x

    def _send(self, message: Message, array: Array) -> None:
        route = self.schedule.route(self.stage, message)
        self.communicator.send(array, route.stage, route.number)

    def _receive(self, message: Message, out: Array) -> Array:
        route = self.schedule.route(self.stage, message)
        return self.communicator.receive(out, route.stage, route.number)


class Shapes:
    """The shapes of what flows through the pipeline. They go through it once for each new shape of a microbatch, so
    that later every stage knows what it will receive. All ranks ask for the same ones in the same order.
    """

    def __init__(
        self, communicator: Communicator, schedule: PipelineSchedule, chunks: Sequence[Chunk], tag: int
    ) -> None:
        self.communicator, self.schedule, self.chunks, self.tag = communicator, schedule, chunks, tag
        self._known: dict[tuple[int, ...], tuple[list[tuple[int, ...]], tuple[int, ...]]] = {}

    def of(self, shape: tuple[int, ...]) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
        """For a microbatch of this shape: the input of each chunk on this stage, and the network's output."""
        if shape not in self._known:
            self._known[shape] = self._ask(shape)
        return self._known[shape]

    def _ask(self, shape: tuple[int, ...]) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
        stage, stages, inputs = self.communicator.rank, self.schedule.stages, []
        for c, chunk in enumerate(self.chunks):
            part = self.schedule.part(stage, c)
            inputs.append(shape if part == 0 else self._receive((part - 1) % stages))
            output = chunk.body.output_shape(inputs[-1])
            if part < self.schedule.parts - 1:
                self._send(output, (part + 1) % stages)
        if stage < stages - 1:
            return inputs, self._receive(stages - 1)
        for other in range(stages - 1):
            self._send(output, other)
        return inputs, output

    def _send(self, shape: tuple[int, ...], to: int) -> None:
        self.communicator.send(np.array([len(shape)]), to, self.tag)
        self.communicator.send(np.array(shape, int), to, self.tag)

    def _receive(self, source: int) -> tuple[int, ...]:
        (axes,) = self.communicator.receive(np.empty(1, int), source, self.tag).tolist()
        return tuple(self.communicator.receive(np.empty(axes, int), source, self.tag).tolist())
