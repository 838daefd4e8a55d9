"""New figures and what they share. The only file that imports matplotlib, and only when a figure is drawn."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mlp.checks import InputError
from mlp.display import curves
from mlp.files import write_atomically

BLUE, VERMILION, GREEN, BLACK = curves.BLUE, curves.VERMILION, curves.GREEN, "#000000"
# Anchors of plasma, dark to light, without the yellow that vanishes on white paper.
SEQUENCE = ("#0D0887", "#6A00A8", "#B12A90", "#E16462", "#FCA636")
# matplotlib's backends that write files and show nothing.
WITHOUT_A_SCREEN = {"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"}


@cache
def _figure_class() -> type[Any]:
    """matplotlib's Figure, which also shows itself where a notebook has not been told how to show figures."""
    check_matplotlib()
    from matplotlib.figure import Figure

    class ShownFigure(Figure):
        def _repr_mimebundle_(self, **options: Any) -> dict[str, bytes]:
            pyplot = sys.modules.get("matplotlib.pyplot")
            if pyplot is not None:
                pyplot.close(self)  # shown here, and not once more at the end of the cell
            picture = io.BytesIO()
            self.savefig(picture, format="png", dpi=100)
            return {"image/png": picture.getvalue()}

    return ShownFigure


def _pyplot_with_a_screen() -> Any:
    """pyplot, if it is in use and can show figures, in a notebook or in windows; None in scripts without a
    screen."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    return None if pyplot is None or pyplot.get_backend().lower() in WITHOUT_A_SCREEN else pyplot


def new_grid(rows: int, columns: int, size: tuple[float, float] = (4.5, 3.4), **options: Any) -> tuple[Any, Any]:
    """A figure and its axes, an array (rows, columns); ``size`` is that of one of them in inches.

    As the last expression of a notebook's cell it shows itself. Where pyplot is in use and has a screen, the figure
    is one of pyplot's, for ``plt.show()`` and ``plt.close()``; elsewhere nothing keeps it, and no display is
    needed. ``options`` are those of ``Figure.subplots``.
    """
    kind, pyplot = _figure_class(), _pyplot_with_a_screen()
    made = {"figsize": (size[0] * columns, size[1] * rows), "layout": "constrained"}
    figure = kind(**made) if pyplot is None else pyplot.figure(FigureClass=kind, **made)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def check_matplotlib() -> None:
    """Raise ``InputError`` unless there is a matplotlib, and it takes what ``MPLBACKEND`` asks for."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise InputError("figures need matplotlib: pip install matplotlib") from None
    except ValueError as error:
        raise InputError(f"matplotlib cannot be used: {' '.join(str(error).split())[:200]}") from None


def new_figure(columns: int) -> tuple[Any, Sequence[Any]]:
    """A figure with ``columns`` axes in a row."""
    figure, axes = new_grid(1, columns)
    return figure, axes[0]


def clean(ax: Any) -> None:
    """A light grid, no box."""
    ax.grid(alpha=0.3)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def epoch_axis(ax: Any, label: bool = True) -> None:
    """Whole numbers of epochs along x."""
    ax.xaxis.get_major_locator().set_params(integer=True)
    if label:
        ax.set_xlabel("epoch")


def shared_legend(figure: Any, columns: int) -> None:
    """One legend below all axes, each label of theirs once."""
    found: dict[str, Any] = {}
    for ax in figure.axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        options = {"loc": "outside lower center", "frameon": False, "handlelength": 3}
        figure.legend(list(found.values()), list(found), ncols=columns, **options)


def sequential_colours(count: int) -> list[tuple[float, float, float]]:
    """``count`` colours from dark to light for ordered values, evenly spaced."""
    anchors = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in SEQUENCE])
    at = np.linspace(0, len(anchors) - 1, count) if count > 1 else np.zeros(1)
    channels = [np.interp(at, np.arange(len(anchors)), anchors[:, k]) for k in range(3)]
    return [(float(r), float(g), float(b)) for r, g, b in zip(*channels, strict=True)]


def save_figure(figure: Any, path: str | Path) -> None:
    """Write a figure as PNG, all of it or nothing. Raises ``InputError`` if that cannot be done."""
    write_atomically(Path(path), lambda file: figure.savefig(file, format="png", dpi=150))
