"""The layers of a network that one rank of a pipeline has: its parameters, its part of every checkpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.checks import check_state
from mlp.layers.containers import Sequential
from mlp.network import Network
from mlp.optim.clipping import norm
from mlp.optim.regularizers import Regularizer
from mlp.parallel.communicator import Communicator
from mlp.parallel.pipeline.partition import balanced_cuts, check_costs, check_cuts, check_stages
from mlp.parallel.shared import SharedTraining
from mlp.solver.pieces import pieces, placeholders


class PipelineStage(SharedTraining):
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
        super().__init__(network, communicator)
        self.stage, self.stages = communicator.rank, communicator.size
        if cuts is None:
            cuts = balanced_cuts(check_costs(costs, network), parts, self.stages)
        self.cuts = check_cuts(cuts, len(network), parts)
        edges = [*pairwise((0, *self.cuts, len(network)))]
        stages = [part % self.stages for part, (begin, end) in enumerate(edges) for _ in range(begin, end)]
        check_stages(network.layers, stages, self.stages)
        self._edges = edges[self.stage :: self.stages]
        # What the state of the serial network looks like, and which stage has which part of it.
        self._whole: dict[str, Array] = {}
        for name, array in network.state_dict().items():
            self._whole |= placeholders({name: array.shape}, array.dtype)
        self._stage_of = {name: stages[int(name.partition(".")[0])] for name in self._whole}
        self._parameter_shapes = {p.name: p.shape for p in network.parameters}
        self.network = self._copy(network)
        self._own = self._rename()

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

    def _rename(self) -> dict[str, Array]:
        """Call layers and parameters by their names in the serial network; returns this stage's arrays by name."""
        for path, layer in self.network.body.descendants():
            if "." in path:
                layer.name = f"layer {self._serial_name(path)} {layer!r}"
        for p in self.parameters:
            p.name = self._serial_name(p.name)
        statistics = {self._serial_name(name): array for name, array in self.network.body.statistics().items()}
        own = {p.name: p.data for p in self.parameters} | statistics
        return {name: own[name] for name, stage in self._stage_of.items() if stage == self.stage}

    def penalise(self, regularizer: Regularizer) -> float:
        """Add dR/dw to the gradient; returns R(w), the sum over the stages."""
        return float(self.communicator.all_reduce(np.array(super().penalise(regularizer))))

    def global_norm(self) -> float:
        """|g| for the gradient g of all parameters of all stages, on all ranks, which all call this."""
        norms = self.communicator.all_gather(np.array([norm(self.parameters.grad)]), sizes=[1] * self.stages)
        return math.hypot(*norms.tolist())

    # State, which is that of the whole network: each rank has its stage's part, and all ranks put it together.

    def state_dict(self) -> dict[str, Array]:
        return {name: self._from_owner(name, self._own, a.dtype) for name, a in self._whole.items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        check_state(state, self._whole)
        for name, array in self._own.items():
            array[...] = state[name]

    def gather_vector(self, vector: Array) -> Array:
        own = pieces(vector, {p.name: p.shape for p in self.parameters})
        return np.concatenate(
            [self._from_owner(name, own, vector.dtype).reshape(-1) for name in self._parameter_shapes]
        )

    def take_vector(self, whole: Array) -> Array:
        parts = pieces(whole, self._parameter_shapes)
        return np.concatenate([parts[p.name].reshape(-1) for p in self.parameters])

    def _from_owner(self, name: str, own: Mapping[str, Array], dtype: np.dtype[Any]) -> Array:
        array = own[name].copy() if name in own else np.empty(self._whole[name].shape, dtype)
        return self.communicator.broadcast(array, self._stage_of[name])

    def generators(self) -> dict[str, np.random.Generator]:
        """The random generators of this stage's layers, by their names in the serial network."""
        return {self._serial_name(name): rng for name, rng in self.network.generators().items()}

    def generator_states(self) -> dict[str, Any]:
        mine = {name: rng.bit_generator.state for name, rng in self.generators().items()}
        text = np.frombuffer(json.dumps(mine).encode(), np.uint8)
        sizes = self.communicator.gather_lengths(len(text))
        texts = np.split(self.communicator.all_gather(text, sizes=sizes), np.cumsum(sizes)[:-1])
        together: dict[str, Any] = {}
        for of_stage in texts:
            together |= json.loads(of_stage.tobytes())
        return together

    def load_generator_states(self, states: Mapping[str, Any]) -> None:
        for name, rng in self.generators().items():
            rng.bit_generator.state = states[name]
