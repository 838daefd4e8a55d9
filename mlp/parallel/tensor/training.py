"""A network whose layers are divided among ranks, as a training step sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.layers import Layer, Linear, LogSoftmax, Softmax
from mlp.losses import Loss
from mlp.network import Network
from mlp.optim.regularizers import Regularizer
from mlp.parallel.communicator import Communicator
from mlp.parallel.data.replicated import DataParallel
from mlp.parallel.serial import SerialCommunicator
from mlp.parallel.tensor.layers import ColumnParallelLinear, RowParallelLinear
from mlp.parallel.tensor.state import (
    communicator_of,
    gather_state,
    gather_vector,
    global_norm,
    load_serial_state,
    shard_axes,
    take_vector,
    whole_shapes,
)
from mlp.solver.evaluation import Outcome


class TensorParallel(DataParallel):
    """Training of a network of parallel layers, each of which is divided among the ranks of its communicator.

        parallel = TensorParallel(divide_layers(network, communicator))

    Ranks may stand in a grid. Those in a row share the layers, whose communicator is theirs, and see the same
    samples; those in a column have the same part of the layers, and divide every batch, as in ``DataParallel``.
    ``column`` is the communicator of the latter, by default of a rank alone. All ranks have to make the same of a
    sample: a Dropout needs the same generator on all of them.
    """

    refused: ClassVar[Mapping[str, str]] = {
        "constraint": "the vectors that it shortens are divided among the ranks",
    }

    def __init__(self, network: Network, column: Communicator | None = None) -> None:
        super().__init__(network, column or SerialCommunicator())
        self.row = communicator_of(network)
        self.is_first = self.row.rank == self.communicator.rank == 0
        self.whole_size = sum(int(np.prod(shape)) for shape in whole_shapes(network).values())

    def training_step(self, x: Array, targets: Array, loss: Loss, **options: Any) -> Outcome:
        outcome = super().training_step(x, targets, loss, **options)
        g = self.parameters.grad
        overflowed = options.get("precision") is not None and not np.isfinite(g).all()
        # What a rank of the row alone can know, all of them have to.
        asked, overflowed = self.row.all_reduce(np.array([self._is_stop_agreed, overflowed], np.uint8), "max")
        self._is_stop_agreed = bool(asked)
        if overflowed:
            g[...] = np.inf
        return outcome

    def penalise(self, regularizer: Regularizer) -> float:
        """Add dR/dw to the gradient; returns R(w), in which replicated numbers count once."""
        axes = shard_axes(self.network)
        divided, replicated = (
            regularizer.penalty([p for p in self.parameters if (p.name in axes) is is_divided])
            for is_divided in (True, False)
        )
        regularizer.add_gradient(self.parameters)
        return replicated + float(self.row.all_reduce(np.array(divided)))

    def global_norm(self) -> float:
        return global_norm(self.network)

    def agree(self, wanted: bool) -> bool:
        return bool(self.row.broadcast(np.array([super().agree(wanted)], np.int8))[0])

    def state_dict(self) -> dict[str, Array]:
        return gather_state(self.network)

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        load_serial_state(self.network, state)

    def gather_vector(self, vector: Array) -> Array:
        return gather_vector(self.network, vector)

    def take_vector(self, whole: Array) -> Array:
        return take_vector(self.network, whole)


def divide_layers(network: Network, communicator: Communicator) -> Network:
    """This rank's part of ``network``: of two Linear layers in a row, columns of the first and rows of the second.

    The activation between the two works on the columns of a rank. A last Linear without a partner stays whole on
    all ranks. Raises ``InputError`` for other layers between the two than elementwise ones without parameters, and
    hidden sizes that the ranks do not divide.
    """
    places = [i for i, layer in enumerate(network) if isinstance(layer, Linear)]
    columns = dict(zip(places[::2], places[1::2], strict=False))  # place of a first layer -> that of its partner
    layers: list[Layer] = []
    end = -1  # until where layers work on a part
    for i, layer in enumerate(network.body.astype(network.dtype).layers):
        if i in columns and isinstance(layer, Linear):
            layer, end = ColumnParallelLinear.from_serial(layer, communicator), columns[i]
        elif i == end and isinstance(layer, Linear):
            layer = RowParallelLinear.from_serial(layer, communicator)
        elif i < end:
            check_between(layer)
        layers.append(layer)
    return Network(*layers, dtype=network.dtype)


def check_between(layer: Layer) -> None:
    """Raise ``InputError`` unless the layer makes of some features what it makes of them among others."""
    is_whole = isinstance(layer, Softmax | LogSoftmax) or layer.children() or layer.parameters()
    if is_whole or layer.generators() or layer.statistics():
        raise InputError(f"tensor parallelism: {layer!r} between two Linear layers cannot work on a part of them")
