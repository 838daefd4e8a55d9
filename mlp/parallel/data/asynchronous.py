"""Asynchronous training: nobody waits for anybody, so gradients are of weights that have changed meanwhile."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_integer
from mlp.losses import Loss
from mlp.network import Network
from mlp.optim import Optimizer
from mlp.parallel.communicator import Communicator
from mlp.parallel.data.next_message import wait_for_any
from mlp.parallel.data.replicas import broadcast_parameters, own_random_numbers, sum_over_ranks

# (update) -> (x, targets) or (x, targets, sample weights): the same on all ranks for the same number.
GetBatch = Callable[[int], tuple[Array, ...]]

SERVER = 0
ORDER, WEIGHTS, REPORT, GRADIENT = range(4)  # tags of messages
NO_BATCH = -1  # the order to stop


class Updates(NamedTuple):
    """What happened, update by update: arrays of one length, the same on all ranks.

    ``workers`` are the ranks whose gradients they were, ``batches`` the numbers of the batches, ``losses`` the mean
    losses of these before the update, at the weights that the worker had. ``staleness`` is how many updates others
    have made between the reading of these weights and this update: 0 for each in serial training.
    """

    workers: NDArray[np.int64]
    batches: NDArray[np.int64]
    staleness: NDArray[np.int64]
    losses: NDArray[np.float64]

    def histogram(self) -> NDArray[np.intp]:
        """How many updates had staleness 0, 1, 2, ..."""
        return np.bincount(self.staleness)


def train_asynchronously(
    network: Network,
    loss: Loss,
    optimizer: Optimizer,
    communicator: Communicator,
    get_batch: GetBatch,
    updates: int,
    *,
    schedule: Sequence[int] | None = None,
) -> Updates:
    """Make ``updates`` updates with a parameter server, rank 0, and workers, all other ranks; all ranks call this.

        worker      receives weights w, computes the gradient g(w) of a batch's mean loss, sends it, waits for more
        server      as soon as a gradient comes, w ← the optimizer's step along it; sends w to the worker it is from

    The server has the only optimizer that is used, and w moves on while workers compute: a gradient is applied to
    weights that are ``staleness`` updates younger than those it was computed at. With W workers that are equally
    quick it is W - 1 for nearly all updates, which asks for smaller steps. No rank waits for a slower one. Batches
    0, 1, 2, ... are handed out in order: ``get_batch(i)`` returns batch i, on whatever rank asks for it.

    ``schedule`` are the workers' ranks in the order in which the server deals with them, over and over if it is
    short: then a run can be repeated, bit for bit. A worker to which no batch is left is passed over. Without it,
    whoever comes first is served first, and staleness is what it happens to be. A gradient whose loss is not finite
    changes no weights. At the end all ranks have the server's weights; running statistics are the mean of the
    workers', weighted by the samples that they have seen. Dropout draws numbers of its own on each rank.

    Raises ``InputError`` for a single rank, updates < 1, a schedule that is not one of all workers, or an optimizer
    of other parameters.

    Dean et al., "Large scale distributed deep networks", NIPS 2012; without locks, on shared memory: Recht, Ré,
    Wright & Niu, "Hogwild!", NIPS 2011.
    """
    updates = check_integer("updates", updates, 1)
    if communicator.size < 2:
        raise InputError("train_asynchronously: a server and at least one worker are needed, got 1 rank")
    if optimizer.parameters is not network.parameters:
        raise InputError(f"{optimizer!r} is of other parameters; make one for this network")
    workers = set(range(1, communicator.size))
    if schedule is not None and set(schedule) != workers:
        raise InputError(
            f"schedule must name all workers, ranks 1 to {communicator.size - 1}, got {list(schedule)}"
        )
    samples, record = 0, np.zeros((updates, 4))
    with own_random_numbers(network, communicator):
        if communicator.rank == SERVER:
            record = serve(network, optimizer, communicator, updates, schedule)
        else:
            samples = work(network, loss, communicator, get_batch)
    sum_over_ranks(np.zeros(1), samples, network, communicator)
    broadcast_parameters(network, communicator, SERVER)
    worker, batch, staleness, value = communicator.broadcast(record, SERVER).T
    return Updates(worker.astype(int), batch.astype(int), staleness.astype(int), value)


def serve(
    network: Network, optimizer: Optimizer, communicator: Communicator, updates: int, schedule: Sequence[int] | None
) -> Array:
    """The server's part: a row (worker, batch, staleness, loss) for each update."""
    w, g = network.parameters.data, network.parameters.grad
    batches = iter(range(updates))
    turns = None if schedule is None else cycle(schedule)
    busy: dict[int, int] = {}  # how many updates there are in the weights of each worker, the latest answered last

    def answer(worker: int, version: int) -> None:
        busy.pop(worker, None)
        batch = next(batches, NO_BATCH)
        communicator.send(np.array([batch]), worker, ORDER)
        if batch != NO_BATCH:
            communicator.send(w, worker, WEIGHTS)
            busy[worker] = version

    for worker in range(1, communicator.size):
        answer(worker, 0)
    record, report = np.empty((updates, 4)), np.empty(2)
    for version in range(updates):
        if turns is None:
            worker = wait_for_any(communicator, list(busy), REPORT)
        else:
            worker = next(worker for worker in turns if worker in busy)
        batch, value = communicator.receive(report, worker, REPORT)
        communicator.receive(g, worker, GRADIENT)
        if math.isfinite(value):
            optimizer.step()
        record[version] = worker, batch, version - busy[worker], value
        answer(worker, version + 1)
    return record


def work(network: Network, loss: Loss, communicator: Communicator, get_batch: GetBatch) -> int:
    """A worker's part: gradients until there is nothing more to do. Returns how many samples it has seen."""
    order, samples = np.zeros(1, np.int64), 0
    while (batch := int(communicator.receive(order, SERVER, ORDER)[0])) != NO_BATCH:
        communicator.receive(network.parameters.data, SERVER, WEIGHTS)
        x, targets, *weights = get_batch(batch)
        value, _ = network.training_step(x, targets, loss, sample_weight=weights[0] if weights else None)
        communicator.send(np.array([batch, value]), SERVER, REPORT)
        communicator.send(network.parameters.grad, SERVER, GRADIENT)
        samples += len(x)
    return samples
