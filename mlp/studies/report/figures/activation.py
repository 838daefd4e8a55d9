"""How many hidden neurons are at work: a small panel for each loss and each hidden layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlp.plots import clean, epoch_axis, new_grid, shared_legend
from mlp.studies.report.figures.curves import COLOURS
from mlp.studies.report.results import LOSSES, Result, Setting, curve

# (architecture, number of the hidden layer, how a panel calls it)
LAYERS = [
    ("single", 1, "one hidden layer (128)"),
    ("double", 1, "two hidden layers: first (256)"),
    ("double", 2, "two hidden layers: second (128)"),
]
COMPARED: dict[str, Any] = {"GeLU": "-", "ReLU": (0, (5, 1.5))}  # a sigmoid's output is always above 0


def plot_activation(
    groups: Mapping[Setting, Sequence[Result]], measure: str, label: str, last_epoch: int | None = None
) -> Any:
    """Nine panels, a loss a row and a hidden layer a column; in each GeLU solid and ReLU dashed.

    ``measure`` is the end of a column's name ("above_0.2", "active"), shown in percent up to ``last_epoch``.
    """
    figure, grid = new_grid(len(LOSSES), len(LAYERS), size=(3.5, 2.2), sharex=True, sharey=True)
    for row, loss in zip(grid, LOSSES, strict=True):
        for ax, (architecture, number, _) in zip(row, LAYERS, strict=True):
            for activation, style in COMPARED.items():
                found = curve(groups[Setting(architecture, loss, activation)], f"hidden{number}_{measure}")
                if found is None:
                    continue
                epochs, colour = found.epochs[:last_epoch], COLOURS[activation]
                mean, std = 100 * found.mean[:last_epoch], 100 * found.std[:last_epoch]
                ax.plot(epochs, mean, color=colour, linestyle=style, linewidth=1.5, label=activation)
                ax.fill_between(epochs, mean - std, mean + std, color=colour, alpha=0.15, lw=0)
            ax.set_ylim(0, 103)
            clean(ax)
        row[0].set_ylabel(f"{loss}\n{label}")
    for ax, (_, _, name) in zip(grid[0], LAYERS, strict=True):
        ax.set_title(name, fontsize=10)
    for ax in grid[-1]:
        epoch_axis(ax)
    shared_legend(figure, 2)
    return figure
