"""The numbers of a ``Machine``, measured where this runs: products, passes over memory, collectives, messages."""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from mlp.checks import InputError, check_integer
from mlp.parallel.communicator import Communicator
from mlp.studies.cost.machine import Machine

SIZES = tuple(2**k for k in range(10, 26))  # bytes, 1 KiB to 32 MiB
STREAM = 2**22  # numbers in an array that is in no cache
MOST_WEIGHTS = 2**24  # of a matrix that is multiplied here: wider layers are measured by narrower ones


def measure_machine(
    communicator: Communicator,
    widths: Sequence[int] = (784, 1024, 1024, 10),
    rows: Sequence[int] = (32, 128, 512),
    repeats: int = 7,
    sizes: Sequence[int] = SIZES,
) -> Machine:
    """A rank of this machine while all ranks of ``communicator`` are at work, which all call this; same on all.

    Every time is the median of ``repeats``, of the rank that took longest. A line t = a + c S through the times of
    several ``sizes`` S in bytes, by least squares of the relative errors, gives latencies and bandwidths: of the
    all-reduce, a = 2 (N - 1) α and c = 2 (N - 1) / (N β), and of messages there and back between ranks 0 and 1.
    ``flops`` is from products of float32 matrices of these ``widths`` with so many ``rows``. On a single rank
    messages take no time. ``memory_bytes`` is the rank's share of what the machine has, if it says so.

    Raises ``InputError`` for fewer than two widths, sizes or rows below 1.
    """
    if len(widths) < 2 or len(rows) < 1 or len(sizes) < 2:
        raise InputError(
            f"measure_machine: two widths, two sizes and one number of rows are needed, got {widths!r}"
        )
    for name, values in (("widths", widths), ("rows", rows), ("sizes", sizes)):
        for value in values:
            check_integer(f"measure_machine: each of {name}", value, 1)
    watch = Watch(communicator, check_integer("measure_machine: repeats", repeats, 1))
    memory_bandwidth = measure_memory_bandwidth(watch)
    machine = Machine(
        flops=measure_flops(watch, widths, rows, memory_bandwidth),
        memory_bandwidth=memory_bandwidth,
        memory_bytes=physical_memory() / communicator.size,
    )
    if communicator.size == 1:
        return machine
    N = communicator.size
    start, slope = fit_line(sizes, [time_all_reduce(watch, size) for size in sizes])
    send_start, send_slope = fit_line(sizes, [time_message(watch, size) for size in sizes])
    return Machine(
        machine.flops,
        start / (2 * (N - 1)),
        2 * (N - 1) / (N * slope) if slope else math.inf,
        memory_bandwidth,
        machine.memory_bytes,
        send_start,
        1 / send_slope if send_slope else math.inf,
    )


class Watch:
    """Times a call on all ranks at once."""

    def __init__(self, communicator: Communicator, repeats: int) -> None:
        self.communicator, self.repeats = communicator, repeats

    def median(self, call: Callable[[], object]) -> float:
        """The median of the seconds it takes, after one call that does not count, on the slowest rank."""
        call()
        times = []
        for _ in range(self.repeats):
            self.communicator.barrier()
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return float(self.communicator.all_reduce(np.array(statistics.median(times)), "max"))


def measure_memory_bandwidth(watch: Watch) -> float:
    """Bytes a second of a += b with long arrays: two are read, one is written."""
    a, b = np.zeros(STREAM, np.float32), np.ones(STREAM, np.float32)
    return 3 * a.nbytes / watch.median(lambda: np.add(a, b, out=a))


def measure_flops(watch: Watch, widths: Sequence[int], rows: Sequence[int], memory_bandwidth: float) -> float:
    """F in t = FLOPs / F + bytes / memory bandwidth, as in ``Machine.product``, by least squares of t's relative
    errors.
    """
    rng = np.random.default_rng(0)
    operations, rest, times = [], [], []
    for fan_in, fan_out in sorted({(i, o) for i, o in pairwise(widths) if i * o <= MOST_WEIGHTS}) or [(1024, 1024)]:
        W = rng.random((fan_in, fan_out), np.float32)
        for n in rows:
            x, y = rng.random((n, fan_in), np.float32), np.empty((n, fan_out), np.float32)
            seconds = watch.median(lambda x=x, W=W, y=y: np.matmul(x, W, out=y))  # type: ignore[misc]
            operations.append(2 * n * fan_in * fan_out)
            rest.append((W.nbytes + x.nbytes + y.nbytes) / memory_bandwidth)
            times.append(seconds)
    A, t = np.array(operations) / np.array(times), 1 - np.array(rest) / np.array(times)
    # Large products say most about F: relative errors, weighted by work.
    weight = np.array(operations, float)
    share = float((weight * A * t).sum() / (weight * A * A).sum())
    best = float(A.max())
    return min(1 / share, 2 * best) if share > 0 else best


def time_all_reduce(watch: Watch, size: int) -> float:
    """Seconds for so many bytes of float32 numbers."""
    x = np.zeros(max(1, size // 4), np.float32)
    return watch.median(lambda: watch.communicator.all_reduce(x, out=x))


def time_message(watch: Watch, size: int) -> float:
    """Seconds for a message from rank 0 to rank 1: half of the way there and back."""
    communicator, x = watch.communicator, np.zeros(max(1, size // 4), np.float32)

    def there_and_back() -> None:
        if communicator.rank == 0:
            communicator.send(x, 1)
            communicator.receive(x, 1)
        elif communicator.rank == 1:
            communicator.receive(x, 0)
            communicator.send(x, 0)

    return watch.median(there_and_back) / 2


def fit_line(sizes: Sequence[float], times: Sequence[float]) -> tuple[float, float]:
    """a, c >= 0 with times ≈ a + c · sizes: least squares of the relative errors."""
    S, t = np.asarray(sizes, float), np.asarray(times, float)
    A = np.stack([1 / t, S / t], axis=1)
    a, c = np.linalg.lstsq(A, np.ones(len(t)), rcond=None)[0].tolist()
    if a < 0:
        return 0.0, float((A[:, 1]).sum() / (A[:, 1] ** 2).sum())
    if c < 0:
        return float((A[:, 0]).sum() / (A[:, 0] ** 2).sum()), 0.0
    return a, c


def physical_memory() -> float:
    """Bytes of this machine; infinite where that is not to be found out."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return math.inf
