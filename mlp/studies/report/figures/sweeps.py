"""Sweeps: the curves of one, and where all of them end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlp.plots import BLUE, VERMILION, clean, epoch_axis, new_grid, sequential_colours
from mlp.studies.report.results import column
from mlp.studies.report.sweeps import Point, Sweep


def legend_text(point: Point) -> str:
    """The value, and how it ended: its final test accuracy, or the step at which it diverged."""
    step = point.diverged_at
    return f"{point.label}: " + (f"{point.test.mean:.2f} %" if step is None else f"diverged at step {step}")


def plot_sweep(sweep: Sweep) -> Any:
    """Test accuracy (left) and train loss (right, logarithmic) over the epochs, a line for each run.

    Colours go from dark to light with the value, and every other line is dashed. A run that diverged ends in a
    cross; one that did so within its first epoch has no epoch to show, and stands in the legend alone.
    """
    figure, grid = new_grid(1, 2, size=(5.2, 3.6))
    accuracy_ax, loss_ax = grid[0]
    colours = sequential_colours(len(sweep.points))
    for number, (point, colour) in enumerate(zip(sweep.points, colours, strict=True)):
        is_cut = point.diverged_at is not None
        for run in point.runs:
            test, loss = 100 * column(run, "test_accuracy"), column(run, "train_loss")
            epochs = np.arange(1, len(test) + 1)
            for ax, values in ((accuracy_ax, test), (loss_ax, loss)):
                label = legend_text(point) if run is point.runs[0] else "_"
                style: dict[str, Any] = {"linestyle": (0, (4, 1.2)) if number % 2 else "-", "linewidth": 1.3}
                if is_cut:
                    style |= {"marker": "X", "markevery": [-1], "markersize": 7}
                ax.plot(epochs, values, color=colour, label=label, **style)
    accuracy_ax.set_ylabel("test accuracy (%)")
    accuracy_ax.set_ylim(*zoom(sweep))
    loss_ax.set_ylabel("train loss")
    loss_ax.set_yscale("log")
    for ax in grid[0]:
        epoch_axis(ax)
        clean(ax)
    handles, labels = accuracy_ax.get_legend_handles_labels()
    title = f"{sweep.axis.title}: final test accuracy"
    figure.legend(handles, labels, loc="outside right center", title=title, frameon=False)
    return figure


def zoom(sweep: Sweep) -> tuple[float, float]:
    """An accuracy axis on which the good values are told apart: bad ones may lie below it, but not all."""
    ends = sorted(p.test.mean for p in sweep.points if p.test.count)
    if not ends:
        return 0.0, 100.0
    best = ends[-1]
    good = [end for end in ends if best - end <= 8]
    bottom = math.floor(min(min(good) - 1.5, best - 3))
    return max(0.0, bottom), min(100.0, best + 0.5)


def plot_final(sweeps: Sequence[Sweep]) -> Any:
    """Final test accuracy against the value, a panel a sweep, values evenly spaced; crosses diverged.

    Points below the axis are drawn at its foot, with their accuracy beside them.
    """
    columns = min(3, len(sweeps))
    rows = -(-len(sweeps) // columns)
    figure, grid = new_grid(rows, columns, size=(3.9, 3.1))
    panels = list(grid.ravel())
    for ax, sweep in zip(panels, sweeps, strict=False):
        _plot_ends(ax, sweep)
    for ax in panels[len(sweeps) :]:
        ax.set_axis_off()
    for row in grid:
        row[0].set_ylabel("final test accuracy (%)")
    return figure


def _plot_ends(ax: Any, sweep: Sweep) -> None:
    bottom, top = zoom(sweep)
    foot = bottom + 0.05 * (top - bottom)
    places = np.arange(len(sweep.points))
    values = [p.test.mean if p.test.count and p.diverged_at is None else math.nan for p in sweep.points]
    # A line leads down to a point below the axis, and is cut where a run diverged.
    ax.plot(places, values, color=BLUE, linewidth=1.2, marker="o", markersize=5, zorder=3)
    for x, (point, value) in enumerate(zip(sweep.points, values, strict=True)):
        if math.isnan(value):
            ax.plot([x], [foot], color=VERMILION, marker="X", markersize=8, linestyle="none", zorder=4)
            ax.annotate(f"diverged\nstep {point.diverged_at}", (x, foot), (0, 8 + 18 * (x % 2)),
                        textcoords="offset points", ha="center", fontsize=7, color=VERMILION)  # fmt: skip
        elif value < bottom:
            ax.plot([x], [foot], color=BLUE, marker="v", markersize=6, linestyle="none", zorder=4)
            ax.annotate(f"{value:.1f}", (x, foot), (0, 8), textcoords="offset points", ha="center", fontsize=8)
    ax.set_ylim(bottom, top)
    ax.set_xlim(-0.6, len(places) - 0.4)
    ax.set_xticks(places, [point.label for point in sweep.points], fontsize=8, rotation=45, ha="right")
    ax.set_xlabel(sweep.axis.title)
    clean(ax)
