"""What may watch a training run without being part of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    from mlp.solver import Solver


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

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """What the callback has gathered and would miss after a resume: arrays, saved with the solver's state."""
        return {}

    def load_state_dict(self, state: dict[str, NDArray[Any]]) -> None:
        """Take back what ``state_dict`` gave."""


class Progress(Callback):
    """A line for every epoch, and, on a terminal or in a notebook, a tqdm bar over all steps. Needs tqdm."""

    def __init__(self) -> None:
        self._bar: Any = None

    def on_start(self, solver: Solver) -> None:
        from tqdm import tqdm

        # In a log file every redrawing of the bar would be another line; the lines of the epochs are enough.
        is_watched = sys.stderr.isatty() or "ipykernel" in sys.modules
        total = solver.epochs * solver.steps_per_epoch
        self._bar = tqdm(total=total, initial=solver.step, unit="step", dynamic_ncols=True, disable=not is_watched)
        self._show(solver)

    def on_log(self, solver: Solver, row: dict[str, Any]) -> None:
        self._bar.set_postfix_str(f"loss {row['batch_loss']:.4f}", refresh=False)
        self._bar.update(solver.step - self._bar.n)

    def on_epoch(self, solver: Solver, row: dict[str, Any]) -> None:
        numbers = ", ".join(
            f"{name.replace('_', ' ')} {100 * value:.2f} %" if name.endswith("accuracy")
            else f"{name.replace('_', ' ')} {value:.4f}"
            for name, value in row.items()
            if name.endswith(("loss", "accuracy"))
        )  # fmt: skip
        self._bar.write(f"epoch {solver.epoch}/{solver.epochs}: {numbers}")
        sys.stdout.flush()
        self._bar.update(solver.step - self._bar.n)
        self._show(solver)

    def on_close(self, solver: Solver) -> None:
        if self._bar is not None:
            self._bar.close()

    def _show(self, solver: Solver) -> None:
        self._bar.set_description(f"epoch {min(solver.epoch + 1, solver.epochs)}/{solver.epochs}")
