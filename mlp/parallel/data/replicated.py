"""Data parallel: every rank has the whole network and a part of the batch; their gradients are added up."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_integer
from mlp.efficiency.mixed_precision import MixedPrecision
from mlp.losses import Loss
from mlp.metrics import count_correct
from mlp.network import Network
from mlp.optim import Optimizer, clip_by_norm
from mlp.optim.regularizers import MaxNorm, Regularizer
from mlp.parallel.communicator import Communicator
from mlp.parallel.data.buckets import Buckets
from mlp.parallel.data.replicas import broadcast_parameters, own_random_numbers, sum_over_ranks
from mlp.parallel.slices import slice_sizes, slices
from mlp.solver.evaluation import Outcome


class DataParallel:
    """Bulk-synchronous training of one network by several ranks, each with a slice of every batch. For weights w_i
    of the samples and losses l_i, the gradient of the mean loss is

        dL/dw = (Σ_r g_r) / (Σ_r W_r),      g_r = Σ_i w_i dl_i/dw,   W_r = Σ_i w_i,   over the samples i of rank r

    Each rank computes its g_r by itself, one all-reduce of the flat vector adds them up, and the division comes
    last: so slices may have any length, also 0, and up to rounding the result is that of the serial network. Then
    all ranks take the same step.

        parallel = DataParallel(network, communicator)
        optimizer = SGD(network.parameters, lr=0.1)
        outcome = parallel.training_step(slice_batch(x, communicator), slice_batch(y, communicator), loss)
        optimizer.step()

    At the beginning all ranks take over the parameters of rank 0. ``bucket_bytes`` lets the all-reduce begin while
    the backward pass goes on, in pieces of about so many bytes (see ``Buckets``). All ranks call every method.

    Not as in the serial network are layers that look at more than one sample, or at random numbers. BatchNorm
    normalises with the statistics of its rank's slice, so its gradients depend on the number of ranks; its running
    statistics become after each step their mean over the ranks, weighted by samples, so replicas stay equal (the
    mean is that of the whole batch, the variance is the mean within slices). Dropout draws masks of its own on each
    rank, from generators that stay alike on all ranks.

    Raises ``InputError`` for a ``bucket_bytes`` that is no integer above 0.
    """

    def __init__(self, network: Network, communicator: Communicator, *, bucket_bytes: int | None = None) -> None:
        self.network, self.communicator = network, communicator
        self._buckets = None if bucket_bytes is None else Buckets(network, communicator, bucket_bytes)
        broadcast_parameters(network, communicator)

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
        """The mean loss over the samples of all ranks, its gradient being left in ``network.parameters.grad``.

        x, targets and weights are this rank's. They are cut into ``parts`` microbatches, whose gradients add up
        before the ranks speak to each other. ``precision`` computes in float16 numbers: the gradients are those of
        S times the loss until its ``unscale``. Right answers are counted if ``is_classification``.

        Raises ``InputError`` as the network and the loss do, for parts < 1, and for buckets with ``precision``.
        """
        if precision is not None and self._buckets is not None:
            raise InputError(
                "DataParallel: mixed precision rounds gradients before they are sent: bucket_bytes=None"
            )
        bounds = slices(slice_sizes(len(x), check_integer("parts", parts, 1)))
        sums = np.zeros(4)
        self._begin()
        with own_random_numbers(self.network, self.communicator):
            for i, part in enumerate(bounds):
                with self._overlapping(is_last=i == parts - 1):
                    _, scores = (precision or self.network).training_step(
                        x[part], targets[part], loss,
                        sample_weight=None if sample_weight is None else sample_weight[part],
                        accumulate=i > 0, summed=True,
                    )  # fmt: skip
                correct = count_correct(targets[part], scores) if is_classification else 0
                sums += loss.total, loss.weight, correct, len(scores)
        # What is not finite shows in the loss, or in mixed precision when it is unscaled.
        with np.errstate(over="ignore", invalid="ignore"):
            self._reduce()
            total, weight, *counts = sum_over_ranks(sums, len(x), self.network, self.communicator)
            if loss.reduction == "sum":
                value = total
            else:
                value = total / (weight or 1)
                self.network.parameters.grad[...] *= 1 / weight if weight else 0
        return Outcome(value, total, weight, *map(int, counts))

    def _begin(self) -> None:
        """Before the first microbatch."""

    def _overlapping(self, is_last: bool) -> AbstractContextManager[None]:
        return self._buckets.overlapping() if is_last and self._buckets is not None else nullcontext()

    def _reduce(self) -> None:
        """Sum the gradient over the ranks."""
        if self._buckets is not None:
            self._buckets.finish()
        else:
            g = self.network.parameters.grad
            self.communicator.all_reduce(g, out=g)

    # What a step does besides, and where what a rank holds is not the whole: see ``ShardedDataParallel``.

    def penalise(self, regularizer: Regularizer) -> float:
        """Add dR/dw to the gradient; returns R(w)."""
        regularizer.add_gradient(self.network.parameters)
        return regularizer.penalty(self.network.parameters)

    def clip_by_norm(self, limit: float) -> float:
        """g ← g · min(1, limit / |g|), as ``mlp.optim.clip_by_norm`` does it; returns |g|."""
        return clip_by_norm(self.network.parameters, limit)

    def publish(self, constraint: MaxNorm | None = None, precision: MixedPrecision | None = None) -> None:
        """After an update: apply the constraint. (All ranks have made the same update.)"""
        if constraint is not None:
            constraint.apply(self.network.parameters)

    def state_dict(self) -> dict[str, Array]:
        """The ``state_dict`` of the serial network, on every rank."""
        return self.network.state_dict()

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Take over a serial network's. Raises ``InputError``, and changes nothing, unless it fits."""
        self.network.load_state_dict(state)

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Array]:
        """The optimizer's ``state_dict`` as it would be over the serial network, on every rank."""
        return optimizer.state_dict()

    def load_optimizer_state(self, optimizer: Optimizer, state: Mapping[str, Array]) -> None:
        """Take over the state of the serial network's optimizer. Raises ``InputError``, as that does."""
        optimizer.load_state_dict(state)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.communicator!r})"
