"""What a training step takes in each mode of parallel training: one function a mode, with its formula."""

from __future__ import annotations

from dataclasses import dataclass

from mlp.checks import InputError
from mlp.parallel.sharded.memory import bytes_per_rank, mixed_precision_bytes_per_rank, wire_bytes_per_step
from mlp.studies.cost.machine import Machine, slices_at_most
from mlp.studies.cost.network import STATE_BYTES, NetworkShape


@dataclass(frozen=True)
class StepTime:
    """Seconds of a training step, of the rank that computes longest, and what it holds and sends.

    ``compute`` is its own work, ``communication`` the time it sends and receives, ``idle`` that it waits.
    ``bytes_per_rank`` are those of weights, gradients, optimizer and activations, on the rank that holds most.
    ``wire_bytes`` a rank sends in a step, on average over the ranks.
    """

    compute: float
    communication: float
    idle: float
    bytes_per_rank: float
    wire_bytes: float

    @property
    def total(self) -> float:
        """Seconds from the beginning of a step to its end."""
        return self.compute + self.communication + self.idle

    def fits(self, machine: Machine) -> bool:
        """Whether the machine has the memory for it."""
        return self.bytes_per_rank <= machine.memory_bytes


@dataclass(frozen=True)
class Plan:
    """The arguments of ``predict``, for the functions that know one mode each."""

    shape: NetworkShape
    machine: Machine
    ranks: int
    batch: int
    microbatches: int
    chunks: int


def data_parallel(plan: Plan) -> StepTime:
    """Every rank computes batch / N samples, all-reduces b P bytes of gradients, and updates all P parameters:

        T = T_1(batch / N) + all_reduce(b P) + T_update(P)

    The update is Amdahl's serial share: no number of ranks makes it shorter.
    """
    return sharded(plan, stage=0)


def sharded(plan: Plan, stage: int) -> StepTime:
    """ZeRO: each rank updates P / N parameters. With m microbatches and U layers,

        ZeRO-1    reduce_scatter(b P)                  + all_gather(b P)
        ZeRO-2    m Σ_layers reduce_scatter(b p)       + Σ_layers all_gather(b p)
        ZeRO-3    m Σ_layers (reduce_scatter(b p) + 2 all_gather(b p))

    of messages, and of memory what ``bytes_per_rank`` says, or ``mixed_precision_bytes_per_rank`` in mixed
    precision, and activations of one microbatch.

    Rajbhandari, Rasley, Ruwase & He, "ZeRO: memory optimizations toward training trillion parameter
    models", SC 2020.
    """
    shape, machine, ranks, m = plan.shape, plan.machine, plan.ranks, plan.microbatches
    if plan.batch < ranks * m:
        raise InputError(
            f"{plan.batch} samples are too few for {ranks} ranks" + (f" with {m} parts each" if m > 1 else "")
        )
    rows = slices_at_most(plan.batch, ranks) / m
    P, b = shape.parameters, shape.itemsize
    sizes = [b * layer.parameters for layer in shape.layers]
    scatter = sum(machine.reduce_scatter(size, ranks) for size in sizes)
    gather = sum(machine.all_gather(size, ranks) for size in sizes)
    communication = {
        0: machine.all_reduce(b * P, ranks),
        1: machine.reduce_scatter(b * P, ranks) + machine.all_gather(b * P, ranks),
        2: m * scatter + gather,
        3: m * (scatter + 2 * gather),
    }[stage]
    if shape.mixed_precision:
        state = mixed_precision_bytes_per_rank(stage, P, ranks)
    else:
        largest = int(max(layer.parameters for layer in shape.layers))
        state = bytes_per_rank(stage, P, ranks, itemsize=b, largest_unit=largest)
    return StepTime(
        m * shape.seconds(machine, rows)
        + shape.accumulation_seconds(machine, P / ranks if stage > 1 else P, m)
        + shape.update_seconds(machine, P / ranks if stage else P),
        communication,
        0.0,
        state + shape.activation_bytes(rows),
        wire_bytes_per_step(stage, P, ranks, itemsize=b, microbatches=m),
    )


def tensor_parallel(plan: Plan, sequence_parallel: bool = False) -> StepTime:
    """Layers in pairs of widths i, h, o, of which each rank has h / N hidden units. With n samples, a pair takes

        without sequence parallelism    all_reduce(b n o) forward, all_reduce(b n i) backward
        with it                         all_gather(b n i) and reduce_scatter(b n o) forward,
                                        all_gather(b n o), all_gather(b n i), reduce_scatter(b n i) backward

    where the first pair of the network has no use for dL/dx, and does not reduce it. What follows the sum, o
    outputs of n samples, is done by every rank, or with sequence parallelism for its samples alone: it is Amdahl's
    serial share, as is a last layer that is in no pair.

    Shoeybi et al., "Megatron-LM", arXiv:1909.08053 (2019); Korthikanti et al., "Reducing activation recomputation
    in large transformer models", MLSys 2023.
    """
    shape, machine, ranks, n = plan.shape, plan.machine, plan.ranks, plan.batch
    _check_tensor_parallel(plan, sequence_parallel)
    layers, b, w = shape.tensor_layers(ranks, sequence_parallel), shape.itemsize, shape.widths
    communication, wire, ring = 0.0, 0.0, (ranks - 1) / ranks
    own: float = b * n * w[0]
    for first in range(0, len(layers) - 1, 2):
        into, out = b * n * w[first], b * n * w[first + 2]
        backward = first > 0  # dL/dx of the input is not needed
        sums = [out] + [into] * backward
        if sequence_parallel:
            gathers = [into, out, into]
            communication += sum(machine.all_gather(size, ranks) for size in gathers)
            communication += sum(machine.reduce_scatter(size, ranks) for size in sums)
            wire += ring * (sum(gathers) + sum(sums))
        else:
            communication += sum(machine.all_reduce(size, ranks) for size in sums)
            wire += 2 * ring * sum(sums)
        own += 2 * b * n * w[first + 1] / ranks + 2 * out / (ranks if sequence_parallel else 1)
    if len(layers) % 2:
        own += 2 * b * n * w[-1]
    # A bias after the sum is on every rank.
    P = sum(layer.parameters for layer in layers)
    compute = sum(layer.seconds(machine, n, b) for layer in layers) + shape.update_seconds(machine, P)
    return StepTime(compute, communication, 0.0, STATE_BYTES * P + own, wire)


