"""How long runs take: a model of their cost, what has been measured of it, and when all will be done."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import pairwise

from mlp.run.config import RunConfig

IN, OUT, TRAIN, TEST = 784, 10, 60_000, 10_000
# Seconds on one core of a server of 2020. Only their ratios matter: what is measured scales the whole.
START = 1.5  # a process, NumPy, the data; later the figure
PER_STEP = 100e-6  # Python
PER_PARAMETER = 1.0e-9  # in a step: the optimizer reads and writes four vectors
PER_WEIGHT = 70e-12  # in a training sample: forward and two products backward
PER_WEIGHT_EVALUATED = 25e-12
PER_NEURON = {"ReLU": 1e-9, "GeLU": 10e-9, "Sigmoid": 6e-9}  # in a training sample


def estimate_cost(config: RunConfig) -> float:
    """Seconds that a run would take on that core: epochs × (steps × parameters + samples × parameters + ...)."""
    widths = [IN, *config.hidden, OUT]
    parameters = sum((a + 1) * b for a, b in pairwise(widths))
    samples = config.train_samples or TRAIN
    steps = -(-samples // (config.batch_size or samples))
    neurons = sum(config.hidden) * PER_NEURON.get(config.activation, max(PER_NEURON.values()))
    epoch = steps * (PER_STEP + parameters * PER_PARAMETER) + samples * (parameters * PER_WEIGHT + neurons)
    epoch += (config.test_samples or TEST) * parameters * PER_WEIGHT_EVALUATED
    return START + config.epochs * epoch * (1 if config.dtype == "float32" else 2)


class Pace:
    """Measured seconds for each second of the model: 2.0 on a core that is half as fast, or half as free."""

    def __init__(self) -> None:
        self.measured, self.modelled = 0.0, 0.0

    def add(self, seconds: float, modelled: float) -> None:
        """Take in a run that took ``seconds`` where the model says ``modelled``."""
        self.measured += seconds
        self.modelled += modelled

    def with_running(self, running: Iterable[tuple[float, float]]) -> float | None:
        """The pace, counting what runs under way have done: (seconds, modelled); None if nothing is measured."""
        measured, modelled = self.measured, self.modelled
        for seconds, done in running:
            if done > 0:
                measured += seconds
                modelled += done
        return measured / modelled if modelled > 0 else None


def time_left(running: Iterable[float], waiting: Iterable[float], jobs: int) -> float:
    """Modelled seconds until all is done, if each free core takes the next of ``waiting``."""
    free = list(running)
    free += [0.0] * (jobs - len(free))
    heapq.heapify(free)
    for cost in waiting:
        heapq.heapreplace(free, free[0] + cost)
    return max(free, default=0.0)


def describe_seconds(seconds: float) -> str:
    """As a person would say it: 40 s, 12 min, 2 h 05 min."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
