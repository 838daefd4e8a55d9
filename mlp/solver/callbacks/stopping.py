"""Early stopping: the number of epochs as a hyper-parameter that chooses itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_integer, check_number
from mlp.solver.callback import Callback
from mlp.solver.loop import Solver


def monitored(row: Mapping[str, Any], monitor: str, who: str) -> float:
    """The number in a row that a callback watches. Raises ``InputError`` if there is none of this name."""
    if monitor not in row:
        hint = "; give fit validation data" if monitor.startswith("validation") else ""
        raise InputError(f"{who}: there is no column {monitor!r}{hint}; there are: {', '.join(row)}")
    return float(row[monitor])


class EarlyStopping(Callback):
    """Ends training when ``monitor`` has not improved for ``patience`` epochs, and brings the best weights back.

        solver = Solver(network, loss, optimizer, epochs=100, callbacks=[EarlyStopping()])
        solver.fit(train, test, validation)

    A name that ends in "accuracy" should rise, any other fall; better means by more than ``min_delta``. The best
    weights also come back after the last epoch. They are those that were evaluated: with an average of the weights,
    the average. After Ctrl-C or a loss that is not finite the weights stay as they are, and training can go on;
    ``restore(solver)`` brings back the best ones then. The test set is for the final number: do not monitor it.

    ``best_epoch`` (counted from 1) and ``best_value`` tell which they are. In the list of callbacks it belongs
    before those that save. ``EarlyStopping(3)`` is ``EarlyStopping(patience=3)``.

    Raises ``InputError`` for patience < 1, min_delta < 0, or a column that does not exist.

    Prechelt, "Early stopping - but when?", 1998.
    """

    def __init__(self, monitor: str | int = "validation_loss", patience: int = 5, min_delta: float = 0.0) -> None:
        if not isinstance(monitor, str):  # a number of epochs can only be the patience
            patience, monitor = monitor, "validation_loss"
        self.monitor = monitor
        self.patience = check_integer("EarlyStopping: patience", patience, 1)
        self.min_delta = check_number("EarlyStopping: min_delta", min_delta, 0)
        self.sign = -1 if monitor.endswith("accuracy") else 1
        self._forget()

    def _forget(self) -> None:
        self.best_value, self.best_epoch = self.sign * math.inf, 0
        self._best: dict[str, Array] = {}

    def on_start(self, solver: Solver) -> None:
        if solver.epoch == 0:
            self._forget()

    def on_epoch(self, solver: Solver, row: dict[str, Any]) -> None:
        value = monitored(row, self.monitor, "EarlyStopping")
        if self.sign * value < self.sign * self.best_value - self.min_delta:
            self.best_value, self.best_epoch = value, int(row["epoch"])
            with solver.update.averaged():
                self._best = solver.model.state_dict()
        elif row["epoch"] - self.best_epoch >= self.patience:
            solver.stop(f"{self.monitor} has not improved since epoch {self.best_epoch}")

    def on_end(self, solver: Solver) -> None:
        self.restore(solver)

    def restore(self, solver: Solver) -> None:
        """Give the solver's network the best weights; without any epoch it stays as it is."""
        if self._best:
            solver.model.load_state_dict(self._best)
            if solver.update.average is not None:
                solver.update.average.restart()

    def state_dict(self) -> dict[str, Array]:
        best = {"value": np.array(self.best_value), "epoch": np.array(self.best_epoch)}
        return best | {f"network.{name}": array for name, array in self._best.items()}

    def load_state_dict(self, state: dict[str, Array]) -> None:
        self.best_value, self.best_epoch = float(state["value"]), int(state["epoch"])
        prefix = "network."
        self._best = {n.removeprefix(prefix): a.copy() for n, a in state.items() if n.startswith(prefix)}

    def __repr__(self) -> str:
        min_delta = f", min_delta={self.min_delta:g}" if self.min_delta else ""
        return f"EarlyStopping(monitor={self.monitor!r}, patience={self.patience}{min_delta})"
