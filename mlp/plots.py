"""Every figure. The only file that imports matplotlib, and only when a figure is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlp.errors import InputError
from mlp.files import write_atomically

# Blue and vermilion of Okabe and Ito's palette: told apart by colour-blind readers, and in grey print.
TRAIN, TEST = "#0072B2", "#D55E00"


class Table(Protocol):
    """Rows with named columns, as ``mlp.history.History`` is."""

    @property
    def columns(self) -> list[str]: ...

    def __getitem__(self, key: str, /) -> Any: ...


def new_figure(columns: int) -> tuple[Any, Sequence[Any]]:
    """A figure with ``columns`` axes in a row. Works without a display, and outside of pyplot's registry."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("figures need matplotlib: pip install matplotlib") from None
    figure = Figure(figsize=(4.5 * columns, 3.4), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def plot_history(history: Table) -> Any:
    """Loss (left) and accuracy in percent (right) against the epoch, for the training and the test set."""
    names = [name for name in ("loss", "accuracy") if f"train_{name}" in history.columns]
    if not names:
        raise InputError("there is nothing to plot yet: no epoch has finished")
    figure, axes = new_figure(len(names))
    epochs = history["epoch"]
    for ax, name in zip(axes, names, strict=True):
        factor = 100 if name == "accuracy" else 1
        for split, colour, style in (("train", TRAIN, "--"), ("test", TEST, "-")):
            if f"{split}_{name}" in history.columns:
                values = factor * history[f"{split}_{name}"]
                ax.plot(epochs, values, style, color=colour, label=split, marker="o", markersize=3)
        ax.set_xlabel("epoch")
        ax.set_ylabel("accuracy (%)" if name == "accuracy" else name)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
        ax.legend(frameon=False)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
    return figure


def plot_images(images: NDArray[Any], titles: Sequence[str] = ()) -> Any:
    """A row of grey-scale images (n, rows, columns), dark on light, with an optional title above each."""
    figure, axes = new_figure(len(images))
    figure.set_size_inches(1.1 * len(images), 1.4)
    for k, (ax, image) in enumerate(zip(axes, np.asarray(images), strict=True)):
        ax.imshow(image, cmap="gray_r")
        ax.set_axis_off()
        if k < len(titles):
            ax.set_title(titles[k], fontsize=9)
    return figure


def save_figure(figure: Any, path: str | Path) -> None:
    """Write a figure as PNG, all of it or nothing. Raises ``InputError`` if that cannot be done."""
    write_atomically(Path(path), lambda file: figure.savefig(file, format="png", dpi=150))
