"""The figures of predictions show the numbers that the metrics give."""

import numpy as np
import pytest

from mlp.checks import InputError
from mlp.functional import softmax
from mlp.metrics import confusion_matrix, roc_auc, roc_curve
from mlp.metrics.calibration import expected_calibration_error, reliability_bins
from mlp.plots import plot_confusion_matrix, plot_reliability, plot_roc, save_figure

pytest.importorskip("matplotlib", reason="matplotlib draws the figures and is not installed")

N, K = 200, 4


@pytest.fixture
def labels():
    return np.random.default_rng(1).integers(0, K, N)


@pytest.fixture
def probabilities(labels):
    scores = np.random.default_rng(0).normal(size=(N, K)) * 2
    scores[np.arange(N), labels] += 1
    return softmax(scores)


def legend(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


class TestReliability:
    @pytest.mark.parametrize("kind", ["width", "mass"])
    def test_bars_are_the_bins(self, probabilities, labels, kind):
        table = reliability_bins(labels, probabilities, 12, kind)
        figure = plot_reliability(labels, probabilities, 12, kind)
        above, below = figure.axes
        accuracy, gap = above.containers
        filled = table.counts > 0
        np.testing.assert_allclose([bar.get_height() for bar in accuracy], table.accuracy[filled])
        np.testing.assert_allclose([bar.get_x() for bar in accuracy], table.edges[:-1][filled])
        np.testing.assert_allclose([bar.get_width() for bar in accuracy], np.diff(table.edges)[filled])
        # The gap begins at the accuracy and ends at the mean confidence, above or below.
        np.testing.assert_allclose([bar.get_y() for bar in gap], table.accuracy[filled])
        np.testing.assert_allclose([bar.get_y() + bar.get_height() for bar in gap], table.confidence[filled])
        assert [bar.get_height() for bar in below.containers[0]] == table.counts.tolist()
        error = expected_calibration_error(labels, probabilities, 12, kind)
        assert above.get_title() == f"ECE = {error:.4f}"
        assert (above.get_ylabel(), below.get_xlabel(), below.get_ylabel()) == ("accuracy", "confidence", "samples")
        assert set(legend(above)) == {"accuracy", "gap to the mean confidence", "calibrated"}

    def test_takes_bins(self, probabilities, labels):
        table = reliability_bins(labels, probabilities)
        titles = [plot_reliability(*a).axes[0].get_title() for a in ((table,), (labels, probabilities))]
        assert titles[0] == titles[1]

    def test_refuses_probabilities_without_labels(self, probabilities):
        with pytest.raises(InputError, match="y_proba is missing"):
            plot_reliability(probabilities)


class TestConfusionMatrix:
    def test_shows_its_numbers_where_they_belong(self, probabilities, labels):
        counts = confusion_matrix(labels, probabilities)
        (ax,) = plot_confusion_matrix(counts, ["a", "b", "c", "d"]).axes
        shown = {text.get_position(): text.get_text() for text in ax.texts}
        assert shown == {(j, i): str(counts[i, j]) for i in range(K) for j in range(K)}  # x is the column
        np.testing.assert_allclose(
            ax.images[0].get_array(), confusion_matrix(labels, probabilities, normalize="true")
        )
        assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b", "c", "d"]
        assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b", "c", "d"]
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")

    def test_shares_and_empty_rows(self):
        (ax,) = plot_confusion_matrix(np.array([[0.25, 0.75], [0.0, 0.0]])).axes
        assert [text.get_text() for text in ax.texts] == ["0.25", "0.75", "0.00", "0.00"]
        np.testing.assert_array_equal(ax.images[0].get_array(), [[0.25, 0.75], [0, 0]])

    def test_refuses_what_is_no_matrix(self):
        for wrong in (np.ones((2, 3)), np.ones(4), np.ones((0, 0)), [["a"]]):
            with pytest.raises(InputError, match=r"needs a matrix of numbers \(K, K\), got"):
                plot_confusion_matrix(wrong)
        with pytest.raises(InputError, match="2 classes need as many names, got 1"):
            plot_confusion_matrix(np.eye(2), ["a"])


class TestRoc:
    def test_two_classes(self, probabilities, labels):
        scores, is_first = probabilities[:, 0], labels == 0
        (ax,) = plot_roc(is_first, scores).axes
        curve = roc_curve(is_first, scores)
        np.testing.assert_array_equal(ax.lines[0].get_xydata().T, curve[:2])
        assert legend(ax) == [f"AUC {roc_auc(is_first, scores):.4f}", "chance"]
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("false positive rate", "true positive rate")

    @pytest.mark.parametrize("soft", [False, True])
    def test_one_curve_for_each_class(self, probabilities, labels, soft):
        names = ["a", "b", "c", "d"]
        shape = (2, N // 2)
        y = np.eye(K)[labels].reshape(*shape, K) if soft else labels.reshape(shape)
        (ax,) = plot_roc(y, probabilities.reshape(*shape, K), names).axes
        for k in range(K):
            expected = roc_curve(labels == k, probabilities[:, k])[:2]
            np.testing.assert_array_equal(ax.lines[k].get_xydata().T, expected)
        areas = roc_auc(labels, probabilities, average=None)
        assert legend(ax) == [*(f"{n}: AUC {a:.4f}" for n, a in zip(names, areas, strict=True)), "chance"]
        assert len({line.get_color() for line in ax.lines}) == K + 1

    def test_refuses_what_the_metric_refuses(self, probabilities, labels):
        with pytest.raises(InputError, match="there are none of class 0"):
            plot_roc(np.maximum(labels, 1), probabilities)
        with pytest.raises(InputError, match="plot_roc: 4 classes need as many names, got 2"):
            plot_roc(labels, probabilities, ["a", "b"])


def test_figures_can_be_saved(probabilities, labels, tmp_path):
    for number, figure in enumerate([
        plot_reliability(labels, probabilities),
        plot_confusion_matrix(confusion_matrix(labels, probabilities)),
        plot_roc(labels, probabilities),
    ]):  # fmt: skip
        save_figure(figure, tmp_path / f"{number}.png")
        assert (tmp_path / f"{number}.png").stat().st_size > 1000
