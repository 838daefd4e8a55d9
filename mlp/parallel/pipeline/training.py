"""Model parallel by layers and pipeline parallel training: each rank has some layers, batches flow through them.

    network = Network(Linear(784, 512), ReLU(), Linear(512, 512), ReLU(), Linear(512, 10), rng=2022)
    pipeline = Pipeline(network, communicator, one_f_one_b(communicator.size, microbatches=8))
    solver = Solver(pipeline, CrossEntropyLoss(), SGD(pipeline.parameters, lr=0.1))

or, step by step,

    for x, y in batches:
        loss, scores = pipeline.training_step(x, y, CrossEntropyLoss(), update=optimizer.step)

Every rank runs this same program on the same batches, and trains what the serial network would become.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_integer
from mlp.efficiency.mixed_precision import MixedPrecision
from mlp.layers.containers import Sequential
from mlp.losses import Loss
from mlp.metrics import count_correct
from mlp.network import Network
from mlp.parallel.communicator import Communicator
from mlp.parallel.pipeline.checks import check_lengths, check_schedule
from mlp.parallel.pipeline.chunk import Chunk
from mlp.parallel.pipeline.instructions import PipelineSchedule
from mlp.parallel.pipeline.run import Batch, BatchLoss, Run, Shapes
from mlp.parallel.pipeline.schedules import forward_only
from mlp.parallel.pipeline.stage import PipelineStage
from mlp.parallel.pipeline.timeline import Interval, Timeline
from mlp.solver.evaluation import Outcome


class Pipeline(PipelineStage):
    """A network whose layers are divided among the ranks of ``communicator``, one stage a rank.

    All ranks make it from the same ``network``, which is left as it is: give it the same seed everywhere. Each
    keeps a copy of its own layers, whose ``parameters`` are what its optimizer moves, under their names in the
    serial network. ``schedule`` says in how many microbatches a batch goes through, and in which order.
    ``model_parallel(stages)`` is the plain one, with one stage at work at a time.

    ``cuts`` are the numbers of the layers with which parts of the network begin, but for the first. Without them
    parts are made as equal as can be in ``costs``, one number for each layer, by default its multiplications
    (``balanced_cuts``).

    A step gives what the serial network gives, up to the order in which sums are taken. It is the same to the last
    bit as a serial step with ``accumulate=microbatches``, in every schedule. That also holds for Dropout, which
    draws a mask for each microbatch, and for BatchNorm, whose statistics are those of a microbatch. A loss that is
    a mean over the batch is one here: microbatches count by their weights.

    Raises ``InputError`` for a schedule that has no backward passes, cannot be completed, or is for other than
    ``communicator.size`` stages, for fewer layers with parameters than parts, cuts that leave a stage without, and
    layers on different stages that share parameters.

    Huang et al., "GPipe", NeurIPS 2019, arXiv:1811.06965; Narayanan et al., "Memory-efficient pipeline-parallel DNN
    training", ICML 2021, arXiv:2006.09503.
    """

    refused: ClassVar[Mapping[str, str]] = {
        "accumulate": "the microbatches of the schedule are the parts of a batch",
        "precision": "use float32",
    }

    def __init__(
        self,
        network: Network,
        communicator: Communicator,
        schedule: PipelineSchedule,
        *,
        cuts: Sequence[int] | None = None,
        costs: Sequence[float] | None = None,
    ) -> None:
        self.schedule = check_schedule(schedule, communicator)
        super().__init__(network, communicator, schedule.parts, cuts, costs)
        self.chunks = [Chunk(body) for body in self.network.layers if isinstance(body, Sequential)]
        # Messages between stages have the tags below this one.
        self._tag = 2 * (schedule.parts - 1) * schedule.microbatches
        self._shapes = Shapes(communicator, schedule, self.chunks, self._tag)
        self._forward = forward_only(schedule.stages, schedule.microbatches, schedule.chunks)
        self._intervals: list[Interval] = []
        self.input_gradient: Array | None = None
        self.most_in_flight = 0

    def check_options(self, options: Mapping[str, Any]) -> None:
        super().check_options(options)
        if options["average"] is not None and any(name not in self._parameter_shapes for name in self._whole):
            raise InputError("Pipeline: average is not supported with running statistics such as BatchNorm's")

    def gradients(
        self,
        x: Array,
        targets: Array,
        loss: Loss,
        *,
        sample_weight: Array | None = None,
        parts: int = 1,
        precision: MixedPrecision | None = None,
        is_classification: bool = False,
    ) -> Outcome:
        """As in ``Trainable``, of a whole batch, which all ranks are given alike; what it returns is alike too."""
        value, scores = self.training_step(x, targets, loss, sample_weight=sample_weight)
        correct = count_correct(targets, scores) if is_classification else 0
        return Outcome(value, loss.total, loss.weight, correct, len(x))

    def training_step(
        self,
        x: Array,
        targets: Array,
        loss: Loss,
        *,
        sample_weight: Array | None = None,
        scale: float = 1.0,
        accumulate: bool = False,
        summed: bool = False,
        input_gradient: bool = False,
        update: Callable[[], None] | None = None,
    ) -> tuple[float, Array]:
        """``Network.training_step`` through the pipeline: loss and scores on all ranks, the gradients in ``grad``.

        All ranks give the same batch. The first stage reads x, the last one targets and weights, the others their
        lengths. ``update`` is called on each stage when its gradients are complete. With ``input_gradient`` the
        first stage leaves dL/dx in ``input_gradient``.
        ``loss.total`` and ``loss.weight`` are those of the whole batch, on all ranks. ``most_in_flight`` is how
        many microbatches this stage had to remember at the same time.

        Raises ``InputError`` for lengths that differ, and for ``accumulate`` with a mean: sums add up, means do
        not.
        """
        if accumulate and loss.is_mean and not summed:
            raise InputError("Pipeline: accumulate adds up gradients of sums over the samples: give summed=True")
        x = self._as_input(x)
        check_lengths(len(x), targets=targets, sample_weight=sample_weight)
        batch, scores = self._cut(x)
        whole = BatchLoss(loss, np.asarray(targets), sample_weight, scale, summed, self.schedule.microbatches)
        run = Run(self.communicator, self.schedule, self.chunks, batch, scores, whole)
        if input_gradient and self.stage == 0:
            run.input_gradient = np.empty(x.shape, self.dtype)

        numbers = np.empty(4)

        def finish() -> None:
            # An interrupt of the run reaches every stage: that the last one has heard of it is enough.
            numbers[:] = whole.value, whole.total, whole.weight, self._is_interrupted
            loss.total, loss.weight, asked = self._from_last_stage(numbers)[1:].tolist()
            self._is_stop_agreed = bool(asked)
            self._from_last_stage(scores)
            if whole.is_to_divide:
                share = 1 / loss.weight if loss.weight else 0
                self.parameters.grad[...] *= share
                if run.input_gradient is not None:
                    run.input_gradient *= share
            if update is not None:
                update()

        run.finish = finish
        with self.network.mode(training=True):
            if not accumulate:
                self.parameters.zero_grad()
            self._execute(run)
        self.input_gradient, self._intervals = run.input_gradient, run.intervals
        self.most_in_flight = run.most_in_flight
        return float(numbers[0]), scores

    def evaluation_step(self, x: Array) -> Array:
        """Scores of a batch in evaluation mode, on all ranks."""
        batch, scores = self._cut(self._as_input(x))
        with self.network.mode(training=False):
            self._execute(Run(self.communicator, self._forward, self.chunks, batch, scores))
        return self._from_last_stage(scores)

    def scores(self, x: Array, batch_size: int = 1000) -> Array:
        """The scores in evaluation mode, on all ranks, made in batches."""
        batch_size = check_integer("batch_size", batch_size, 1)
        starts = range(0, max(len(x), 1), batch_size)
        return np.concatenate([self.evaluation_step(x[i : i + batch_size]) for i in starts])

    def explain_non_finite(self, x: Array) -> str:
        """Where a value that is not finite comes from, as far as a stage can know: for the messages of a solver."""
        for p in self.parameters:
            if not np.isfinite(p.data).all():
                return f"the parameter {p.name} of stage {self.stage} is not finite"
        return f"the parameters of stage {self.stage} are finite, what went through the pipeline is not"

    def timeline(self) -> Timeline:
        """What all stages did in the last training step, on all ranks, which all call this.

        Times are those of one clock if all ranks are on one machine. Raises ``InputError`` before the first step.
        """
        if not self._intervals:
            raise InputError("Pipeline: there is no timeline before the first training step")
        sizes = [len(instructions) for instructions in self.schedule.instructions]
        times = np.array([(i.start, i.end) for i in self._intervals])
        rows = iter(self.communicator.all_gather(times, sizes=sizes).tolist())
        return Timeline(
            self.schedule.stages,
            tuple(
                Interval(stage, instruction, *next(rows))
                for stage, instructions in enumerate(self.schedule.instructions)
                for instruction in instructions
            ),
        )

    def _execute(self, run: Run) -> None:
        try:
            run.execute()
        finally:
            for chunk in self.chunks:
                chunk.land_all()

    def _cut(self, x: Array) -> tuple[Batch, Array]:
        """A batch in microbatches, as evenly as can be, and memory for its scores."""
        bounds = np.linspace(0, len(x), self.schedule.microbatches + 1).astype(int).tolist()
        rows = [slice(begin, end) for begin, end in pairwise(bounds)]
        shapes = [self._shapes.of(x[r].shape) for r in rows]
        inputs = [list(of_chunk) for of_chunk in zip(*(shape for shape, _ in shapes), strict=True)]
        return Batch(x, rows, inputs), np.empty((len(x), *shapes[0][1][1:]), self.dtype)

    def _from_last_stage(self, array: Array) -> Array:
        """The array of the last stage, on all of them. The last one does not wait for the others."""
        last = self.schedule.stages - 1
        if self.stage < last:
            return self.communicator.receive(array, last, self._tag)
        for other in range(last):
            self.communicator.send(array, other, self._tag)
        return array

    def _as_input(self, x: Array) -> Array:
        x = np.asarray(x)
        if x.ndim < 1 or x.dtype.kind not in "fiub":
            raise InputError(f"Pipeline: a batch of real numbers is needed, got {x.dtype} of shape {x.shape}")
        return x.astype(self.dtype, copy=False)
