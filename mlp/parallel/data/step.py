"""The step of a ``Solver`` whose batches are divided among ranks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_number
from mlp.losses import Loss
from mlp.optim import Optimizer, clip_by_value
from mlp.parallel.data.replicas import slice_batch
from mlp.parallel.data.replicated import DataParallel
from mlp.parallel.sharded.training import ShardedDataParallel
from mlp.parallel.slices import slice_sizes
from mlp.solver.evaluation import Outcome
from mlp.solver.loop import Solver
from mlp.solver.step import Step

NETWORK = "network/"  # how the names of the network's arrays begin in the state of a solver


class DataParallelStep(Step):
    """``mlp.solver.step.Step`` for several ranks: every rank is given the whole batch, and takes its slice of it.

        parallel = DataParallel(network, communicator)                  # or ShardedDataParallel
        optimizer = SGD(network.parameters, lr=0.1)
        solver = Solver(network, loss, optimizer, **options)
        solver.update = DataParallelStep(parallel, loss, optimizer, **step_options)

    All ranks draw the same order of samples and the same augmentation, from generators seeded alike, so the batch,
    and all that is made of it, is that of the serial run. ``accumulate`` cuts each slice into parts. Slices are of
    one size, unless ``shares`` gives each rank a share in the batch: (2, 1) for a first rank that is twice as fast.
    What is returned is about the whole batch, and the same on all ranks.

    Raises ``InputError`` as ``Step`` does, and for shares that are not one number >= 0 a rank, with a sum above 0.
    """

    def __init__(
        self, parallel: DataParallel, loss: Loss, optimizer: Optimizer, *, shares: Sequence[float] | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(parallel.network, loss, optimizer, **options)
        self.parallel = parallel
        self.shares = None if shares is None else [check_number("each of shares", share, 0) for share in shares]
        ranks = parallel.communicator.size
        if self.shares is not None and (len(self.shares) != ranks or not sum(self.shares)):
            raise InputError(f"shares must be {ranks} numbers, one a rank, with a sum above 0, got {shares!r}")

    def slice_sizes(self, rows: int) -> tuple[int, ...]:
        """How many rows of a batch each rank takes."""
        if self.shares is None:
            return slice_sizes(rows, self.parallel.communicator.size)
        ends = np.rint(rows * np.cumsum(self.shares) / sum(self.shares)).astype(int)
        return tuple(np.diff(ends, prepend=0).tolist())

    def __call__(self, *arguments: Any, **options: Any) -> Outcome:
        """Run one step on a batch, as ``Step`` does."""
        outcome = super().__call__(*arguments, **options)
        if not np.isfinite(outcome.loss) and isinstance(self.parallel, ShardedDataParallel):
            self.parallel.unshard()  # for whoever looks where it comes from
        return outcome

    def _gradients(self, x: Array, targets: Array, sample_weight: Array | None, is_classification: bool) -> Outcome:
        sizes, communicator = self.slice_sizes(len(x)), self.parallel.communicator
        return self.parallel.training_step(
            slice_batch(x, communicator, sizes), slice_batch(targets, communicator, sizes), self.loss,
            sample_weight=None if sample_weight is None else slice_batch(sample_weight, communicator, sizes),
            parts=max(1, min(self.accumulate, max(sizes))),
            precision=self.precision, is_classification=is_classification,
        )  # fmt: skip

    def _penalise(self) -> float:
        return 0.0 if self.regularizer is None else self.parallel.penalise(self.regularizer)

    def _update(self, number: int) -> None:
        if self.clip_value is not None:
            clip_by_value(self.network.parameters, self.clip_value)
        if self.clip_norm is not None:
            self.gradient_norm = self.parallel.clip_by_norm(self.clip_norm)
        if self.schedule is not None:
            self.optimizer.lr = self.schedule(number) * self.lr_factor
        self.optimizer.step()
        self.parallel.publish(self.constraint, self.precision)
        if self.average is not None:
            self.average.update()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside this block the network computes with the average of its weights, if there is one."""
        if self.average is None:
            yield
            return
        with self.average.swapped():
            self.parallel.publish()
            yield
        self.parallel.publish(precision=self.precision)

    def serial_state(self, solver: Solver) -> tuple[dict[str, Array], dict[str, Any]]:
        """``solver.state_dict()`` as the serial run would have it: all ranks call this, one of them saves it.

        The network's, the optimizer's and the average's arrays are put together where ranks have slices of them.
        What callbacks remember has to be alike on all ranks.
        """
        arrays, rest = solver.state_dict()
        if isinstance(self.parallel, ShardedDataParallel):
            serial = self.parallel.serial
            arrays = {name: serial.gather_like(a) for name, a in arrays.items() if not name.startswith(NETWORK)}
            arrays = {f"{NETWORK}{name}": a for name, a in serial.gather().items()} | arrays
        return arrays, rest

    def load_serial_state(self, solver: Solver, arrays: Mapping[str, Array], rest: dict[str, Any]) -> None:
        """Continue from the state of a serial run, or of one on any number of ranks.

        Raises ``InputError`` unless it fits, as ``Solver.load_state_dict`` does.
        """
        own = dict(arrays)
        if isinstance(self.parallel, ShardedDataParallel):
            serial = self.parallel.serial
            state = {n.removeprefix(NETWORK): a for n, a in arrays.items() if n.startswith(NETWORK)}
            own = {name: serial.take_like(a) for name, a in arrays.items() if not name.startswith(NETWORK)}
            own |= {f"{NETWORK}{name}": a for name, a in serial.take(state).items()}
        solver.load_state_dict(own, rest)
        self.parallel.publish(precision=self.precision)
