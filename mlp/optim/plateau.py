"""A learning rate that falls when progress stops: the one schedule that needs a memory."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_flag, check_integer, check_number


class ReduceOnPlateau:
    """``update(value)`` once an epoch, with a loss (or, mode "max", an accuracy), gives the factor for the rate:

        plateau = ReduceOnPlateau(patience=5)
        optimizer.lr = lr * plateau.update(test_loss)

    The factor starts at 1. When more than ``patience`` values in a row were no better than the best so far, it
    is multiplied by ``factor``, but never falls below ``min_factor``; then ``cooldown`` values are not counted.
    Better means below best · (1 - threshold) for mode "min", above best · (1 + threshold) for "max"; with
    ``relative=False`` below best - threshold, above best + threshold. NaN is never better.

    As PyTorch's ReduceLROnPlateau, which gives the rate itself, and leaves out changes below 1e-8.

    Raises ``InputError`` for an unknown mode, factor or min_factor outside [0, 1], or a negative number.
    """

    def __init__(
        self,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        relative: bool = True,
        cooldown: int = 0,
        min_factor: float = 0.0,
    ) -> None:
        if mode not in ("min", "max"):
            raise InputError(f"ReduceOnPlateau: mode must be 'min' or 'max', got {mode!r}")
        self.mode, self.relative = mode, check_flag("ReduceOnPlateau: relative", relative)
        self.factor = check_number("ReduceOnPlateau: factor", factor, 0, 1)
        self.patience = check_integer("ReduceOnPlateau: patience", patience, 0)
        self.threshold = check_number("ReduceOnPlateau: threshold", threshold, 0)
        self.cooldown = check_integer("ReduceOnPlateau: cooldown", cooldown, 0)
        self.min_factor = check_number("ReduceOnPlateau: min_factor", min_factor, 0, 1)
        self.current = 1.0
        self._best = math.inf if mode == "min" else -math.inf
        self._bad = 0
        self._resting = 0

    def update(self, value: float) -> float:
        """Take note of ``value`` and return the factor that the learning rate is to be multiplied by."""
        if self._is_better(float(value)):
            self._best = float(value)
            self._bad = 0
        else:
            self._bad += 1
        if self._resting > 0:
            self._resting -= 1
            self._bad = 0
        if self._bad > self.patience:
            self.current = max(self.current * self.factor, self.min_factor)
            self._resting = self.cooldown
            self._bad = 0
        return self.current

    def _is_better(self, value: float) -> bool:
        if math.isinf(self._best):  # the first value
            return value < self._best if self.mode == "min" else value > self._best
        margin = self.threshold * (self._best if self.relative else 1)
        return value < self._best - margin if self.mode == "min" else value > self._best + margin

    def state_dict(self) -> dict[str, Array]:
        """All that the next update depends on besides the settings."""
        return {
            "current": np.array(self.current),
            "best": np.array(self._best),
            "bad": np.array(self._bad),
            "resting": np.array(self._resting),
        }

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Continue from a ``state_dict``. Raises ``InputError``, and changes nothing, unless it is one."""
        names = ("current", "best", "bad", "resting")
        if set(state) != set(names) or any(np.shape(value) != () for value in state.values()):
            raise InputError(f"ReduceOnPlateau: a state with numbers {names} is needed, got {sorted(state)}")
        self.current, self._best = float(state["current"]), float(state["best"])
        self._bad, self._resting = int(state["bad"]), int(state["resting"])
