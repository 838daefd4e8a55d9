"""What surrounds the iterations: the epoch loop, the memory of a run, the time of an import."""

from __future__ import annotations

import subprocess
import sys
import tempfile

from benchmark_contenders.measure import SCRIPTS, BenchmarkError
from benchmark_contenders.report import quartiles, shown, table

IMPORT = "import time; begin = time.process_time(); {}; print(1e3 * (time.process_time() - begin))"
# The launcher is small: Linux counts the memory of the process that starts another one towards its peak.
PEAK = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
if status != 0:
    sys.exit(status)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def run_python(*arguments: str, env: dict[str, str]) -> str:
    """Standard output of a fresh interpreter."""
    done = subprocess.run([sys.executable, *arguments], env=env, cwd=SCRIPTS, text=True, capture_output=True)
    if done.returncode != 0:
        raise BenchmarkError((done.stderr.strip().splitlines() or ["a process failed"])[-1])
    return done.stdout


def import_time(rounds: int, env: dict[str, str]) -> str:
    """What ``import mlp`` costs beyond NumPy, in fresh processes that take turns."""
    statements = {"import numpy": "import numpy", "import numpy, mlp": "import numpy, mlp"}
    times: dict[str, list[float]] = {name: [] for name in statements}
    with tempfile.TemporaryDirectory() as folder:
        # Compiled modules are kept, as usual, whatever this system's habit is.
        env = {name: value for name, value in env.items() if name != "PYTHONDONTWRITEBYTECODE"}
        env["PYTHONPYCACHEPREFIX"] = folder
        for i in range(1 + rounds):
            for name, statement in statements.items():
                milliseconds = float(run_python("-c", IMPORT.format(statement), env=env))
                if i > 0:  # the first time, the modules are compiled
                    times[name].append(milliseconds)
    rows = [["statement", "ms"], *([f"`{name}`", shown(values, 1)] for name, values in times.items())]
    numpy_alone, both = (quartiles(values)[1] for values in times.values())
    return (
        f"## Import\n\nProcessor time, median (quartiles) of {rounds} fresh processes each, in turns: "
        f"`import mlp` takes **{both - numpy_alone:.1f} ms** beyond NumPy.\n\n{table(rows)}"
    )


def memory(env: dict[str, str]) -> str:
    """Peak resident memory of a run of scripts/run_mlp.py with the default recipe, which leaves nothing behind."""
    env = env | {"WANDB_MODE": "offline"}
    with tempfile.TemporaryDirectory() as folder:
        script = [str(SCRIPTS / "run_mlp.py"), "--output", folder]
        peak = int(run_python("-c", PEAK, sys.executable, *script, env=env))
    megabytes = peak / (1e6 if sys.platform == "darwin" else 1e3)  # bytes there, kilobytes elsewhere
    return f"## Memory\n\nPeak resident memory of `python scripts/run_mlp.py`: **{megabytes:.0f} MB**."


def epoch_loop(epochs: int, rounds: int, env: dict[str, str]) -> str:
    """What the solver adds to its iterations: evaluation, means, progress."""
    module = "benchmark_contenders.epoch_loop"
    lines = run_python("-m", module, str(epochs), str(rounds), env=env).splitlines()
    rows = [["`Solver.fit` / its iterations alone", "ratio"]]
    for line in lines:
        name, *values = line.split("\t")
        rows.append([name, shown([float(value) for value in values], 3)])
    return (
        f"## Epoch loop\n\nTime of `Solver.fit` over {epochs} epochs of the default recipe (784–512–10, ReLU, "
        f"cross-entropy) / time of as many\niterations alone, in turns in one process: median (quartiles) of "
        f"{rounds} rounds.\n\n{table(rows)}"
    )


def toolbox(measurement: str, rounds: int, env: dict[str, str]) -> str:
    """A table of toolbox.py: augmentation, memory or precision."""
    lines = run_python("-m", "benchmark_contenders.toolbox", measurement, str(rounds), env=env).splitlines()
    titles = {
        "augmentation": "Augmentation\n\nProcessor time, float32, one core, the fastest of the rounds.",
        "memory": "Activation memory\n\nA training step of 784–1024–1024–1024–1024–10 on 512 images, float32,\n"
        "beyond parameters, gradients and the batch, as the allocator counts it.",
        "precision": "Fewer bits",
    }
    return f"## {titles[measurement]}\n\n{table([line.split(chr(9)) for line in lines])}"
