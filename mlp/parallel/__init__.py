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
from mlp.parallel.data.asynchronous import Updates, train_asynchronously
from mlp.parallel.data.replicas import broadcast_parameters, check_replicas_equal, replica_hash, slice_batch
from mlp.parallel.data.replicated import DataParallel
from mlp.parallel.data.step import DataParallelStep
from mlp.parallel.mpi import MPICommunicator
from mlp.parallel.pipeline.instructions import PipelineSchedule
from mlp.parallel.pipeline.schedules import (
    PIPELINE_SCHEDULES,
    gpipe,
    interleaved,
    make_pipeline_schedule,
    model_parallel,
    one_f_one_b,
)
from mlp.parallel.pipeline.training import Pipeline
from mlp.parallel.serial import SerialCommunicator
from mlp.parallel.sharded.memory import (
    bytes_held,
    bytes_per_rank,
    memory_table,
    mixed_precision_bytes_per_rank,
    wire_bytes_per_step,
)
from mlp.parallel.sharded.training import ShardedDataParallel
from mlp.parallel.slices import slice_sizes, slices
from mlp.parallel.tensor.blocks import ParallelGatedMlp, ParallelMLP, ParallelMlp
from mlp.parallel.tensor.layers import ColumnParallelLinear, RowParallelLinear
from mlp.parallel.tensor.state import (
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
    "PIPELINE_SCHEDULES",
    "Collective",
    "ColumnParallelLinear",
    "Communicator",
    "CommunicatorError",
    "CopyToRegion",
    "Count",
    "Counts",
    "DataParallel",
    "DataParallelStep",
    "GatherFromRegion",
    "GatherFromSequence",
    "Handle",
    "MPICommunicator",
    "ParallelGatedMlp",
    "ParallelMLP",
    "ParallelMlp",
    "Pipeline",
    "PipelineSchedule",
    "ReduceFromRegion",
    "ReduceScatterToSequence",
    "RowParallelLinear",
    "ScatterToRegion",
    "SerialCommunicator",
    "ShardedDataParallel",
    "ThreadCommunicator",
    "Updates",
    "broadcast_parameters",
    "bytes_held",
    "bytes_per_rank",
    "check_replicas_equal",
    "clip_by_global_norm",
    "gather_optimizer_state",
    "gather_state",
    "global_norm",
    "gpipe",
    "interleaved",
    "load_optimizer_state",
    "load_serial_state",
    "make_pipeline_schedule",
    "memory_table",
    "mixed_precision_bytes_per_rank",
    "model_parallel",
    "one_f_one_b",
    "replica_hash",
    "run_threads",
    "slice_batch",
    "slice_sizes",
    "slices",
    "sum_token_gradients",
    "train_asynchronously",
    "wire_bytes_per_step",
]
