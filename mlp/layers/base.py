"""What every layer is: a function with a hand-written derivative. The one place that explains state."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlp.buffers import Buffers
from mlp.checks import check_dtype
from mlp.errors import InputError
from mlp.parameter import Parameter

Array = NDArray[np.floating[Any]]


class Layer:
    """A differentiable function y = f(x; parameters).

    - ``forward(x)`` returns y and keeps in ``saved`` whatever ``backward`` will need.
    - ``backward(grad_y)`` takes dL/dy, adds dL/dparameter to every ``parameter.grad``, and returns dL/dx.

    A subclass writes these two and, if it has parameters, sets them as attributes: any attribute that is a
    ``Parameter`` is found by ``parameters()`` under its attribute's name. Three rules keep layers simple:

    1. Everything remembered between forward and backward is in ``saved``, and nothing else is. Whoever wants
       several passes in flight takes ``saved`` away and puts it back (outside a training step: inside one it
       may point into lent memory, which the next pass uses again).
    2. Arguments are never changed. (Nor is x copied: leave it as it is until backward.) Results are written
       into ``self.empty(...)``: new memory, or, inside a training step, memory lent by the network.
    3. Gradients add up over several backward passes until ``zero_grad()``.
    """

    def __init__(self) -> None:
        self.saved: Any = None
        self.buffers = Buffers()
        self.name = type(self).__name__

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

    def parameters(self) -> dict[str, Parameter]:
        """The layer's parameters by attribute name, in the order in which they were set."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Parameter)}

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Draw the initial parameters anew; a layer without parameters has nothing to draw."""

    def zero_grad(self) -> None:
        """Forget the gradients of this layer's parameters."""
        for p in self.parameters().values():
            p.zero_grad()

    def astype(self, dtype: DTypeLike) -> Layer:
        """A copy of this layer that computes in ``dtype`` and shares no memory with it."""
        dtype = check_dtype(dtype)
        twin = copy.copy(self)
        twin.saved, twin.buffers = None, Buffers()
        for name, p in self.parameters().items():
            setattr(twin, name, Parameter(p.data.astype(dtype), p.name))
        return twin

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of y for an x of this shape; elementwise layers keep it."""
        return input_shape

    def empty(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
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
