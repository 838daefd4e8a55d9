"""Figures: how they look (figure.py), of a single run (history.py), of its predictions (calibration.py), of a
pipeline (pipeline.py)."""

from mlp.plots.calibration import plot_confusion_matrix, plot_reliability, plot_roc
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
from mlp.plots.history import TEST, TRAIN, Table, plot_history, plot_images, plot_range_test
from mlp.plots.layers import plot_layers
from mlp.plots.pipeline import plot_pipeline

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
    "plot_confusion_matrix",
    "plot_history",
    "plot_images",
    "plot_layers",
    "plot_pipeline",
    "plot_range_test",
    "plot_reliability",
    "plot_roc",
    "save_figure",
    "sequential_colours",
    "shared_legend",
]
