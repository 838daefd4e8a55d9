"""What a machine can do, in five numbers, and how long products, passes over memory and messages then take."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mlp.checks import InputError, check_integer, check_number, check_positive


@dataclass(frozen=True)
class Machine:
    """A rank of a machine, and the line between any two of them; all ranks are alike.

    ``flops``               floating-point operations a second, in matrix products
    ``latency``             α, seconds that a message takes however short it is
    ``bandwidth``           β, bytes a second that a rank can send
    ``memory_bandwidth``    bytes a second that pass between a rank's arithmetic and its memory
    ``memory_bytes``        what a rank may hold
    ``send_latency``, ``send_bandwidth``    those of single messages, if they differ from those in collectives

    ``measure_machine`` finds them out. Collectives of N ranks over S bytes take, in a ring,

        all-gather, reduce-scatter     (N - 1) (α + S / (N β))
        all-reduce                   2 (N - 1) (α + S / (N β))

    and with ``collectives="halving"``, for N a power of 2, log₂ N steps in place of N - 1, of the same bytes:

        all-gather, reduce-scatter     log₂ N · α + (N - 1) / N · S / β
        all-reduce                   2 log₂ N · α + 2 (N - 1) / N · S / β

    (other N: log₂ N rounded up). Sums are counted with the messages. Raises ``InputError`` for numbers that are
    not above 0, and a latency below 0.

    Thakur, Rabenseifner & Gropp, "Optimization of collective communication operations in MPICH", Int. J. High
    Perform. Comput. Appl. 19, 2005.
    """

    flops: float
    latency: float = 0.0
    bandwidth: float = math.inf
    memory_bandwidth: float = math.inf
    memory_bytes: float = math.inf
    send_latency: float | None = None
    send_bandwidth: float | None = None
    collectives: str = "ring"

    def __post_init__(self) -> None:
        for name in ("latency", "send_latency"):
            if getattr(self, name) is not None:
                check_number(f"Machine: {name}", getattr(self, name), 0)
        for name in ("flops", "bandwidth", "memory_bandwidth", "memory_bytes", "send_bandwidth"):
            if getattr(self, name) not in (None, math.inf):
                check_positive(f"Machine: {name}", getattr(self, name))
        if self.collectives not in ("ring", "halving"):
            raise InputError(f"Machine: collectives must be 'ring' or 'halving', got {self.collectives!r}")

    def all_gather(self, size: float, ranks: int) -> float:
        """Seconds until N ranks have all of ``size`` bytes, of which each had its part."""
        steps = ranks - 1 if self.collectives == "ring" else math.ceil(math.log2(ranks))
        return steps * self.latency + (ranks - 1) / ranks * size / self.bandwidth

    def reduce_scatter(self, size: float, ranks: int) -> float:
        """Seconds until each of N ranks has its part of the sum of arrays of ``size`` bytes."""
        return self.all_gather(size, ranks)

    def all_reduce(self, size: float, ranks: int) -> float:
        """Seconds until N ranks have the sum of arrays of ``size`` bytes: a reduce-scatter and an all-gather."""
        return self.reduce_scatter(size, ranks) + self.all_gather(size, ranks)

    def send(self, size: float) -> float:
        """Seconds until a message of ``size`` bytes has come from one rank to another: α + S / β."""
        latency = self.latency if self.send_latency is None else self.send_latency
        bandwidth = self.bandwidth if self.send_bandwidth is None else self.send_bandwidth
        return latency + size / bandwidth

    def product(self, rows: float, columns: float, inner: float, itemsize: int) -> float:
        """Seconds for (rows, inner) times (inner, columns): 2 · rows · inner · columns operations, and every number
        of the three matrices once through the memory. So thin slices take more than their share.
        """
        numbers = rows * inner + inner * columns + rows * columns
        return 2 * rows * inner * columns / self.flops + self.passes(numbers, itemsize)

    def passes(self, numbers: float, itemsize: int) -> float:
        """Seconds to read or write so many numbers."""
        return numbers * itemsize / self.memory_bandwidth


def amdahl_speed_up(serial_share: float, ranks: float) -> float:
    """1 / (s + (1 - s) / N): how much faster N ranks are than one, if a share s of one's time cannot be divided.

    Its limit for ever more ranks (``ranks=math.inf``) is 1 / s. Raises ``InputError`` unless 0 <= s <= 1 and
    N >= 1.

    Amdahl, "Validity of the single processor approach to achieving large scale computing capabilities", AFIPS 1967.
    """
    s = check_number("serial_share", serial_share, 0, 1)
    if ranks == math.inf:
        return math.inf if s == 0 else 1 / s
    return 1 / (s + (1 - s) / check_number("ranks", ranks, 1))


def slices_at_most(length: int, ranks: int) -> int:
    """The longest of the slices into which ``length`` rows are divided: length / ranks, rounded up."""
    return -(-check_integer("length", length, 1) // check_integer("ranks", ranks, 1))
