"""Pipeline schedules as data: which stage does what, in which order, as lists that can be read and tested.

A network is cut into stages, one a rank, and a batch into microbatches, so that stages have something to do at the
same time. The work is always the same; what a schedule chooses is the order of it, and with it how long stages wait
and how many microbatches they have to remember:

    gpipe(2, 3).work[0]          F0 F1 F2 B0 B1 B2      all forward, then all backward: remembers 3
    one_f_one_b(2, 3).work[0]    F0 F1 B0 F2 B1 B2      backward as soon as possible: remembers 2

With p stages, m microbatches, and v chunks of the network on each stage, all equally long, the idle share is
(p - 1) / (v m + p - 1) of the time (``idle_share``).
"""

from __future__ import annotations

from collections.abc import Sequence

from mlp.checks import InputError, check_integer
from mlp.parallel.pipeline.instructions import Backward, Forward, PipelineSchedule, Work
from mlp.registry import Registry


def gpipe(stages: int, microbatches: int) -> PipelineSchedule:
    """All microbatches forward, then all backward. Each stage remembers all m of them.

    Huang et al., "GPipe: efficient training of giant neural networks using pipeline parallelism", NeurIPS 2019,
    arXiv:1811.06965. Here they go backward in the order in which they went forward, so that gradients add up in the
    same order in every schedule.
    """
    p, m = check_sizes("gpipe", stages=stages, microbatches=microbatches)
    order: tuple[Work, ...] = (*map(Forward, range(m)), *map(Backward, range(m)))
    return PipelineSchedule("GPipe", p, m, 1, (order,) * p)


def model_parallel(stages: int) -> PipelineSchedule:
    """One stage after the other, with the whole batch: layers on several ranks, of which one works at a time.

    It makes room for a network that is too large for one rank, and saves no time: the idle share is (p - 1) / p.
    """
    (p,) = check_sizes("model_parallel", stages=stages)
    return PipelineSchedule("model parallel", p, 1, 1, ((Forward(0), Backward(0)),) * p)


def one_f_one_b(stages: int, microbatches: int) -> PipelineSchedule:
    """1F1B: after min(p - i - 1, m) forward passes to fill the pipeline, stage i alternates forward and backward.

    It waits as long as GPipe does, and remembers p - i microbatches at most instead of all m.

    PipeDream-Flush in Narayanan et al., "Memory-efficient pipeline-parallel DNN training", ICML 2021,
    arXiv:2006.09503.
    """
    p, m = check_sizes("one_f_one_b", stages=stages, microbatches=microbatches)
    forward, backward = [Forward(k) for k in range(m)], [Backward(k) for k in range(m)]
    return PipelineSchedule("1F1B", p, m, 1, tuple(alternate(forward, backward, p - i - 1) for i in range(p)))


def interleaved(stages: int, microbatches: int, chunks: int) -> PipelineSchedule:
    """1F1B with v smaller chunks of the network on each stage instead of one: idle for 1/v of the time.

    Microbatches go in groups of p through chunk 0, then through chunk 1, and so on. The price is v times as many
    messages, and more to remember: 2 (p - i - 1) + (v - 1) p + 1 chunks' activations.

    Raises ``InputError`` unless the microbatches are a multiple of the stages.

    Narayanan et al., "Efficient large-scale language model training on GPU clusters using Megatron-LM", SC 2021,
    arXiv:2104.04473.
    """
    p, m = check_sizes("interleaved", stages=stages, microbatches=microbatches)
    v = check_integer("interleaved: chunks", chunks, 2)
    if m % p:
        raise InputError(f"interleaved: microbatches must be a multiple of the {p} stages, got {m}")
    places = [(k, c) for group in range(0, m, p) for c in range(v) for k in range(group, group + p)]
    forward, backward = [Forward(k, c) for k, c in places], [Backward(k, v - 1 - c) for k, c in places]
    warm_up = [2 * (p - i - 1) + (v - 1) * p for i in range(p)]
    return PipelineSchedule("interleaved 1F1B", p, m, v, tuple(alternate(forward, backward, n) for n in warm_up))


def forward_only(stages: int, microbatches: int, chunks: int = 1) -> PipelineSchedule:
    """No backward pass: for a network in use."""
    p, m, v = check_sizes("forward_only", stages=stages, microbatches=microbatches, chunks=chunks)
    order = tuple(Forward(k, c) for c in range(v) for k in range(m))
    return PipelineSchedule("forward only", p, m, v, (order,) * p)


def alternate(forward: Sequence[Work], backward: Sequence[Work], warm_up: int) -> tuple[Work, ...]:
    """``warm_up`` passes forward, then one forward and one backward in turn, then the rest backward."""
    warm_up = min(warm_up, len(forward))
    pairs = [work for pair in zip(forward[warm_up:], backward, strict=False) for work in pair]
    return (*forward[:warm_up], *pairs, *backward[len(forward) - warm_up :])


def idle_share(stages: int, microbatches: int, chunks: int = 1) -> float:
    """(p - 1) / (v m + p - 1): which part of the time stages wait, if all are equally fast and messages take none.

    For GPipe and 1F1B alike (v = 1), and for the interleaved schedule. ``simulate`` tells it for any times.
    """
    p, m, v = check_sizes("idle_share", stages=stages, microbatches=microbatches, chunks=chunks)
    return (p - 1) / (v * m + p - 1)


PIPELINE_SCHEDULES: Registry[PipelineSchedule] = Registry(
    "pipeline schedule",
    {"model-parallel": model_parallel, "GPipe": gpipe, "1F1B": one_f_one_b, "interleaved": interleaved},
)


def make_pipeline_schedule(name: str, stages: int, **options: int) -> PipelineSchedule:
    """The schedule of this name, as in ``make_pipeline_schedule("1F1B", 2, microbatches=8)``.

    Raises ``InputError`` for an unknown name, an unknown or missing option, and whatever the schedule refuses.
    """
    return PIPELINE_SCHEDULES.make(name, stages, **options)


def check_sizes(where: str, **sizes: int) -> tuple[int, ...]:
    """All of them as ints. Raises ``InputError`` unless they are integers of at least 1."""
    return tuple(check_integer(f"{where}: {name}", value, 1) for name, value in sizes.items())
