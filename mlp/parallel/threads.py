"""Ranks as threads of one process: parallel training in a notebook or a test, with nothing to install.

NumPy lets go of Python's global lock inside matrix products and long elementwise operations, so ranks compute at
the same time. Their memory is shared: nothing is sent, each rank reads the others' arrays.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from mlp.arrays import Array
from mlp.checks import check_integer, check_number
from mlp.parallel.calls import Handle
from mlp.parallel.communicator import Communicator
from mlp.parallel.serial import check_message
from mlp.parallel.slicing import reduce_in_rank_order, slices
from mlp.parallel.thread_world import Call, Group, Meeting, Plan, Task, World

Result = TypeVar("Result")

TASK = 2**16  # elements that one rank sums before it takes the next task


def run_threads(
    function: Callable[..., Result], ranks: int, *args: Any, time_limit: float | None = 600.0
) -> list[Result]:
    """Call ``function(communicator, *args)`` in ``ranks`` threads at once; return the results in order of rank.

        def total(communicator, x):
            return communicator.all_reduce(x[communicator.rank])

        run_threads(total, 3, np.arange(3.0))  # [3.0, 3.0, 3.0]

    If a rank raises, the others end at their next call, and its exception, with a note that names the rank, is
    raised here. A call that can never finish, because the ranks wait for each other or for one that has ended,
    raises ``CommunicatorError`` at once; so does one that waits for longer than ``time_limit`` seconds (None: for
    ever). Ranks see the caller's context, such as ``np.errstate``.
    """
    ranks = check_integer("run_threads: ranks", ranks, 1)
    if time_limit is not None:
        time_limit = check_number("run_threads: time_limit", time_limit, 0)
    world = World(ranks, time_limit)
    group = world.group(list(range(ranks)), "world")
    results: list[Any] = [None] * ranks

    def run(rank: int) -> None:
        try:
            results[rank] = function(ThreadCommunicator(group, rank), *args)
        except BaseException as error:  # SystemExit and KeyboardInterrupt end a rank as any other does
            world.fail(rank, error)
        else:
            world.end(rank)

    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(run, rank), name=f"rank {rank}", daemon=True)
        for rank in range(ranks)
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            # A signal that comes just before the wait begins does not end it: look again from time to time.
            while thread.is_alive():
                thread.join(timeout=0.5)
    except BaseException as error:
        world.fail(None, error)
        raise
    if world.error is not None:
        raise world.error
    return results


class ThreadCommunicator(Communicator):
    """The communicator of a rank that is a thread; ``run_threads`` makes them."""

    def __init__(self, group: Group, rank: int, name: str = "world") -> None:
        super().__init__(rank, len(group.members), name)
        self._shared, self._world = group, group.world
        self._meetings = 0

    def _start_all_reduce(self, text: str, operation: np.ufunc, array: Array, out: Array) -> Handle:
        def plan(calls: list[Call]) -> Iterator[Task]:
            return sums(operation, [call.array for call in calls], [call.out for call in calls])

        meeting = self._join(Call(text, array, out), plan)
        return Handle(out, partial(meeting.finish, self.rank))

    def _reduce_scatter(
        self, text: str, operation: np.ufunc, array: Array, out: Array, sizes: Sequence[int]
    ) -> None:
        def plan(calls: list[Call]) -> Iterator[Task]:
            for call, part in zip(calls, slices(sizes), strict=True):
                yield from sums(operation, [other.array[part] for other in calls], [call.out])

        self._join(Call(text, array, out), plan).finish(self.rank)

    def _all_gather(self, text: str, array: Array, out: Array, sizes: Sequence[int]) -> None:
        def plan(calls: list[Call]) -> Iterator[Task]:
            for call in calls:
                for other, part in zip(calls, slices(sizes), strict=True):
                    yield partial(np.copyto, call.out[part], other.array)

        self._join(Call(text, array, out), plan).finish(self.rank)

    def _broadcast(self, text: str, array: Array, root: int) -> None:
        def plan(calls: list[Call]) -> Iterator[Task]:
            for rank, call in enumerate(calls):
                if rank != root:
                    yield partial(np.copyto, call.out, calls[root].array)

        self._join(Call(text, array, array), plan).finish(self.rank)

    def _barrier(self, text: str) -> None:
        nothing = np.empty(0)
        self._join(Call(text, nothing, nothing), lambda calls: ()).finish(self.rank)

    def _join(self, call: Call, plan: Plan) -> Meeting:
        """The next meeting of this group, which all its ranks number alike."""
        with self._world.changed:
            meeting = self._shared.meetings.setdefault(self._meetings, Meeting(self._shared))
            meeting.join(self.rank, call, plan)
            if meeting.is_complete:
                del self._shared.meetings[self._meetings]
            self._meetings += 1
        return meeting

    def _send(self, array: Array, to: int, tag: int) -> None:
        message = array.copy()
        with self._world.changed:
            self._world.go_on("send")
            self._shared.messages[self.rank, to, tag].append(message)
            self._world.changed.notify_all()

    def _receive(self, text: str, out: Array, source: int, tag: int) -> None:
        members = self._shared.members
        with self._world.changed:
            self._world.go_on(text)
            messages = self._shared.messages[source, self.rank, tag]
            self._world.wait_until(lambda: bool(messages), members[self.rank], text, lambda: [members[source]])
            message = messages.popleft()
        check_message(text, message, out)
        out[...] = message

    def _group(self, ranks: list[int], name: str) -> Communicator:
        group = self._world.group([self._shared.members[rank] for rank in ranks], name)
        return ThreadCommunicator(group, ranks.index(self.rank), name)


def sums(operation: np.ufunc, arrays: list[Array], outs: list[Array]) -> Iterator[Task]:
    """Tasks that together leave the sum of ``arrays`` in every one of ``outs``."""
    pieces, results = [a.reshape(-1) for a in arrays], [out.reshape(-1) for out in outs]
    for start in range(0, pieces[0].size, TASK):
        part = slice(start, start + TASK)
        yield partial(reduce_in_rank_order, operation, [p[part] for p in pieces], [r[part] for r in results])
