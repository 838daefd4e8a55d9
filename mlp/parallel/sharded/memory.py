"""What sharding saves and what it costs: bytes that a rank holds and sends, by formula and as they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlp.checks import InputError
from mlp.layers.summary import Text
from mlp.optim.base import Optimizer
from mlp.parallel.data.replicated import DataParallel
from mlp.parallel.sharded.training import ShardedDataParallel

STAGES = {0: "data parallel", 1: "ZeRO-1", 2: "ZeRO-2", 3: "ZeRO-3"}
# Whole vectors that a rank holds beside its slice, of weights and, in stage 1, of gradients.
WHOLE_VECTORS = {1: 2, 2: 1, 3: 0}
ROWS = 4  # weights, gradients and two rows for the optimizer: see ``ParameterVector``


def bytes_per_rank(
    stage: int, parameters: int, ranks: int, *, itemsize: int = 4, rows: int = ROWS, largest_unit: int = 0
) -> float:
    """Bytes of weights, gradients and optimizer state that a rank of this library holds, for b = ``itemsize``:

        stage 0    b · 4 P
        stage 1    b · (2 P + 4 P / N)            weights and gradients whole
        stage 2    b · (P + 4 P / N + U)          weights whole
        stage 3    b · (4 P / N + 2 U)

    with P parameters, N ranks, and U those of the largest unit, for which a rank has room while it computes. The
    optimizer works on four rows that lie side by side (with amsgrad, for one, ``rows`` are 5), so a rank has its
    slice of weights and gradients once more beside the whole: ideal would be P / N less for each whole vector.
    Activations, and the optimizer's scratch of a fixed size, come on top, in every stage.

    Raises ``InputError`` for another stage.
    """
    check_stage(stage)
    if stage == 0:
        return float(itemsize * rows * parameters)
    rooms = stage - 1  # of the gradients of a unit, and in stage 3 of its weights
    return itemsize * (WHOLE_VECTORS[stage] * parameters + rows * parameters / ranks + rooms * largest_unit)


def mixed_precision_bytes_per_rank(stage: int, parameters: int, ranks: int) -> float:
    """The same for Adam in mixed precision, as published: 2 bytes for a weight and 2 for a gradient, and 12 for the
    optimizer, which are a weight, a mean gradient and a mean square of 4 bytes:

        stage 0    16 P
        stage 1    4 P + 12 P / N
        stage 2    2 P + 14 P / N
        stage 3    16 P / N

    Rajbhandari et al., "ZeRO", SC 2020, figure 1. Raises ``InputError`` for another stage.
    """
    check_stage(stage)
    whole, sliced = {0: (16, 0), 1: (4, 12), 2: (2, 14), 3: (0, 16)}[stage]
    return whole * parameters + sliced * parameters / ranks


def wire_bytes_per_step(
    stage: int, parameters: int, ranks: int, *, itemsize: int = 4, microbatches: int = 1
) -> float:
    """Bytes of weights and gradients that a rank sends in a step, in units of b P (N - 1) / N, for m microbatches:

        stage 0    2          an all-reduce of gradients
        stage 1    2          a reduce-scatter of gradients, an all-gather of weights
        stage 2    m + 1      a reduce-scatter in each microbatch
        stage 3    3 m        in each microbatch an all-gather for each pass, and a reduce-scatter

    so 2, 2, 2, 3 without accumulation. The loss takes some 50 bytes more. Raises ``InputError`` for another stage.
    """
    check_stage(stage)
    vectors = {0: 2, 1: 2, 2: microbatches + 1, 3: 3 * microbatches}[stage]
    return vectors * itemsize * parameters * (ranks - 1) / ranks


def bytes_held(parallel: DataParallel, optimizer: Optimizer) -> int:
    """Bytes of the arrays for weights, gradients and optimizer state that this rank has, one by one."""
    rows = parallel.network.parameters.rows
    beyond = [a for a in vars(optimizer).values() if isinstance(a, np.ndarray) and a.shape == rows.shape[1:]]
    held = [rows, *(a for a in beyond if not np.may_share_memory(a, rows))]
    if isinstance(parallel, ShardedDataParallel):
        held += parallel.memory
    return sum(array.nbytes for array in held)


def memory_table(parameters: int, ranks: Sequence[int], *, itemsize: int = 4, largest_unit: int = 0) -> Text:
    """Megabytes a rank for each stage and number of ranks: here, and beside it in mixed precision as published."""
    lines = [f"{'':<16}" + "".join(f"{f'{n} ranks':>24}" for n in ranks)]
    for stage, name in STAGES.items():
        cells = []
        for n in ranks:
            here = bytes_per_rank(stage, parameters, n, itemsize=itemsize, largest_unit=largest_unit)
            cells.append(f"{here / 1e6:,.1f} ({mixed_precision_bytes_per_rank(stage, parameters, n) / 1e6:,.1f})")
        lines.append(f"{name:<16}" + "".join(f"{cell:>24}" for cell in cells))
    title = f"MB a rank for {parameters:,} parameters of {itemsize} bytes (published: Adam in mixed precision)"
    return Text("\n".join([title, *lines]))


def check_stage(stage: int) -> None:
    """Raise ``InputError`` unless it is one."""
    if stage not in STAGES:
        raise InputError(f"stage must be one of {', '.join(map(str, STAGES))}, got {stage!r}")
