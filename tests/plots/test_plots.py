"""Figures show the numbers they were given, and are written whole or not at all."""

import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest

from mlp import Dataset, History, InputError
from mlp.plots import figure, plot_history, plot_images, save_figure

CLASSES = [
    {"epoch": k, "train_loss": 1 / k, "train_accuracy": 1 - 0.5 / k, "test_loss": 2 / k, "test_accuracy": 0.5}
    for k in (1, 2, 3)
]
WATCHED = [row | {"validation_loss": 3.0, "validation_accuracy": 0.25} for row in CLASSES]
REGRESSION = [{"epoch": k, "train_loss": 1 / k} for k in (1, 2)]


@pytest.mark.parametrize(("table", "panels"), [(CLASSES, 2), (CLASSES[:1], 2), (WATCHED, 2), (REGRESSION, 1)])
def test_every_column_is_a_line(table, panels):
    history = History(table)
    figure = plot_history(history)
    assert len(figure.axes) == panels
    for ax, (name, factor) in zip(figure.axes, [("loss", 1), ("accuracy", 100)], strict=False):
        drawn = {line.get_label(): line.get_xydata().T for line in ax.lines}
        splits = [s for s in ("train", "validation", "test") if f"{s}_{name}" in history.columns]
        assert list(drawn) == splits
        for split in splits:
            np.testing.assert_array_equal(drawn[split], [history["epoch"], factor * history[f"{split}_{name}"]])
        assert name in ax.get_ylabel()
        assert ax.get_xlabel() == "epoch"
        assert [text.get_text() for text in ax.get_legend().get_texts()] == splits


class TestImages:
    IMAGES = np.arange(24.0).reshape(3, 2, 4)

    def test_in_a_row(self):
        figure = plot_images(self.IMAGES, ["a", "b"])
        assert [ax.get_title() for ax in figure.axes] == ["a", "b", ""]
        for ax, image in zip(figure.axes, self.IMAGES, strict=True):
            np.testing.assert_array_equal(ax.images[0].get_array(), image)
        assert len(plot_images(self.IMAGES[0]).axes) == 1

    def test_in_a_grid(self):
        axes = plot_images(self.IMAGES, columns=2).axes
        assert [len(ax.images) for ax in axes] == [1, 1, 1, 0]
        assert axes[0].get_subplotspec().get_gridspec().get_geometry() == (2, 2)
        assert len(plot_images(np.zeros((60, 2, 2)), limit=25).axes) == 30  # 3 rows of 10, the last half full

    def test_of_a_data_set(self):
        data = Dataset(self.IMAGES.astype(np.uint8), ["cat", "dog", "cat"], offset=2, scale=0.5)
        axes = plot_images(data).axes
        assert [ax.get_title() for ax in axes] == ["cat", "dog", "cat"]
        np.testing.assert_array_equal(axes[1].images[0].get_array(), (self.IMAGES[1] - 2) / 2)
        numbered = Dataset(self.IMAGES, [3, 0, 1])
        assert [ax.get_title() for ax in plot_images(numbered[:2]).axes] == ["3", "0"]
        assert len(plot_images(numbered[1]).axes) == 1

    def test_refuses_what_is_no_image(self):
        with pytest.raises(InputError, match=r"has no images; give Dataset\(\.\.\., image_shape="):
            plot_images(Dataset(np.eye(4), [0, 1, 2, 3]))
        with pytest.raises(InputError, match=r"got float64 of shape \(3,\); .*reshape"):
            plot_images(np.zeros(3))


def test_a_saved_figure_is_a_picture(tmp_path):
    figure = plot_history(History(CLASSES))
    save_figure(figure, tmp_path / "curves.png")
    picture = matplotlib.image.imread(tmp_path / "curves.png")
    height, width = picture.shape[:2]
    assert width > height > 100
    assert picture.min() < picture.max()
    with pytest.raises(InputError, match="cannot write"):
        save_figure(figure, tmp_path / "missing" / "curves.png")


class TestWhereFiguresShow:
    def test_without_a_screen_they_stay_out_of_pyplot(self):
        import matplotlib.pyplot as plt

        assert plt.get_backend().lower() == "agg"
        plot_history(History(CLASSES))
        assert plt.get_fignums() == []  # else each would be kept

    def test_a_notebook_is_given_a_picture(self):
        bundle = plot_history(History(CLASSES))._repr_mimebundle_(include=None, exclude=None)
        assert list(bundle) == ["image/png"]
        assert bundle["image/png"].startswith(b"\x89PNG")

    def test_with_a_screen_pyplot_shows_and_closes_them(self, monkeypatch):
        import matplotlib.pyplot as plt

        monkeypatch.setattr(plt, "get_backend", lambda: "module://matplotlib_inline.backend_inline")
        figure = plot_history(History(CLASSES))
        try:
            assert plt.figure(plt.get_fignums()[0]) is figure  # so plt.show() shows it
            figure._repr_mimebundle_()
            assert plt.get_fignums() == []  # shown once
        finally:
            plt.close("all")

    def test_scripts_do_not_load_pyplot(self):
        code = (
            "import sys, mlp; from mlp.plots import plot_history;"
            "plot_history(mlp.History([{'epoch': 1, 'train_loss': 1.0}]));"
            "print('matplotlib.pyplot' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_without_matplotlib(monkeypatch):
    figure._figure_class.cache_clear()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match="pip install matplotlib"):
        plot_history(History(CLASSES))
