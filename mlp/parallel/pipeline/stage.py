"""The layers of a network that one rank of a pipeline has: its parameters, its part of every checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.checks import check_number
from mlp.layers.containers import Sequential
from mlp.network import Network
from mlp.optim import Optimizer
from mlp.optim.clipping import norm
from mlp.parallel.communicator import Communicator
from mlp.parallel.pipeline.partition import balanced_cuts, check_costs, check_cuts, check_stages
from mlp.parallel.pipeline.state import SerialState, gather_json, rename
from mlp.parameter import ParameterVector


class PipelineStage:
    """One stage of a network that is cut into ``parts``: those that fall to this rank.

    ``parameters`` is the flat vector of this stage alone. ``network`` has a Sequential for each of its parts, with
    the names of the serial network, which is left as it is. See ``Pipeline`` for ``cuts`` and ``costs``.
    """

    def __init__(
        self,
        network: Network,
        communicator: Communicator,
        parts: int,
        cuts: Sequence[int] | None = None,
        costs: Sequence[float] | None = None,
    ) -> None:
        self.communicator, self.stage, self.stages = communicator, communicator.rank, communicator.size
        self.dtype, self.in_features, self.out_features = network.dtype, network.in_features, network.out_features
        if cuts is None:
            cuts = balanced_cuts(check_costs(costs, network), parts, self.stages)
        self.cuts = check_cuts(cuts, len(network), parts)
        edges = [*pairwise((0, *self.cuts, len(network)))]
        stages = [part % self.stages for part, (begin, end) in enumerate(edges) for _ in range(begin, end)]
        check_stages(network.layers, stages, self.stages)
        self._edges = edges[self.stage :: self.stages]
        self.network = self._copy(network)
        self.parameters: ParameterVector = self.network.parameters
        self._state = SerialState(network, stages, rename(self._serial_name, self.network), communicator)

    def _copy(self, network: Network) -> Network:
        """This stage's layers, as a network of one Sequential for each of its parts."""
        bodies = []
        for begin, end in self._edges:
            body = Sequential(*network.layers[begin:end])
            # Its neighbours on this stage are not those in the whole network: their widths need not fit.
            body.in_features = body.out_features = None
            bodies.append(body)
        # What layers share, their copies share too: the copy is made of all of them at once.
        return Network(*Sequential(*bodies).astype(self.dtype), dtype=self.dtype)

    def _serial_name(self, name: str) -> str:
        """That of "1.0.weight", layer 0 in part 1 of this stage, is "4.weight" if the part begins with layer 4."""
        part, layer, *rest = name.split(".")
        return ".".join([str(self._edges[int(part)][0] + int(layer)), *rest])

    def global_norm(self) -> float:
        """|g| for the gradient g of all parameters of all stages, on all ranks, which all call this."""
        norms = self.communicator.all_gather(np.array([norm(self.parameters.grad)]), sizes=[1] * self.stages)
        return math.hypot(*norms.tolist())

    def clip_by_norm(self, limit: float) -> float:
        """g ← g · min(1, limit / |g|) for all stages together, as ``mlp.optim.clip_by_norm`` does it; returns |g|.

        All ranks call this. Raises ``InputError`` for limit < 0.
        """
        limit = check_number("Pipeline: limit", limit, 0)
        before = self.global_norm()
        if limit < before < math.inf:
            self.parameters.grad[...] *= limit / before
        return before

    def state_dict(self) -> dict[str, Array]:
        """The ``state_dict`` of the serial network, on all ranks, which all call this."""
        return self._state.gather()

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Take this stage's part from that of a serial network. Raises ``InputError`` unless it fits all of it."""
        self._state.load(state)

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Array]:
        """The optimizer's ``state_dict`` as the serial network's would be, on all ranks, which all call this."""
        return self._state.gather_optimizer(optimizer)

    def load_optimizer_state(self, optimizer: Optimizer, state: Mapping[str, Array]) -> None:
        """Take this stage's part from the state of the serial network's optimizer."""
        self._state.load_optimizer(optimizer, state)

    def generators(self) -> dict[str, np.random.Generator]:
        """The random generators of this stage's layers, by their names in the serial network."""
        return {self._serial_name(name): rng for name, rng in self.network.generators().items()}

    def generator_states(self) -> dict[str, Any]:
        """The states of all stages' generators by name, on all ranks, which all call this."""
        return gather_json(self.communicator, {n: rng.bit_generator.state for n, rng in self.generators().items()})

    def load_generator_states(self, states: Mapping[str, Any]) -> None:
        """Let this stage's generators go on from there."""
        for name, rng in self.generators().items():
            rng.bit_generator.state = states[name]
