"""Starting a script as several MPI processes, and seeing to it that the run ends, whatever happens to one of them.

    python -m mlp.parallel.launch -n 2 script.py --its=options

Each rank has one BLAS thread. If one raises, leaves early or is killed, all are stopped, one line says which and
why, and the exit status is not 0: that of the rank, if it has left with one. After Ctrl-C training stops on all
ranks after the same step. The script asks for ``MPICommunicator.world()``.

Ranks speak to each other over shared memory alone. mpiexec itself listens on a port of its own choice, on all
interfaces, while the run lasts: that is how it and its helpers find each other, and it has no option against it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from mlp.checks import InputError, check_integer, check_number
from mlp.parallel.environment import INSTALL, LAUNCHER, ONE_THREAD, RANKS, REPORT, SHARED_MEMORY
from mlp.parallel.launched import Run
from mlp.parallel.verdict import explain


def launch(program: Sequence[str | os.PathLike[str]], ranks: int, *, time_limit: float | None = None) -> int:
    """Run ``program`` (a script and its arguments, or "-m", a module and its arguments) as ``ranks`` processes.

    Returns the exit status: 0 only if every rank came to its end with 0. What ranks print appears as it comes.
    Otherwise the last line on stderr says what happened; after ``time_limit`` seconds the run is stopped, with
    status 124. Raises ``InputError`` if mpiexec is missing.
    """
    words = check_program(program)
    ranks = check_integer("launch: ranks", ranks, 1)
    if time_limit is not None:
        time_limit = check_number("launch: time_limit", time_limit, 0)
    command = [find_mpiexec(), "-disable-auto-cleanup", "-n", str(ranks), sys.executable, "-m", "mlp.parallel.rank"]
    with tempfile.TemporaryDirectory(prefix="mlp-launch-") as folder:
        report = Path(folder) / "report.jsonl"
        report.touch()
        run = Run([*command, *words], environment(ranks, report), report)
        try:
            status = run.finish(time_limit)
        finally:
            run.clean_up()
    if run.is_over_time:
        ended = {e.rank for e in run.events if e.event == "ended"}
        lost = ", ".join(f"rank {rank}" for rank in range(ranks) if rank not in ended) or "mpiexec"
        problem = f"the time limit is over; not at the end: {lost}"
    else:
        problem, status = explain(run.events, status, ranks)
    if problem:
        print(f"launch: {problem}", file=sys.stderr, flush=True)
    return status


def check_program(program: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Its words. Raises ``InputError`` unless they begin with a script that there is, or -m and a module."""
    words = [os.fspath(part) for part in program]
    if not words or words == ["-m"]:
        raise InputError(f"launch: program must be a script or -m and a module, with its arguments, got {words}")
    if words[0] != "-m" and not os.path.exists(words[0]):
        raise InputError(f"launch: there is no script {words[0]!r} in {Path.cwd()}")
    return words


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
    numbers = [signal.SIGINT]

    def terminate(number: int, frame: FrameType | None) -> None:  # as Ctrl-C, but for the exit status
        numbers.append(signal.SIGTERM)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, terminate)
    try:
        status = launch(program, given.ranks, time_limit=given.time_limit)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    return 128 + numbers[-1] if status == 128 + signal.SIGINT else status


if __name__ == "__main__":
    sys.exit(main())
