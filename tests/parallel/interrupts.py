"""Interrupts runs under the launcher, again and again: all ranks stop after one step, save, and say how to go on.

    python tests/parallel/interrupts.py [TIMES]

The long form of a test in test_run_parallel.py: TIMES in each way to divide a run, 5 unless given.
"""

import random
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from running import SCRIPT, launch, rows, wait

from mlp.solver.checkpoint import load_arrays

MODES = {
    "data": ["--data_parallel=2"],
    "sharded optimizer": ["--data_parallel=2", "--shard=1"],
    "sharded gradients": ["--data_parallel=2", "--shard=2"],
    "fully sharded": ["--data_parallel=2", "--shard=3"],
    "tensor": ["--tensor_parallel=2"],
    "pipeline": ["--pipeline_stages=2"],
}
LIMIT = 10.0  # seconds until all have stopped


def interrupt(options: list[str], folder: Path, delay: float) -> tuple[int, float, str, str]:
    """(step at the interrupt, seconds until the end, stdout, stderr) of a run that is interrupted once."""
    launcher = launch(
        "-m", "mlp.parallel.launch", "-n", 2, SCRIPT, *options, "--epochs=100000", f"--output={folder}"
    )
    metrics = folder / "metrics.jsonl"
    begin = time.monotonic()
    while not metrics.exists() or not metrics.read_bytes():
        assert launcher.poll() is None, launcher.communicate()
        assert time.monotonic() - begin < 60
        time.sleep(0.02)
    time.sleep(delay)
    step = rows(folder)[-1]["step"]
    begin = time.monotonic()
    launcher.send_signal(signal.SIGINT)
    status, out, err = wait(launcher)
    seconds = time.monotonic() - begin
    assert status == 130, (status, out, err)
    return step, seconds, out, err


def check(folder: Path, step: int, err: str) -> None:
    """The checkpoint is of the step after which it was stopped, and one line says how to go on."""
    saved = load_arrays(folder / "checkpoint.npz")[1]["solver"]["step"]
    assert saved >= step, (saved, step)
    assert f"interrupted after step {saved}; --resume {folder} goes on" in err.strip().splitlines()[-1], err
    assert "Traceback" not in err
    assert "CommunicatorError" not in err


def main(times: int) -> None:
    """Print a line for each way to divide a run."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell ignores in the background
    draw = random.Random(0)
    for mode, options in MODES.items():
        worst = 0.0
        for _ in range(times):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name) / "run"
                common = ["--train_samples=2000", "--test_samples=500", "--hidden=32,16", "--tracking=none"]
                step, seconds, _, err = interrupt([*common, *options], folder, draw.uniform(0, 1.5))
                check(folder, step, err)
                worst = max(worst, seconds)
                assert seconds < LIMIT
        print(f"{mode}: {times} of {times} saved, at most {worst:.1f} s", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
