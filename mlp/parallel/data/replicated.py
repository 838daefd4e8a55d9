"""Data parallel: every rank has the whole network and a part of the batch; their gradients are added up."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_integer, check_number
from mlp.efficiency.mixed_precision import MixedPrecision
from mlp.losses import Loss
from mlp.network import Network
from mlp.parallel.communicator import Communicator
from mlp.parallel.data.buckets import Buckets
from mlp.parallel.data.replicas import broadcast_parameters, own_random_numbers, slice_batch, sum_over_ranks
from mlp.parallel.shared import SharedTraining
from mlp.parallel.slicing import slice_sizes
from mlp.solver.evaluation import Outcome


class DataParallel(SharedTraining):
    """Bulk-synchronous training of one network by several ranks, each with a slice of every batch. For weights w_i
    of the samples and losses l_i, the gradient of the mean loss is

        dL/dw = (Σ_r g_r) / (Σ_r W_r),      g_r = Σ_i w_i dl_i/dw,   W_r = Σ_i w_i,   over the samples i of rank r

    Each rank computes its g_r by itself, one all-reduce of the flat vector adds them up, and the division comes
    last: so slices may have any length, also 0, and up to rounding the result is that of the serial network. Then
    all ranks take the same step.

        parallel = DataParallel(network, communicator)
        solver = Solver(parallel, loss, SGD(parallel.parameters, lr=0.1))     # on every rank, with the same rng

    All ranks draw the same order of samples and the same augmentation, so the whole batch is the same on all, and
    each takes its slice. Or, step by step,

        outcome = parallel.training_step(slice_batch(x, communicator), slice_batch(y, communicator), loss)
        optimizer.step()

    At the beginning all ranks take over the parameters of rank 0. Slices are of one size, unless ``shares`` gives
    each rank a share in the batch: (2, 1) for a first rank that is twice as fast. ``bucket_bytes`` lets the
    all-reduce begin while the backward pass goes on, in pieces of about so many bytes (see ``Buckets``).

    Not as in the serial network are layers that look at more than one sample, or at random numbers. BatchNorm
    normalises with the statistics of its rank's slice, so its gradients depend on the number of ranks; its running
    statistics become after each step their mean over the ranks, weighted by samples, so replicas stay equal (the
    mean is that of the whole batch, the variance is the mean within slices). Dropout draws masks of its own on each
    rank, from generators that stay alike on all ranks.

    Raises ``InputError`` for a ``bucket_bytes`` that is no integer above 0, and for shares that are not one number
    >= 0 a rank, with a sum above 0.
    """

    def __init__(
        self,
        network: Network,
        communicator: Communicator,
        *,
        bucket_bytes: int | None = None,
        shares: Sequence[float] | None = None,
    ) -> None:
        super().__init__(network, communicator)
        self.shares = None if shares is None else self.check_shares(shares)
        self._buckets = None if bucket_bytes is None else Buckets(network, communicator, bucket_bytes)
        broadcast_parameters(network, communicator)

    def check_shares(self, shares: Sequence[float]) -> list[float]:
        """The shares as numbers. Raises ``InputError`` unless there is one a rank, with a sum above 0."""
        numbers = [check_number("each of shares", share, 0) for share in shares]
        ranks = self.communicator.size
        if len(numbers) != ranks or not sum(numbers):
            raise InputError(f"shares must be {ranks} numbers, one a rank, with a sum above 0, got {shares!r}")
        return numbers

    def slice_sizes(self, rows: int) -> tuple[int, ...]:
        """How many rows of a batch each rank takes."""
        if self.shares is None:
            return slice_sizes(rows, self.communicator.size)
        ends = np.rint(rows * np.cumsum(self.shares) / sum(self.shares)).astype(int)
        return tuple(np.diff(ends, prepend=0).tolist())

    def gradients(
        self,
        x: Array,
        targets: Array,
        loss: Loss,
        *,
        sample_weight: Array | None = None,
        parts: int = 1,
        precision: MixedPrecision | None = None,
        is_classification: bool = False,
    ) -> Outcome:
        """As in ``Trainable``, of a whole batch, which all ranks are given alike; what it returns is alike too."""
        sizes = self.slice_sizes(len(x))
        return self.training_step(
            slice_batch(x, self.communicator, sizes), slice_batch(targets, self.communicator, sizes), loss,
            sample_weight=None if sample_weight is None else slice_batch(sample_weight, self.communicator, sizes),
            parts=max(1, min(parts, max(sizes))), precision=precision, is_classification=is_classification,
        )  # fmt: skip

    def training_step(
        self,
        x: Array,
        targets: Array,
        loss: Loss,
        *,
        sample_weight: Array | None = None,
        parts: int = 1,
        precision: MixedPrecision | None = None,
        is_classification: bool = False,
    ) -> Outcome:
        """``gradients`` of a batch of which this rank has x, targets and weights.

        They are cut into ``parts`` microbatches, whose gradients add up before the ranks speak to each other.
        Raises ``InputError`` as the network and the loss do, for parts < 1, and for buckets with ``precision``.
        """
        if precision is not None and self._buckets is not None:
            raise InputError(
                "DataParallel: mixed precision rounds gradients before they are sent: bucket_bytes=None"
            )
        check_integer("parts", parts, 1)
        self._begin()
        with own_random_numbers(self.network, self.communicator):
            sums = self._add_up(x, targets, loss, sample_weight, parts, precision, is_classification)
        # What is not finite shows in the loss, or in mixed precision when it is unscaled.
        with np.errstate(over="ignore", invalid="ignore"):
            self._reduce()
            asked = float(self._is_interrupted)
            *sums_of_all, interrupts = sum_over_ranks(
                np.append(sums, asked), len(x), self.network, self.communicator
            )
            self._is_stop_agreed = interrupts > 0
            return self._divide(loss, *sums_of_all)

    def _begin(self) -> None:
        """Before the first microbatch."""

    def _last_pass(self) -> AbstractContextManager[None]:
        return nullcontext() if self._buckets is None else self._buckets.overlapping()

    def _reduce(self) -> None:
        """Sum the gradient over the ranks."""
        if self._buckets is not None:
            self._buckets.finish()
        else:
            g = self.network.parameters.grad
            self.communicator.all_reduce(g, out=g)
