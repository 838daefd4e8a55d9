"""The next message, whoever sends it: what a server waits for that answers ranks as they come."""

from __future__ import annotations

from collections.abc import Sequence

from mlp.checks import InputError
from mlp.parallel.communicator import Communicator
from mlp.parallel.mpi import MPICommunicator, Steps
from mlp.parallel.process import Operation
from mlp.parallel.threads import ThreadCommunicator


def wait_for_any(communicator: Communicator, sources: Sequence[int], tag: int = 0) -> int:
    """Wait until an array with this ``tag`` is there from one of the ranks ``sources``, and say from which.

    If there are several, it is the first in ``sources``: who was answered last should stand last. Raises
    ``CommunicatorError`` as ``receive`` does, and ``InputError`` for a rank that is alone.
    """
    text = f"wait for rank {', '.join(map(str, sources))} with tag {tag}"
    if isinstance(communicator, ThreadCommunicator):
        return _wait_for_threads(communicator, text, sources, tag)
    if isinstance(communicator, MPICommunicator):
        return _wait_for_processes(communicator, text, sources, tag)
    raise InputError(f"{text}: there is nobody else who could send it, in {communicator!r}")


def _wait_for_threads(communicator: ThreadCommunicator, text: str, sources: Sequence[int], tag: int) -> int:
    group, world = communicator._shared, communicator._world

    def ready() -> bool:
        return any(group.messages[source, communicator.rank, tag] for source in sources)

    with world.changed:
        members = [group.members[source] for source in sources]
        world.wait_until(ready, group.members[communicator.rank], text, lambda: members)
        return next(source for source in sources if group.messages[source, communicator.rank, tag])


def _wait_for_processes(communicator: MPICommunicator, text: str, sources: Sequence[int], tag: int) -> int:
    found: list[int] = []

    def steps() -> Steps:
        while not found:
            found.extend(source for source in sources if communicator._mail.Iprobe(source, tag))
            yield []

    members = [communicator._members[source] for source in sources]
    Operation(communicator.process, steps(), text, "messages", 0, members).wait()
    return found[0]
