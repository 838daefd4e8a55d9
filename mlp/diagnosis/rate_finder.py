"""The learning-rate finder, also called range test: a short run with a growing rate shows which can be used."""

from __future__ import annotations

import math
from itertools import chain, count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlp.checks import InputError, check_integer, check_positive
from mlp.data import Batches, Dataset
from mlp.losses import Loss
from mlp.network import Network
from mlp.optim import Optimizer
from mlp.solver.step import Step

Floats = NDArray[np.float64]


class LearningRateFinder:
    """What ``find_learning_rate`` measured: ``rates`` and ``losses`` step by step, and ``smoothed`` losses.

    ``suggestion`` is the rate at which the smoothed loss fell fastest per factor of the rate, ``largest`` the one
    where it was lowest: beyond that it grows. ``plot()`` draws loss against rate.
    """

    def __init__(self, rates: Floats, losses: Floats, smoothing: float) -> None:
        self.rates, self.losses = rates, losses
        mean, self.smoothed = 0.0, np.empty_like(losses)
        for i, loss in enumerate(losses):
            mean = smoothing * mean + (1 - smoothing) * loss
            self.smoothed[i] = mean / (1 - smoothing ** (i + 1))  # without the bias of the start at 0
        lowest = int(np.argmin(self.smoothed))
        self.largest = float(rates[lowest])
        slopes = np.gradient(self.smoothed, np.log(rates))[: lowest + 1]
        self.suggestion = float(rates[int(np.argmin(slopes))])

    def plot(self) -> Any:
        """Loss against learning rate, with the suggestion; returns the matplotlib figure. Needs matplotlib."""
        from mlp.plots import plot_learning_rate_finder

        return plot_learning_rate_finder(self)

    def __repr__(self) -> str:
        return (
            f"LearningRateFinder({len(self.rates)} steps from {self.rates[0]:.3g} to {self.rates[-1]:.3g}: "
            f"steepest at {self.suggestion:.3g}, lowest at {self.largest:.3g})"
        )


def find_learning_rate(
    network: Network,
    loss: Loss,
    optimizer: Optimizer,
    data: Dataset,
    *,
    low: float = 1e-5,
    high: float = 10.0,
    steps: int = 100,
    batch_size: int = 100,
    rng: int | np.random.Generator = 2022,
    smoothing: float = 0.9,
    **step_options: Any,
) -> LearningRateFinder:
    """Train for ``steps`` steps while the rate grows from ``low`` to ``high`` by equal factors, and watch the loss.

        η(t) = low · (high / low)^(t / (steps - 1))

    It stops early once the smoothed loss is four times its minimum, or not finite. Network, optimizer, and loss are
    left as they were: the steps are made, and taken back. ``step_options`` are those of ``mlp.solver.step.Step``.

    Raises ``InputError`` unless 0 < low < high and steps >= 3, or if the first losses are not finite.

    Smith, "Cyclical learning rates for training neural networks", WACV 2017.
    """
    low, high = check_positive("find_learning_rate: low", low), check_positive("find_learning_rate: high", high)
    if low >= high:
        raise InputError(f"find_learning_rate: low must be below high, got {low:g} and {high:g}")
    check_integer("find_learning_rate: steps", steps, 3)
    step = Step(network, loss, optimizer, **step_options)
    if step.average is not None or step.schedule is not None:
        raise InputError(
            "find_learning_rate: a schedule or an average of the weights has no meaning here; leave it out"
        )
    rates = low * (high / low) ** (np.arange(steps) / (steps - 1))
    kept = network.state_dict(), optimizer.state_dict(), network.snapshot(), optimizer.lr
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            losses = _losses(step, data, rates, min(batch_size, len(data)), np.random.default_rng(rng), smoothing)
    finally:
        network.load_state_dict(kept[0])
        optimizer.load_state_dict(kept[1])
        network.restore(kept[2])
        optimizer.lr = kept[3]
        network.zero_grad()
    if len(losses) < 3:
        raise InputError(
            f"find_learning_rate: the loss is not finite from step {len(losses)} on; lower low ({low:g})"
        )
    return LearningRateFinder(rates[: len(losses)], np.array(losses), smoothing)


def _losses(
    step: Step, data: Dataset, rates: Floats, batch_size: int, rng: np.random.Generator, smoothing: float
) -> list[float]:
    """The loss of a step with each rate, until it has grown too much."""
    batches = Batches(data, batch_size, step.network.dtype)
    epochs = chain.from_iterable(batches.epoch(rng) for _ in count())
    losses: list[float] = []
    mean = 0.0
    for t, rate in enumerate(rates.tolist()):
        step.optimizer.lr = rate
        outcome = step(t, *next(epochs), batches.sample_weight, rng, data.is_classification)
        if not math.isfinite(outcome.loss):
            break
        losses.append(outcome.loss)
        mean = smoothing * mean + (1 - smoothing) * outcome.loss
        if mean / (1 - smoothing ** (t + 1)) > 4 * max(min(losses), 0) and t > len(rates) // 10:
            break
    return losses


# The names that they had before.
RangeTest, range_test = LearningRateFinder, find_learning_rate
