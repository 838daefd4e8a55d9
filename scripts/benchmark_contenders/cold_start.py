"""From the start of a process to a good network: imports, data, compilation, training, a test after each epoch.

    python -m benchmark_contenders.cold_start CONTENDER ACCURACY

trains 784-512-10 until it has this accuracy on the test set, and prints the epochs that it took.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

from benchmark_contenders import CONTENDERS
from benchmark_contenders.measure import SCRIPTS, BenchmarkError
from benchmark_contenders.problem import Problem, Setting
from benchmark_contenders.report import shown, table

SETTING = Setting((784, 512, 10), "CE", "ReLU")
MOST_EPOCHS = 30
THREADS = (1, 2)


class Start(NamedTuple):
    """What one process took, in seconds, and the epochs that it trained for."""

    seconds: float
    processor_seconds: float
    epochs: int


def train(name: str, wanted: float) -> int:
    """Train from the beginning until the accuracy on the test set is at least ``wanted``; the number of epochs."""
    problem = Problem(SETTING)
    images, labels = problem.test.arrays()
    step = CONTENDERS[name].build(problem)
    for epoch in range(1, MOST_EPOCHS + 1):
        for _ in range(len(problem.labels) // SETTING.batch_size):
            step()
        if (step.classify(images) == labels).mean() >= wanted:
            return epoch
    sys.exit(f"not {wanted:.2%} after {MOST_EPOCHS} epochs")


def cold_start(names: list[str], rounds: int, wanted: float, env: dict[str, str], core: int | None) -> str:
    """The section of the report. In each round every contender starts with each number of threads, in turns."""
    ways = [(name, threads) for threads in THREADS for name in names]
    starts: dict[tuple[str, int], list[Start]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            starts[way].append(start(*way, wanted, env, core))
            print(f"{CONTENDERS[way[0]].title}, threads {way[1]}: {starts[way][-1]}", file=sys.stderr, flush=True)
        ways = ways[1:] + ways[:1]
    return report(starts, rounds, wanted)


def start(name: str, threads: int, wanted: float, env: dict[str, str], core: int | None) -> Start:
    """One process; of one thread on ``core``, since not all libraries can be held to one in another way."""
    counts = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    pin = {"preexec_fn": lambda: os.sched_setaffinity(0, {core})} if core is not None and threads == 1 else {}
    command = [sys.executable, "-m", "benchmark_contenders.cold_start", name, str(wanted)]
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=SCRIPTS, env=env | counts, stdout=subprocess.PIPE, text=True, **pin)
    with process:
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise BenchmarkError(f"{CONTENDERS[name].title} with {threads} threads failed")
    return Start(seconds, usage.ru_utime + usage.ru_stime, int(out))


def report(starts: dict[tuple[str, int], list[Start]], rounds: int, wanted: float) -> str:
    """A row for each contender with the number of threads with which it was faster, and the ratio to mlp's."""
    best: dict[str, tuple[float, int]] = {}
    for (name, threads), times in starts.items():
        median = statistics.median(one.seconds for one in times)
        best[name] = min(best.get(name, (median, threads)), (median, threads))
    ours = starts["mlp", best["mlp"][1]]
    rows = [["library", "threads", "seconds", "processor seconds", "epochs", "mlp / library"]]
    for name, (_, threads) in best.items():
        times = starts[name, threads]
        row = [CONTENDERS[name].title, str(threads), shown([one.seconds for one in times], 1)]
        row += [shown([one.processor_seconds for one in times], 1), str(times[0].epochs)]
        rows.append([*row, shown([a.seconds / b.seconds for a, b in zip(ours, times, strict=True)])])
    return (
        f"## From a cold start to {wanted:.0%} on the test set\n\n784–512–10, ReLU, cross-entropy, batches of 100, "
        f"SGD (learning rate 0.05, momentum 0.9), float32. A process is started,\nimports, loads the data, trains, "
        f"and evaluates after each epoch, until the accuracy is reached. Median (quartiles) of {rounds} rounds,\n"
        f"in turns; each library with the number of threads, 1 or 2, with which it is faster.\n\n{table(rows)}"
    )


if __name__ == "__main__":
    print(train(sys.argv[1], float(sys.argv[2])))
