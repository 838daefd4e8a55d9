"""What every layer is: a function with a hand-written derivative. The one place that explains state."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from mlp.arrays import Array
from mlp.buffers import Buffers, Lending
from mlp.checks import InputError, check_dtype
from mlp.parameter import Parameter


class Layer:
    """A differentiable function y = f(x; parameters).

    - ``forward(x)`` returns y and keeps in ``saved`` whatever ``backward`` will need.
    - ``backward(grad_y)`` takes dL/dy, adds dL/dparameter to every ``parameter.grad``, and returns dL/dx.

    A subclass writes these two and, if it has parameters, sets them as attributes: any attribute that is a
    ``Parameter`` is found by ``parameters()`` under its attribute's name, and any attribute that is a layer is a
    child, whose parameters are found with it. Three rules keep layers simple:

    1. Everything remembered between forward and backward is in ``saved``, and nothing else is. Whoever wants
       several passes in flight takes ``saved`` away and puts it back (outside a training step: inside one it
       may point into lent memory, which the next pass uses again).
    2. Arguments are never changed. (Nor is x copied: leave it as it is until backward.) Results are written
       into ``self.empty(...)``: new memory, or, inside a training step, memory lent by the network.
    3. Gradients add up over several backward passes until ``zero_grad()``.

    Some layers compute something else when they are used than while they learn: Dropout and BatchNorm. They look
    at ``training``, which is True at first; ``train()`` and ``eval()`` set it for a layer and all inside it.
    What such a layer changes in a forward pass is listed too: arrays named in ``statistic_names``, and any
    attribute that is a random generator.
    """

    # Attributes that hold running statistics: not learned by gradients, yet part of what the layer computes.
    statistic_names: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.saved: Any = None
        self.buffers = Buffers()
        self.name = type(self).__name__
        self.training = True

    def forward(self, x: Array) -> Array:
        """y = f(x)."""
        raise NotImplementedError(f"{type(self).__name__} needs a forward method")

    def backward(self, grad_y: Array) -> Array:
        """dL/dx from dL/dy; parameters' gradients are accumulated on the way."""
        raise NotImplementedError(f"{type(self).__name__} needs a backward method")

    def backward_parameters(self, grad_y: Array) -> None:
        """Accumulate the parameters' gradients alone: for the first layer, whose dL/dx nobody asks for."""
        self.backward(grad_y)

    def __call__(self, x: Array) -> Array:
        return self.forward(x)

    def children(self) -> dict[str, Layer]:
        """The layers directly inside this one, by attribute name, in the order in which they were set."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Layer)}

    def descendants(self) -> Iterator[tuple[str, Layer]]:
        """All layers inside this one with their paths, such as ("2.body.0", layer), each before those inside it."""
        for name, child in self.children().items():
            yield name, child
            for path, layer in child.descendants():
                yield f"{name}.{path}", layer

    def walk(self) -> Iterator[Layer]:
        """This layer, then all layers inside it."""
        yield self
        for _, layer in self.descendants():
            yield layer

    def parameters(self) -> dict[str, Parameter]:
        """The parameters by name, those of a child as "child.name", in the order in which they were set."""
        own = {name: value for name, value in vars(self).items() if isinstance(value, Parameter)}
        return own | self._of_children(Layer.parameters)

    def statistics(self) -> dict[str, Array]:
        """The running statistics by name, those of a child as "child.name": the arrays themselves."""
        return {name: getattr(self, name) for name in self.statistic_names} | self._of_children(Layer.statistics)

    def generators(self) -> dict[str, np.random.Generator]:
        """The random generators that forward passes draw from, by name."""
        own = {name: value for name, value in vars(self).items() if isinstance(value, np.random.Generator)}
        return own | self._of_children(Layer.generators)

    def _of_children(self, collect: Callable[[Layer], dict[str, Any]]) -> dict[str, Any]:
        return {
            f"{child_name}.{name}": value
            for child_name, child in self.children().items()
            for name, value in collect(child).items()
        }

    def snapshot(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Copies of all that a forward pass changes besides ``saved``: running statistics, generators' states."""
        statistics = {name: array.copy() for name, array in self.statistics().items()}
        return statistics, {name: rng.bit_generator.state for name, rng in self.generators().items()}

    def restore(self, snapshot: tuple[dict[str, Array], dict[str, Any]]) -> None:
        """Go back to a ``snapshot``: the same forward pass then draws the same numbers again."""
        statistics, states = snapshot
        for name, array in self.statistics().items():
            array[...] = statistics[name]
        for name, rng in self.generators().items():
            rng.bit_generator.state = states[name]

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Draw the initial parameters anew, of this layer and all inside it."""
        for child in self.children().values():
            child.reset_parameters(rng)

    def zero_grad(self) -> None:
        """Forget the gradients of this layer's parameters."""
        for p in self.parameters().values():
            p.zero_grad()

    def train(self, mode: bool = True) -> Self:
        """Learn from now on (or, with False, only be used), with all layers inside; returns the layer."""
        for layer in self.walk():
            layer.training = mode
        return self

    def eval(self) -> Self:
        """Only be used from now on: dropout drops nothing, batch normalisation takes its running statistics."""
        return self.train(False)

    def lend(self, lending: Lending) -> None:
        """Take results' memory from a network that lends it during training steps."""
        self.buffers = Buffers(lending)
        for child in self.children().values():
            child.lend(lending)

    def astype(self, dtype: DTypeLike) -> Self:
        """A copy of this layer that computes in ``dtype`` and shares no memory with it.

        What several layers inside it share, their copies share too.
        """
        dtype = check_dtype(dtype)
        copies: dict[int, Any] = {}

        def convert(value: Any) -> Any:
            if id(value) not in copies:
                if isinstance(value, Parameter):
                    copies[id(value)] = Parameter(value.data.astype(dtype), value.name)
                elif isinstance(value, np.ndarray):
                    copies[id(value)] = value.astype(dtype if value.dtype.kind == "f" else value.dtype)
                else:
                    copies[id(value)] = copy.deepcopy(value)
            return copies[id(value)]

        return self._twin(convert)

    def tied(self) -> Self:
        """This layer once more, for a second place in a network: the same parameters and statistics, whose
        gradient is the sum over both places, with its own memory between forward and backward."""
        return self._twin(lambda value: value)

    def _twin(self, convert: Callable[[Any], Any]) -> Self:
        """A copy with memory of its own, whose parameters, statistics and generators are ``convert`` of these."""
        twin = copy.copy(self)
        twin.buffers = Buffers()
        for name, value in vars(self).items():
            if isinstance(value, Layer):
                vars(twin)[name] = value._twin(convert)
            elif isinstance(value, tuple) and value and all(isinstance(item, Layer) for item in value):
                vars(twin)[name] = tuple(item._twin(convert) for item in value)
            elif isinstance(value, Parameter | np.random.Generator) or name in self.statistic_names:
                vars(twin)[name] = convert(value)
        twin.saved = None
        return twin

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of y for an x of this shape; elementwise layers keep it."""
        return input_shape

    def empty(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """Uninitialised memory for a result: the caller's own, or lent inside a training step."""
        return self.buffers.empty(name, shape, dtype)

    def keep_output(self, y: Array) -> Array:
        """y for ``saved``: itself if it is lent memory, else a copy, because the caller may write into it."""
        return y if self.buffers.lending.is_on else y.copy()

    def recall(self) -> Any:
        """What forward saved. Raises ``InputError`` if there was no forward pass."""
        if self.saved is None:
            raise InputError(f"{self.name}: backward needs a forward pass first")
        return self.saved

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def check_upstream(layer: Layer, grad_y: Array, shape: tuple[int, ...]) -> None:
    """Raise ``InputError`` unless dL/dy has the shape of the y it belongs to."""
    if grad_y.shape != shape:
        raise InputError(f"{layer.name}: the gradient has shape {grad_y.shape}, but the output had {shape}")


def check_features(layer: Layer, x: Array, features: int, dtype: np.dtype[Any]) -> None:
    """Raise ``InputError`` unless x has so many features in its last axis, and the dtype of the parameters."""
    if x.ndim < 1 or x.shape[-1] != features:
        raise InputError(f"{layer.name} expects {features} features in the last axis, got shape {x.shape}")
    if x.dtype != dtype:
        raise InputError(f"{layer.name} computes in {dtype}, got {x.dtype}: convert one with astype")
