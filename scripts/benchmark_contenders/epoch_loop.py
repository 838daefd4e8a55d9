"""Run by extras.py in a process of its own: times Solver.fit against its iterations alone, in turns."""

import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

from benchmark_contenders.problem import SETTINGS, Problem
from benchmark_contenders.with_numpy import build_mlp, make_loss, make_network, make_optimizer
from mlp import load_mnist
from mlp.run.record import Checkpoints, LocalRecord
from mlp.solver.callbacks import Callback, Progress
from mlp.solver.loop import Solver

epochs, rounds = int(sys.argv[1]), int(sys.argv[2])
setting = replace(SETTINGS["single-CE-ReLU"], sizes=(784, 512, 10))  # as in configs/default.yaml
problem = Problem(setting)
train, test = load_mnist()
iterations = epochs * -(-len(train) // setting.batch_size)


def fit(evaluate: bool, callbacks: list[Callback]) -> None:
    network = make_network(problem)
    solver = Solver(
        network,
        make_loss(problem),
        make_optimizer(problem, network),
        epochs=epochs,
        batch_size=setting.batch_size,
        rng=setting.seed,
        callbacks=callbacks,
    )
    solver.fit(train, test if evaluate else None)


def fit_and_record(progress: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        record = LocalRecord(Path(folder))
        checkpoints = Checkpoints(record, {}, seconds=10)
        fit(evaluate=True, callbacks=[record, checkpoints, *([Progress()] if progress else [])])


# What a run does, from little to all of it.
ways: dict[str, Callable[[], None]] = {
    "training alone": lambda: fit(evaluate=False, callbacks=[]),
    "with evaluation on the test set": lambda: fit(evaluate=True, callbacks=[]),
    "with evaluation, record and checkpoints": lambda: fit_and_record(progress=False),
}
if importlib.util.find_spec("tqdm"):
    ways["with evaluation, record, checkpoints and progress bar"] = lambda: fit_and_record(progress=True)


def iterate() -> None:
    step = build_mlp(problem)
    for _ in range(iterations):
        step()


def seconds(function: Callable[[], None]) -> float:
    begin = time.perf_counter()
    with redirect_stdout(sys.stderr):  # standard output is for the ratios
        function()
    return time.perf_counter() - begin


seconds(iterate)
ratios: dict[str, list[float]] = {name: [] for name in ways}
for _ in range(rounds):
    alone = seconds(iterate)
    for name, way in ways.items():
        ratios[name].append(seconds(way) / alone)
for name, values in ratios.items():
    print(name, *values, sep="\t")