def _check_tensor_parallel(plan: Plan, sequence_parallel: bool) -> None:
    if sequence_parallel and plan.batch < plan.ranks:
        raise InputError(f"sequence parallel: {plan.batch} samples are too few for {plan.ranks} ranks")
    if plan.ranks > 1 and len(plan.shape.layers) < 2:
        raise InputError("tensor parallel: a network of one layer has no pair of layers to divide")


def pipeline(plan: Plan, schedule: str) -> StepTime:
    """p = N stages of v chunks, m microbatches. With S_i the time of stage i for a microbatch in all its chunks,
    and τ_i that of the messages it receives,

        T = max_i (m (S_i + τ_i) + T_accumulate,i + T_update,i) + (Σ_i S_i - max_i S_i) / v + 2 (p - 1) τ

    which for equal stages and free messages is the ideal time times 1 + (p - 1) / (v m). Stage 0 holds most: the
    activations of m microbatches in GPipe, of min(p, m) in 1F1B, and 2 (p - 1) + (v - 1) p + 1 chunks' of them, if
    there are as many, in the interleaved schedule. Scores that all ranks want come on top.

    Narayanan et al., "Efficient large-scale language model training on GPU clusters using Megatron-LM", SC 2021.
    """
    shape, machine, p, m = plan.shape, plan.machine, plan.ranks, plan.microbatches
    v = plan.chunks if schedule == "interleaved" else 1
    _check_pipeline(plan, schedule)
    rows = slices_at_most(plan.batch, m)
    layers, parts = shape.layers, shape.parts(p * v)
    seconds = [_pass_seconds(plan, part, rows) for part in parts]
    borders = [shape.itemsize * rows * shape.widths[part.stop] for part in parts[:-1]]
    message = [machine.send(size) for size in borders]
    # A part receives its input, unless it is the first, and dL/dy, unless it is the last.
    received = [m * sum(message[max(k - 1, 0) : k + 1]) for k in range(p * v)]
    S = _of_stages(seconds, p)
    P = _of_stages([sum(layer.parameters for layer in layers[part]) for part in parts], p)
    update = [shape.accumulation_seconds(machine, n, m) + shape.update_seconds(machine, n) for n in P]
    own = [m * S[i] + update[i] for i in range(p)]
    talk = _of_stages(received, p)
    busiest = max(range(p), key=lambda i: own[i] + talk[i])
    crossing = 2 * (p - 1) * max(message, default=0.0)
    in_flight = {"GPipe": m, "1F1B": min(p, m), "interleaved": min(v * m, 2 * (p - 1) + (v - 1) * p + 1) / v}
    held = _of_stages([_activation_bytes(shape, part, rows) for part in parts], p)
    memory = [STATE_BYTES * P[i] + in_flight[schedule] * held[i] for i in range(p)]
    idle = (sum(S) - max(S)) / v
    return StepTime(own[busiest], talk[busiest] + crossing, idle, max(memory), 2 * m * sum(borders) / p)


def _check_pipeline(plan: Plan, schedule: str) -> None:
    if plan.batch < plan.microbatches:
        raise InputError(f"pipeline: {plan.batch} samples are too few for {plan.microbatches} microbatches")
    if schedule == "interleaved" and plan.microbatches % plan.ranks:
        message = f"microbatches must be a multiple of the {plan.ranks} stages, got {plan.microbatches}"
        raise InputError(f"interleaved: {message}")


def _pass_seconds(plan: Plan, part: slice, rows: int) -> float:
    """Forward and backward of a microbatch through one part."""
    return sum(layer.seconds(plan.machine, rows, plan.shape.itemsize) for layer in plan.shape.layers[part])


def _of_stages(of_parts: list[float], stages: int) -> list[float]:
    """Sums over the parts that each stage has: every ``stages``-th."""
    return [sum(of_parts[i::stages]) for i in range(stages)]


def _activation_bytes(shape: NetworkShape, part: slice, rows: int) -> float:
    """What the layers of one part remember of a microbatch."""
    widths = shape.widths[part.start : part.stop + 1]
    return NetworkShape(widths, shape.mixed_precision).activation_bytes(rows)
