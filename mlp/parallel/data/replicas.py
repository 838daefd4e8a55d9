"""Replicas: what ranks do so that each has the same network, and its own part of every batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.network import Network
from mlp.parallel.calls import CommunicatorError
from mlp.parallel.communicator import Communicator
from mlp.parallel.slicing import slice_sizes, slices


def slice_batch(batch: Array, communicator: Communicator, sizes: Sequence[int] | None = None) -> Array:
    """This rank's rows of a batch that all ranks have alike: a view, empty if there are fewer rows than ranks.

        order = rng.permutation(len(train))                                # the same on all ranks
        x, y = batches.load(slice_batch(order[:512], communicator))        # each loads its part

    ``sizes`` are the numbers of rows of all ranks; without them rows are divided evenly, by ``slice_sizes``.
    Raises ``InputError`` for sizes that are not those of the batch.
    """
    sizes = slice_sizes(len(batch), communicator.size) if sizes is None else sizes
    if len(sizes) != communicator.size or sum(sizes) != len(batch):
        raise InputError(f"slice_batch: {len(batch)} rows for {communicator.size} ranks, got sizes {tuple(sizes)}")
    return batch[slices(sizes)[communicator.rank]]


def broadcast_parameters(network: Network, communicator: Communicator, root: int = 0) -> None:
    """Give every rank the parameters and the running statistics of rank ``root``; all ranks call this."""
    communicator.broadcast(network.parameters.data, root)
    for array in unique_statistics(network):
        communicator.broadcast(array, root)


def replica_hash(network: Network) -> str:
    """SHA-256 of the parameters and the running statistics, as 64 hexadecimal digits: equal for equal bits."""
    digest = hashlib.sha256()
    for array in (network.parameters.data, *unique_statistics(network)):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def check_replicas_equal(network: Network, communicator: Communicator) -> str:
    """The ``replica_hash`` of all ranks, which all call this. Raises ``CommunicatorError`` if they differ."""
    own = np.frombuffer(bytes.fromhex(replica_hash(network)), np.uint8)
    hashes = communicator.all_gather(own[None], sizes=[1] * communicator.size)
    different = [f"rank {rank}" for rank, other in enumerate(hashes) if not np.array_equal(other, hashes[0])]
    if different:
        raise CommunicatorError(f"the replicas differ: {', '.join(different)} from rank 0")
    return replica_hash(network)


def unique_statistics(network: Network) -> list[Array]:
    """The running statistics of all layers, each once: the arrays themselves."""
    return list({id(array): array for array in network.body.statistics().values()}.values())


@contextmanager
def own_random_numbers(network: Network, communicator: Communicator) -> Iterator[None]:
    """Inside this block each rank's layers draw numbers of their own, afterwards they are alike again.

    Each generator gives one number n, the same on all ranks, and is replaced for the block by one that is made of
    n and the rank. So the masks of Dropout differ between ranks, while the generators that a checkpoint keeps are
    the same on all of them. On a single rank nothing is replaced, and all is as in the serial network.
    """
    generators = {id(rng): rng for rng in network.generators().values()}.values()
    if communicator.size == 1:
        yield
        return
    seeds = [int(rng.integers(2**63)) for rng in generators]
    common = [rng.bit_generator.state for rng in generators]
    for rng, seed in zip(generators, seeds, strict=True):
        kind = type(rng.bit_generator)
        rng.bit_generator.state = kind(np.random.SeedSequence([seed, communicator.rank])).state
    try:
        yield
    finally:
        for rng, state in zip(generators, common, strict=True):
            rng.bit_generator.state = state


def sum_over_ranks(sums: Array, count: int, network: Network, communicator: Communicator) -> list[float]:
    """``sums`` (k,) added up over all ranks; on the way the running statistics s become Σ_r n_r s_r / Σ_r n_r.

    n_r = ``count`` is the number of samples that rank r has seen. It is one short all-reduce in float64, in which
    the statistics travel along with the sums. A rank without samples takes over what the others have.
    """
    if communicator.size == 1:
        return sums.tolist()
    statistics = [array for array in unique_statistics(network) if array.dtype.kind == "f"]
    weighted = [array.reshape(-1).astype(np.float64) * count for array in statistics]
    total = communicator.all_reduce(np.concatenate([[*sums, count], *weighted]))
    samples = float(total[len(sums)])
    if samples:
        ends = np.cumsum([array.size for array in statistics], dtype=int)
        for array, mean in zip(statistics, np.split(total[len(sums) + 1 :] / samples, ends[:-1]), strict=False):
            array[...] = mean.reshape(array.shape)
    return total[: len(sums)].tolist()
