"""Checkpoints of a pipeline are those of the serial network: whole state from the stages' parts, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.network import Network
from mlp.optim.base import Optimizer
from mlp.parallel.communicator import Communicator
from mlp.parameter import ParameterVector, check_state


class SerialState:
    """What the state of the serial network looks like, and which stage has which part of it.

    ``stages`` are those of the network's layers; ``own`` are this stage's arrays, by their names in the serial
    network. All ranks call the methods that gather, which give every rank the whole.
    """

    def __init__(
        self, network: Network, stages: Sequence[int], own: Mapping[str, Array], communicator: Communicator
    ) -> None:
        self.communicator = communicator
        # Shapes and dtypes of all arrays, without their memory.
        self.whole = {n: np.broadcast_to(a.dtype.type(0), a.shape) for n, a in network.state_dict().items()}
        self.stage_of = {name: stages[int(name.partition(".")[0])] for name in self.whole}
        self.own = {name: own[name] for name, stage in self.stage_of.items() if stage == communicator.rank}
        self.parameters = [p.name for p in network.parameters]

    def gather(self) -> dict[str, Array]:
        """The ``state_dict`` of the serial network."""
        return {name: self._from_owner(name, self.own, a.dtype) for name, a in self.whole.items()}

    def load(self, state: Mapping[str, Array]) -> None:
        """Take this stage's part. Raises ``InputError``, and changes nothing, unless it fits the whole network."""
        check_state(state, self.whole)
        for name, array in self.own.items():
            array[...] = state[name]

    def gather_optimizer(self, optimizer: Optimizer) -> dict[str, Array]:
        """The optimizer's ``state_dict`` as it would be over the serial network.

        Arrays with one number for each parameter are put together; all others are the same on all stages.
        """
        vector = optimizer.parameters
        return {
            name: self._gather_vector(vector, array) if array.shape == (vector.size,) else array
            for name, array in optimizer.state_dict().items()
        }

    def load_optimizer(self, optimizer: Optimizer, state: Mapping[str, Array]) -> None:
        """Take this stage's part of it. Raises ``InputError``, as the optimizer does, unless it fits."""
        sizes = [self.whole[name].size for name in self.parameters]
        mine = {p.name for p in optimizer.parameters}

        def part_of(array: Array) -> Array:
            if np.shape(array) != (sum(sizes),):
                return array
            pieces = zip(self.parameters, np.split(array, np.cumsum(sizes)[:-1]), strict=True)
            return np.concatenate([piece for name, piece in pieces if name in mine])

        optimizer.load_state_dict({name: part_of(array) for name, array in state.items()})

    def _gather_vector(self, vector: ParameterVector, array: Array) -> Array:
        pieces = np.split(array, np.cumsum([p.size for p in vector])[:-1])
        own = {p.name: piece.reshape(p.shape) for p, piece in zip(vector, pieces, strict=True)}
        return np.concatenate([self._from_owner(n, own, array.dtype).reshape(-1) for n in self.parameters])

    def _from_owner(self, name: str, own: Mapping[str, Array], dtype: np.dtype[Any]) -> Array:
        array = own[name].copy() if name in own else np.empty(self.whole[name].shape, dtype)
        return self.communicator.broadcast(array, self.stage_of[name])


def gather_json(communicator: Communicator, mine: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON-able entries of all ranks' dictionaries, on every rank."""
    text = np.frombuffer(json.dumps(mine).encode(), np.uint8)
    sizes = communicator.gather_lengths(len(text))
    texts = np.split(communicator.all_gather(text, sizes=sizes), np.cumsum(sizes)[:-1])
    together: dict[str, Any] = {}
    for text in texts:
        together |= json.loads(text.tobytes())
    return together


def rename(serial_name: Callable[[str], str], network: Network) -> dict[str, Array]:
    """Call layers and parameters of a stage by their names in the serial network; returns parameters and
    statistics by name: the arrays themselves."""
    for path, layer in network.body.descendants():
        if "." in path:
            layer.name = f"layer {serial_name(path)} {layer!r}"
    for p in network.parameters:
        p.name = serial_name(p.name)
    statistics = {serial_name(name): array for name, array in network.body.statistics().items()}
    return {p.name: p.data for p in network.parameters} | statistics
