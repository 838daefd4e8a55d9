"""What the schedule of a pipeline promises, and what its stages did."""

from __future__ import annotations

import statistics
from itertools import pairwise
from typing import Any

from mlp import Network
from mlp.parallel import PipelineSchedule, make_pipeline_schedule
from mlp.parallel.pipeline.instructions import Backward, Forward, OptimizerStep
from mlp.parallel.pipeline.partition import balanced_cuts, layer_costs
from mlp.parallel.pipeline.timeline import Interval, Timeline, simulate
from parallel_benchmark import Contender, Problem
from parallel_benchmark.contestants import layers

KINDS = {"Forward": Forward, "Backward": Backward}


def schedule_of(contender: Contender, ranks: int) -> PipelineSchedule:
    return make_pipeline_schedule(contender.mode, ranks, microbatches=contender.microbatches)


def promised_speed_up(problem: Problem, contender: Contender, ranks: int) -> float:
    """How much faster than one rank with as many microbatches, if passes take as long as they have multiplications,
    and messages and the optimizer no time.
    """
    network, schedule = Network(*layers(problem)), schedule_of(contender, ranks)
    costs = layer_costs(network)
    forward_costs = [sum(p.size for p in layer.parameters().values()) for layer in network.layers]
    cuts = [0, *balanced_cuts(costs, ranks), len(costs)]
    parts = [slice(a, b) for a, b in pairwise(cuts)]
    forward = [float(sum(forward_costs[part])) for part in parts]
    backward = [sum(costs[part]) - f for part, f in zip(parts, forward, strict=True)]
    return schedule.microbatches * sum(costs) / simulate(schedule, forward, backward).makespan


def timeline_of(intervals: list[list[Any]], ranks: int) -> Timeline:
    """A measured timeline, as it came out of JSON; it begins at 0."""
    begin = min(start for *_, start, _ in intervals)
    return Timeline(
        ranks,
        tuple(
            Interval(
                stage,
                OptimizerStep() if kind == "OptimizerStep" else KINDS[kind](microbatch),
                start - begin,
                end - begin,
            )
            for stage, kind, microbatch, start, end in intervals
        ),
    )


def simulated(contender: Contender, ranks: int, slices: list[list[list[Any]]]) -> Timeline:
    """The schedule with the median times of the measured passes of each stage, and messages that take no time."""

    def median(stage: int, kind: str) -> float:
        return statistics.median(
            end - start for intervals in slices for s, k, _, start, end in intervals if (s, k) == (stage, kind)
        )

    forward = [median(stage, "Forward") for stage in range(ranks)]
    backward = [median(stage, "Backward") for stage in range(ranks)]
    step = max(median(stage, "OptimizerStep") for stage in range(ranks))
    return simulate(schedule_of(contender, ranks), forward, backward, step_time=step)
