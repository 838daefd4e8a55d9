"""Progress on the screen. The only file that imports tqdm and IPython, and only at use."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import Any

from mlp.solver.callback import Callback
from mlp.solver.loop import Solver
from mlp.solver.screen import say, unless_lost


class Progress(Callback):
    """A line for every epoch; while somebody watches, also how far the epoch under way is.

    On a terminal that is a tqdm bar (with tqdm installed), in a notebook one output that is kept up to date. Into a
    file go the lines alone, and training goes on if the screen is lost.
    """

    def __init__(self) -> None:
        self._screen = Lines()

    def on_start(self, solver: Solver) -> None:
        self._screen = choose_screen(solver.epochs * solver.steps_per_epoch, solver.global_step)
        self._show(solver)

    def on_log(self, solver: Solver, row: dict[str, Any]) -> None:
        self._show(solver, f"loss {_number(row['batch_loss'])}")

    def on_epoch(self, solver: Solver, row: dict[str, Any]) -> None:
        numbers = ", ".join(
            f"{name.replace('_', ' ')} {_number(value, percent=name.endswith('accuracy'))}"
            for name, value in row.items()
            if name.endswith(("loss", "accuracy"))
        )
        if row.get("skipped_steps"):
            numbers += f" ({row['skipped_steps']} steps skipped so far, loss scale {row['loss_scale']:g})"
        self._screen.line(f"epoch {solver.epoch}/{solver.epochs}: {numbers}")
        if solver.stopped:
            self._screen.line(f"stopped early: {solver.stopped}")
        self._show(solver)

    def on_close(self, solver: Solver) -> None:
        self._screen.close()

    def _show(self, solver: Solver, note: str = "") -> None:
        self._screen.show(f"epoch {min(solver.epoch + 1, solver.epochs)}/{solver.epochs}", solver.global_step, note)


def _number(value: Any, percent: bool = False) -> str:
    try:
        return f"{100 * value:.2f} %" if percent else f"{value:.4f}"
    except (TypeError, ValueError):  # a column of somebody's own
        return str(value)


def choose_screen(total: int, step: int) -> Lines:
    """The screen that is there: a notebook, a terminal, or one where only lines make sense."""
    if is_notebook():
        return Notebook(total)
    if sys.stderr is not None and sys.stderr.isatty():
        try:
            return Terminal(total, step)
        except ImportError:
            import logging  # of use here alone

            logging.getLogger("mlp").warning("there is no bar of progress without tqdm: pip install tqdm")
    return Lines()


def is_notebook() -> bool:
    """Whether this is the kernel of a notebook; a program may import the kernel's package and be none."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


class Lines:
    """Lines on standard output: for files and pipes, where every redrawing of a bar would be another line."""

    def line(self, text: str) -> None:
        """Say something that stays."""
        say(text)

    def show(self, title: str, step: int, note: str) -> None:
        """Show something that the next call replaces."""

    def close(self) -> None:
        """Remove what ``show`` showed."""


def progress_bar(total: int, unit: str, initial: int = 0) -> Any:
    """A tqdm bar on a terminal, and one that draws nothing elsewhere: there every redrawing would be a line."""
    from tqdm import tqdm

    is_watched = sys.stderr is not None and sys.stderr.isatty()
    return tqdm(total=total, initial=initial, unit=unit, dynamic_ncols=True, disable=not is_watched)


class Terminal(Lines):
    """A tqdm bar below the lines."""

    def __init__(self, total: int, step: int) -> None:
        self._bar = progress_bar(total, "step", initial=step)

    def line(self, text: str) -> None:
        with unless_lost():
            self._bar.write(text)
            sys.stdout.flush()

    def show(self, title: str, step: int, note: str) -> None:
        with unless_lost():
            self._bar.set_description(title, refresh=False)
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(step - self._bar.n)

    def close(self) -> None:
        with unless_lost():
            self._bar.close()


class Notebook(Lines):
    """One output of a cell: the lines, and below them a bar of characters until training ends."""

    WIDTH, INTERVAL = 30, 0.2  # characters; seconds between two redrawings

    def __init__(self, total: int) -> None:
        self._total, self._lines, self._drawn = total, "", 0.0
        self._display: Any = None

    def line(self, text: str) -> None:
        self._lines += f"{text}\n"

    def show(self, title: str, step: int, note: str) -> None:
        if time.monotonic() - self._drawn >= self.INTERVAL:
            full = round(self.WIDTH * step / max(self._total, 1))
            bar = "█" * full + "░" * (self.WIDTH - full)
            self._draw(f"{self._lines}{title} {bar} step {step}/{self._total} {note}")

    def close(self) -> None:
        self._draw(self._lines.rstrip("\n"))

    def _draw(self, text: str) -> None:
        self._drawn = time.monotonic()
        # A notebook whose page was closed may refuse in ways of its own.
        with suppress(Exception):
            from IPython.display import display

            content = {"text/plain": text}
            if self._display is None:
                self._display = display(content, raw=True, display_id=True)
            else:
                self._display.update(content, raw=True)
