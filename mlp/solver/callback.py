"""What may watch a training run: functions that the solver calls."""

from __future__ import annotations

from typing import Any

from mlp.arrays import Array


class Callback:
    """Functions that the solver calls; a subclass writes those it needs. All get the ``Solver`` itself, which may
    be looked at, told to ``stop``, and changed between steps.

    ``row`` is a mapping from names to numbers that depends on configuration and data alone, never on the clock.
    A callback may add columns to it; callbacks later in the list see them, so those that record come last.
    """

    def on_start(self, solver: Any) -> None:
        """Before the first step of ``fit``."""

    def on_iteration(self, solver: Any, x: Any, targets: Any) -> None:
        """After each step, with its batch."""

    def watches_steps(self) -> bool:
        """Whether ``on_iteration`` does something: it is not called for nothing."""
        return getattr(self.on_iteration, "__func__", None) is not Callback.on_iteration

    def on_log(self, solver: Any, row: dict[str, Any]) -> None:
        """Every ``log_every`` steps, with means over these steps."""

    def on_epoch(self, solver: Any, row: dict[str, Any]) -> None:
        """After each epoch and its evaluation."""

    def on_interrupt(self, solver: Any) -> None:
        """After Ctrl-C, once the step that was under way is complete."""

    def on_end(self, solver: Any) -> None:
        """After the last epoch."""

    def on_close(self, solver: Any) -> None:
        """Last of all, also after an error: for letting go of what ``on_start`` took."""

    def state_dict(self) -> dict[str, Array]:
        """What the callback has gathered and would miss after a resume: arrays, saved with the solver's state."""
        return {}

    def load_state_dict(self, state: dict[str, Array]) -> None:
        """Take back what ``state_dict`` gave."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
