"""Training on several ranks: what they say to each other, and the layers that carry gradients between them.

    from mlp.parallel import run_threads

    run_threads(train, 4, data)  # train(communicator, data) in four threads

or, for a script that asks for ``MPICommunicator.world()``,

    python -m mlp.parallel.launch -n 4 script.py
"""

from mlp.parallel.collectives import (
    Collective,
    CopyToRegion,
    GatherFromRegion,
    GatherFromSequence,
    ReduceFromRegion,
    ReduceScatterToSequence,
    ScatterToRegion,
)
from mlp.parallel.communicator import Communicator, CommunicatorError, Handle
from mlp.parallel.counts import Count, Counts
from mlp.parallel.mpi import MPICommunicator
from mlp.parallel.serial import SerialCommunicator
from mlp.parallel.slices import slice_sizes, slices
from mlp.parallel.tensor import ColumnParallelLinear, RowParallelLinear
from mlp.parallel.tensor_blocks import ParallelGatedMlp, ParallelMLP, ParallelMlp
from mlp.parallel.tensor_state import (
    clip_by_global_norm,
    gather_optimizer_state,
    gather_state,
    global_norm,
    load_optimizer_state,
    load_serial_state,
    sum_token_gradients,
)
from mlp.parallel.threads import ThreadCommunicator, run_threads

__all__ = [
    "Collective",
    "ColumnParallelLinear",
    "Communicator",
    "CommunicatorError",
    "CopyToRegion",
    "Count",
    "Counts",
    "GatherFromRegion",
    "GatherFromSequence",
    "Handle",
    "MPICommunicator",
    "ParallelGatedMlp",
    "ParallelMLP",
    "ParallelMlp",
    "ReduceFromRegion",
    "ReduceScatterToSequence",
    "RowParallelLinear",
    "ScatterToRegion",
    "SerialCommunicator",
    "ThreadCommunicator",
    "clip_by_global_norm",
    "gather_optimizer_state",
    "gather_state",
    "global_norm",
    "load_optimizer_state",
    "load_serial_state",
    "run_threads",
    "slice_sizes",
    "slices",
    "sum_token_gradients",
]
