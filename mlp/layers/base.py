"""What every layer is: a function with a hand-written derivative."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.layers.tree import Tree
from mlp.parameter import Parameter


class Layer(Tree):
    """A differentiable function y = f(x; parameters).

    - ``forward(x)`` returns y and keeps in ``saved`` whatever ``backward`` will need.
    - ``backward(grad_y)`` takes dL/dy, adds dL/dparameter to every ``parameter.grad``, and returns dL/dx.

    A subclass writes these two and, if it has parameters, sets them as attributes: ``parameters()`` finds every
    attribute that is a ``Parameter``. An attribute that is a layer is a child, and belongs to it with all it has.
    Three rules keep layers simple:

    1. Everything remembered between forward and backward is in ``saved``, and nothing else is. Whoever wants
       several passes in flight takes ``saved`` away and puts it back.
    2. Arguments are never changed, and what is returned is a new array, the caller's own. x is not copied: leave
       it as it is until backward.
    3. Gradients add up over several backward passes until ``zero_grad()``.

    Some layers compute something else when they are used than while they learn: Dropout and BatchNorm. They look
    at ``training``, which is True at first; ``train()`` and ``eval()`` set it for a layer and all inside it.
    """

    def __init__(self) -> None:
        self.saved: Any = None
        self.name = type(self).__name__
        self.training = True

    def forward(self, x: Array) -> Array:
        """y = f(x)."""
        raise NotImplementedError(f"{type(self).__name__} needs a forward method")

    def backward(self, grad_y: Array) -> Array:
        """dL/dx from dL/dy; parameters' gradients are added on the way."""
        raise NotImplementedError(f"{type(self).__name__} needs a backward method")

    def backward_parameters(self, grad_y: Array) -> None:
        """Add the parameters' gradients alone: for the first layer, whose dL/dx nobody asks for."""
        self.backward(grad_y)

    def __call__(self, x: Array) -> Array:
        return self.forward(x)

    def recall(self) -> Any:
        """What forward saved. Raises ``InputError`` if there was no forward pass."""
        if self.saved is None:
            raise InputError(f"{self.name}: backward needs a forward pass first")
        return self.saved

    def recall_for(self, grad_y: Array, features: int | None = None) -> Array:
        """The array that forward saved, once dL/dy is known to fit: it has that shape, with ``features`` as width.

        Raises ``InputError`` if there was no forward pass, or its y had another shape.
        """
        saved: Array = self.recall() if self.saved is None else self.saved
        shape = saved.shape if features is None else (*saved.shape[:-1], features)
        if grad_y.shape != shape:
            check_upstream(self, grad_y, shape)
        return saved

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
        return self.collect(lambda layer: {n: p for n, p in vars(layer).items() if isinstance(p, Parameter)})

    def zero_grad(self) -> None:
        """Forget the gradients of this layer's parameters."""
        for p in self.parameters().values():
            p.zero_grad()

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Draw the initial parameters anew, of this layer and all inside it."""
        for child in self.children().values():
            child.reset_parameters(rng)

    def train(self, mode: bool = True) -> Self:
        """Learn from now on (or, with False, only be used), with all layers inside; returns the layer."""
        for layer in self.walk():
            layer.training = mode
        return self

    def eval(self) -> Self:
        """Only be used from now on: dropout drops nothing, batch normalisation takes its running statistics."""
        return self.train(False)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of y for an x of this shape; elementwise layers keep it."""
        return input_shape

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
