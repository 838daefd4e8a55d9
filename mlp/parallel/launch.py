"""Starting a script as several MPI processes, and seeing to it that the run ends, whatever happens to one of them.

    python -m mlp.parallel.launch -n 2 script.py --its=options

Each rank has one BLAS thread. If one raises, leaves early or is killed, all are stopped, one line says why, and the
exit status is not 0. The script asks for ``MPICommunicator.world()``.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from mlp.checks import InputError, check_integer, check_number
from mlp.parallel.environment import INSTALL, LAUNCHER, ONE_THREAD, RANKS, REPORT, SHARED_MEMORY

TIME_OVER = 124  # exit status, as that of the command ``timeout``
GRACE = 5.0  # seconds for mpiexec to stop its processes


def launch(program: Sequence[str | os.PathLike[str]], ranks: int, *, time_limit: float | None = None) -> int:
    """Run ``program`` (a script and its arguments, or "-m", a module and its arguments) as ``ranks`` processes.

    Returns the exit status: 0 only if every rank came to its end with 0. What ranks print appears as it comes.
    Otherwise the last line on stderr says what happened; after ``time_limit`` seconds the run is stopped, with
    status 124. Raises ``InputError`` if mpiexec is missing.
    """
    words = [os.fspath(part) for part in program]
    if not words or words == ["-m"]:
        raise InputError(f"launch: program must be a script or -m and a module, with its arguments, got {words}")
    if words[0] != "-m" and not Path(words[0]).exists():
        raise InputError(f"launch: there is no script {words[0]!r} in {Path.cwd()}")
    ranks = check_integer("launch: ranks", ranks, 1)
    if time_limit is not None:
        time_limit = check_number("launch: time_limit", time_limit, 0)
    command = [find_mpiexec(), "-n", str(ranks), sys.executable, "-m", "mlp.parallel.rank", *words]
    with tempfile.TemporaryDirectory(prefix="mlp-launch-") as folder:
        file = Path(folder) / "report.jsonl"
        file.touch()
        run = Run(command, environment(ranks, file))
        status = run.finish(time_limit)
        report = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    problem = explain(run, status, report, ranks)
    if not problem:
        return 0
    print(f"launch: {problem}", file=sys.stderr, flush=True)
    return status or 1


def find_mpiexec() -> str:
    """The mpiexec of this Python environment, else the one on the path."""
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None or find_spec("mpi4py") is None:
        missing = "mpiexec" if found is None else "mpi4py"
        raise InputError(f"launch: {missing} is missing. Install it with: {INSTALL}")
    return found


def environment(ranks: int, report: Path) -> dict[str, str]:
    """That of the processes: they find this package, use one BLAS thread, and know who started them."""
    source = str(Path(__file__).parents[2])
    path = os.pathsep.join(part for part in (source, os.environ.get("PYTHONPATH")) if part)
    told = {"PYTHONPATH": path, RANKS: str(ranks), LAUNCHER: str(os.getpid()), REPORT: str(report)}
    return {**SHARED_MEMORY, **os.environ, **ONE_THREAD, **told}


class Run:
    """One run of mpiexec: what it prints is passed on, and what it says of killed ranks is remembered."""

    def __init__(self, command: list[str], variables: dict[str, str]) -> None:
        # In a session of its own, Ctrl-C in the terminal reaches the launcher alone, which stops the rest.
        self.process = subprocess.Popen(
            command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        self.is_over_time = False
        self.banner = ""
        self._readers = [
            threading.Thread(target=self._pass_on, args=(self.process.stdout, sys.stdout), daemon=True),
            threading.Thread(target=self._pass_on, args=(self.process.stderr, sys.stderr), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def finish(self, time_limit: float | None) -> int:
        """The exit status, or 124 if it had to be stopped."""
        try:
            return self.process.wait(time_limit)
        except subprocess.TimeoutExpired:
            self.is_over_time = True
            return TIME_OVER
        finally:
            self._stop()
            for reader in self._readers:
                reader.join(GRACE)

    def _stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()  # mpiexec then kills its ranks
            try:
                self.process.wait(GRACE)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def _pass_on(self, pipe: IO[bytes], to: IO[str]) -> None:
        # A progress bar ends its lines with a carriage return, which is to stay one.
        with io.TextIOWrapper(pipe, encoding="utf-8", errors="replace", newline="") as lines:
            for line in self._without_banner(lines):
                to.write(line)
                to.flush()

    def _without_banner(self, lines: Iterable[str]) -> Iterator[str]:
        """All lines but the ten with which MPICH frames the news that a rank was killed."""
        rule = ""
        inside = False
        for line in lines:
            inside = inside or line.startswith("=   BAD TERMINATION")
            if inside:
                self.banner += line
                rule, inside = "", not line.startswith("Please see the FAQ")
                continue
            yield rule
            rule = line if line.startswith("=" * 60) else ""
            if not rule:
                yield line
        yield rule


def explain(run: Run, status: int, report: list[dict[str, Any]], ranks: int) -> str:
    """What went wrong, from the exit status and what ranks reported; an empty string if nothing did."""
    said = {event: {r["rank"]: r["message"] for r in reversed(report) if r["event"] == event}
            for event in ("started", "failed", "left", "ended")}  # fmt: skip
    pid, how = (re.search(pattern, run.banner) for pattern in (r"PID (\d+)", r"EXIT STRING: (.*)"))
    lost = [rank for rank in range(ranks) if rank not in said["ended"]]
    if run.is_over_time:
        return f"the time limit is over; not at the end: {', '.join(f'rank {rank}' for rank in lost) or 'mpiexec'}"
    causes = [f"rank {r['rank']} failed: {r['message']}" for r in report if r["event"] == "failed"][:1]
    causes += [f"rank {rank} left with exit status {code}" for rank, code in said["left"].items() if code != "0"]
    if how and not causes:
        killed = [f"rank {rank}" for rank, number in said["started"].items() if pid and number == pid[1]]
        causes = [f"{''.join(killed) or 'a rank'} died: {how[1]}"]
    if status and not causes:
        causes = [f"mpiexec ended with exit status {status}"]
    if lost and not causes:
        causes = [f"rank {rank} vanished before its end" for rank in lost]
    return "; ".join(causes)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        "python -m mlp.parallel.launch", description="Run a script as several MPI processes, one BLAS thread each."
    )
    parser.add_argument("-n", "--ranks", type=int, required=True, help="how many processes")
    parser.add_argument("--time-limit", type=float, metavar="SECONDS", help="stop the run after so long")
    parser.add_argument("-m", dest="module", nargs=argparse.REMAINDER, help="a module and its options")
    parser.add_argument("script", nargs=argparse.REMAINDER, help="or a script and its options")
    given = parser.parse_args(arguments)
    program = given.script if given.module is None else ["-m", *given.module]
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        return launch(program, given.ranks, time_limit=given.time_limit)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
