"""Layers made of layers: one after another, and around a shortcut."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any, Self, overload

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.layers.activations.registry import make_activation
from mlp.layers.base import Layer

Hook = Callable[[Layer, Array], None]


class Container(Layer):
    """A layer whose work is done by layers inside it: what it remembers is what they remember.

    ``saved`` is the pair (``own_saved``, [saved of each child]); assigning it gives every child its part, so a
    container's pass can be taken away and put back like that of any other layer.
    """

    own_saved: Any = None

    @property
    def saved(self) -> Any:
        """All that this layer and those inside it remember of the last forward pass."""
        return self.own_saved, [child.saved for child in self.children().values()]

    @saved.setter
    def saved(self, value: Any) -> None:
        self.own_saved, of_children = (None, repeat(None)) if value is None else value
        for child, part in zip(self.children().values(), of_children, strict=False):
            child.saved = part

    def recall(self) -> Any:
        """What this layer itself saved. Raises ``InputError`` if there was no forward pass."""
        if self.own_saved is None:
            raise InputError(f"{self.name}: backward needs a forward pass first")
        return self.own_saved


class Sequential(Container):
    """y = f_n(... f_2(f_1(x))): layers one after another; backward goes through them from the last to the first.

    The chain rule is all there is to it: dL/dx_i = f_i.backward(dL/dx_(i+1)).

    The same layer given twice is one layer in two places: the second is ``layer.tied()``, with the same
    parameters, whose gradient is the sum over both places. Layers may come as one list, and an activation as its
    class or name: ``ReLU`` or ``"relu"``.

    A hook in ``forward_hooks`` is called as hook(layer, y) after each layer, one in ``backward_hooks`` as
    hook(layer, dL/dy) before it goes backward: to look, not to change.

    Raises ``InputError`` for something that is not a layer, or neighbours whose widths do not fit.
    """

    def __init__(self, *layers: Layer) -> None:
        self.layers: tuple[Layer, ...] = ()
        super().__init__()
        self.forward_hooks: list[Hook] = []
        self.backward_hooks: list[Hook] = []
        if len(layers) == 1 and isinstance(layers[0], list | tuple):
            layers = tuple(layers[0])
        self.layers = tuple(self._add(layers))
        self.in_features, self.out_features = self._check_widths()
        # Below the first layer with parameters nobody needs a gradient, unless it is asked for.
        learning = [i for i, layer in enumerate(self.layers) if layer.parameters()]
        self._first_to_learn = learning[0] if learning else len(self.layers)

    def _add(self, layers: tuple[Layer, ...]) -> Iterator[Layer]:
        seen: set[int] = set()
        for i, given in enumerate(layers):
            layer = as_layer(given)
            if layer is None:
                raise InputError(
                    f"{type(self).__name__}: argument {i} must be a layer, such as ReLU() or Linear(4, 2), "
                    f"got {given!r}"
                )
            yield layer.tied() if id(layer) in seen else layer
            seen.add(id(layer))

    def _check_widths(self) -> tuple[int | None, int | None]:
        """The widths of x and of y, where the layers tell."""
        first, width = None, None
        for i, layer in enumerate(self.layers):
            expected = getattr(layer, "in_features", None)
            if width is not None and expected is not None and expected != width:
                raise InputError(
                    f"{type(self).__name__}: layer {i} {layer!r} expects {expected} features, but receives {width}"
                )
            first = first or expected
            width = getattr(layer, "out_features", None) or width
        return first, width

    def children(self) -> dict[str, Layer]:
        return {str(i): layer for i, layer in enumerate(self.layers)}

    def forward(self, x: Array) -> Array:
        for layer in self.layers:
            x = layer.forward(x)
            for hook in self.forward_hooks:
                hook(layer, x)
        return x

    def backward(self, grad_y: Array) -> Array:
        for layer in reversed(self.layers):
            for hook in self.backward_hooks:
                hook(layer, grad_y)
            grad_y = layer.backward(grad_y)
        return grad_y

    def backward_parameters(self, grad_y: Array) -> None:
        for i in range(len(self.layers) - 1, self._first_to_learn - 1, -1):
            layer = self.layers[i]
            for hook in self.backward_hooks:
                hook(layer, grad_y)
            if i == self._first_to_learn:
                layer.backward_parameters(grad_y)
            else:
                grad_y = layer.backward(grad_y)

    def twin(self, convert: Callable[[Any], Any]) -> Self:
        twin = super().twin(convert)
        twin.forward_hooks, twin.backward_hooks = [], []  # who watches one place did not ask to watch another
        return twin

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"forward_hooks": [], "backward_hooks": []}

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        for layer in self.layers:
            input_shape = layer.output_shape(input_shape)
        return input_shape

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Layer:
        """One layer; of a slice a Sequential of the same layers, with the same parameters."""
        return Sequential(*self.layers[index]) if isinstance(index, slice) else self.layers[index]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"


def as_layer(given: Any) -> Layer | None:
    """A layer itself; the one that a class makes without arguments, or that an activation's name stands for."""
    if isinstance(given, type) and issubclass(given, Layer):
        needed = [p for p in inspect.signature(given).parameters.values() if p.default is p.empty]
        return given() if all(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in needed) else None
    if isinstance(given, str):
        return make_activation(given)
    return given if isinstance(given, Layer) else None


class Residual(Container):
    """y = x + f(x), with f the layers inside, one after another:

        dL/dx = dL/dy + f.backward(dL/dy)

    so the gradient has a way past f that nothing can make vanish. If f changes the width, x needs a projection
    to the new one: ``shortcut=Linear(in, out)`` makes it y = shortcut(x) + f(x).

    Raises ``InputError`` if x and f(x), or shortcut(x) and f(x), differ in width.

    He, Zhang, Ren & Sun, "Deep residual learning for image recognition", CVPR 2016, arXiv:1512.03385.
    """

    def __init__(self, *layers: Layer, shortcut: Layer | None = None) -> None:
        super().__init__()
        self.body = Sequential(*layers)
        self.shortcut = shortcut
        self.in_features = self.body.in_features
        self.out_features = self.body.out_features
        around = self.in_features if shortcut is None else getattr(shortcut, "out_features", None)
        if None not in (around, self.out_features) and around != self.out_features:
            raise InputError(
                f"Residual: its layers give {self.out_features} features, the way around them {around}; "
                f"accepted: the same, or shortcut=Linear({self.in_features}, {self.out_features})"
            )

    def forward(self, x: Array) -> Array:
        y = self.body.forward(x)
        around = x if self.shortcut is None else self.shortcut.forward(x)
        if around.shape != y.shape:
            raise InputError(f"{self.name}: its layers give shape {y.shape}, the way around them {around.shape}")
        self.own_saved = y.shape
        return around + y

    def backward(self, grad_y: Array) -> Array:
        self.recall()
        grad_x = self.body.backward(grad_y)
        around = grad_y if self.shortcut is None else self.shortcut.backward(grad_y)
        return grad_x + around

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return self.body.output_shape(input_shape)

    def __repr__(self) -> str:
        shortcut = "" if self.shortcut is None else f", shortcut={self.shortcut!r}"
        return f"Residual({', '.join(map(repr, self.body))}{shortcut})"
