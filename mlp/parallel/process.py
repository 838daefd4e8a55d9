"""A rank that is an MPI process: how it waits, what it hears of the others meanwhile, and how it ends.

MPI itself waits for ever for a rank that has ended, and for a call that no other rank makes. Here a rank that
has waited for a while tells the others what for, so that two calls that do not match are named; a rank that ends
says so; and one that fails takes all others with it.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import aligned_empty
from mlp.parallel.communicator import CommunicatorError
from mlp.parallel.environment import REPORT

if TYPE_CHECKING:
    from mpi4py import MPI

# A rank whose processor others need as well lets them have it while it waits.
give_way = getattr(os, "sched_yield", lambda: time.sleep(0))
SPINS = 20  # looks before it does so
PATIENCE = 0.5  # seconds of waiting before others are told and listened to, and before an end is believed
INTERVAL = 0.05  # seconds from then on between two looks
LAST_WORDS = 0.1  # seconds for mpiexec to pass on what a rank has said, before it kills them all


class Operation:
    """A call under way: a generator of steps, each of which yields the requests that have to be complete before
    the next. ``call`` says what it is: call ``number`` of the communicator ``where``, among ``members``.
    """

    def __init__(
        self,
        process: Process,
        steps: Iterator[list[MPI.Request]],
        call: str,
        where: str,
        number: int,
        members: list[int],
    ) -> None:
        self.process, self.steps = process, steps
        self.call, self.where, self.number, self.members = call, where, number, members
        self.is_done = False
        self.requests: list[MPI.Request] | None = []
        process.active.append(self)
        process.advance()

    def advance(self) -> None:
        """Take the next step if the requests of the last one are complete."""
        try:
            if not self.process.MPI.Request.Testall(self.requests):
                return
        except self.process.MPI.Exception as error:  # MPI may notice first that a rank has been killed
            raise CommunicatorError(f"{self.call} cannot finish: a rank is out of reach: {error}") from None
        self.requests = next(self.steps, None)
        if self.requests is None:
            self.is_done = True
            self.process.active.remove(self)

    def wait(self) -> None:
        """Return when it is done. All operations under way advance meanwhile, as other ranks may need them."""
        looks, begin = 0, 0.0
        while not self.is_done:
            self.process.advance()
            looks += 1
            if looks > SPINS:
                give_way()
                begin = begin or time.monotonic()
                self.process.watch(self, begin)


class Process:
    """What all communicators of this process share. There is one a process: ``MPICommunicator.world`` makes it."""

    def __init__(self, mpi: Any) -> None:
        self.MPI = mpi
        self.rank, self.size = mpi.COMM_WORLD.rank, mpi.COMM_WORLD.size
        self.collectives, self.mail, self.control = (mpi.COMM_WORLD.Dup() for _ in range(3))
        self.active: list[Operation] = []
        self.sends: list[tuple[MPI.Request, Any]] = []
        self.history: dict[str, deque[tuple[int, str]]] = {}
        self.news: dict[int, dict[str, Any]] = {}
        self.ended: dict[int, float] = {}
        self.scratch: list[NDArray[np.uint8]] = []
        self.largest_tag = mpi.COMM_WORLD.Get_attr(mpi.TAG_UB)
        self.time_limit: float | None = None
        self._looked = 0.0
        self._excepthook = sys.excepthook
        sys.excepthook = self._fail
        atexit.register(self._end)
        self.report("started", str(os.getpid()))

    def advance(self) -> None:
        """Let every operation under way take its next step, if it can."""
        for operation in self.active.copy():
            operation.advance()

    def watch(self, operation: Operation, begin: float) -> None:
        """Raise ``CommunicatorError`` if ``operation``, waited for since ``begin``, cannot finish."""
        now = time.monotonic()
        if now - begin < PATIENCE or now - self._looked < INTERVAL:
            return
        others = [rank for rank in operation.members if rank != self.rank]
        if self._looked < begin:
            news = {"where": operation.where, "number": operation.number, "call": operation.call}
            self._tell(others, news)
        self._looked = now
        self._listen()
        self._compare_calls(others)
        # What a rank has sent before its end may still be on its way.
        gone = [rank for rank in others if now - max(self.ended.get(rank, now), begin + PATIENCE) > PATIENCE]
        problem = ", ".join(f"rank {rank} has ended" for rank in gone)
        if not problem and self.time_limit is not None and now - begin > self.time_limit:
            problem = f"{self.time_limit:g} s are over{self._last_heard(others)}"
        if problem:
            raise CommunicatorError(f"{operation.call} cannot finish: {problem}")

    def _compare_calls(self, others: list[int]) -> None:
        for rank in others:
            heard = self.news.get(rank, {})
            mine = dict(self.history.get(heard.get("where", ""), ())).get(heard.get("number", -1))
            if mine is not None and mine != heard["call"]:
                raise CommunicatorError(
                    f"ranks make different calls: rank {self.rank} {mine}, rank {rank} {heard['call']}"
                )

    def _last_heard(self, others: list[int]) -> str:
        heard = [f"rank {rank} in {self.news[rank]['call']}" for rank in others if rank in self.news]
        return f"; last heard of {', '.join(heard)}" if heard else ""

    def _tell(self, ranks: list[int], news: dict[str, Any]) -> None:
        message = json.dumps(news).encode()
        for rank in ranks:
            self.keep(self.control.Isend([message, self.MPI.BYTE], rank), message)

    def _listen(self) -> None:
        status = self.MPI.Status()
        while (message := self.control.Improbe(status=status)) is not None:
            text = bytearray(status.Get_count(self.MPI.BYTE))
            message.Recv([text, self.MPI.BYTE])
            news = json.loads(text)
            if news.get("ended"):
                self.ended.setdefault(status.Get_source(), time.monotonic())
            else:
                self.news[status.Get_source()] = news

    def keep(self, request: MPI.Request, memory: Any) -> None:
        """Hold on to the memory of a message until it is out."""
        self.sends = [send for send in self.sends if not send[0].Test()]
        self.sends.append((request, memory))

    def borrow(self, size: int) -> NDArray[np.uint8]:
        """At least this many bytes, to be appended to ``scratch`` when they are not needed any more."""
        memory = self.scratch.pop() if self.scratch else aligned_empty((0,), np.uint8)
        return memory if memory.size >= size else aligned_empty((size,), np.uint8)

    def report(self, event: str, message: str = "") -> None:
        """Tell the launcher, if there is one."""
        if REPORT in os.environ:
            line = json.dumps({"rank": self.rank, "event": event, "message": message}) + "\n"
            with Path(os.environ[REPORT]).open("a", encoding="utf-8") as file:
                file.write(line)

    def abort(self, message: str) -> NoReturn:
        """End all ranks at once."""
        self.report("failed", message)
        sys.stdout.flush()
        # In one piece, as what other ranks say comes between the pieces of a print.
        sys.stderr.write(f"rank {self.rank} of {self.size} failed: {message}\n")
        sys.stderr.flush()
        time.sleep(LAST_WORDS)
        self.MPI.COMM_WORLD.Abort(1)
        os._exit(1)

    def _fail(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        # Where a rank waited for one that is gone helps nobody; where one failed by itself does.
        if not isinstance(error, CommunicatorError):
            self._excepthook(kind, error, traceback)
        self.abort(f"{kind.__name__}: {error}")

    def _end(self) -> None:
        """Say that this rank makes no more calls, and stay until all have said so: they may wait for this one."""
        if self.MPI.Is_finalized():
            return
        self._tell([rank for rank in range(self.size) if rank != self.rank], {"ended": True})
        while len(self.ended) < self.size - 1:
            self._listen()
            self.advance()
            self.sends = [send for send in self.sends if not send[0].Test()]
            if self.sends:
                give_way()
            else:
                time.sleep(INTERVAL / 10)
        self.report("ended")
