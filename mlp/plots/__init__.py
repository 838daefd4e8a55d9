"""Figures: how they look (figure.py), and those of a single run (history.py)."""

from mlp.plots.figure import (
    BLACK,
    BLUE,
    GREEN,
    VERMILION,
    clean,
    epoch_axis,
    new_figure,
    new_grid,
    save_figure,
    sequential_colours,
    shared_legend,
)
from mlp.plots.history import TEST, TRAIN, Table, plot_history, plot_images

__all__ = [
    "BLACK",
    "BLUE",
    "GREEN",
    "TEST",
    "TRAIN",
    "VERMILION",
    "Table",
    "clean",
    "epoch_axis",
    "new_figure",
    "new_grid",
    "plot_history",
    "plot_images",
    "save_figure",
    "sequential_colours",
    "shared_legend",
]
