"""Training on several ranks: what they say to each other, and networks that they train together.

    from mlp.parallel import DataParallel, run_threads

    def train(communicator, data):
        parallel = DataParallel(Network(Linear(784, 128), ReLU(), Linear(128, 10), rng=2022), communicator)
        return Solver(parallel, CrossEntropyLoss(), SGD(parallel.parameters, lr=0.1)).fit(data)

    run_threads(train, 4, data)  # train(communicator, data) in four threads

or, for a script that asks for ``MPICommunicator.world()``,

    python -m mlp.parallel.launch -n 4 script.py

Each name below is loaded when it is first used: a run of one process needs none of them.
"""

import importlib
from typing import Any

# Where the names are.
MODULES = {
    "collectives": (
        "Collective", "CopyToRegion", "GatherFromRegion", "GatherFromSequence", "ReduceFromRegion",
        "ReduceScatterToSequence", "ScatterToRegion",
    ),
    "calls": ("CommunicatorError", "Handle"),
    "communicator": ("Communicator",),
    "counts": ("Count", "Counts"),
    "data.asynchronous": ("Updates", "train_asynchronously"),
    "data.replicas": ("broadcast_parameters", "check_replicas_equal", "replica_hash", "slice_batch"),
    "data.replicated": ("DataParallel",),
    "data.step": ("DataParallelStep",),
    "division": ("Division",),
    "mpi": ("MPICommunicator",),
    "pipeline.instructions": ("PipelineSchedule",),
    "pipeline.schedules": (
        "PIPELINE_SCHEDULES", "gpipe", "interleaved", "make_pipeline_schedule", "model_parallel", "one_f_one_b",
    ),
    "pipeline.training": ("Pipeline",),
    "serial": ("SerialCommunicator",),
    "sharded.memory": (
        "bytes_held", "bytes_per_rank", "memory_table", "mixed_precision_bytes_per_rank", "wire_bytes_per_step",
    ),
    "sharded.training": ("ShardedDataParallel",),
    "slicing": ("slice_sizes", "slices"),
    "tensor.blocks": ("ParallelGatedMlp", "ParallelMLP", "ParallelMlp"),
    "tensor.layers": ("ColumnParallelLinear", "RowParallelLinear"),
    "tensor.state": (
        "clip_by_global_norm", "gather_optimizer_state", "gather_state", "global_norm", "load_optimizer_state",
        "load_serial_state", "sum_token_gradients",
    ),
    "tensor.training": ("TensorParallel", "divide_layers"),
    "threads": ("ThreadCommunicator", "run_threads"),
}  # fmt: skip
# The cost model has moved: these are other names of mlp.studies.cost.machine.Machine and so on.
COST_MODEL = {
    "machine": ("Machine", "amdahl_speed_up"),
    "measure": ("measure_machine",),
    "model": ("compare", "fastest", "predict", "serial_share"),
    "modes": ("StepTime",),
    "network": ("NetworkShape",),
}
_HOMES = {name: f"mlp.parallel.{module}" for module, names in MODULES.items() for name in names}
_HOMES |= {name: f"mlp.studies.cost.{module}" for module, names in COST_MODEL.items() for name in names}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mlp.parallel' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
