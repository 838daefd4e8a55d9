"""A network as a list of operations between named values: what becomes an ONNX model, still without ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.layers import Layer
from mlp.network import Network
from mlp.parameter import Parameter

Writer = Callable[..., str]
Write = TypeVar("Write", bound=Callable[..., str])

# Class of a layer -> function (graph, layer, name of x) -> name of y.
WRITERS: dict[type[Layer], Callable[..., str]] = {}


def writes(*kinds: type[Layer]) -> Callable[[Write], Write]:
    """Decorator: this function writes layers of these classes, but not of their subclasses, which may differ."""

    def register(write: Write) -> Write:
        WRITERS.update(dict.fromkeys(kinds, write))
        return write

    return register


class Node(NamedTuple):
    """y = operator(inputs; attributes). An attribute that is a dtype stands for ONNX's number of it."""

    operator: str
    inputs: list[str]
    output: str
    attributes: dict[str, Any]


class Graph:
    """The nodes of a network in the order of computation, between values that have names, and its constants.

    ``writers`` says for every class of layers what it becomes: a function (graph, layer, name of x) -> name of y.
    The operators are those of https://onnx.ai/onnx/operators.
    """

    def __init__(self, network: Network, writers: Mapping[type[Layer], Writer]) -> None:
        self._writers = writers
        self.dtype = network.dtype
        self.nodes: list[Node] = []
        self.constants: dict[str, Array] = {}
        self._paths = {id(layer): path for path, layer in network.body.descendants()}
        self._path = ""
        self._names: set[str] = set()

    def through(self, layer: Layer, x: str) -> str:
        """What ``layer`` makes of x. Raises ``InputError`` for a layer without a writer."""
        if type(layer) not in self._writers:
            known = ", ".join(sorted(kind.__name__ for kind in self._writers))
            raise InputError(f"export_onnx: {layer.name} cannot be exported; layers that can: {known}")
        outer, self._path = self._path, self._paths.get(id(layer), "")
        y = self._writers[type(layer)](self, layer, x)
        self._path = outer
        return y

    def add(self, operator: str, *inputs: str | Parameter | ArrayLike, **attributes: Any) -> str:
        """One more node; returns the name of its value. Inputs that are not names become constants."""
        names = [value if isinstance(value, str) else self.constant("constant", value) for value in inputs]
        self.nodes.append(Node(operator, names, self._new_name(operator), attributes))
        return self.nodes[-1].output

    def constant(self, name: str, value: Parameter | ArrayLike) -> str:
        """The name of a constant: floating-point numbers in the network's dtype. A parameter is stored once."""
        if isinstance(value, Parameter):
            self.constants[value.name] = value.data
            return value.name
        array = np.asarray(value)
        name = self._new_name(name)
        self.constants[name] = array.astype(self.dtype) if array.dtype.kind == "f" else array
        return name

    def _new_name(self, name: str) -> str:
        first = f"{self._path}.{name}".lstrip(".")
        name, count = first, 1
        while name in self._names:
            count += 1
            name = f"{first}_{count}"
        self._names.add(name)
        return name
