"""Running the training script as a process, and comparing what two runs left."""

import json
import subprocess
import sys
from pathlib import Path

from mlp.solver.checkpoint import load_arrays

PROJECT = Path(__file__).resolve().parents[1]
SCRIPT = PROJECT / "scripts" / "run_mlp.py"
PATIENCE = 60  # seconds after which a process is taken to hang


def launch(*command: object, **options) -> subprocess.Popen:
    """A Python process with captured output and nothing to read from."""
    return subprocess.Popen(
        [sys.executable, *map(str, command)], text=True, encoding="utf-8",
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
    )  # fmt: skip


def wait(process: subprocess.Popen) -> tuple[int, str, str]:
    """(exit status, stdout, stderr), or a failure if the process hangs."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return process.returncode, out, err


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
