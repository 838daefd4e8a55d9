"""One run of mpiexec under the launcher's eyes: what it prints, how its ranks fare, and how all of it ends."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from mlp.parallel.verdict import Event
from mlp.solver.screen import unless_lost

GRACE = 5.0  # seconds for mpiexec to stop its processes
INTERVAL = 0.01  # seconds between two looks, less than others take to follow one that is gone
SETTLE = 0.3  # seconds in which the others may say how they fared, once one has failed
TIME_OVER = 124  # exit status, as that of the command ``timeout``


class Run:
    """What ranks print is passed on, and what they report is in ``events``, in order.

    A rank that fails or is gone ends the run; mpiexec is told not to end it by itself, so that nobody is killed
    before it is known who went first. Ctrl-C is passed on to every rank, once: they agree on the step after which
    they stop. A second one ends them at once.
    """

    def __init__(self, command: list[str], variables: dict[str, str], report: Path) -> None:
        # In a session of its own, Ctrl-C in the terminal reaches the launcher alone, which tells the ranks.
        self.process = subprocess.Popen(
            command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        self.report, self.events = report, list[Event]()
        self.is_over_time = self.is_interrupted = False
        self._read = 0  # bytes of the report
        self._readers = [
            threading.Thread(target=self._pass_on, args=(self.process.stdout, sys.stdout), daemon=True),
            threading.Thread(target=self._pass_on, args=(self.process.stderr, sys.stderr), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def finish(self, time_limit: float | None) -> int:
        """The exit status of mpiexec, or 124 if the time limit was over."""
        deadline = None if time_limit is None else time.monotonic() + time_limit
        try:
            while (status := self._look(deadline)) is None:
                pass
            self._read_report()
            if status not in (0, TIME_OVER):
                self._miss()  # one that went between two looks
            return status
        finally:
            self._stop()
            for reader in self._readers:
                reader.join(GRACE)
            self._read_report()

    def _look(self, deadline: float | None) -> int | None:
        """Wait for a moment; the exit status, if the run is over or cannot go on."""
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(INTERVAL)
            self._read_report()
            self._miss()
            if any(e.event in ("failed", "gone") for e in self.events):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(SETTLE)
                return 1
        except KeyboardInterrupt:
            if self.is_interrupted or not self._processes():
                raise
            self.is_interrupted = True
            self._tell(signal.SIGINT)
        if deadline is not None and time.monotonic() >= deadline:
            self.is_over_time = True
            return TIME_OVER
        return None

    def _read_report(self) -> None:
        text = self.report.read_bytes()[self._read :]
        lines = text[: text.rfind(b"\n") + 1]
        self._read += len(lines)
        self.events += [Event(**json.loads(line)) for line in lines.splitlines()]

    def _processes(self) -> dict[int, int]:
        """The processes of the ranks that have begun and not ended."""
        ended = {e.rank for e in self.events if e.event == "ended"}
        return {e.rank: int(e.message) for e in self.events if e.event == "started" and e.rank not in ended}

    def _miss(self) -> None:
        """Who is gone first counts: it takes others with it."""
        if any(e.event == "gone" for e in self.events):
            return
        gone = [rank for rank, process in self._processes().items() if not is_alive(process)]
        if gone:
            self._read_report()  # the last words of one that has ended
        silent = self._processes().keys() - {e.rank for e in self.events if e.event == "failed"}
        self.events += [Event(rank, "gone", "") for rank in gone if rank in silent]

    def _tell(self, number: int) -> None:
        for process in self._processes().values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def _stop(self) -> None:
        if self.process.poll() is not None:
            return
        self.process.terminate()  # mpiexec then kills its ranks
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._tell(signal.SIGKILL)
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def clean_up(self) -> None:
        """Remove the files of shared memory that MPI leaves behind when a rank is killed, 2 to 4 MB a run."""
        for event in self.events:
            if event.event == "memory":
                Path(event.message).unlink(missing_ok=True)

    def _pass_on(self, pipe: IO[bytes], to: IO[str]) -> None:
        # A progress bar ends its lines with a carriage return, which is to stay one.
        with io.TextIOWrapper(pipe, encoding="utf-8", errors="replace", newline="") as lines:
            for line in without_banner(lines):
                with unless_lost():  # the ranks go on without a screen
                    to.write(line)
                    to.flush()


def without_banner(lines: Iterable[str]) -> Iterator[str]:
    """All lines but those with which MPICH frames the news that a rank was killed."""
    rule = ""
    inside = False
    for line in lines:
        inside = inside or line.startswith(
            ("=   BAD TERMINATION", "YOUR APPLICATION TERMINATED WITH THE EXIT STRING")
        )
        if inside:
            rule, inside = "", not line.startswith("Please see the FAQ")
            continue
        yield rule
        rule = line if line.startswith("=" * 60) else ""
        if not rule:
            yield line
    yield rule


def is_alive(process: int) -> bool:
    """Whether there is a process of this number, which is not dead and waiting for its parent to take notice."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's, who got the number
        return True
    try:
        return b") Z " not in Path(f"/proc/{process}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):  # gone meanwhile, or a system without /proc
        return not Path("/proc/self/stat").exists()
