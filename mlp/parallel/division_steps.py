"""The steps of a ``Solver`` whose network is divided among ranks, by features or by layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.losses import Loss
from mlp.metrics import count_correct
from mlp.network import Network
from mlp.optim import Optimizer
from mlp.optim.regularizers import Regularizer
from mlp.parallel.data.replicated import DataParallel
from mlp.parallel.data.step import DataParallelStep
from mlp.parallel.pipeline.training import Pipeline
from mlp.parallel.tensor.state import (
    clip_by_global_norm,
    gather_optimizer_state,
    gather_state,
    load_optimizer_state,
    load_serial_state,
)
from mlp.solver.evaluation import Outcome
from mlp.solver.loop import Solver
from mlp.solver.step import Step

NETWORK, OPTIMIZER = "network/", "optimizer/"  # how the names of their arrays begin in the state of a solver


class TensorDataParallel(DataParallel):
    """Data parallelism, over the ranks that have the same part, of a network whose layers are divided.

    ``communicator`` is that of the ranks with the same part; the layers have their own.
    """

    def clip_by_norm(self, limit: float) -> float:
        return clip_by_global_norm(self.network, limit)

    def penalise(self, regularizer: Regularizer) -> float:
        raise InputError("tensor parallelism: a penalty of divided weights is not supported; use weight decay")

    def state_dict(self) -> dict[str, Array]:
        return gather_state(self.network)

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        load_serial_state(self.network, state)

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Array]:
        return gather_optimizer_state(self.network, optimizer)

    def load_optimizer_state(self, optimizer: Optimizer, state: Mapping[str, Array]) -> None:
        load_optimizer_state(self.network, optimizer, state)


def whole_state(parallel: TensorDataParallel | Pipeline, solver: Solver) -> tuple[dict[str, Array], dict[str, Any]]:
    """``solver.state_dict()`` as that of the serial run: the network's and the optimizer's arrays put together."""
    arrays, rest = solver.state_dict()
    arrays = {name: a for name, a in arrays.items() if not name.startswith((NETWORK, OPTIMIZER))}
    arrays |= {f"{NETWORK}{name}": a for name, a in parallel.state_dict().items()}
    arrays |= {f"{OPTIMIZER}{name}": a for name, a in parallel.optimizer_state(solver.optimizer).items()}
    return arrays, rest


def take_state(
    parallel: TensorDataParallel | Pipeline, solver: Solver, arrays: Mapping[str, Array], rest: dict[str, Any]
) -> None:
    """Continue from a serial run's state: each rank takes its parts. Raises ``InputError`` unless it fits."""
    parts: dict[str, dict[str, Array]] = {NETWORK: {}, OPTIMIZER: {}}
    own = {}
    for name, array in arrays.items():
        part, _, key = name.partition("/")
        if f"{part}/" in parts:
            parts[f"{part}/"][key] = array
        else:
            own[name] = array
    parallel.load_state_dict(parts[NETWORK])
    parallel.load_optimizer_state(solver.optimizer, parts[OPTIMIZER])
    # What a rank has now is what its solver is to go on with.
    own |= {f"{NETWORK}{name}": a for name, a in solver.network.state_dict().items()}
    own |= {f"{OPTIMIZER}{name}": a for name, a in solver.optimizer.state_dict().items()}
    solver.load_state_dict(own, rest)


class TensorParallelStep(DataParallelStep):
    """``DataParallelStep`` over a network whose layers are divided: all ranks of a row see the same samples."""

    parallel: TensorDataParallel

    def serial_state(self, solver: Solver) -> tuple[dict[str, Array], dict[str, Any]]:
        return whole_state(self.parallel, solver)

    def load_serial_state(self, solver: Solver, arrays: Mapping[str, Array], rest: dict[str, Any]) -> None:
        take_state(self.parallel, solver, arrays, rest)


class PipelineStep(Step):
    """``Step`` through a pipeline: every rank is given the whole batch, and runs its stage's layers.

    A batch is cut into the schedule's microbatches, which is what ``accumulate`` would do.

    Raises ``InputError`` for options that need the whole network in one place.
    """

    def __init__(self, pipeline: Pipeline, loss: Loss, optimizer: Optimizer, **options: Any) -> None:
        for name in ("precision", "regularizer", "constraint", "average"):
            if options.get(name) is not None:
                raise InputError(f"a pipeline does not support {name}")
        # To a solver, a pipeline is a network: it makes steps, evaluates, and has the whole network's state.
        super().__init__(cast(Network, pipeline), loss, optimizer, **options)
        self.pipeline = pipeline

    def _gradients(self, x: Array, targets: Array, sample_weight: Array | None, is_classification: bool) -> Outcome:
        value, scores = self.pipeline.training_step(x, targets, self.loss, sample_weight=sample_weight)
        correct = count_correct(targets, scores) if is_classification else 0
        return Outcome(value, self.loss.total, self.loss.weight, correct, len(x))

    def _clip(self, limit: float) -> float:
        return self.pipeline.clip_by_norm(limit)

    def serial_state(self, solver: Solver) -> tuple[dict[str, Array], dict[str, Any]]:
        """``solver.state_dict()`` as the serial run would have it, on all ranks, which all call this."""
        arrays, rest = whole_state(self.pipeline, solver)
        rest["generators"] |= self.pipeline.generator_states()
        return arrays, rest

    def load_serial_state(self, solver: Solver, arrays: Mapping[str, Array], rest: dict[str, Any]) -> None:
        """Continue from the state of a serial run. Raises ``InputError`` unless it fits."""
        mine = {"transform", *solver.network.generators()}
        generators = {name: state for name, state in rest["generators"].items() if name in mine}
        take_state(self.pipeline, solver, arrays, rest | {"generators": generators})
