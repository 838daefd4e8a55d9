"""Figures of how good predictions are: reliability diagram, confusion matrix, ROC curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlp.arrays import Array
from mlp.checks import InputError, plain_array
from mlp.metrics import roc_auc, roc_curve
from mlp.metrics.calibration import ReliabilityBins, reliability_bins
from mlp.metrics.inputs import check_probabilities, true_classes
from mlp.plots.figure import BLACK, BLUE, VERMILION, clean, new_figure, new_grid, sequential_colours


def plot_reliability(
    y_true: ArrayLike | ReliabilityBins,
    y_proba: ArrayLike | None = None,
    num_bins: int = 15,
    bins: str = "width",
) -> Any:
    """Reliability diagram: the accuracy in each bin of confidence, its gap to the mean confidence, and the counts.

    Takes ``ReliabilityBins``, or the arguments of ``reliability_bins``. Above, blue bars are the accuracy, the
    hatched ones reach from it to the mean confidence, and a calibrated network follows the diagonal. Below are
    the numbers of samples. The title gives the ECE.
    """
    if isinstance(y_true, ReliabilityBins):
        table = y_true
    elif y_proba is None:
        raise InputError("plot_reliability needs ReliabilityBins, or y_true and y_proba; y_proba is missing")
    else:
        table = reliability_bins(y_true, y_proba, num_bins, bins)
    figure, ((above,), (below,)) = new_grid(2, 1, size=(4.5, 2.2), sharex=True, height_ratios=(3, 1))
    left, width = table.edges[:-1], np.diff(table.edges)
    filled = table.counts > 0
    place = {"x": left[filled], "width": width[filled], "align": "edge"}
    accuracy, gap = table.accuracy[filled], (table.confidence - table.accuracy)[filled]
    above.bar(height=accuracy, **place, color=BLUE, edgecolor="white", linewidth=0.5, label="accuracy")
    above.bar(
        height=gap, bottom=accuracy, **place, color="none", edgecolor=VERMILION, hatch="////", linewidth=0.8,
        label="gap to the mean confidence",
    )  # fmt: skip
    above.plot([0, 1], [0, 1], "--", color=BLACK, linewidth=1, label="calibrated")
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy", title=f"ECE = {table.expected_error:.4f}")
    above.legend(frameon=False, loc="upper left")
    below.bar(left, table.counts, width, align="edge", color=BLUE, edgecolor="white", linewidth=0.5)
    below.set(xlabel="confidence", ylabel="samples")
    for ax in (above, below):
        clean(ax)
    return figure


def plot_confusion_matrix(matrix: ArrayLike, class_names: Sequence[str] | None = None) -> Any:
    """A confusion matrix (K, K) as ``confusion_matrix`` gives it: its numbers, coloured by their share of the row.

    That is the share among the samples of the true class, so rare classes show as clearly as common ones.
    """
    C: Array = plain_array("plot_confusion_matrix: matrix", matrix)
    if C.ndim != 2 or C.shape[0] != C.shape[1] or C.size == 0 or C.dtype.kind not in "iuf":
        raise InputError(
            f"plot_confusion_matrix needs a matrix of numbers (K, K), got {C.dtype} of shape {C.shape}"
        )
    names = _class_names("plot_confusion_matrix", class_names, len(C))
    sums = C.sum(axis=1, keepdims=True)
    share = C / np.where(sums > 0, sums, 1)
    side = max(3.4, 0.45 * len(C) + 1)
    figure, ((ax,),) = new_grid(1, 1, size=(side, side))
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (i, j), value in np.ndenumerate(C):
        text = f"{value:.2f}" if C.dtype.kind == "f" else str(value)
        ax.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if share[i, j] > 0.5 else BLACK)
    ax.set_xticks(range(len(C)), names, rotation=0 if max(map(len, names)) < 4 else 90)
    ax.set_yticks(range(len(C)), names)
    ax.set(xlabel="predicted class", ylabel="true class")
    return figure


def plot_roc(y_true: ArrayLike, y_score: ArrayLike, class_names: Sequence[str] | None = None) -> Any:
    """The ROC curve, with the area under it in the legend.

    Labels (N,), 0 and 1, and scores (N,) of the positive class give one curve; labels (...) and probabilities
    (..., K) one for each class against the rest. Takes and refuses what ``roc_auc`` does.
    """
    areas = np.atleast_1d(roc_auc(y_true, y_score, average=None))
    figure, (ax,) = new_figure(1)
    if len(areas) == 1:
        curves, names = [roc_curve(y_true, y_score)], ["AUC"]
    else:
        y, p = check_probabilities("plot_roc", y_true, y_score)
        K = len(areas)
        curves = [roc_curve(true_classes(y) == k, p[:, k]) for k in range(K)]
        names = [f"{name}: AUC" for name in _class_names("plot_roc", class_names, K)]
    colours = [BLUE] if len(curves) == 1 else sequential_colours(len(curves))
    for curve, name, area, colour in zip(curves, names, areas, colours, strict=True):
        rates = curve.false_positive_rate, curve.true_positive_rate
        ax.plot(*rates, color=colour, label=f"{name} {area:.4f}")
    ax.plot([0, 1], [0, 1], "--", color=BLACK, linewidth=1, label="chance")
    ax.set(xlabel="false positive rate", ylabel="true positive rate")
    ax.set_aspect("equal")
    ax.legend(frameon=False, loc="lower right", fontsize=8)
    clean(ax)
    return figure


def _class_names(where: str, class_names: Sequence[str] | None, num_classes: int) -> list[str]:
    names = [str(name) for name in (range(num_classes) if class_names is None else class_names)]
    if len(names) != num_classes:
        raise InputError(f"{where}: {num_classes} classes need as many names, got {len(names)}")
    return names
