"""Checkpoints of a sharded network are those of the serial one: whole vectors from the ranks' slices, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np

from mlp.arrays import Array
from mlp.network import Network
from mlp.optim.base import Optimizer
from mlp.parallel.communicator import Communicator
from mlp.parallel.sharded.units import Unit
from mlp.parameter import ParameterVector, check_state


class ShardedState:
    """What the ranks hold in slices, as the serial network has it. All ranks call the methods that gather.

    ``network`` is a rank's, whose parameters are slices in ``shard`` already. ``shapes`` are those of the whole
    parameters by name, in the order of the flat vector.
    """

    def __init__(
        self, network: Network, shard: ParameterVector, units: Sequence[Unit], communicator: Communicator
    ) -> None:
        self.network, self.shard, self.units, self.communicator = network, shard, units, communicator
        self.shapes = {p.name: p.shape for unit in units for p in unit.parameters}
        self.size = sum(unit.size for unit in units)

    def gather_vector(self, vector: Array) -> Array:
        """One number for each parameter of the network, in its order, from one for each that this rank holds."""
        whole = np.empty(self.size, vector.dtype)
        for unit in self.units:
            self.communicator.all_gather(vector[unit.place], out=whole[unit.part], sizes=unit.sizes)
        return whole

    def take_slices(self, whole: Array) -> Array:
        """The way back: one number for each parameter that this rank holds."""
        return np.concatenate([whole[unit.part][unit.mine] for unit in self.units])

    def gather(self) -> dict[str, Array]:
        """The ``state_dict`` of the serial network: parameters, then running statistics."""
        return self._split(self.gather_vector(self.shard.data)) | self._statistics()

    def take(self, state: Mapping[str, Array]) -> dict[str, Array]:
        """What ``network.load_state_dict`` takes on this rank, from a ``state_dict`` of the serial network.

        Raises ``InputError`` unless that fits the whole network.
        """
        zero = self.shard.dtype.type(0)
        statistics = self._statistics()
        check_state(state, {n: np.broadcast_to(zero, shape) for n, shape in self.shapes.items()} | statistics)
        flat = np.concatenate([np.asarray(state[name], self.shard.dtype).reshape(-1) for name in self.shapes])
        parts = np.split(self.take_slices(flat), list(accumulate(p.size for p in self.shard))[:-1])
        own = {p.name: part.reshape(p.shape) for p, part in zip(self.shard, parts, strict=True)}
        return own | {name: state[name] for name in statistics}

    def gather_optimizer(self, optimizer: Optimizer) -> dict[str, Array]:
        """The optimizer's ``state_dict`` as it would be over the serial network.

        Arrays with one number for each parameter are put together; all others are the same on all ranks.
        """
        return {name: self.gather_like(array) for name, array in optimizer.state_dict().items()}

    def load_optimizer(self, optimizer: Optimizer, state: Mapping[str, Array]) -> None:
        """Take this rank's slices of it. Raises ``InputError``, as the optimizer does, unless it fits."""
        optimizer.load_state_dict({name: self.take_like(array) for name, array in state.items()})

    def gather_like(self, array: Array) -> Array:
        """``gather_vector`` of an array that has one number for each parameter; any other as it is."""
        is_vector = self.communicator.gather_lengths(int(array.shape == (self.shard.size,)))
        return self.gather_vector(array) if all(is_vector) else array

    def take_like(self, array: Array) -> Array:
        """The way back."""
        return self.take_slices(array) if np.shape(array) == (self.size,) else array

    def _split(self, whole: Array) -> dict[str, Array]:
        """The parameters by name from the flat vector of all of them: views."""
        ends = list(accumulate(math.prod(shape) for shape in self.shapes.values()))
        parts = np.split(whole, ends[:-1])
        return {n: part.reshape(shape) for (n, shape), part in zip(self.shapes.items(), parts, strict=True)}

    def _statistics(self) -> dict[str, Array]:
        """Copies of the running statistics by name."""
        return {name: array for name, array in self.network.state_dict().items() if name not in self.shapes}
