"""What a training step on N ranks will take, and what a rank has to hold: for machines that one has not got.

    machine = measure_machine(communicator)
    large = NetworkShape([12288, 49152] * 96 + [12288])
    predict("ZeRO-3", large, machine, ranks=1024, batch=4096)

Time is added up from three things: computation, messages, and waiting for others. Nothing overlaps, as nothing does
in this library unless gradients go in buckets. So a real step may be quicker than this where something overlaps,
and slower where ranks share what the model gives to each: memory, caches, the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from mlp.checks import InputError, check_integer
from mlp.studies.cost.machine import Machine
from mlp.studies.cost.modes import Plan, StepTime, data_parallel, pipeline, sharded, tensor_parallel
from mlp.studies.cost.network import NetworkShape

MODES: dict[str, Callable[[Plan], StepTime]] = {
    "data": data_parallel,
    "ZeRO-1": partial(sharded, stage=1),
    "ZeRO-2": partial(sharded, stage=2),
    "ZeRO-3": partial(sharded, stage=3),
    "tensor": tensor_parallel,
    "tensor, sequence parallel": partial(tensor_parallel, sequence_parallel=True),
    "GPipe": partial(pipeline, schedule="GPipe"),
    "1F1B": partial(pipeline, schedule="1F1B"),
    "interleaved": partial(pipeline, schedule="interleaved"),
}
PIPELINES = ("GPipe", "1F1B", "interleaved")
# Of microbatches, so many for each stage: equal stages are then idle for less than 1 / (1 + 4) of the time.
FILL = 4


def predict(
    mode: str,
    shape: NetworkShape,
    machine: Machine,
    ranks: int,
    batch: int,
    *,
    microbatches: int = 1,
    chunks: int = 1,
) -> StepTime:
    """A step of ``mode``, one of ``MODES``, with a ``batch`` of samples over all ranks.

    ``microbatches`` are those of a pipeline, or of gradient accumulation in the data-parallel and ZeRO modes, and
    ``chunks`` those of an interleaved pipeline. Each mode's function has its formulas; see there.

    Raises ``InputError`` for an unknown mode, counts below 1, fewer samples than ranks or microbatches, widths that
    the ranks cannot divide, and fewer layers than parts of the pipeline.
    """
    if mode not in MODES:
        raise InputError(f"mode must be one of {', '.join(map(repr, MODES))}, got {mode!r}")
    plan = Plan(
        shape, machine,
        check_integer("ranks", ranks, 1), check_integer("batch", batch, 1),
        check_integer("microbatches", microbatches, 1), check_integer("chunks", chunks, 1),
    )  # fmt: skip
    return MODES[mode](plan)


def compare(
    modes: Sequence[str], shape: NetworkShape, machine: Machine, ranks: int, batch: int
) -> dict[str, StepTime]:
    """A step in each of the ``modes`` in which so many ranks can share that network and that batch.

    A pipeline has four microbatches for each stage, or as many as there are samples, and two chunks if interleaved.
    """
    steps = {}
    for mode in modes:
        options = (
            {"microbatches": max(1, min(FILL, batch // ranks)) * ranks, "chunks": 2} if mode in PIPELINES else {}
        )
        try:
            steps[mode] = predict(mode, shape, machine, ranks, batch, **options)
        except InputError:
            if mode not in MODES:
                raise
    return steps


def fastest(steps: Mapping[str, StepTime], machine: Machine) -> str | None:
    """The mode with the shortest of these ``steps`` that fit into the machine's memory; None if none does."""
    times = {mode: step.total for mode, step in steps.items() if step.fits(machine)}
    return min(times, key=times.__getitem__, default=None)


def serial_share(
    mode: str, shape: NetworkShape, machine: Machine, batch: int, ranks: int = 2, **options: int
) -> float:
    """Amdahl's s: which part of one rank's time ``mode`` does not divide, if messages take no time.

    From T_N, the time that N ranks compute: s = (T_N / T_1 - 1 / N) / (1 - 1 / N), where T_1 is that of one rank.
    For data parallelism it is the same for all N that divide the batch: every rank updates all parameters, and
    fetches all of them from its memory.

    Raises ``InputError`` as ``predict`` does, and for a single rank.

    Karp & Flatt, "Measuring parallel processor performance", Communications of the ACM 33, 1990.
    """
    N = check_integer("ranks", ranks, 2)
    one = predict("data", shape, machine, 1, batch).compute
    return (predict(mode, shape, machine, N, batch, **options).compute / one - 1 / N) / (1 - 1 / N)
