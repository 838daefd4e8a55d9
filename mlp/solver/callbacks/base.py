"""What may watch a training run: functions that the solver calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlp.arrays import Array

if TYPE_CHECKING:
    from mlp.solver.loop import Solver


class Callback:
    """Functions that the solver calls; a subclass writes those it needs. All get the solver itself.

    ``row`` is a mapping from names to numbers that depends on configuration and data alone, never on the clock.
    A callback may add columns to it; callbacks later in the list see them, so those that record come last.
    """

    def on_start(self, solver: Solver) -> None:
        """Before the first step of ``fit``."""

    def on_iteration(self, solver: Solver, x: Any, targets: Any) -> None:
        """After each step. x and targets are lent: valid only during the call."""

    def on_log(self, solver: Solver, row: dict[str, Any]) -> None:
        """Every ``log_every`` steps, with means over these steps."""

    def on_epoch(self, solver: Solver, row: dict[str, Any]) -> None:
        """After each epoch and its evaluation."""

    def on_interrupt(self, solver: Solver) -> None:
        """After Ctrl-C, once the step that was under way is complete."""

    def on_end(self, solver: Solver) -> None:
        """After the last epoch."""

    def on_close(self, solver: Solver) -> None:
        """Last of all, also after an error: for letting go of what ``on_start`` took."""

    def state_dict(self) -> dict[str, Array]:
        """What the callback has gathered and would miss after a resume: arrays, saved with the solver's state."""
        return {}

    def load_state_dict(self, state: dict[str, Array]) -> None:
        """Take back what ``state_dict`` gave."""
