"""The figure of ever more ranks: what its lines say is what the cost model says, and what does not fit is pale."""

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="figures need matplotlib")

from mlp import InputError
from mlp.plots.figure import BLUE
from mlp.studies.cost.figures import STYLES, Point, Workload, plot_parallel
from mlp.studies.cost.machine import Machine
from mlp.studies.cost.model import MODES, predict
from mlp.studies.cost.network import NetworkShape

MACHINE = Machine(6e10, latency=1e-5, bandwidth=2e9, memory_bandwidth=2e10, memory_bytes=8e9)
SMALL = Workload(NetworkShape((784, 1024, 1024, 10)), 512)


def lines(ax, label):
    return [np.asarray(line.get_data(), float) for line in ax.lines if line.get_label() == label]


def test_lines_are_predictions():
    time, speed, memory = plot_parallel({"small": SMALL}, MACHINE, (1, 2, 4), ("data",)).axes
    steps = [predict("data", *SMALL[:1], MACHINE, n, 512) for n in (1, 2, 4)]
    ((ranks, seconds),) = lines(time, "data")
    assert ranks.tolist() == [1, 2, 4]
    assert seconds.tolist() == [step.total for step in steps]
    assert lines(memory, "data")[0][1].tolist() == [step.bytes_per_rank for step in steps]
    assert lines(speed, "data")[0][1][0] == 1
    assert lines(speed, "N times as fast")[0][1].tolist() == [1, 2, 4]
    assert time.get_xscale() == time.get_yscale() == "log"
    assert time.get_title(loc="left") == "small"


def test_nothing_is_faster_than_amdahl_allows():
    _, speed, _ = plot_parallel({"small": SMALL}, MACHINE, (1, 2, 4, 8), ("data",)).axes
    limit = lines(speed, "Amdahl's limit, data parallel")[0][1]
    assert (lines(speed, "data")[0][1] <= limit * (1 + 1e-12)).all()
    assert (limit <= [1, 2, 4, 8]).all()


def test_what_does_not_fit_is_left_to_the_pale_line():
    # ZeRO-3 of 1.86 million parameters: 4 P / N and room for the largest layer, about 48 MB on one rank, 17 on 16.
    machine = Machine(6e10, memory_bytes=17e6)
    _, _, memory = plot_parallel({"small": SMALL}, machine, (1, 16), ("ZeRO-3",)).axes
    ((_, bold),) = lines(memory, "ZeRO-3")
    assert np.isnan(bold).tolist() == [True, False]
    pale = next(line for line in memory.lines if line.get_alpha() == 0.3)
    assert np.isfinite(pale.get_ydata()).all()
    assert lines(memory, "memory of a rank")[0][1].tolist() == [17e6, 17e6]


def test_a_line_ends_where_the_network_cannot_be_shared():
    time, *_ = plot_parallel({"small": SMALL}, MACHINE, (1, 2, 4), ("1F1B",)).axes
    assert lines(time, "1F1B")[0][0].tolist() == [1, 2]  # three layers


def test_squares_have_the_colour_of_the_fastest():
    machine = Machine(6e10, latency=1e-5, bandwidth=1e6)  # gradients are slow to send, activations quick
    time, *_ = plot_parallel({"small": SMALL}, machine, (1, 2, 4), ("data", "tensor")).axes
    squares = [line for line in time.lines if line.get_marker() == "s"]
    assert [square.get_xdata()[0] for square in squares] == [2, 4]
    assert {square.get_color() for square in squares} == {STYLES["tensor"][0]}


def test_measured_points():
    points = [Point("small", "one rank", 1, 0.08), Point("small", "data", 2, 0.04), Point("other", "data", 2, 9.0)]
    time, speed, _ = plot_parallel({"small": SMALL}, MACHINE, (1, 2), ("data",), points).axes
    assert [x.tolist() for x in lines(time, "measured")] == [[[1], [0.08]], [[2], [0.04]]]
    assert [x.tolist() for x in lines(speed, "measured")] == [[[1], [1]], [[2], [2]]]
    assert [line.get_color() for line in time.lines if line.get_label() == "measured"][1] == BLUE


def test_a_row_for_each_workload_and_a_style_for_each_mode():
    figure = plot_parallel({"a": SMALL, "b": SMALL}, MACHINE, (1, 2, 4), tuple(MODES))
    assert len(figure.axes) == 6
    assert STYLES.keys() == MODES.keys()
    assert len(set(STYLES.values())) == len(MODES)
    figure.canvas.draw()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"a": SMALL}, MACHINE, (1, 2), ("nonsense",)), "modes must be of"),
        (({}, MACHINE), "at least one workload"),
        (({"a": SMALL}, MACHINE, ()), "at least one workload"),
        (({"a": SMALL}, MACHINE, (0,)), "ranks must be an integer of at least 1"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(InputError, match=message):
        plot_parallel(*arguments)
