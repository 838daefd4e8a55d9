"""Runs many configurations, one process each and as many at a time as there are cores; goes on where it stopped."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from mlp.checks import check_integer
from mlp.run.config import RunConfig
from mlp.run.record import CHECKPOINT
from mlp.studies.experiments.display import Display
from mlp.studies.experiments.folders import Found, inspect_folder, move_aside
from mlp.studies.experiments.keys import ROOT, run_folder, run_key
from mlp.studies.experiments.lock import only_runner
from mlp.studies.experiments.process import Run
from mlp.studies.experiments.schedule import Pace, describe_seconds, estimate_cost, time_left


@dataclass
class Summary:
    """How it went: the folders of all runs, by how they ended; ``failed`` with the reasons."""

    completed: list[Path] = field(default_factory=list)
    diverged: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)
    finished_before: int = 0
    interrupted: bool = False

    @property
    def exit_status(self) -> int:
        """0 if all runs are finished, diverged or not, 1 if one failed, 130 after Ctrl-C."""
        return 130 if self.interrupted else int(bool(self.failed))


def count_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_all(
    configs: Sequence[RunConfig], root: str | Path = ROOT, *, jobs: int | None = None, stream: TextIO | None = None
) -> Summary:
    """Make sure that there is a finished run for each configuration under ``root``, ``jobs`` at a time.

    Equal configurations are one run. A finished run is left as it is, an unfinished one resumed, and a folder
    that is none is moved aside, never deleted. A run that diverges is finished; one whose process is killed
    is resumed once. Ctrl-C and SIGTERM let the runs save their state. What happens is told on ``stream``.

    Raises ``InputError`` if ``root`` cannot be written or another runner is at work there.
    """
    jobs = count_cores() if jobs is None else check_integer("jobs", jobs, 1)
    display = Display(sys.stderr if stream is None else stream)
    with only_runner(Path(root), display.say) as lock:
        return _Runner(configs, Path(root), jobs, display, lock).run()


class _Runner:
    def __init__(self, configs: Sequence[RunConfig], root: Path, jobs: int, display: Display, lock: int) -> None:
        self.root, self.jobs, self.display, self.lock = root, jobs, display, lock
        self.summary = Summary()
        self.pace = Pace()
        self.running: list[Run] = []
        self.signals = 0
        unique: dict[str, RunConfig] = {}
        for config in configs:
            unique.setdefault(run_key(config), config)
        self.total = len(unique)
        self.waiting: list[Run] = []
        for config in unique.values():
            run = Run(config, run_folder(config, root), estimate_cost(config))
            self._take_in(run, inspect_folder(run.folder, config))
        # The longest first: the short ones fill the cores at the end.
        self.waiting.sort(key=lambda run: run.cost_left, reverse=True)
        self.summary.finished_before = self.total - len(self.waiting)

    def _take_in(self, run: Run, found: Found) -> None:
        if found.state == "completed":
            self.summary.completed.append(run.folder)
        elif found.state == "diverged":
            self.summary.diverged.append(run.folder)
        else:
            if found.state == "broken":
                self._move_aside(run, found.reason)
            run.resumes = found.state == "unfinished"
            run.count_epochs()
            self.waiting.append(run)

    def _move_aside(self, run: Run, reason: str) -> None:
        target = move_aside(run.folder)
        run.resumes = False
        self.display.say(f"repaired: {run.folder} was broken ({reason}); it is now {target.name}, and runs anew")

    def run(self) -> Summary:
        begin = time.monotonic()
        if self.waiting:
            self._tell_begin()
        with self._signals_counted():
            try:
                while self.running or (self.waiting and not self.signals):
                    self._go_on()
            finally:
                for run in self.running:  # only after an error of this loop
                    run.stop(signal.SIGTERM)
        self.display.clear()
        self.summary.interrupted = bool(self.signals and self.waiting)
        self._tell_end(time.monotonic() - begin)
        return self.summary

    def _go_on(self) -> None:
        """Start what there is a core for, tell how things stand, look who has ended."""
        self._start_some()
        if self.display.is_due:
            self.display.update(self._describe())
        time.sleep(0.05)
        self._forward_signals()
        for run in [run for run in self.running if run.has_ended]:
            self.running.remove(run)
            self._ended(run)

    def _start_some(self) -> None:
        while self.waiting and len(self.running) < self.jobs and not self.signals:
            run = self.waiting.pop(0)
            try:
                run.start(self.lock)
            except OSError as error:
                self._fail(run, f"cannot be started: {error.strerror or error}")
            else:
                self.running.append(run)

    def _ended(self, run: Run) -> None:
        """Sort in a run whose process is gone, by what it left behind more than by its exit status."""
        found = inspect_folder(run.folder, run.config)
        if found.state == "completed":
            self.pace.add(run.seconds, run.cost_left)
            self.summary.completed.append(run.folder)
        elif found.state == "diverged":
            self.display.say(f"diverged: {run.folder}: {found.reason}")
            self.summary.diverged.append(run.folder)
        elif self.signals:
            self.waiting.append(run)
        elif run.attempts > 1 or not self._try_again(run, found):
            is_told = run.exit_status in (0, 1) and found.state == "broken"
            self._fail(run, found.reason if is_told else run.describe_exit())

    def _try_again(self, run: Run, found: Found) -> bool:
        """Put a run that was killed, or whose checkpoint it refuses, first in the line; False for another end."""
        if run.exit_status < 0 or run.exit_status == 130:
            self.display.say(f"killed: {run.folder} ({run.describe_exit()}); it goes on once more")
            if found.state == "broken":
                self._move_aside(run, found.reason)
            run.resumes = found.state == "unfinished"
        elif run.exit_status == 2 and run.resumes and _is_of_checkpoint(run.last_line()):
            self._move_aside(run, run.last_line())
        else:
            return False
        self.waiting.insert(0, run)
        return True

    def _fail(self, run: Run, reason: str) -> None:
        self.summary.failed[run.folder] = reason
        self.display.say(f"failed: {run.folder}: {reason}")

    def _describe(self) -> str:
        ended = len(self.summary.completed) + len(self.summary.diverged)
        parts = [f"{ended}/{self.total} done", f"{len(self.running)} running"]
        parts += [f"{len(self.summary.diverged)} diverged"] if self.summary.diverged else []
        parts += [f"{len(self.summary.failed)} failed"] if self.summary.failed else []
        for run in self.running:
            run.count_epochs()
        pace = self.pace.with_running((run.seconds, run.cost_done_now) for run in self.running)
        if self.signals:
            parts.append("stopping")
        elif pace is None:
            parts.append("time left: not known before the first epochs")
        else:
            left = time_left(
                (run.cost_left_now for run in self.running), (run.cost_left for run in self.waiting), self.jobs
            )
            parts.append(f"about {describe_seconds(pace * left)} left")
        return ", ".join(parts)

    def _tell_begin(self) -> None:
        resumed = sum(run.resumes for run in self.waiting)
        before = f", {self.summary.finished_before} are finished" if self.summary.finished_before else ""
        again = f", {resumed} resumed" if resumed else ""
        self.display.say(f"{self.total} runs in {self.root}, {self.jobs} at a time{before}{again}")

    def _tell_end(self, seconds: float) -> None:
        done = self.summary
        if done.interrupted:
            ended = len(done.completed) + len(done.diverged)
            self.display.say(
                f"interrupted: {ended} of {self.total} runs are done; the same command goes on from here"
            )
            return
        parts = [f"{len(done.completed)} completed"]
        parts += [f"{len(done.diverged)} diverged"] if done.diverged else []
        parts += [f"{len(done.failed)} failed"] if done.failed else []
        before = f", {done.finished_before} of them before" if done.finished_before else ""
        took = f" in {describe_seconds(seconds)}" if done.finished_before < self.total else ""
        self.display.say(f"{self.total} runs in {self.root}: {', '.join(parts)}{took}{before}")

    @contextmanager
    def _signals_counted(self) -> Iterator[None]:
        def count(number: int, frame: object) -> None:
            self.signals += 1

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, count) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _forward_signals(self) -> None:
        """The first Ctrl-C lets the runs finish their step and save their state, the second kills them."""
        if not self.signals:
            return
        number = signal.SIGTERM if self.signals == 1 else signal.SIGKILL
        to_tell = [run for run in self.running if run.stop(number)]
        if to_tell and number == signal.SIGTERM:
            self.display.say(f"stopping: {len(to_tell)} runs save their state (once more: kill them)")


def _is_of_checkpoint(reason: str) -> bool:
    return CHECKPOINT in reason and "cannot write" not in reason
