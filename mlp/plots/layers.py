"""The figure of what a batch does to every layer: activations on the way up, gradients on the way down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlp.plots.figure import BLUE, VERMILION, clean, new_figure


def plot_layers(statistics: Any) -> Any:
    """The std of each layer's output (left) and the rms of dL/dy (right) against depth, both on logarithmic scales.

    Layers inside a Residual or another block are hollow points beside the line, which leads through those layers
    that all of the signal passes. A scale of 0 has no place on such an axis and leaves a gap. ``statistics`` is
    what ``mlp.diagnosis.layer_statistics`` returns.
    """
    figure, (left, right) = new_figure(2)
    rows = (statistics.input, *statistics.layers)
    figure.set_size_inches(max(9.0, 0.5 * len(rows)), 5.0)
    std = [row.std for row in rows]
    gradient = [np.nan if row.gradient_rms is None else row.gradient_rms for row in rows]
    for ax, values, colour, label in (
        (left, std, BLUE, "std of y"),
        (right, gradient, VERMILION, "rms of dL/dy"),
    ):
        _draw(ax, rows, (statistics.input, *statistics.trunk), values, colour)
        ax.set_ylabel(label)
    return figure


def _draw(ax: Any, rows: Sequence[Any], line: Sequence[Any], values: Sequence[float], colour: str) -> None:
    positive = np.where(np.asarray(values) > 0, values, np.nan)
    on_line = np.array([any(row is other for other in line) for row in rows])
    depth = np.arange(len(rows))
    ax.plot(depth[on_line], positive[on_line], color=colour, marker="o", markersize=4)
    if not on_line.all():
        ax.plot(depth[~on_line], positive[~on_line], "o", color=colour, markersize=4, fillstyle="none")
    ax.set_yscale("log")
    ax.set_xlim(-0.5, len(rows) - 0.5)
    ax.set_xticks(depth, [_tick(row.name) for row in rows], rotation=90, fontsize=8)
    clean(ax)


def _tick(name: str) -> str:
    """layer 2.body.0 Linear(4, 4) -> 2.body.0 Linear"""
    return name.removeprefix("layer ").partition("(")[0]
