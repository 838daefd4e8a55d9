"""Figures of one run: its curves, and the loss against the learning rate that was tried."""

from __future__ import annotations

from typing import Any

from mlp.checks import InputError
from mlp.display.curves import LINES
from mlp.plots.figure import BLUE, VERMILION, clean, epoch_axis, new_figure
from mlp.solver.history import History

TRAIN, VALIDATION, TEST = (LINES[name][0] for name in ("train", "validation", "test"))


def plot_history(history: History) -> Any:
    """Loss (left) and accuracy in percent (right) against the epoch: training, validation and test set, as there
    are."""
    names = [name for name in ("loss", "accuracy") if f"train_{name}" in history.columns]
    if not names:
        raise InputError("there is nothing to plot yet: no epoch has finished")
    figure, axes = new_figure(len(names))
    epochs = history["epoch"]
    for ax, name in zip(axes, names, strict=True):
        factor = 100 if name == "accuracy" else 1
        for split, (colour, style) in LINES.items():
            if f"{split}_{name}" in history.columns:
                values = factor * history[f"{split}_{name}"]
                ax.plot(epochs, values, style, color=colour, label=split, marker="o", markersize=3)
        epoch_axis(ax)
        ax.set_ylabel("accuracy (%)" if name == "accuracy" else name)
        ax.legend(frameon=False)
        clean(ax)
    return figure


def plot_learning_rate_finder(finder: Any) -> Any:
    """Loss against learning rate, raw and smoothed, with the suggested rate as a vertical line.

    ``finder`` is what ``mlp.diagnosis.find_learning_rate`` returns.
    """
    figure, (ax,) = new_figure(1)
    ax.plot(finder.rates, finder.losses, color=BLUE, alpha=0.35, linewidth=1, label="each step")
    ax.plot(finder.rates, finder.smoothed, color=BLUE, label="smoothed")
    ax.axvline(finder.suggestion, color=VERMILION, linestyle="--", label=f"steepest: {finder.suggestion:.2g}")
    ax.set_xscale("log")
    ax.set_xlabel("learning rate")
    ax.set_ylabel("loss")
    ax.legend(frameon=False)
    clean(ax)
    return figure
