"""Units: layers in a row whose parameters are divided among the ranks, gathered, used and let go together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Protocol, Self

from mlp.arrays import Array
from mlp.layers.base import Layer
from mlp.layers.containers import Sequential
from mlp.parallel.slicing import slice_sizes, slices
from mlp.parameter import Parameter


@dataclass(frozen=True)
class Unit:
    """``size`` parameters side by side in the flat vector of the whole network, of which each rank holds a slice.

    ``part`` is where they are in that vector, ``sizes`` the lengths of the ranks' slices, ``mine`` this rank's
    slice within the unit, and ``place`` where this rank keeps it in its own vector.
    """

    layers: Sequential
    parameters: tuple[Parameter, ...]
    part: slice
    sizes: tuple[int, ...]
    mine: slice
    place: slice

    @property
    def size(self) -> int:
        """The number of its parameters."""
        return sum(self.sizes)

    def views(self, flat: Array) -> Iterator[tuple[Parameter, Array]]:
        """Each parameter with the part of ``flat`` (size,) that is its own, in its shape."""
        for p, end in zip(self.parameters, accumulate(p.size for p in self.parameters), strict=True):
            yield p, flat[end - p.size : end].reshape(p.shape)

    def pieces(self, flat: Array) -> Iterator[Parameter]:
        """This rank's slice of ``flat`` as parameters with the names of those that they are pieces of.

        Each has one axis that is not of length 1, and as many axes as the whole, which says weight or bias.
        """
        for p, end in zip(self.parameters, accumulate(p.size for p in self.parameters), strict=True):
            start = end - p.size
            piece = flat[max(start, self.mine.start) : max(start, min(end, self.mine.stop))]
            yield Parameter(piece.reshape((1,) * (len(p.shape) - 1) + (-1,)), p.name, p.frozen)


def divide(body: Sequential, ranks: int, rank: int, *, in_one: bool = False) -> list[Unit]:
    """The layers of a network as units, in order: one for each layer with parameters, or all ``in_one``.

    Layers that share a parameter, and all between them, are one unit. Each unit is divided evenly among the ranks.
    """
    groups = [body.layers] if in_one else group_layers(body.layers)
    units: list[Unit] = []
    seen: set[int] = set()
    start = place = 0
    for layers in groups:
        own = {id(p): p for layer in layers for p in layer.parameters().values() if id(p) not in seen}
        seen |= own.keys()
        size = sum(p.size for p in own.values())
        sizes = slice_sizes(size, ranks)
        sequence = Sequential(*layers)
        sequence.forward_hooks, sequence.backward_hooks = body.forward_hooks, body.backward_hooks
        units.append(
            Unit(
                sequence, tuple(own.values()), slice(start, start + size), sizes, slices(sizes)[rank],
                slice(place, place + sizes[rank]),
            )
        )  # fmt: skip
        start, place = start + size, place + sizes[rank]
    return units


def group_layers(layers: tuple[Layer, ...]) -> list[tuple[Layer, ...]]:
    """Groups of layers in a row: each has parameters, and shares none with another group, if there are any."""
    last_use = {id(p): i for i, layer in enumerate(layers) for p in layer.parameters().values()}
    groups: list[tuple[Layer, ...]] = []
    reach = -1  # the last layer that uses a parameter of the group
    for i, layer in enumerate(layers):
        parameters = layer.parameters().values()
        if groups and not (parameters and 0 <= reach < i):
            groups[-1] += (layer,)
        else:
            groups.append((layer,))
        reach = max(reach, *(last_use[id(p)] for p in parameters), -1)
    return groups


class Memory(Protocol):
    """Who sees to it that a unit's parameters are there when they are needed."""

    def gathered(self, unit: Unit) -> AbstractContextManager[None]:
        """Inside this block the unit has its values."""

    def scattered(self, unit: Unit) -> AbstractContextManager[None]:
        """Inside this block the unit has room for its gradients, which are summed over the ranks at its end."""


class ShardedBody(Sequential):
    """The layers of a network, of which each unit is whole only while it computes."""

    def __init__(self, body: Sequential, units: list[Unit], memory: Memory) -> None:
        super().__init__(*body.layers)
        self.training = body.training
        self.forward_hooks, self.backward_hooks = body.forward_hooks, body.backward_hooks
        self.units, self.memory = units, memory

    def twin(self, convert: Callable[[Any], Any]) -> Self:
        twin = super().twin(convert)
        own = dict(zip(self.layers, twin.layers, strict=True))
        twin.units = [
            replace(unit, layers=Sequential(*(own[layer] for layer in unit.layers))) for unit in self.units
        ]
        return twin

    def forward(self, x: Array) -> Array:
        for unit in self.units:
            unit.layers.forward_hooks = self.forward_hooks
            with self.memory.gathered(unit):
                x = unit.layers.forward(x)
        return x

    def backward(self, grad_y: Array) -> Array:
        for unit in reversed(self.units):
            with self.memory.gathered(unit), self.memory.scattered(unit):
                grad_y = unit.layers.backward(grad_y)
        return grad_y

    def backward_parameters(self, grad_y: Array) -> None:
        first, *others = self.units
        for unit in reversed(others):
            with self.memory.gathered(unit), self.memory.scattered(unit):
                grad_y = unit.layers.backward(grad_y)
        with self.memory.gathered(first), self.memory.scattered(first):
            first.layers.backward_parameters(grad_y)
