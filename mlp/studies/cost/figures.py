"""The figure of parallel training on ever more ranks: how long a step takes, what it gains, and whether it fits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mlp.checks import InputError, check_integer
from mlp.plots.figure import BLACK, BLUE, GREEN, VERMILION, clean, new_grid, shared_legend
from mlp.studies.cost.machine import Machine, amdahl_speed_up
from mlp.studies.cost.model import MODES, compare, fastest, predict, serial_share
from mlp.studies.cost.modes import StepTime
from mlp.studies.cost.network import NetworkShape

# Okabe and Ito's other colours; whoever cannot tell two of them apart has the dashes.
SKY, ORANGE, PURPLE = "#56B4E9", "#E69F00", "#CC79A7"
STYLES = {
    "data": (BLUE, "-"),
    "ZeRO-1": (SKY, "--"),
    "ZeRO-2": (SKY, "-."),
    "ZeRO-3": (SKY, "-"),
    "tensor": (VERMILION, "-"),
    "tensor, sequence parallel": (ORANGE, "--"),
    "GPipe": (GREEN, "-"),
    "1F1B": (GREEN, "--"),
    "interleaved": (PURPLE, "-."),
}
DEFAULT_MODES = ("data", "ZeRO-1", "ZeRO-3", "tensor", "tensor, sequence parallel", "1F1B")
RANKS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Workload(NamedTuple):
    """A network and the samples in its batch."""

    shape: NetworkShape
    batch: int


class Point(NamedTuple):
    """A measured step: of which workload, by its title, in which mode (any for 1 rank), on how many ranks."""

    workload: str
    mode: str
    ranks: int
    seconds: float


def plot_parallel(
    workloads: Mapping[str, Workload],
    machine: Machine,
    ranks: Sequence[int] = RANKS,
    modes: Sequence[str] = DEFAULT_MODES,
    measured: Sequence[Point] = (),
) -> Any:
    """Predictions of ``predict`` against the number of ranks, all axes logarithmic; a row for each workload.

    Left: seconds of a step, and along the lower edge the colour of the mode that is fastest there. Middle: how much
    faster it is than one rank, whose memory is taken to be large enough, with Amdahl's limit for data parallelism
    and free messages. Right: bytes that a rank holds, with the limit of the machine. Lines are pale where a rank
    would need more memory than it has, and end where ranks cannot share the network or the batch. Pipelines have
    microbatches as in ``compare``. ``measured`` points are circles.

    Raises ``InputError`` for an unknown mode, no workloads, or ranks below 1.
    """
    for mode in modes:
        if mode not in MODES:
            raise InputError(f"plot_parallel: modes must be of {', '.join(map(repr, MODES))}, got {mode!r}")
    counts = sorted({check_integer("plot_parallel: each of ranks", n, 1) for n in ranks})
    if not workloads or not counts:
        raise InputError("plot_parallel: at least one workload and one number of ranks are needed")
    figure, axes = new_grid(len(workloads), 3, size=(4.6, 3.6))
    for row, (title, work) in zip(axes, workloads.items(), strict=True):
        draw_modes(row, work, machine, counts, modes)
        draw_limits(row[1], row[2], work, machine, counts)
        draw_points(row, title, [point for point in measured if point.workload == title])
        for ax, label in zip(row, ("seconds a step", "speed-up over one rank", "bytes a rank"), strict=True):
            ax.set(xscale="log", yscale="log", ylabel=label, xlabel="ranks")
            ax.set_xticks(counts[:: max(1, len(counts) // 6)], minor=False)
            ax.set_xticklabels([str(n) for n in counts[:: max(1, len(counts) // 6)]])
            ax.minorticks_off()
            clean(ax)
        row[0].set_title(title, loc="left")
    shared_legend(figure, 5)
    return figure


def draw_modes(
    row: Sequence[Any], work: Workload, machine: Machine, counts: Sequence[int], modes: Sequence[str]
) -> None:
    """Each mode's seconds, speed-up and bytes, and which mode is fastest."""
    one = predict("data", work.shape, machine, 1, work.batch).total
    steps = {n: compare(modes, work.shape, machine, n, work.batch) for n in counts}
    for mode in modes:
        of_mode = {n: steps[n][mode] for n in counts if mode in steps[n]}
        draw(row[0], mode, machine, of_mode, [step.total for step in of_mode.values()])
        draw(row[1], mode, machine, of_mode, [one / step.total for step in of_mode.values()])
        draw(row[2], mode, machine, of_mode, [step.bytes_per_rank for step in of_mode.values()])
    mark_winners(row[0], {n: fastest(steps[n], machine) for n in counts if n > 1})


def draw(ax: Any, mode: str, machine: Machine, steps: Mapping[int, StepTime], values: Sequence[float]) -> None:
    """A line in the colour of its mode, pale where it would not fit."""
    colour, dashes = STYLES[mode]
    inside = [v if step.fits(machine) else math.nan for step, v in zip(steps.values(), values, strict=True)]
    ax.plot(list(steps), values, color=colour, linestyle=dashes, linewidth=1, alpha=0.3)
    ax.plot(list(steps), inside, color=colour, linestyle=dashes, linewidth=2, label=mode)


def draw_limits(speed: Any, memory: Any, work: Workload, machine: Machine, counts: Sequence[int]) -> None:
    """N times as fast; what Amdahl leaves of it; and the memory that there is."""
    speed.plot(counts, counts, color=BLACK, linewidth=0.8, label="N times as fast")
    if work.batch > 1:
        share = serial_share("data", work.shape, machine, work.batch)
        limits = [amdahl_speed_up(share, n) for n in counts]
        speed.plot(counts, limits, color=BLACK, linestyle=":", label="Amdahl's limit, data parallel")
    if machine.memory_bytes < math.inf:
        memory.axhline(machine.memory_bytes, color=BLACK, linestyle="--", label="memory of a rank")


def mark_winners(ax: Any, winners: Mapping[int, str | None]) -> None:
    """A square at the lower edge in the colour of the mode that wins with so many ranks."""
    for n, mode in winners.items():
        if mode is not None:
            place = {"transform": ax.get_xaxis_transform(), "clip_on": False, "linestyle": "none"}
            ax.plot([n], [0.03], marker="s", markersize=7, color=STYLES[mode][0], **place)


def draw_points(row: Sequence[Any], title: str, points: Sequence[Point]) -> None:
    """Measured times, and speed-ups over the measured time on one rank if there is one."""
    serial = [point.seconds for point in points if point.ranks == 1]
    for point in points:
        colour = STYLES[point.mode][0] if point.mode in STYLES else BLACK
        look = {"marker": "o", "markersize": 7, "color": colour, "fillstyle": "none", "linestyle": "none"}
        row[0].plot([point.ranks], [point.seconds], label="measured", **look)
        if serial:
            row[1].plot([point.ranks], [serial[0] / point.seconds], label="measured", **look)
