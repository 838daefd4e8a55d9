"""Progress on the screen. The only file that imports tqdm, and only at use."""

from __future__ import annotations

import sys
from typing import Any

from mlp.solver.callback import Callback
from mlp.solver.loop import Solver


def progress_bar(total: int, unit: str, initial: int = 0) -> Any:
    """A tqdm bar on a terminal or in a notebook, and one that draws nothing elsewhere."""
    from tqdm import tqdm

    # In a log file every redrawing of the bar would be another line.
    is_watched = sys.stderr.isatty() or "ipykernel" in sys.modules
    return tqdm(total=total, initial=initial, unit=unit, dynamic_ncols=True, disable=not is_watched)


class Progress(Callback):
    """A line for every epoch, and, on a terminal or in a notebook, a tqdm bar over all steps. Needs tqdm."""

    def __init__(self) -> None:
        self._bar: Any = None

    def on_start(self, solver: Solver) -> None:
        total = solver.epochs * solver.steps_per_epoch
        self._bar = progress_bar(total, "step", initial=solver.global_step)
        self._show(solver)

    def on_log(self, solver: Solver, row: dict[str, Any]) -> None:
        self._bar.set_postfix_str(f"loss {row['batch_loss']:.4f}", refresh=False)
        self._bar.update(solver.global_step - self._bar.n)

    def on_epoch(self, solver: Solver, row: dict[str, Any]) -> None:
        numbers = ", ".join(
            f"{name.replace('_', ' ')} {100 * value:.2f} %" if name.endswith("accuracy")
            else f"{name.replace('_', ' ')} {value:.4f}"
            for name, value in row.items()
            if name.endswith(("loss", "accuracy"))
        )  # fmt: skip
        if row.get("skipped_steps"):
            numbers += f" ({row['skipped_steps']} steps skipped so far, loss scale {row['loss_scale']:g})"
        self._bar.write(f"epoch {solver.epoch}/{solver.epochs}: {numbers}")
        if solver.stopped:
            self._bar.write(f"stopped early: {solver.stopped}")
        sys.stdout.flush()
        self._bar.update(solver.global_step - self._bar.n)
        self._show(solver)

    def on_close(self, solver: Solver) -> None:
        if self._bar is not None:
            self._bar.close()

    def _show(self, solver: Solver) -> None:
        self._bar.set_description(f"epoch {min(solver.epoch + 1, solver.epochs)}/{solver.epochs}")
