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
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import aligned_empty
from mlp.parallel.calls import CommunicatorError
from mlp.parallel.environment import is_launched, shared_memory_files, tell_launcher
from mlp.parallel.launched import is_alive
from mlp.parallel.verdict import IN_VAIN

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
        self._looked, self._pids = 0.0, self._ask_for_pids()
        self._is_ending = threading.Lock()
        self._has_ended = False
        self._excepthook, self._os_exit, self._pid = sys.excepthook, os._exit, os.getpid()
        sys.excepthook = self._fail
        vars(os)["_exit"] = self._leave_at_once
        atexit.register(self._end)
        # Python waits for all threads before atexit: others shall not wait for one that this rank has forgotten.
        threading.Thread(target=self._end_with_the_script, daemon=True).start()
        self.report("started", str(os.getpid()))
        for file in shared_memory_files():
            self.report("memory", file)

    def _ask_for_pids(self) -> dict[int, int]:
        """The processes of the other ranks on this machine, by rank."""
        mine = np.array([os.getpid(), zlib.crc32(os.uname().nodename.encode())], np.int64)
        table = np.empty((self.size, 2), np.int64)
        self.MPI.COMM_WORLD.Allgather(mine, table)
        return {r: int(pid) for r, (pid, host) in enumerate(table) if host == mine[1] and r != self.rank}

    def gone(self, ranks: list[int]) -> list[int]:
        """Those of these ranks whose processes are no more, though they have not said that they end."""
        missed = [r for r in ranks if r in self._pids and not is_alive(self._pids[r])]
        self._listen()  # to the last words of those that have ended
        return [rank for rank in missed if rank not in self.ended]

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
        if problem := self._problem(others, begin, now):
            raise CommunicatorError(f"{operation.call} cannot finish: {problem}")

    def _problem(self, others: list[int], begin: float, now: float) -> str:
        """What others cannot be waited for any longer, since ``begin``."""
        # What a rank has sent before its end may still be on its way.
        late = [rank for rank in others if now - max(self.ended.get(rank, now), begin + PATIENCE) > PATIENCE]
        lost = [f"rank {rank} has ended" for rank in late] + [f"rank {rank} is gone" for rank in self.gone(others)]
        if not lost and self.time_limit is not None and now - begin > self.time_limit:
            return f"{self.time_limit:g} s are over{self._last_heard(others)}"
        return ", ".join(lost)

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
        tell_launcher({"rank": self.rank, "event": event, "message": message})

    def abort(self, message: str) -> NoReturn:
        """End all ranks at once."""
        sys.stdout.flush()
        self.report("failed", message)
        if is_launched():
            time.sleep(20 * PATIENCE)  # the launcher says it, and ends this rank with the others
        # In one piece, as what other ranks say comes between the pieces of a print.
        sys.stderr.write(f"rank {self.rank} of {self.size} failed: {message}\n")
        sys.stderr.flush()
        time.sleep(LAST_WORDS)
        self.MPI.COMM_WORLD.Abort(1)
        raise AssertionError(self._os_exit(1))  # it does not return

    def _fail(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        # Where a rank waited for one that is gone helps nobody; where one failed by itself does.
        if not isinstance(error, CommunicatorError):
            self._excepthook(kind, error, traceback)
        self.abort(f"{kind.__name__}: {error}")

    def _leave_at_once(self, status: int) -> None:
        """``os._exit``: mpiexec would take a 0 of a rank in mid-run for success, and kill all others."""
        if os.getpid() == self._pid and not self._has_ended:  # not that of a child which was forked
            message = f"os._exit({status}) before its end"
            self.report("failed", message)
            os.write(2, b"" if is_launched() else f"rank {self.rank} of {self.size}: {message}\n".encode())
            status = max(status, 1)
        self._os_exit(status)

    def _end_with_the_script(self) -> None:
        threading.main_thread().join()
        self._end()

    def _end(self) -> None:
        """Say that this rank makes no more calls, and stay until all have said so: they may wait for this one."""
        with self._is_ending:
            if self._has_ended or self.MPI.Is_finalized():
                return
            others = [rank for rank in range(self.size) if rank != self.rank]
            self._tell(others, {"ended": True})
            while len(self.ended) < self.size - 1:
                self._listen()
                self.advance()
                self.sends = [send for send in self.sends if not send[0].Test()]
                if self.sends:
                    give_way()
                    continue
                time.sleep(INTERVAL / 10)
                if missed := self.gone(others):
                    self.abort(f"{IN_VAIN}: {', '.join(f'rank {rank} is gone' for rank in missed)}")
            self._has_ended = True
            self.report("ended")
