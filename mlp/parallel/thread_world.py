"""Where ranks that are threads meet: who waits for what, who has ended, and what went wrong first."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from mlp.arrays import Array
from mlp.parallel.calls import CommunicatorError

Task = Callable[[], object]
# Shorter arrays are dealt with by the rank that comes last; to wake the others for it would take longer.
SHORT = 2**16


class World:
    """What the threads of one run share: who waits for what, who has ended, what went wrong first."""

    def __init__(self, ranks: int, time_limit: float | None) -> None:
        self.ranks, self.time_limit = ranks, time_limit
        self.changed = threading.Condition()
        self.waiting: dict[int, tuple[str, Callable[[], bool]]] = {}
        self.ended: set[int] = set()
        self.error: BaseException | None = None
        self.reason = ""
        self.groups: dict[str, Group] = {}

    def group(self, members: list[int], name: str) -> Group:
        """The one group of this name."""
        with self.changed:
            return self.groups.setdefault(name, Group(self, members))

    def end(self, rank: int) -> None:
        """This rank makes no more calls."""
        with self.changed:
            self.ended.add(rank)
            self.changed.notify_all()

    def fail(self, rank: int | None, error: BaseException) -> None:
        """End the run of all ranks: the first error is the one that counts."""
        with self.changed:
            if self.error is None:
                who = "the caller" if rank is None else f"rank {rank}"
                if rank is not None:
                    error.add_note(f"raised by rank {rank} of {self.ranks}")
                self.error, self.reason = error, f"{who} failed: {type(error).__name__}: {error}"
            self.changed.notify_all()

    def go_on(self, what: str) -> None:
        """Raise ``CommunicatorError`` if a rank has failed: nobody begins anything more."""
        if self.reason:
            raise CommunicatorError(f"{what} cannot finish: {self.reason}")

    def wait_until(
        self, ready: Callable[[], bool], rank: int, what: str, awaited: Callable[[], Sequence[int]]
    ) -> None:
        """Wait, holding the lock, for ``ready()``, which the ranks ``awaited()`` have to bring about."""
        if ready():
            return
        self.waiting[rank] = what, ready
        begin = time.monotonic()
        try:
            while not ready():
                problem = self._problem(awaited())
                if problem:
                    raise CommunicatorError(f"{what} cannot finish: {problem}")
                left = None if self.time_limit is None else begin + self.time_limit - time.monotonic()
                if left is not None and left <= 0:
                    raise CommunicatorError(
                        f"{what} cannot finish: {self.time_limit:g} s are over; {self._describe()}"
                    )
                self.changed.wait(left)
        finally:
            del self.waiting[rank]

    def _problem(self, awaited: Sequence[int]) -> str:
        if self.reason:
            return self.reason
        gone = [f"rank {rank} has ended" for rank in awaited if rank in self.ended]
        if gone:
            return ", ".join(gone)
        nobody_works = len(self.waiting) + len(self.ended) == self.ranks
        if nobody_works and not any(ready() for _, ready in self.waiting.values()):
            return f"all ranks wait: {self._describe()}"
        return ""

    def _describe(self) -> str:
        return "; ".join(f"rank {rank} {self._state(rank)}" for rank in range(self.ranks))

    def _state(self, rank: int) -> str:
        if rank in self.waiting:
            return f"waits in {self.waiting[rank][0]}"
        return "has ended" if rank in self.ended else "is at work"


class Call(NamedTuple):
    """What one rank brings to a collective."""

    text: str
    array: Array
    out: Array


Plan = Callable[[list[Call]], Iterable[Task]]


class Group:
    """The ranks of one communicator: ``members`` are their ranks in the world."""

    def __init__(self, world: World, members: list[int]) -> None:
        self.world, self.members = world, members
        self.meetings: dict[int, Meeting] = {}
        self.messages: defaultdict[tuple[int, int, int], deque[Array]] = defaultdict(deque)


class Meeting:
    """One collective: the calls of its ranks and, once all are there, the tasks that it consists of.

    Whoever waits for it takes a task until none is left: the work is shared, whoever comes last.
    """

    def __init__(self, group: Group) -> None:
        self.group, self.world = group, group.world
        self.calls: dict[int, Call] = {}
        self.tasks: deque[Task] = deque()
        self.unfinished = 0

    @property
    def is_complete(self) -> bool:
        """Whether all ranks have made their call."""
        return len(self.calls) == len(self.group.members)

    def join(self, rank: int, call: Call, plan: Plan) -> None:
        """Make a call, holding the lock; the last rank to do so finds out what there is to do."""
        self.world.go_on(call.text)
        self.calls[rank] = call
        if not self.is_complete:
            return
        calls = [self.calls[rank] for rank in range(len(self.calls))]
        if len({call.text for call in calls}) > 1:
            told = ", ".join(f"rank {self.group.members[r]} {c.text}" for r, c in enumerate(calls))
            raise CommunicatorError(f"ranks make different calls: {told}")
        self.tasks.extend(plan(calls))
        self.unfinished = len(self.tasks)
        if call.array.nbytes <= SHORT:
            self.work()
        self.world.changed.notify_all()

    def finish(self, rank: int) -> None:
        """Take part in the work when all are there, and wait until all of it is done."""
        member, text = self.group.members[rank], self.calls[rank].text
        with self.world.changed:
            self.world.wait_until(lambda: self.is_complete, member, text, self._absent)
        self.work()
        with self.world.changed:
            self.world.wait_until(lambda: self.unfinished == 0, member, text, list)

    def work(self) -> None:
        """Do tasks as long as there are any."""
        while self.tasks:
            try:
                task = self.tasks.popleft()
            except IndexError:  # another rank was quicker
                return
            task()
            with self.world.changed:
                self.unfinished -= 1
                if self.unfinished == 0:
                    self.world.changed.notify_all()

    def _absent(self) -> list[int]:
        return [member for rank, member in enumerate(self.group.members) if rank not in self.calls]
