"""The next batches are prepared in a thread while the current one is computed."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from typing import TypeVar

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_integer
from mlp.data.batches import Batches
from mlp.solver.step import Batch, Step, prepare

T = TypeVar("T")


def prepare_ahead(
    epoch: Iterator[tuple[Array, Array]], batches: Batches, step: Step, rng: np.random.Generator, count: int
) -> Generator[Batch, None, None]:
    """The same batches, to the bit, of which up to ``count`` are prepared before they are asked for.

    However far the thread is ahead, ``rng`` stands where the batch that was taken last has left it: a run that is
    saved here goes on from here.
    """
    with closing(ahead(prepare(epoch, batches, step, copy.deepcopy(rng)), count)) as ready:
        for batch in ready:
            rng.bit_generator.state = batch.state
            yield batch


def check_prefetch(prefetch: int, step: Step) -> int:
    """Raise ``InputError`` for a negative number, or a transform that has to wait for the weights of its step."""
    count = check_integer("prefetch", prefetch, 0)
    if count and getattr(step.transform, "uses_network", False):
        raise InputError(
            f"prefetch: got {count}; accepted: 0 with {step.transform!r}, which needs the weights of its own step"
        )
    return count


def ahead(items: Iterator[T], count: int) -> Generator[T, None, None]:
    """The same items in the same order, of which up to ``count`` are made in advance by a thread.

    An error in making one is raised when it is its turn. The thread ends with this iterator: at its end, when it is
    closed, and when the consumer fails or is interrupted, after the item under way.
    """
    context = copy_context()  # what np.errstate says here holds there

    def make() -> T | None:
        return context.run(next, items, None)

    with ThreadPoolExecutor(1, "prefetch") as thread:
        try:
            waiting = deque(thread.submit(make) for _ in range(count))
            while (item := waiting.popleft().result()) is not None:
                waiting.append(thread.submit(make))
                yield item
        finally:
            thread.shutdown(cancel_futures=True)
