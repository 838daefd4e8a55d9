"""A single rank: parallel code runs serially with it, and its results are what several ranks are compared with."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence

import numpy as np

from mlp.arrays import Array
from mlp.parallel.calls import CommunicatorError, Handle
from mlp.parallel.communicator import Communicator


class SerialCommunicator(Communicator):
    """The communicator of a single rank, which has nobody to wait for: every collective is a copy."""

    def __init__(self, name: str = "world") -> None:
        super().__init__(0, 1, name)
        self._messages: defaultdict[int, deque[Array]] = defaultdict(deque)

    def _start_all_reduce(self, text: str, operation: np.ufunc, array: Array, out: Array) -> Handle:
        out[...] = array
        return Handle(out, lambda: None)

    def _all_gather(self, text: str, array: Array, out: Array, sizes: Sequence[int]) -> None:
        out[...] = array

    def _reduce_scatter(
        self, text: str, operation: np.ufunc, array: Array, out: Array, sizes: Sequence[int]
    ) -> None:
        out[...] = array

    def _broadcast(self, text: str, array: Array, root: int) -> None:
        pass

    def _send(self, array: Array, to: int, tag: int) -> None:
        self._messages[tag].append(array.copy())

    def _receive(self, text: str, out: Array, source: int, tag: int) -> None:
        if not self._messages[tag]:
            raise CommunicatorError(f"{text}: nothing was sent, and there is nobody else who could send it")
        message = self._messages[tag].popleft()
        check_message(text, message, out)
        out[...] = message

    def _barrier(self, text: str) -> None:
        pass

    def _group(self, ranks: list[int], name: str) -> Communicator:
        return SerialCommunicator(name)


def check_message(text: str, message: Array, out: Array) -> None:
    """Raise ``CommunicatorError`` unless the message is the array that was expected."""
    if message.shape != out.shape or message.dtype != out.dtype:
        raise CommunicatorError(f"{text}: {message.dtype} {message.shape} was sent")
