"""Run by extras.py in a process of its own: times Solver.fit against its iterations alone, in turns."""

import sys
import time
from collections.abc import Callable

from benchmark_contenders.problem import SETTINGS, Problem
from benchmark_contenders.with_numpy import build_mlp, make_loss, make_network, make_optimizer
from mlp import load_mnist
from mlp.callbacks import Callback, Progress
from mlp.solver import Solver

epochs, rounds = int(sys.argv[1]), int(sys.argv[2])
problem = Problem(SETTINGS["single-CE-ReLU"])
setting = problem.setting
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


# What fit does, from little to all; another callback is another line here.
ways: dict[str, Callable[[], None]] = {
    "training alone": lambda: fit(evaluate=False, callbacks=[]),
    "with evaluation on the test set": lambda: fit(evaluate=True, callbacks=[]),
}
try:
    import tqdm  # noqa: F401
except ImportError:
    pass
else:
    ways["with evaluation and progress bar"] = lambda: fit(evaluate=True, callbacks=[Progress()])


def seconds(function: Callable[[], None]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def iterate() -> None:
    step = build_mlp(problem)
    for _ in range(iterations):
        step()


seconds(iterate)
ratios: dict[str, list[float]] = {name: [] for name in ways}
for _ in range(rounds):
    alone = seconds(iterate)
    for name, way in ways.items():
        ratios[name].append(seconds(way) / alone)
for name, values in ratios.items():
    print(name, *values, sep="\t")
