"""Figures of a pipeline: which stage works on which microbatch when, and which waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlp.plots.figure import BLACK, BLUE, GREEN, VERMILION, new_grid, shared_legend

if TYPE_CHECKING:  # whoever has a timeline has loaded these; all other figures do without
    from mlp.parallel.pipeline.timeline import Interval, Timeline

# By the kind of instruction.
COLOURS = {
    "Forward": (BLUE, "forward"),
    "Backward": (GREEN, "backward"),
    "OptimizerStep": (VERMILION, "optimizer step"),
}
# Of the width of the figure: a narrower bar has no room for its number.
ROOM_FOR_A_NUMBER = 0.012


def plot_pipeline(timelines: Timeline | Mapping[str, Timeline], unit: str = "") -> Any:
    """What the stages do, predicted by ``simulate`` or measured in ``Pipeline.timeline()``, as a figure.

    Each row is a stage, each bar a pass with the number of its microbatch, paler in the second chunk of a stage and
    in later ones; white is idle time. Several timelines, by title, stand one below the other. ``unit`` is that of
    the times, such as "s".
    """
    named = dict(timelines) if isinstance(timelines, Mapping) else {"": timelines}
    rows = max(timeline.stages for timeline in named.values())
    figure, axes = new_grid(len(named), 1, size=(9.0, 0.8 + 0.4 * rows))
    for ax, (title, timeline) in zip(axes[:, 0], named.items(), strict=True):
        for interval in timeline.intervals:
            if type(interval.instruction).__name__ in COLOURS and interval.length > 0:
                draw_pass(ax, timeline, interval)
        ax.set_yticks(range(timeline.stages), [f"stage {stage}" for stage in range(timeline.stages)])
        ax.set(xlim=(0, timeline.makespan), ylim=(timeline.stages - 0.5, -0.5))
        ax.set_title(f"{title + ': ' if title else ''}idle for {timeline.idle_share:.1%} of the time", loc="left")
        for side in ("top", "right", "left"):
            ax.spines[side].set_visible(False)
    axes[-1, 0].set_xlabel(f"time ({unit})" if unit else "time")
    shared_legend(figure, len(COLOURS))
    return figure


def draw_pass(ax: Any, timeline: Timeline, interval: Interval) -> None:
    """One bar, with its number if there is room."""
    instruction: Any = interval.instruction
    kind = type(instruction).__name__
    colour, label = COLOURS[kind]
    place = {"y": interval.stage, "width": interval.length, "left": interval.start - timeline.start, "height": 0.9}
    if kind == "OptimizerStep":
        ax.barh(**place, color=colour, edgecolor="white", linewidth=0.5, label=label)
        return
    opacity = 1 / (1 + instruction.chunk)
    ax.barh(**place, color=colour, alpha=opacity, edgecolor="white", linewidth=0.5, label=label)
    if interval.length > ROOM_FOR_A_NUMBER * timeline.makespan:
        middle, text = place["left"] + interval.length / 2, "white" if instruction.chunk == 0 else BLACK
        number = str(instruction.microbatch)
        ax.text(middle, interval.stage, number, ha="center", va="center", fontsize=7, color=text)
