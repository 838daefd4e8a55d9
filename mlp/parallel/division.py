"""How the ranks of one training run divide their work: by samples, by features, or by layers."""

from __future__ import annotations

from dataclasses import dataclass

from mlp.checks import InputError, check_integer, find_name
from mlp.network import Network
from mlp.parallel.communicator import Communicator
from mlp.parallel.data.replicated import DataParallel
from mlp.parallel.pipeline.instructions import PipelineSchedule
from mlp.parallel.pipeline.schedules import PIPELINE_SCHEDULES, make_pipeline_schedule
from mlp.parallel.pipeline.training import Pipeline
from mlp.parallel.sharded.training import ShardedDataParallel
from mlp.parallel.tensor.training import TensorParallel, divide_layers
from mlp.solver.trainable import Trainable


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

    def divide(self, network: Network, communicator: Communicator) -> Trainable:
        """What this rank has of ``network``, the same on all ranks, as a ``Solver`` trains it. All ranks call this.

        Raises ``InputError`` if the ranks are not as many as it is for, or the network cannot be so divided.
        """
        self.check_ranks(communicator.size)
        if self.pipeline > 1:
            return Pipeline(network, communicator, self._pipeline_schedule())
        if self.tensor > 1:
            row = communicator.split(communicator.rank // self.tensor)
            column = communicator.split(communicator.rank % self.tensor)
            return TensorParallel(divide_layers(network, row), column)
        if self.data == 1:
            return Trainable(network)
        if self.shard:
            return ShardedDataParallel(network, communicator, stage=self.shard)
        return DataParallel(network, communicator)

    def _pipeline_schedule(self) -> PipelineSchedule:
        sizes = {"microbatches": self.microbatches}
        if find_name(self.schedule, ["model-parallel"]):
            sizes = {}
        elif find_name(self.schedule, ["interleaved"]):
            sizes["chunks"] = 2
        return make_pipeline_schedule(self.schedule, self.pipeline, **sizes)
