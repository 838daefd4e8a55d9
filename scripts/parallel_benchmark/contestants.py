"""How each contender makes its training step: the same network, in the words of each parallel mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from mlp import SGD, CrossEntropyLoss, Linear, Network, ReLU
from mlp.initializers import he_normal
from mlp.layers import Layer, Mlp
from mlp.parallel import (
    Communicator,
    DataParallel,
    ParallelMlp,
    Pipeline,
    ShardedDataParallel,
    bytes_held,
    make_pipeline_schedule,
    slice_batch,
    sum_token_gradients,
)
from parallel_benchmark import Contender, Problem

SEED = 2022
BUCKET_BYTES = 2**20
LEARNING_RATE = 0.001


@dataclass
class Contestant:
    """``step()`` trains by one batch and returns its mean loss. ``held()`` is the bytes of weights, gradients and
    optimizer, ``pipeline`` there for those that are one.
    """

    step: Callable[[], float]
    held: Callable[[], int]
    pipeline: Pipeline | None = None
    keep: list[Any] = field(default_factory=list)


def layers(problem: Problem, block: Callable[..., Layer] = Mlp) -> list[Layer]:
    """The same weights for every way to build it."""
    rng = np.random.default_rng(SEED)
    made: list[Layer] = []
    widths = problem.widths
    if problem.blocks:
        triples = zip(widths[:-2:2], widths[1:-1:2], widths[2::2], strict=True)
        for n, (i, h, o) in enumerate(triples):
            made += [ReLU()] * (n > 0) + [block(i, h, o, activation="ReLU", weight_init=he_normal(), rng=rng)]
    else:
        for n, (i, o) in enumerate(pairwise(widths)):
            made += [ReLU()] * (n > 0) + [Linear(i, o, weight_init=he_normal(), rng=rng)]
    return made


def data(problem: Problem) -> tuple[Any, Any]:
    """A batch of noise, and labels that have nothing to do with it: a step takes no longer for that."""
    rng = np.random.default_rng(SEED)
    x = rng.standard_normal((problem.batch, problem.widths[0]), np.float32)
    return x, rng.integers(0, problem.widths[-1], problem.batch)


def build(problem: Problem, contender: Contender, communicator: Communicator) -> Contestant:
    """The contender's network, ready to train. All ranks call this."""
    x, y = data(problem)
    if contender.mode.startswith("tensor"):
        return tensor(problem, communicator, x, y, "sequence" in contender.mode)
    if contender.mode in ("GPipe", "1F1B"):
        return pipeline(problem, contender, communicator, x, y)
    network, loss = Network(*layers(problem)), CrossEntropyLoss()
    if contender.is_serial and contender.microbatches == 1:
        optimizer = SGD(network.parameters, lr=LEARNING_RATE, momentum=0.9)

        def serial_step() -> float:
            value, _ = network.training_step(x, y, loss)
            optimizer.step()
            return value

        return Contestant(serial_step, lambda: network.parameters.rows.nbytes)
    if contender.mode.startswith("ZeRO"):
        parallel: DataParallel = ShardedDataParallel(network, communicator, stage=int(contender.mode[-1]))
    else:
        buckets = BUCKET_BYTES if "buckets" in contender.name else None
        parallel = DataParallel(network, communicator, bucket_bytes=buckets)
    optimizer = SGD(network.parameters, lr=LEARNING_RATE, momentum=0.9)
    mine, labels = slice_batch(x, communicator), slice_batch(y, communicator)

    def data_step() -> float:
        outcome = parallel.training_step(mine, labels, loss, parts=contender.microbatches)
        optimizer.step()
        parallel.publish()
        return outcome.loss

    return Contestant(data_step, lambda: bytes_held(parallel, optimizer))


def tensor(problem: Problem, communicator: Communicator, x: Any, y: Any, sequence_parallel: bool) -> Contestant:
    """Blocks whose hidden units are divided; with ``sequence_parallel`` the samples between them are as well."""

    def block(*widths: int, **options: Any) -> ParallelMlp:
        return ParallelMlp(*widths, communicator=communicator, sequence_parallel=sequence_parallel, **options)

    network, loss = Network(*layers(problem, block)), CrossEntropyLoss()
    optimizer = SGD(network.parameters, lr=LEARNING_RATE, momentum=0.9)
    if sequence_parallel:
        x, y = slice_batch(x, communicator), slice_batch(y, communicator)
    share = len(x) / problem.batch

    def step() -> float:
        value, _ = network.training_step(x, y, loss, scale=share)
        if sequence_parallel:
            sum_token_gradients(network)
            value = float(communicator.all_reduce(np.array(value * share)))
        optimizer.step()
        return value

    return Contestant(step, lambda: network.parameters.rows.nbytes)


def pipeline(problem: Problem, contender: Contender, communicator: Communicator, x: Any, y: Any) -> Contestant:
    """A stage on each rank."""
    schedule = make_pipeline_schedule(contender.mode, communicator.size, microbatches=contender.microbatches)
    stage, loss = Pipeline(Network(*layers(problem)), communicator, schedule), CrossEntropyLoss()
    optimizer = SGD(stage.parameters, lr=LEARNING_RATE, momentum=0.9)

    def step() -> float:
        value, _ = stage.training_step(x, y, loss, update=optimizer.step)
        return value

    return Contestant(step, lambda: stage.parameters.rows.nbytes, stage)
