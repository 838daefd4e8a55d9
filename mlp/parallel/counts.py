"""How often ranks spoke to each other and how many bytes that took, so that nobody has to guess a cost."""

from __future__ import annotations

from dataclasses import dataclass

# What a rank sends, in units of (N - 1)/N of the payload, if N ranks stand in a ring and each sends to the next.
RING = {"all_reduce": 2, "all_gather": 1, "reduce_scatter": 1, "broadcast": 1, "gather_lengths": 1}


@dataclass
class Count:
    """The calls of one kind by one rank among ``ranks``.

    ``payload_bytes`` is the size of the whole array that a call is about: the one summed (all_reduce,
    reduce_scatter), the gathered one (all_gather), the one sent, received or broadcast. A barrier has none.
    """

    name: str
    ranks: int
    calls: int = 0
    payload_bytes: int = 0

    @property
    def wire_bytes(self) -> float:
        """Bytes that this rank sends, on average over the ranks, where ranks stand in a ring of N:

            all_reduce                                  2 (N - 1)/N · payload
            all_gather, reduce_scatter, broadcast         (N - 1)/N · payload
            send                                                      payload
            receive, barrier                                                0

        Nobody can do with less (Patarasuk & Yuan, "Bandwidth optimal all-reduce algorithms for clusters of
        workstations", J. Parallel Distrib. Comput. 69, 2009). It is a model, the same for every communicator:
        threads send nothing, as they read each other's memory, and MPI sends short arrays whole.
        """
        if self.name in RING:
            return RING[self.name] * (self.ranks - 1) * self.payload_bytes / self.ranks
        return float(self.payload_bytes) if self.name == "send" else 0.0


class Counts(dict[str, Count]):
    """A ``Count`` for each kind of call: ``communicator.counts["all_reduce"].calls``. ``clear()`` begins anew."""

    def __init__(self, ranks: int) -> None:
        super().__init__()
        self.ranks = ranks

    def __missing__(self, name: str) -> Count:
        return Count(name, self.ranks)

    def add(self, name: str, payload_bytes: int) -> None:
        """One more call."""
        count = self.setdefault(name, Count(name, self.ranks))
        count.calls += 1
        count.payload_bytes += payload_bytes

    @property
    def wire_bytes(self) -> float:
        """Those of all kinds together."""
        return sum(count.wire_bytes for count in self.values())

    def __str__(self) -> str:
        lines = [f"{'':<16}{'calls':>10}{'payload bytes':>18}{'wire bytes':>18}"]
        for name, count in sorted(self.items()):
            lines.append(f"{name:<16}{count.calls:>10,}{count.payload_bytes:>18,}{count.wire_bytes:>18,.0f}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from mlp.display.html import table

        rows = [
            [name, f"{c.calls:,}", f"{c.payload_bytes:,}", f"{c.wire_bytes:,.0f}"]
            for name, c in sorted(self.items())
        ]
        return table(["", "calls", "payload bytes", "wire bytes"], rows)
