"""Runs the contenders of a problem in turns: one rank in a process of its own, and all ranks of a group."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from mlp.parallel.environment import ONE_THREAD
from parallel_benchmark import PROBLEMS, Contender, contenders

SCRIPTS = Path(__file__).resolve().parent.parent
SLICE_SECONDS = 0.5
# A rank that waits for another one does so at work, so it has its core all the time, unless somebody else does. A
# slice is taken again, up to so many times, if a rank had its core for less than this share of it.
ATTEMPTS = 5
UNDISTURBED = 0.95
PAUSE_SECONDS = 1.0
START_SECONDS = 120.0  # for all ranks to report
ANSWER_SECONDS = 600.0
# Relative. Sums are taken in another order; three steps of training make more of that.
LOSS_TOLERANCE = 1e-4


class BenchmarkError(Exception):
    """The benchmark cannot give an honest answer; the message says why."""


class Group:
    """Ranks that do the same at the same time: a process without MPI, or several with it. One BLAS thread each."""

    def __init__(self, ranks: int, is_serial: bool = False) -> None:
        self.ranks = ranks
        self._stack = ExitStack()
        try:
            self._start(is_serial)
        except BaseException:
            self._stack.close()
            raise

    def _start(self, is_serial: bool) -> None:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="mlp-benchmark-"))
        path = str(Path(folder) / "socket")
        server = self._stack.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(path)
        server.listen(self.ranks)
        server.settimeout(START_SECONDS)
        program = ["-m", "parallel_benchmark.worker", path]
        start = (
            [*program, "serial"] if is_serial else ["-m", "mlp.parallel.launch", "-n", str(self.ranks), *program]
        )
        environment = {**os.environ, **ONE_THREAD}
        environment["PYTHONPATH"] = os.pathsep.join([str(SCRIPTS.parent), environment.get("PYTHONPATH", "")])
        self._messages = self._stack.enter_context(tempfile.TemporaryFile("w+"))  # noqa: SIM115 - it is
        self._process = subprocess.Popen(
            [sys.executable, *start], cwd=SCRIPTS, env=environment, stderr=self._messages, stdout=subprocess.DEVNULL
        )
        self._stack.callback(self._end)
        self._lines: dict[int, Any] = {}
        for _ in range(self.ranks):
            try:
                connection, _address = server.accept()
            except TimeoutError:
                raise BenchmarkError(f"{self.ranks} ranks did not start: {self._last_words()}") from None
            self._stack.enter_context(connection)
            connection.settimeout(ANSWER_SECONDS)
            lines = self._stack.enter_context(connection.makefile("rw", encoding="utf-8"))
            self._lines[self._answer(lines)["rank"]] = lines

    def ask(self, call: str, **arguments: Any) -> list[dict[str, Any]]:
        """The answers of all ranks, in order."""
        for lines in self._lines.values():
            print(json.dumps({"call": call, **arguments}), file=lines, flush=True)
        return [self._answer(self._lines[rank]) for rank in range(self.ranks)]

    def _answer(self, lines: Any) -> dict[str, Any]:
        try:
            line = lines.readline()
        except OSError:
            line = ""
        if not line:
            raise BenchmarkError(f"a rank has ended, or does not answer: {self._last_words()}")
        return dict(json.loads(line))

    def _last_words(self) -> str:
        self._messages.seek(0)
        return (self._messages.read().strip().splitlines() or ["it said nothing"])[-1]

    def _end(self) -> None:
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self._process.wait()

    def __enter__(self) -> Group:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._stack.close()  # the connections first, at which the workers end


def check_agreement(title: str, expected: list[float], name: str, got: list[float]) -> None:
    """Raise ``BenchmarkError`` unless the first losses are those of the serial run."""
    for step, (a, b) in enumerate(zip(expected, got, strict=True), 1):
        if not abs(a - b) <= LOSS_TOLERANCE * abs(a):
            raise BenchmarkError(
                f"{title}: {name} does not do the same as one rank: at step {step} its loss is {b:.7g}, "
                f"of one rank {a:.7g}; nothing was timed"
            )


def measure(problem_name: str, ranks: int, rounds: int) -> dict[str, Any]:
    """The raw times of a problem, ``{"machines": ..., "contenders": {name: {"seconds": [per step], ...}}}``.

    In each round every contender runs one slice of about half a second; the order rotates from round to round.
    """
    problem = PROBLEMS[problem_name]
    widths, rows = list(problem.widths), [problem.batch // ranks, problem.batch]
    if problem.microbatches > 1:
        rows.append(problem.batch // problem.microbatches)
    entries = contenders(problem)
    with Group(1, is_serial=True) as alone, Group(ranks) as together:
        groups = {c.name: alone if c.is_serial else together for c in entries}
        result: dict[str, Any] = {
            "machines": {name: undisturbed(group, "measure_machine", widths=widths, rows=rows)[0][0]["machine"]
                         for name, group in (("alone", alone), ("together", together))},
            "contenders": {},
        }  # fmt: skip
        for entry in entries:
            first = groups[entry.name].ask("build", problem=problem_name, contender=entry.name)
            expected = (
                first[0]["losses"] if not result["contenders"] else result["contenders"]["one rank"]["losses"]
            )
            check_agreement(problem.title, expected, entry.name, first[0]["losses"])
            seconds = longest(groups[entry.name].ask("slice", steps=2, warm_up=1)) / 2
            result["contenders"][entry.name] = {
                "losses": first[0]["losses"],
                "wire_bytes": sum(answer["wire_bytes"] for answer in first) / len(first),
                "bytes_held": max(answer["bytes_held"] for answer in first),
                "steps": max(2, round(SLICE_SECONDS / seconds)),
                "seconds": [], "processor_share": [], "attempts": [], "slices": [],
            }  # fmt: skip
        order = list(entries)
        for _ in range(rounds):
            for entry in order:
                run_slice(groups[entry.name], problem_name, entry, result["contenders"][entry.name])
            order = order[1:] + order[:1]
    return result


def run_slice(group: Group, problem_name: str, entry: Contender, record: dict[str, Any]) -> None:
    """One slice, added to the record."""
    group.ask("build", problem=problem_name, contender=entry.name)
    answers, attempts = undisturbed(group, "slice", steps=record["steps"], warm_up=2)
    record["seconds"].append(longest(answers) / record["steps"])
    record["processor_share"].append(processor_share(answers))
    record["attempts"].append(attempts)
    if "intervals" in answers[0]:
        record["slices"].append(answers[0]["intervals"])
        record["in_flight"] = [answer["in_flight"] for answer in answers]


def undisturbed(group: Group, call: str, **arguments: Any) -> tuple[list[dict[str, Any]], int]:
    """The first answers of a few in which all ranks had their cores to themselves, else the best of them; and how
    many there were.
    """
    best: list[dict[str, Any]] = []
    for attempt in range(1, ATTEMPTS + 1):
        answers = group.ask(call, **arguments)
        if not best or processor_share(answers) > processor_share(best):
            best = answers
        if processor_share(best) >= UNDISTURBED:
            return best, attempt
        time.sleep(PAUSE_SECONDS)
    return best, ATTEMPTS


def processor_share(answers: list[dict[str, Any]]) -> float:
    """The part of the time in which a rank had its core, of the rank for which that is least."""
    return float(min(answer["processor_seconds"] / answer["seconds"] for answer in answers))


def longest(answers: list[dict[str, Any]]) -> float:
    """Seconds until the last rank was done."""
    return float(max(answer["seconds"] for answer in answers))
