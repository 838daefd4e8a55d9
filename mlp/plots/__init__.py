"""Figures: how they look and where they show (figure.py), of a run (history.py), of its predictions
(calibration.py), of what a batch does to layers (layers.py), of images (images.py), of a pipeline (pipeline.py)."""

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
from mlp.plots.history import TEST, TRAIN, VALIDATION, plot_history, plot_learning_rate_finder
from mlp.plots.images import plot_images
from mlp.plots.layers import plot_layers
from mlp.plots.pipeline import plot_pipeline

__all__ = [
    "BLACK",
    "BLUE",
    "GREEN",
    "TEST",
    "TRAIN",
    "VALIDATION",
    "VERMILION",
    "clean",
    "epoch_axis",
    "new_figure",
    "new_grid",
    "plot_confusion_matrix",
    "plot_history",
    "plot_images",
    "plot_layers",
    "plot_learning_rate_finder",
    "plot_pipeline",
    "plot_reliability",
    "plot_roc",
    "save_figure",
    "sequential_colours",
    "shared_legend",
]
