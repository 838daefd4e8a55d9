"""Layers inside layers: going through all of them, and copying them. How a layer computes stands in base.py."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import DTypeLike

from mlp.arrays import Array
from mlp.checks import check_dtype
from mlp.parameter import Parameter

Snapshot = tuple[dict[str, Array], dict[str, Any]]


class Tree:
    """A layer with those inside it, its children, which may have children of their own.

    Besides parameters a layer may own what its forward pass changes: the arrays named in ``statistic_names``
    (running statistics: not learned by gradients, yet part of what it computes), and random generators.
    """

    statistic_names: tuple[str, ...] = ()
    # Arrays that a layer of one's own keeps and that nothing changes.
    constant_names: tuple[str, ...] = ()

    if TYPE_CHECKING:  # what ``Layer`` has
        saved: Any

        def children(self) -> Any: ...

    def collect(self, own: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """{name: thing} of what each layer ``own``s: its own first, those of a child as "child.name"."""
        found = own(self)
        for path, child in self.children().items():
            found |= {f"{path}.{name}": thing for name, thing in child.collect(own).items()}
        return found

    def statistics(self) -> dict[str, Array]:
        """The running statistics by name, those of a child as "child.name": the arrays themselves."""
        return self.collect(lambda layer: {name: getattr(layer, name) for name in layer.statistic_names})

    def generators(self) -> dict[str, np.random.Generator]:
        """The random generators that forward passes draw from, by name."""
        kind = np.random.Generator
        return self.collect(lambda layer: {n: rng for n, rng in vars(layer).items() if isinstance(rng, kind)})

    def snapshot(self) -> Snapshot:
        """Copies of all that a forward pass changes besides ``saved``: running statistics, generators' states."""
        statistics = {name: array.copy() for name, array in self.statistics().items()}
        return statistics, {name: rng.bit_generator.state for name, rng in self.generators().items()}

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a ``snapshot``: the same forward pass then draws the same numbers again."""
        statistics, states = snapshot
        for name, array in self.statistics().items():
            array[...] = statistics[name]
        for name, rng in self.generators().items():
            rng.bit_generator.state = states[name]

    def astype(self, dtype: DTypeLike) -> Self:
        """A copy of this layer that computes in ``dtype`` and shares no memory with it.

        What several layers inside it share, their copies share too.
        """
        dtype = check_dtype(dtype)
        copies: dict[int, Any] = {}

        def convert(value: Any) -> Any:
            if id(value) not in copies:
                if isinstance(value, Parameter):
                    copies[id(value)] = Parameter(value.data.astype(dtype), value.name, value.frozen)
                elif isinstance(value, np.ndarray):
                    copies[id(value)] = value.astype(dtype if value.dtype.kind == "f" else value.dtype)
                else:
                    copies[id(value)] = copy.deepcopy(value)
            return copies[id(value)]

        return self.twin(convert)

    def tied(self) -> Self:
        """This layer once more, for a second place in a network: the same parameters and statistics, whose
        gradient is the sum over both places, with its own memory between forward and backward."""
        return self.twin(lambda value: value)

    def twin(self, convert: Callable[[Any], Any]) -> Self:
        """A copy with its own ``saved``, whose parameters, statistics and generators are ``convert`` of these."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        for name, value in vars(self).items():
            if isinstance(value, Tree):
                vars(twin)[name] = value.twin(convert)
            elif isinstance(value, tuple) and value and all(isinstance(item, Tree) for item in value):
                vars(twin)[name] = tuple(item.twin(convert) for item in value)
            elif isinstance(value, Parameter | np.random.Generator) or name in self.statistic_names:
                vars(twin)[name] = convert(value)
        twin.saved = None  # also of the copies inside it
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle takes along: not what was remembered for a backward pass."""
        return {name: value for name, value in vars(self).items() if name not in ("saved", "own_saved")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, saved=None)
