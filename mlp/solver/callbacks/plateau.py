"""A learning rate that falls when a measured number stops improving."""

from __future__ import annotations

from typing import Any

from mlp.arrays import Array
from mlp.optim import ReduceOnPlateau
from mlp.solver.callback import Callback
from mlp.solver.callbacks.stopping import monitored
from mlp.solver.loop import Solver


class LowerOnPlateau(Callback):
    """Multiplies the learning rate by what a ``ReduceOnPlateau`` says of ``monitor`` after each epoch.

        callbacks=[LowerOnPlateau(ReduceOnPlateau(patience=3))]

    A schedule, if there is one, goes on underneath: the rate is their product. A monitored accuracy needs
    ``ReduceOnPlateau(mode="max")``. Raises ``InputError`` for a column that does not exist.
    """

    def __init__(self, plateau: ReduceOnPlateau | None = None, monitor: str = "validation_loss") -> None:
        self.plateau, self.monitor = plateau or ReduceOnPlateau(), monitor

    def on_epoch(self, solver: Solver, row: dict[str, Any]) -> None:
        before = solver.update.lr_factor
        solver.update.lr_factor = self.plateau.update(monitored(row, self.monitor, "LowerOnPlateau"))
        if before > 0:
            solver.optimizer.lr *= solver.update.lr_factor / before

    def state_dict(self) -> dict[str, Array]:
        return self.plateau.state_dict()

    def load_state_dict(self, state: dict[str, Array]) -> None:
        self.plateau.load_state_dict(state)

    def __repr__(self) -> str:
        return f"LowerOnPlateau({self.plateau!r}, monitor={self.monitor!r})"
