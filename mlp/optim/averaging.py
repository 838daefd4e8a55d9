"""An average of the weights over the steps, which often does better than the weights at any one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from mlp.arrays import Array, aligned_empty
from mlp.checks import InputError, check_number
from mlp.optim.base import BLOCK
from mlp.parameter import ParameterVector

STATISTICS = "statistics."  # how the names of their averages begin in a state


class WeightAverage:
    """A moving average a of the weights w, beside the training, which does not notice. Each ``update`` is

        n ← d n + 1
        a ← a + (w - a) / n

    with decay d. n is the sum of the weights that the average gives to what it has seen, and starts at 0: a is the
    mean of the w seen so far, each counting d times as much as the next. With d = 1 that is the plain mean of
    Polyak & Juditsky. ``bias_correction=False`` lets a start at the weights of now and n at its limit 1 / (1 - d):

        a ← d a + (1 - d) w

        average = WeightAverage(network.parameters, decay=0.999)
        ...                         # after each optimizer.step(): average.update()
        with average.swapped():     # the network computes with the average in here
            evaluate(network, loss, test)

    Running statistics, such as BatchNorm's, belong to the weights that they were measured with: ``watch`` lets them
    be averaged and swapped alike. In a ``Solver`` that is done.

    Raises ``InputError`` for d outside [0, 1], or d = 1 without the correction.

    Polyak & Juditsky, "Acceleration of stochastic approximation by averaging", SIAM Journal on Control
    and Optimization, 1992.
    """

    def __init__(self, parameters: ParameterVector, decay: float = 0.999, bias_correction: bool = True) -> None:
        self.decay = check_number("WeightAverage: decay", decay, 0, 1)
        self.bias_correction = bias_correction
        if not bias_correction and self.decay == 1:
            raise InputError("WeightAverage: decay must be below 1 without bias_correction: nothing would change")
        self.parameters = ParameterVector.of(parameters)
        size, dtype = self.parameters.size, self.parameters.dtype
        self._average: Array = aligned_empty((size,), dtype)
        self._scratch: Array = aligned_empty((min(BLOCK, size),), dtype)
        self._blocks = [slice(start, start + BLOCK) for start in range(0, size, BLOCK)]
        self._watched: dict[str, tuple[Array, Array]] = {}  # statistics of now, and their averages, by name
        self._is_swapped = False
        self._count = 0.0
        self.restart()

    def watch(self, statistics: Mapping[str, Array]) -> None:
        """Average these arrays too, by name, from their values of now on. They are changed in place by others."""
        self._watched = {name: (now, now.copy()) for name, now in statistics.items() if now.dtype.kind == "f"}

    @property
    def average(self) -> Array:
        """a as in the equations, one number for each parameter: a copy. Before any update, the first weights."""
        self._check_outside("average")
        return self._average.copy()

    def update(self) -> None:
        """Take the weights of now into the average. Raises ``InputError`` inside of ``swapped``."""
        self._check_outside("update")
        self._count = self.decay * self._count + 1
        for part in self._blocks:
            a, w = self._average[part], self.parameters.data[part]
            s = np.subtract(w, a, out=self._scratch[: a.size])
            s *= 1 / self._count
            a += s
        for now, mean in self._watched.values():
            mean += (now - mean) / now.dtype.type(self._count)

    def restart(self) -> None:
        """Begin anew with the weights of now. Raises ``InputError`` inside of ``swapped``."""
        self._check_outside("restart")
        self._average[...] = self.parameters.data
        for now, mean in self._watched.values():
            mean[...] = now
        self._count = 0.0 if self.bias_correction else 1 / (1 - self.decay)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """``with average.swapped():`` puts the average into the parameters, and the weights back at the end.

        Raises ``InputError`` inside another ``swapped``.
        """
        self._check_outside("swapped")
        self._swap()
        self._is_swapped = True
        try:
            yield
        finally:
            self._swap()
            self._is_swapped = False

    def _swap(self) -> None:
        for part in self._blocks:
            a, w = self._average[part], self.parameters.data[part]
            s = self._scratch[: a.size]
            s[...] = a
            a[...] = w
            w[...] = s
        for now, mean in self._watched.values():
            kept = mean.copy()
            mean[...] = now
            now[...] = kept

    def _check_outside(self, name: str) -> None:
        if self._is_swapped:
            raise InputError(f"WeightAverage: {name} inside of swapped(), where the average is in the parameters")

    def state_dict(self) -> dict[str, Array]:
        """The averages and the count: copies. Raises ``InputError`` inside of ``swapped``."""
        statistics = {f"{STATISTICS}{name}": mean.copy() for name, (_, mean) in self._watched.items()}
        return {"average": self.average, "count": np.array(self._count)} | statistics

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Continue from a ``state_dict``. Raises ``InputError``, and changes nothing, unless it fits."""
        self._check_outside("load_state_dict")
        shapes = {name: np.shape(value) for name, value in state.items()}
        expected: dict[str, tuple[int, ...]] = {"average": (self.parameters.size,), "count": ()}
        statistics = {f"{STATISTICS}{name}": now_and_mean for name, now_and_mean in self._watched.items()}
        with_statistics = expected | {name: mean.shape for name, (_, mean) in statistics.items()}
        if shapes not in (expected, with_statistics):  # states of earlier versions have no statistics
            raise InputError(f"WeightAverage: a state with {with_statistics} is needed, got {shapes}")
        self._average[...] = state["average"]
        for name, (now, mean) in statistics.items():
            mean[...] = state.get(name, now)
        self._count = float(state["count"])

    def __repr__(self) -> str:
        correction = "" if self.bias_correction else ", bias_correction=False"
        return f"WeightAverage(decay={self.decay:g}{correction})"
