"""What became of a run of several processes: from what its ranks reported, and from which of them are missed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

# What a program that ends with this status has said itself: bad input, and Ctrl-C.
SAID = {2, 130}
# How the report of a rank begins that waited for another one in vain: others are to blame.
IN_VAIN = "CommunicatorError"


class Event(NamedTuple):
    """What happened to a rank: it has "started" (``message`` is its process), "failed" (why), "left" (its exit
    status), "ended", or is "gone", as the launcher found; "memory" is a file that it shares with the others."""

    rank: int
    event: str
    message: str


Verdict = tuple[str, int]  # what is left to say, the exit status


def explain(events: Sequence[Event], status: int, ranks: int) -> Verdict:
    """What to say of a run that is over, and its exit status: ("", 0) if every rank came to its end with 0.

    ``status`` is that of mpiexec. The cause is named, not who suffered from it.
    """
    for cause in (someone_gone, someone_failed, someone_left, someone_waited_in_vain):
        if verdict := cause(events):
            return verdict
    if status:
        return f"mpiexec ended with exit status {status}", status
    missed = sorted(set(range(ranks)) - {e.rank for e in events if e.event == "ended"})
    return "; ".join(f"rank {rank} never came to its end" for rank in missed), int(bool(missed))


def someone_gone(events: Sequence[Event]) -> Verdict | None:
    """Killed by the system or by somebody, or ``os._exit``."""
    gone = [f"rank {e.rank} is gone: killed, or ended without a word" for e in events if e.event == "gone"]
    return ("; ".join(gone), 1) if gone else None


def someone_failed(events: Sequence[Event]) -> Verdict | None:
    """By an error of its own."""
    failed = [e for e in events if e.event == "failed" and not e.message.startswith(IN_VAIN)]
    return (f"rank {failed[0].rank} failed: {failed[0].message}", 1) if failed else None


def someone_left(events: Sequence[Event]) -> Verdict | None:
    """By ``sys.exit``."""
    left = {e.rank: int(e.message) for e in events if e.event == "left" and e.message != "0"}
    if not left:
        return None
    status = max(left.values())
    told = "; ".join(f"rank {rank} left with exit status {number}" for rank, number in left.items())
    return "" if status in SAID else told, status


def someone_waited_in_vain(events: Sequence[Event]) -> Verdict | None:
    """For what another one did not do."""
    failed = [e for e in events if e.event == "failed"]
    return (f"rank {failed[0].rank} failed: {failed[0].message}", 1) if failed else None
