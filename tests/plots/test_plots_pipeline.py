"""The figure of a pipeline: a bar for each pass, where it belongs."""

import pytest

pytest.importorskip("matplotlib", reason="figures need matplotlib")

from mlp.parallel.pipeline.instructions import Forward
from mlp.parallel.pipeline.schedules import gpipe, interleaved, one_f_one_b
from mlp.parallel.pipeline.timeline import Interval, Timeline, simulate
from mlp.plots.figure import BLUE, GREEN, VERMILION
from mlp.plots.pipeline import plot_pipeline


def bars(ax) -> list[tuple[float, float, float]]:
    """(stage, start, length)"""
    return sorted((round(b.get_y() + b.get_height() / 2), b.get_x(), b.get_width()) for b in ax.patches)


def test_bars_stand_where_the_passes_are():
    """Two stages, one microbatch, F = 1, B = 2, a step of 1: stage 1 works from 1 to 5, 0 from 0 and from 4."""
    figure = plot_pipeline(simulate(gpipe(2, 1), 1, 2, step_time=1))
    (ax,) = figure.axes
    assert bars(ax) == [(0, 0, 1), (0, 4, 2), (0, 6, 1), (1, 1, 1), (1, 2, 2), (1, 4, 1)]
    assert [text.get_text() for text in ax.texts] == ["0"] * 4
    assert ax.get_title(loc="left") == "idle for 42.9% of the time"  # 3 of 7
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["forward", "backward", "optimizer step"]
    assert {b.get_facecolor() for b in ax.patches} == {
        (*(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)), 1.0) for colour in (BLUE, GREEN, VERMILION)
    }
    figure.canvas.draw()


def test_a_measured_timeline_begins_at_0():
    (ax,) = plot_pipeline(Timeline(1, (Interval(0, Forward(3), 100.0, 101.0),)), unit="s").axes
    assert bars(ax) == [(0, 0, 1)]
    assert ax.get_xlim() == (0, 1)
    assert ax.texts[0].get_text() == "3"
    assert ax.get_xlabel() == "time (s)"


def test_several_stand_one_below_the_other():
    named = {"1F1B": simulate(one_f_one_b(2, 4)), "interleaved": simulate(interleaved(2, 4, 2))}
    figure = plot_pipeline(named)
    assert [ax.get_title(loc="left").partition(":")[0] for ax in figure.axes] == list(named)
    assert [len(ax.patches) for ax in figure.axes] == [16, 32]
    assert {b.get_alpha() for b in figure.axes[1].patches} == {1, 0.5}


def test_a_bar_without_room_has_no_number():
    timeline = Timeline(1, (Interval(0, Forward(0), 0.0, 0.001), Interval(0, Forward(1), 0.001, 1.0)))
    (ax,) = plot_pipeline(timeline).axes
    assert [text.get_text() for text in ax.texts] == ["1"]
