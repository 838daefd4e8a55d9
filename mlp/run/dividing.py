"""How the processes of a run divide its work, from its settings; a run of one process loads nothing for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlp.network import Network
from mlp.run.config import RunConfig
from mlp.solver.trainable import Trainable

if TYPE_CHECKING:
    from mlp.parallel.communicator import Communicator
    from mlp.parallel.division import Division


def check_ranks(config: RunConfig, communicator: Communicator | None) -> None:
    """Raise ``InputError``, naming the way to start it, unless there are as many processes as configured."""
    if communicator is not None or is_divided(config):
        make_division(config).check_ranks(1 if communicator is None else communicator.size)


def is_divided(config: RunConfig) -> bool:
    """Whether the run is one of several processes."""
    return config.data_parallel * config.tensor_parallel * config.pipeline_stages > 1


def make_division(config: RunConfig) -> Division:
    """How the processes of the run divide their work."""
    from mlp.parallel.division import Division

    return Division(
        config.data_parallel,
        config.tensor_parallel,
        config.pipeline_stages,
        config.microbatches,
        config.pipeline_schedule,
        config.shard,
    )


def make_model(config: RunConfig, network: Network, communicator: Communicator | None) -> Trainable:
    """The network as the solver trains it: with several processes, this one's part of it."""
    return Trainable(network) if communicator is None else make_division(config).divide(network, communicator)
