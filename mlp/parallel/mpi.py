"""Ranks as MPI processes: the communicator for runs on several cores or machines, over mpi4py."""

from __future__ import annotations

import functools
import math
import os
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_number
from mlp.parallel.calls import CommunicatorError, Handle
from mlp.parallel.communicator import Communicator
from mlp.parallel.environment import INSTALL, RANKS, warn_of_blas_threads
from mlp.parallel.process import Operation, Process
from mlp.parallel.slicing import reduce_in_rank_order, slice_sizes, slices

if TYPE_CHECKING:
    from mpi4py import MPI

Steps = Iterator[list["MPI.Request"]]

# Shorter arrays are sent whole to every rank, which costs bytes and saves a round.
SHORT = 2**14
REMEMBERED = 256  # calls that can still be named when ranks disagree about them


class MPICommunicator(Communicator):
    """The communicator of a rank that is a process; ``MPICommunicator.world()`` is that of all of them.

    Every collective is made of messages, so that sums are taken in the order of ranks (an MPI library chooses
    its own). It costs nothing: an all-reduce is a reduce-scatter, in which each rank adds up its slice, and an
    all-gather of the slices, and moves as many bytes as a ring does. One that has begun goes on while this rank
    makes other calls or waits, not while it computes.
    """

    def __init__(self, process: Process, collectives: Any, mail: Any, members: list[int], name: str) -> None:
        super().__init__(members.index(process.rank), len(members), name)
        self.process, self._collectives, self._mail, self._members = process, collectives, mail, members
        self._byte = process.MPI.BYTE
        self._others = [rank for rank in range(self.size) if rank != self.rank]
        self._calls = process.history.setdefault(name, deque(maxlen=REMEMBERED))
        self._number = 0

    @classmethod
    def world(cls, time_limit: float | None = 600.0) -> MPICommunicator:
        """The communicator of all ranks: the same one each time.

        From then on an exception that nobody catches ends all ranks, and so does waiting for a rank that has
        ended, or longer than ``time_limit`` seconds (None: for ever). Raises ``InputError`` if mpi4py is missing
        or belongs to another MPI than ``mpiexec``.
        """
        world = the_world()
        world.process.time_limit = None if time_limit is None else check_number("world: time_limit", time_limit, 0)
        return world

    def _start_all_reduce(self, text: str, operation: np.ufunc, array: Array, out: Array) -> Handle:
        steps = self._all_reduce_steps(self._next_tag(text), operation, array.reshape(-1), out.reshape(-1))
        return Handle(out, self._begin(text, steps).wait)

    def _all_reduce_steps(self, tag: int, operation: np.ufunc, array: Array, out: Array) -> Steps:
        if array.nbytes <= SHORT:
            yield from self._sum_slices(tag, operation, array, out, [slice(array.size)] * self.size)
        else:
            parts = slices(slice_sizes(array.size, self.size))
            mine = out[parts[self.rank]]
            yield from self._sum_slices(tag, operation, array, mine, parts)
            yield from self._gather_slices(tag + 1, mine, out, parts)

    def _reduce_scatter(
        self, text: str, operation: np.ufunc, array: Array, out: Array, sizes: Sequence[int]
    ) -> None:
        width = math.prod(array.shape[1:])
        tag, parts = self._next_tag(text), slices([size * width for size in sizes])
        self._begin(text, self._sum_slices(tag, operation, array.reshape(-1), out.reshape(-1), parts)).wait()

    def _all_gather(self, text: str, array: Array, out: Array, sizes: Sequence[int]) -> None:
        self._begin(text, self._gather_slices(self._next_tag(text), array, out, slices(sizes))).wait()

    def _broadcast(self, text: str, array: Array, root: int) -> None:
        tag = self._next_tag(text)
        if self.rank == root:
            requests = self._sends(tag, [array] * self.size)
        else:
            requests = [self._collectives.Irecv([array, self._byte], root, tag)]
        self._begin(text, iter([requests])).wait()

    def _barrier(self, text: str) -> None:
        nothing = [np.empty(0, np.uint8)] * self.size
        tag = self._next_tag(text)
        self._begin(text, iter([self._receives(tag, nothing) + self._sends(tag, nothing)])).wait()

    def _sum_slices(self, tag: int, operation: np.ufunc, array: Array, out: Array, parts: list[slice]) -> Steps:
        """Slice r of every rank goes to rank r, who adds them up."""
        mine = array[parts[self.rank]]
        memory = self.process.borrow(self.size * mine.nbytes)
        pieces = list(memory[: self.size * mine.nbytes].view(mine.dtype).reshape(self.size, mine.size))
        pieces[self.rank] = mine
        yield self._receives(tag, pieces) + self._sends(tag, [array[part] for part in parts])
        reduce_in_rank_order(operation, pieces, [out])
        self.process.scratch.append(memory)

    def _gather_slices(self, tag: int, mine: Array, out: Array, parts: list[slice]) -> Steps:
        """Every rank's slice goes to all ranks."""
        pieces = [out[part] for part in parts]
        yield self._receives(tag, pieces) + self._sends(tag, [mine] * self.size)
        if not np.may_share_memory(pieces[self.rank], mine):
            pieces[self.rank][...] = mine

    def _receives(self, tag: int, pieces: Sequence[Array]) -> list[MPI.Request]:
        return [self._collectives.Irecv([pieces[rank], self._byte], rank, tag) for rank in self._others]

    def _sends(self, tag: int, pieces: Sequence[Array]) -> list[MPI.Request]:
        return [self._collectives.Isend([pieces[rank], self._byte], rank, tag) for rank in self._others]

    def _next_tag(self, text: str) -> int:
        """A number that only the same call, the same number of calls later, has on other ranks, or nearly so."""
        # The last tag is left for the second step.
        return (checksum(text) + 2 * self._number) % (self.process.largest_tag - 1)

    def _begin(self, text: str, steps: Steps) -> Operation:
        self._calls.append((self._number, text))
        self._number += 1
        return Operation(self.process, steps, text, self.name, self._number - 1, self._members)

    def _send(self, array: Array, to: int, tag: int) -> None:
        message = array.copy()
        self.process.keep(self._mail.Isend([message, self._byte], to, tag), message)

    def _receive(self, text: str, out: Array, source: int, tag: int) -> None:
        steps = self._receive_steps(text, out, source, tag)
        Operation(self.process, steps, text, "messages", 0, [self._members[source]]).wait()

    def _receive_steps(self, text: str, out: Array, source: int, tag: int) -> Steps:
        status = self.process.MPI.Status()
        while (message := self._mail.Improbe(source, tag, status)) is None:
            yield []
        size = status.Get_count(self._byte)
        if size != out.nbytes:
            raise CommunicatorError(f"{text}: {size} bytes were sent, not {out.nbytes}")
        yield [message.Irecv([out, self._byte])]

    def _group(self, ranks: list[int], name: str) -> Communicator:
        group = self._collectives.Split(ranks[0], ranks.index(self.rank))
        return MPICommunicator(self.process, group, group.Dup(), [self._members[rank] for rank in ranks], name)

    def abort(self, message: str) -> NoReturn:
        """End the whole run, all ranks of it, with this message on stderr and exit status 1."""
        self.process.abort(message)


@functools.cache
def the_world() -> MPICommunicator:
    """Start MPI, once a process."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"MPI cannot be used: {error}. Install it with: {INSTALL}; or run the ranks as threads: run_threads"
        ) from None
    process = Process(MPI)
    expected = int(os.environ.get(RANKS, process.size))
    if process.size != expected:
        raise InputError(
            f"{expected} ranks were started, but MPI sees {process.size}: "
            "mpiexec belongs to another MPI than the one that mpi4py uses"
        )
    if process.rank == 0:
        warn_of_blas_threads(process.size)
    return MPICommunicator(process, process.collectives, process.mail, list(range(process.size)), "world")


@functools.lru_cache(maxsize=1024)
def checksum(text: str) -> int:
    """32 bits that are the same for this text in every process."""
    return zlib.crc32(text.encode())
