"""Accuracy and loss of all 18 settings over the epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlp.plots import BLUE, GREEN, VERMILION, clean, epoch_axis, new_grid, shared_legend
from mlp.studies.report.results import ARCHITECTURES, LOSSES, SETTINGS, Curve, Result, Setting, curve

COLOURS = {"GeLU": BLUE, "ReLU": VERMILION, "Sigmoid": GREEN}
STYLES: dict[str, Any] = {"CE": "-", "Hinge": (0, (5, 1.5)), "MSE": (0, (1, 1.2))}


def plot_curves(groups: Mapping[Setting, Sequence[Result]], metric: str) -> Any:
    """Four panels, test above train, an architecture a column; mean over the seeds, ± one standard deviation.

    ``metric`` is "accuracy" (percent, from where the curves are told apart) or "loss" (logarithmic).
    Colour says the activation and the style of the line says the loss.
    """
    figure, grid = new_grid(2, 2, size=(5.2, 3.5), sharex=True, sharey="row")
    for row, split in zip(grid, ("test", "train"), strict=True):
        ends: list[float] = []
        for ax, architecture in zip(row, ARCHITECTURES, strict=True):
            for setting in (s for s in SETTINGS if s.architecture == architecture):
                ends += _plot_curve(ax, setting, curve(groups[setting], f"{split}_{metric}"), metric)
            ax.set_title(f"{split}, {ARCHITECTURES[architecture]}", fontsize=10)
            clean(ax)
            if metric == "loss":
                ax.set_yscale("log")
        row[0].set_ylabel(f"{split} accuracy (%)" if metric == "accuracy" else f"{split} loss")
        if metric == "accuracy" and ends:
            # Where the curves end is the point; those that are far behind may lie below the axis.
            bottom = math.floor(2 * max(min(ends) - 1.5, max(ends) - 10)) / 2
            row[0].set_ylim(bottom, max(ends) + 0.05 * (max(ends) - bottom))
    for ax in grid[-1]:
        epoch_axis(ax)
    for ax in grid.ravel():
        ax.label_outer()
    shared_legend(figure, len(LOSSES))
    return figure


def _plot_curve(ax: Any, setting: Setting, found: Curve | None, metric: str) -> list[float]:
    """One line with its band; returns where it ends, nothing if there is no curve."""
    if found is None:
        return []
    factor = 100 if metric == "accuracy" else 1
    mean, std = factor * found.mean, factor * found.std
    colour, label = COLOURS[setting.activation], f"{setting.activation}, {setting.loss}"
    ax.plot(found.epochs, mean, linewidth=1.3, label=label, color=colour, linestyle=STYLES[setting.loss])
    if not np.isnan(std).all():
        floor = mean - std if metric == "accuracy" else np.maximum(mean - std, mean / 10)
        ax.fill_between(found.epochs, floor, mean + std, color=colour, alpha=0.12, lw=0)
    return [float(mean[-1])]
