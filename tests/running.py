"""Starting processes and waiting for them, and comparing what two runs left."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mlp.solver.checkpoint import load_arrays

PROJECT = Path(__file__).resolve().parents[1]
SCRIPT = PROJECT / "scripts" / "run_mlp.py"
# Seconds after which a process is taken to hang: many times what any takes, also on a machine that is busy.
PATIENCE = 300
STARTED: list[subprocess.Popen] = []


def start(*command: object, **options) -> subprocess.Popen:
    """A process with captured output and nothing to read from, which does not outlive the test."""
    process = subprocess.Popen(
        list(map(str, command)), text=True, encoding="utf-8",
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
    )  # fmt: skip
    STARTED.append(process)
    return process


def launch(*command: object, **options) -> subprocess.Popen:
    """A Python process."""
    return start(sys.executable, *command, **options)


def wait(process: subprocess.Popen) -> tuple[int, str, str]:
    """(exit status, stdout, stderr), or a failure if the process hangs."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        end(process)
    return process.returncode, out, err


def run_ranks(ranks: int, script: Path, *arguments: object) -> None:
    """Run a script, which prints nothing, as MPI processes."""
    pytest.importorskip("mpi4py", reason="mpi4py is not installed: python -m pip install 'mlp[parallel]'")
    command = ("-m", "mlp.parallel.launch", "-n", ranks, "--time-limit", PATIENCE, script, *arguments)
    assert wait(launch(*command)) == (0, "", "")


def end(process: subprocess.Popen) -> None:
    """Kill it, close its pipes, take notice of its end: else Python complains of it during another test."""
    process.kill()
    with process:
        pass


def end_all() -> None:
    """End what a test that failed has left running."""
    while STARTED:
        end(STARTED.pop())


def rows(folder: Path) -> list[dict]:
    """The lines of a run's metrics.jsonl."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_same_run(a: Path, b: Path) -> None:
    """Bit-identical weights, momentum and metrics, and the same final numbers."""
    assert (a / "metrics.jsonl").read_bytes() == (b / "metrics.jsonl").read_bytes()
    assert (a / "final.json").read_bytes() == (b / "final.json").read_bytes()
    (arrays, rest), (others, other_rest) = (load_arrays(folder / "checkpoint.npz") for folder in (a, b))
    assert {name: x.tobytes() for name, x in arrays.items()} == {name: x.tobytes() for name, x in others.items()}
    assert rest["solver"] == other_rest["solver"]
