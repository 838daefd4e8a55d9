"""Figures of one run and of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.plots.figure import BLUE, VERMILION, clean, epoch_axis, new_figure

TRAIN, TEST = BLUE, VERMILION


class Table(Protocol):
    """Rows with named columns, as ``mlp.solver.history.History`` is."""

    @property
    def columns(self) -> list[str]: ...

    def __getitem__(self, key: str, /) -> Any: ...


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
        epoch_axis(ax)
        ax.set_ylabel("accuracy (%)" if name == "accuracy" else name)
        ax.legend(frameon=False)
        clean(ax)
    return figure


def plot_images(images: Array, titles: Sequence[str] = ()) -> Any:
    """A row of grey-scale images (n, rows, columns), dark on light, with an optional title above each."""
    figure, axes = new_figure(len(images))
    figure.set_size_inches(1.1 * len(images), 1.4)
    for k, (ax, image) in enumerate(zip(axes, np.asarray(images), strict=True)):
        ax.imshow(image, cmap="gray_r")
        ax.set_axis_off()
        if k < len(titles):
            ax.set_title(titles[k], fontsize=9)
    return figure


class RateCurve(Protocol):
    """Losses by learning rate, as ``mlp.diagnosis.rate_finder.RangeTest`` has them."""

    rates: Array
    losses: Array
    smoothed: Array
    suggestion: float


def plot_range_test(curve: RateCurve) -> Any:
    """Loss against learning rate, raw and smoothed, with the suggested rate as a vertical line."""
    figure, (ax,) = new_figure(1)
    ax.plot(curve.rates, curve.losses, color=BLUE, alpha=0.35, linewidth=1, label="each step")
    ax.plot(curve.rates, curve.smoothed, color=BLUE, label="smoothed")
    ax.axvline(curve.suggestion, color=VERMILION, linestyle="--", label=f"steepest: {curve.suggestion:.2g}")
    ax.set_xscale("log")
    ax.set_xlabel("learning rate")
    ax.set_ylabel("loss")
    ax.legend(frameon=False)
    clean(ax)
    return figure
