"""Figures show the numbers they were given, and are written whole or not at all."""

import sys

import matplotlib.image
import numpy as np
import pytest

from mlp import History, InputError
from mlp.plots import plot_history, plot_images, save_figure

CLASSES = [
    {"epoch": k, "train_loss": 1 / k, "train_accuracy": 1 - 0.5 / k, "test_loss": 2 / k, "test_accuracy": 0.5}
    for k in (1, 2, 3)
]
REGRESSION = [{"epoch": k, "train_loss": 1 / k} for k in (1, 2)]


@pytest.mark.parametrize(("table", "panels"), [(CLASSES, 2), (CLASSES[:1], 2), (REGRESSION, 1)])
def test_every_column_is_a_line(table, panels):
    history = History(table)
    figure = plot_history(history)
    assert len(figure.axes) == panels
    for ax, (name, factor) in zip(figure.axes, [("loss", 1), ("accuracy", 100)], strict=False):
        drawn = {line.get_label(): line.get_xydata().T for line in ax.lines}
        splits = [s for s in ("train", "test") if f"{s}_{name}" in history.columns]
        assert list(drawn) == splits
        for split in splits:
            np.testing.assert_array_equal(drawn[split], [history["epoch"], factor * history[f"{split}_{name}"]])
        assert name in ax.get_ylabel()
        assert ax.get_xlabel() == "epoch"
        assert [text.get_text() for text in ax.get_legend().get_texts()] == splits


def test_images_in_a_row():
    images = np.arange(24.0).reshape(3, 2, 4)
    figure = plot_images(images, ["a", "b"])
    assert [ax.get_title() for ax in figure.axes] == ["a", "b", ""]
    for ax, image in zip(figure.axes, images, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), image)


def test_a_saved_figure_is_a_picture(tmp_path):
    figure = plot_history(History(CLASSES))
    save_figure(figure, tmp_path / "curves.png")
    picture = matplotlib.image.imread(tmp_path / "curves.png")
    height, width = picture.shape[:2]
    assert width > height > 100
    assert picture.min() < picture.max()
    with pytest.raises(InputError, match="cannot write"):
        save_figure(figure, tmp_path / "missing" / "curves.png")


def test_figures_stay_out_of_pyplot():
    import matplotlib.pyplot as plt

    plot_history(History(CLASSES))
    assert plt.get_fignums() == []  # else each would be kept, and shown twice in a notebook


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match="pip install matplotlib"):
        plot_history(History(CLASSES))
