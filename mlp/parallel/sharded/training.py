"""Fully sharded: what data-parallel ranks all hold alike, each holds a slice of, and they gather it for use."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from mlp.arrays import Array, aligned_empty
from mlp.checks import InputError, check_state
from mlp.efficiency.mixed_precision import MixedPrecision
from mlp.layers.assembly import check_parameters
from mlp.losses import Loss
from mlp.network import Network
from mlp.optim.clipping import norm
from mlp.optim.regularizers import MaxNorm, Regularizer
from mlp.parallel.communicator import Communicator
from mlp.parallel.data.replicated import DataParallel
from mlp.parallel.sharded.units import ShardedBody, Unit, divide
from mlp.parameter import ParameterVector
from mlp.solver.evaluation import Outcome
from mlp.solver.pieces import pieces, placeholders


class ShardedDataParallel(DataParallel):
    """Data-parallel training in which ranks do not all hold the same. For P parameters, each of N has P / N only of

        stage 1   (ZeRO-1)              the numbers that the optimizer remembers
        stage 2   (ZeRO-2)              these, and the gradients
        stage 3   (ZeRO-3, FSDP)        these, and the parameters themselves

    Instead of an all-reduce of the gradients there is a reduce-scatter: each rank gets its slice of the sum, and
    takes the optimizer's step on its slice of the parameters. Then an all-gather gives every rank all of these
    again. Together the two move as many bytes as the all-reduce, 2 P numbers. In stage 3 no rank ever has all
    parameters. Each unit (a layer with parameters, and those without that follow it) is gathered before its
    forward pass, again before its backward pass, and let go after both: 3 P numbers. From stage 2 on gradients are
    scattered unit by unit, in every microbatch.

        parallel = ShardedDataParallel(network, communicator, stage=3)
        optimizer = Adam(parallel.parameters)           # over this rank's slice: made after the line above
        solver = Solver(parallel, loss, optimizer)      # or, step by step,

        outcome = parallel.training_step(slice_batch(x, communicator), slice_batch(y, communicator), loss)
        parallel.clip_by_norm(1.0)
        optimizer.step()
        parallel.publish()

    ``network.parameters`` is from then on the flat vector of this rank's slices, with the mean gradient after a
    step. Whatever is done to each number by itself can be done to it: any optimizer, weight decay, L1 and L2,
    clipping by value, averages of the weights. ``forward``, ``scores`` and the rest work as before, but in stage 3
    all ranks have to call them. The whole vectors that the network was made with are free again.

    Raises ``InputError`` for another stage, and for a network that is sharded already.

    Rajbhandari, Rasley, Ruwase & He, "ZeRO: memory optimizations toward training trillion parameter models",
    SC 2020, arXiv:1910.02054; Zhao et al., "PyTorch FSDP: experiences on scaling fully sharded data parallel",
    VLDB 2023, arXiv:2304.11277.
    """

    def __init__(self, network: Network, communicator: Communicator, stage: int = 3) -> None:
        if stage not in (1, 2, 3):
            raise InputError(f"ShardedDataParallel: stage must be 1, 2 or 3, got {stage!r}")
        if isinstance(network.body, ShardedBody):
            raise InputError("ShardedDataParallel: the network is sharded already")
        super().__init__(network, communicator)
        self.stage = stage
        self.units = divide(network.body, communicator.size, communicator.rank, in_one=stage == 1)
        whole = network.parameters
        self.shard = ParameterVector(p for unit in self.units for p in unit.pieces(whole.data[unit.part]))
        self._shapes = {p.name: p.shape for unit in self.units for p in unit.parameters}
        # Stages 1 and 2 keep all weights, stage 1 all gradients; else there is room for one unit at a time.
        largest, dtype = max(unit.size for unit in self.units), whole.dtype
        self._weight_memory = aligned_empty((whole.size if stage < 3 else largest,), dtype)
        self._gradient_memory = aligned_empty((largest,), dtype)
        self._is_whole = False
        # What has no values at the moment shows NaN, and takes no memory.
        self._absent = {p.name: np.broadcast_to(dtype.type(np.nan), p.shape) for p in whole}
        for p in whole:
            p.look_at(self._absent[p.name], self._absent[p.name], self.shard)
        network.parameters = self.shard
        network.body = ShardedBody(network.body, self.units, self)
        if stage == 1:
            self._lend_gradients(self.units[0])
        self.publish()

    def check_parameters(self) -> None:
        check_parameters(self.network.body, [p for unit in self.units for p in unit.parameters])

    @property
    def memory(self) -> list[Array]:
        """The arrays for weights and gradients that this rank has beside the rows of ``network.parameters``."""
        return [self._weight_memory, self._gradient_memory]

    # What happens to a unit.

    @contextmanager
    def gathered(self, unit: Unit) -> Iterator[None]:
        """Inside this block the unit has its values: all-gathered, unless they stay on every rank."""
        if self._is_whole:
            yield
            return
        self._gather(unit, self._weight_memory[: unit.size])
        try:
            yield
        finally:
            self._let_go(unit)

    @contextmanager
    def scattered(self, unit: Unit) -> Iterator[None]:
        """Inside this block the unit has room for gradients, which at its end are added to the ranks' slices."""
        if self.stage == 1:  # after the last microbatch, all at once
            yield
            return
        self._lend_gradients(unit)
        yield
        self._scatter(unit)
        for p in unit.parameters:
            p.look_at(grad=self._absent[p.name])

    def _gather(self, unit: Unit, flat: Array) -> None:
        self.communicator.all_gather(self.shard.data[unit.place], out=flat, sizes=unit.sizes)
        for p, values in unit.views(flat):
            p.look_at(data=values)

    def _let_go(self, unit: Unit) -> None:
        for p in unit.parameters:
            p.look_at(data=self._absent[p.name])

    def _lend_gradients(self, unit: Unit) -> None:
        for p, values in unit.views(self._gradient_memory[: unit.size]):
            p.look_at(grad=values)
            p.zero_grad()

    def _scatter(self, unit: Unit) -> None:
        for p in unit.parameters:
            p.grad  # noqa: B018 - reading the gradient of a parameter that nothing has reached writes its zeros
        g = self._gradient_memory[: unit.size]
        own = self.communicator.reduce_scatter(g, out=g[unit.mine], sizes=unit.sizes)
        self.shard.grad[unit.place] += own

    # What happens in a step.

    def training_step(self, x: Array, targets: Array, loss: Loss, **options: Any) -> Outcome:
        """The same as in ``DataParallel``; ``network.parameters.grad`` is this rank's slices of the gradient.

        If a gradient overflows in mixed precision, all ranks see it, whoever has it: all skip the step.
        """
        outcome = super().training_step(x, targets, loss, **options)
        if options.get("precision") is not None:
            g = self.shard.grad
            overflowed = np.array([not np.isfinite(g).all()], np.uint8)
            if self.communicator.all_reduce(overflowed, "max")[0]:
                g[...] = np.inf
        return outcome

    def _begin(self) -> None:
        self.reshard()
        if self.stage == 1:
            for p in self.units[0].parameters:
                p.zero_grad()

    def _reduce(self) -> None:
        if self.stage == 1:
            self._scatter(self.units[0])

    def penalise(self, regularizer: Regularizer) -> float:
        """Add dR/dw to the gradient; returns R(w), the sum over the ranks. R is a sum over single numbers."""
        return float(self.communicator.all_reduce(np.array(super().penalise(regularizer))))

    def global_norm(self) -> float:
        """|g| of the gradient that is divided among the ranks: NaN or inf if an entry is."""
        return math.hypot(*self.communicator.all_gather(np.array([norm(self.shard.grad)])).tolist())

    def publish(self, constraint: MaxNorm | None = None, precision: MixedPrecision | None = None) -> None:
        """After an update: give all ranks the new weights, where they are to have them all, in stages 1 and 2.

        A ``constraint`` looks at whole parameters: each unit is gathered for it, in stage 3 too. With ``precision``
        the weights that all ranks have are float16 numbers.
        """
        if constraint is not None:
            for unit in self.units:
                flat = self._weight_memory[: unit.size]
                self._gather(unit, flat)
                constraint.apply(unit.parameters)
                self.shard.data[unit.place] = flat[unit.mine]
                self._let_go(unit)
        if self.stage < 3:
            with nullcontext() if precision is None else precision.half():
                self.unshard()

    def unshard(self) -> None:
        """Gather all weights on every rank, which is what stages 1 and 2 do after each update.

        In stage 3 that takes memory for all of them, until ``reshard`` or the next training step.
        """
        if self._weight_memory.size < self.whole_size:
            self._weight_memory = aligned_empty((self.whole_size,), self.shard.dtype)
        for unit in self.units:
            self._gather(unit, self._weight_memory[unit.part])
        self._is_whole = True

    def reshard(self) -> None:
        """Let go of what ``unshard`` has gathered: in stage 3, and without effect in the others."""
        if self._is_whole and self.stage == 3:
            self._weight_memory = aligned_empty((self._gradient_memory.size,), self.shard.dtype)
            self._is_whole = False
            for unit in self.units:
                self._let_go(unit)

    def explain_non_finite(self, x: Array) -> str | None:
        """Where the first value that is not finite comes from when this batch goes forward, or None."""
        self.unshard()
        return super().explain_non_finite(x)

    # State, which is that of the whole network: all ranks put it together, and each takes its slices.

    def gather_vector(self, vector: Array) -> Array:
        whole = np.empty(self.whole_size, vector.dtype)
        for unit in self.units:
            self.communicator.all_gather(vector[unit.place], out=whole[unit.part], sizes=unit.sizes)
        return whole

    def take_vector(self, whole: Array) -> Array:
        return np.concatenate([whole[unit.part][unit.mine] for unit in self.units])

    def state_dict(self) -> dict[str, Array]:
        return pieces(self.gather_vector(self.shard.data), self._shapes) | self._statistics()

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        statistics = self._statistics()
        check_state(state, placeholders(self._shapes, self.dtype) | statistics)
        whole = np.concatenate([np.asarray(state[name], self.dtype).reshape(-1) for name in self._shapes])
        self.shard.data[...] = self.take_vector(whole)
        own = {p.name: p.data for p in self.shard}
        self.network.load_state_dict(own | {name: state[name] for name in statistics})
        self.publish()

    def _statistics(self) -> dict[str, Array]:
        """Copies of the running statistics by name."""
        return {name: array for name, array in self.network.state_dict().items() if name not in self._shapes}
