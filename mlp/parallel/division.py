"""How the ranks of one training run divide their work: by samples, by features, or by layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlp.checks import InputError, check_integer, find_name
from mlp.layers import Layer, Linear, LogSoftmax, Softmax
from mlp.losses import Loss
from mlp.network import Network
from mlp.optim import Optimizer
from mlp.parallel.communicator import Communicator
from mlp.parallel.data.replicated import DataParallel
from mlp.parallel.data.step import DataParallelStep
from mlp.parallel.division_steps import PipelineStep, TensorDataParallel, TensorParallelStep
from mlp.parallel.pipeline.schedules import PIPELINE_SCHEDULES, make_pipeline_schedule
from mlp.parallel.pipeline.training import Pipeline
from mlp.parallel.sharded.training import ShardedDataParallel
from mlp.parallel.tensor.layers import ColumnParallelLinear, RowParallelLinear
from mlp.parameter import ParameterVector
from mlp.solver.step import Step

MakeOptimizer = Callable[[ParameterVector], Optimizer]
MakeOptions = Callable[[Network], dict[str, Any]]


@dataclass(frozen=True)
class Division:
    """Sizes of the three ways to divide a run; their product is the number of ranks.

        data        slices of every batch, with a copy of the network each (``shard`` 1 to 3: ZeRO, less of it)
        tensor      parts of every pair of layers, columns of the first, rows of the second
        pipeline    stages of layers, through which each batch goes in ``microbatches``, by ``schedule``

    ``tensor`` and ``data`` go together: ranks then stand in a grid, neighbours in a row share the layers, those in
    a column the samples. ``pipeline`` stands alone, and so does ``shard``.

    Raises ``InputError`` for sizes below 1, combinations that there are not, or an unknown schedule.
    """

    data: int = 1
    tensor: int = 1
    pipeline: int = 1
    microbatches: int = 4
    schedule: str = "1F1B"
    shard: int = 0

    def __post_init__(self) -> None:
        for name in ("data", "tensor", "pipeline", "microbatches"):
            check_integer(f"Division: {name}", getattr(self, name), 1)
        if self.pipeline > 1 and self.data * self.tensor > 1:
            raise InputError(
                f"Division: a pipeline goes with data 1 and tensor 1, got {self.data} and {self.tensor}"
            )
        if self.shard not in (0, 1, 2, 3) or (self.shard and (self.tensor > 1 or self.pipeline > 1)):
            raise InputError(
                f"Division: shard must be 0, or 1 to 3 with data parallelism alone, got {self.shard!r}"
            )
        if find_name(self.schedule, PIPELINE_SCHEDULES) is None:
            raise InputError(
                f"Division: schedule must be one of {', '.join(PIPELINE_SCHEDULES)}, got {self.schedule!r}"
            )

    @property
    def ranks(self) -> int:
        """How many ranks it is for."""
        return self.data * self.tensor * self.pipeline

    def check_ranks(self, ranks: int) -> None:
        """Raise ``InputError``, naming the way to start it, unless there are as many ranks as it is for."""
        if ranks != self.ranks:
            raise InputError(
                f"data {self.data} × tensor {self.tensor} × pipeline {self.pipeline}: for {self.ranks} processes, "
                f"there are {ranks}; start with python -m mlp.parallel.launch -n {self.ranks} ..."
            )


def make_step(
    division: Division,
    communicator: Communicator,
    network: Network,
    loss: Loss,
    make_optimizer: MakeOptimizer,
    make_options: MakeOptions = lambda network: {},
) -> Step:
    """The step of one rank, for ``Solver(step.network, loss, step.optimizer, step=step)``. All ranks call this.

    ``network`` is the serial one, the same on all ranks. What a rank keeps of it is ``step.network``; optimizer and
    options are made for that. On one rank it is an ordinary ``Step``.

    Raises ``InputError`` if the ranks are not as many as ``division`` is for, or the network cannot be so divided.
    """
    division.check_ranks(communicator.size)
    if division.pipeline > 1:
        sizes = {"microbatches": division.microbatches}
        if find_name(division.schedule, ["model-parallel"]):
            sizes = {}
        elif find_name(division.schedule, ["interleaved"]):
            sizes["chunks"] = 2
        schedule = make_pipeline_schedule(division.schedule, division.pipeline, **sizes)
        pipeline = Pipeline(network, communicator, schedule)
        return PipelineStep(pipeline, loss, make_optimizer(pipeline.parameters), **make_options(network))
    if division.tensor > 1:
        row = communicator.split(communicator.rank // division.tensor)
        column = communicator.split(communicator.rank % division.tensor)
        tensor = TensorDataParallel(divide_layers(network, row), column)
        return TensorParallelStep(
            tensor, loss, make_optimizer(tensor.network.parameters), **make_options(tensor.network)
        )
    if division.data > 1:
        if division.shard:
            parallel: DataParallel = ShardedDataParallel(network, communicator, stage=division.shard)
        else:
            parallel = DataParallel(network, communicator)
        return DataParallelStep(
            parallel, loss, make_optimizer(parallel.network.parameters), **make_options(parallel.network)
        )
    return Step(network, loss, make_optimizer(network.parameters), **make_options(network))


def divide_layers(network: Network, communicator: Communicator) -> Network:
    """This rank's part of ``network``: of two Linear layers in a row, columns of the first and rows of the second.

    The activation between the two works on the columns of a rank. A last Linear without a partner stays whole on
    all ranks. Raises ``InputError`` for other layers between the two than elementwise ones without parameters, and
    hidden sizes that the ranks do not divide.
    """
    layers: list[Layer] = []
    first: Linear | None = None
    places = [i for i, layer in enumerate(network) if isinstance(layer, Linear)]
    paired = set(places[: len(places) // 2 * 2])
    for i, layer in enumerate(network.body.astype(network.dtype).layers):
        if i in paired and isinstance(layer, Linear):
            kind = RowParallelLinear if first else ColumnParallelLinear
            layers.append(kind.from_serial(layer, communicator))
            first = None if first else layer
            continue
        whole = isinstance(layer, Softmax | LogSoftmax) or layer.children() or layer.parameters()
        if first and (whole or layer.generators() or layer.statistics()):
            raise InputError(
                f"tensor parallelism: {layer!r} between two Linear layers cannot work on a part of them"
            )
        layers.append(layer)
    return Network(*layers, dtype=network.dtype)
