"""The contenders of scripts/benchmark_parallel.py: one training step, on one rank and in each parallel mode.

A problem is a network with a batch; a contender is a way to train it. All contenders of a problem start from the
same weights and see the same batch, so their losses have to agree, step by step.
"""

from __future__ import annotations

from dataclasses import dataclass

TARGET_SPEED_UP = 1.6
TARGET_OF_SCHEDULE = 0.85


@dataclass(frozen=True)
class Problem:
    """A network of these widths with ReLUs between its layers, pairs of which are an ``Mlp`` each if ``blocks``."""

    title: str
    widths: tuple[int, ...]
    batch: int
    blocks: bool = False
    microbatches: int = 1  # of the pipelines


@dataclass(frozen=True)
class Contender:
    """A mode, by its name in ``mlp.studies.cost.model``; ``is_serial`` for the ones on a single rank."""

    name: str
    mode: str
    is_serial: bool = False
    microbatches: int = 1
    target: float | None = None  # the speed-up to reach


PROBLEMS = {
    "data": Problem("784-1024-1024-10, batch 512", (784, 1024, 1024, 10), 512),
    "tensor": Problem("784-4096-1024-4096-10, batch 256", (784, 4096, 1024, 4096, 10), 256, blocks=True),
    "pipeline": Problem(
        "784-1024-1024-1024-1024-10, batch 512", (784, 1024, 1024, 1024, 1024, 10), 512, microbatches=8
    ),
}
SERIAL = Contender("one rank", "data", is_serial=True)


def contenders(problem: Problem) -> list[Contender]:
    """The first one is what all others are compared with."""
    if problem.blocks:
        return [
            SERIAL,
            Contender("tensor", "tensor", target=TARGET_SPEED_UP),
            Contender("tensor, sequence parallel", "tensor, sequence parallel"),
        ]
    if problem.microbatches > 1:
        m = problem.microbatches
        return [
            SERIAL,
            Contender(f"one rank, {m} microbatches", "data", is_serial=True, microbatches=m),
            Contender("GPipe", "GPipe", microbatches=m),
            Contender("1F1B", "1F1B", microbatches=m),
        ]
    return [
        SERIAL,
        Contender("data", "data", target=TARGET_SPEED_UP),
        Contender("data, buckets", "data"),
        *(Contender(f"ZeRO-{stage}", f"ZeRO-{stage}") for stage in (1, 2, 3)),
    ]
