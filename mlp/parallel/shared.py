"""What all ways of training on several ranks have in common: a communicator, and what is agreed over it."""

from __future__ import annotations

import numpy as np

from mlp.network import Network
from mlp.parallel.communicator import Communicator
from mlp.solver.trainable import Trainable


class SharedTraining(Trainable):
    """A network that the ranks of ``communicator`` train together."""

    def __init__(self, network: Network, communicator: Communicator) -> None:
        super().__init__(network)
        self.communicator, self.is_first = communicator, communicator.rank == 0
        self._is_stop_agreed = False  # in the last step

    def agree(self, wanted: bool) -> bool:
        return bool(self.communicator.broadcast(np.array([wanted], np.int8))[0])

    def take_interrupt(self) -> bool:
        # Every step sums up over the ranks who was asked: a word of its own for it would cost a round more.
        taken, self._is_stop_agreed = self._is_stop_agreed, False
        if taken:
            self.forget_interrupts()
        return taken

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.communicator!r})"
