"""The container: layers in a row over one flat vector of parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlp.buffers import Buffers, Lending
from mlp.checks import check_dtype, check_integer
from mlp.errors import InputError
from mlp.functional import softmax
from mlp.layers.base import Layer
from mlp.losses import Loss
from mlp.parameter import Parameter, ParameterVector, check_state

Array = NDArray[np.floating[Any]]
Hook = Callable[[Layer, Array], None]


class Text(str):
    """A string that a notebook shows as it would be printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Network:
    """y = f_n(... f_2(f_1(x))) for layers f_1 ... f_n, each with its backward pass.

        net = Network(Linear(784, 128), ReLU(), Linear(128, 10), rng=2022)

    ``rng`` (a seed or a Generator), if given, draws all parameters anew, in order; without it the layers keep
    theirs. ``dtype`` is that of the layers unless given. Parameters are named "<layer number>.<name>", for
    example "0.weight", and live in the flat vector ``parameters``.

    Raises ``InputError`` for no layers, something that is not a layer, a layer given twice, layers of different
    dtype, or neighbours whose widths do not fit.
    """

    def __init__(
        self,
        *layers: Layer,
        rng: int | np.random.Generator | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        self.layers = layers
        self._check_layers()
        self._lending = Lending()
        self._hooks: list[Hook] = []
        named = []
        for i, layer in enumerate(layers):
            layer.name = f"layer {i} {layer!r}"
            layer.buffers = Buffers(self._lending)
            for name, p in layer.parameters().items():
                p.name = f"{i}.{name}"
                named.append(p)
        self.parameters = ParameterVector(named, None if dtype is None else check_dtype(dtype))
        self.dtype = self.parameters.dtype
        # No layer below this one needs a gradient.
        self._first_to_learn = next(i for i, layer in enumerate(layers) if layer.parameters())
        if rng is not None:
            generator = np.random.default_rng(rng)
            for layer in layers:
                layer.reset_parameters(generator)

    def _check_layers(self) -> None:
        width = None
        seen: set[int] = set()
        for i, layer in enumerate(self.layers):
            if not isinstance(layer, Layer):
                raise InputError(f"Network: argument {i} must be a layer, got {layer!r}")
            if id(layer) in seen:
                raise InputError(f"Network: layer {i} {layer!r} is given twice; make a second one")
            seen.add(id(layer))
            if any(p.owner is not None for p in layer.parameters().values()):
                raise InputError(f"Network: layer {i} {layer!r} belongs to another network; copy it with astype")
            expected = getattr(layer, "in_features", None)
            if width is not None and expected is not None and expected != width:
                raise InputError(f"Network: layer {i} {layer!r} expects {expected} features, but receives {width}")
            width = getattr(layer, "out_features", width)
        self.in_features = next((n for n in (getattr(a, "in_features", None) for a in self.layers) if n), None)
        self.out_features = width

    def forward(self, x: NDArray[Any]) -> Array:
        """The scores for x (..., in_features), converted to the network's dtype: (..., out_features)."""
        x = self._as_input(x)
        for layer in self.layers:
            x = layer.forward(x)
            for hook in self._hooks:
                hook(layer, x)
        return x

    def add_hook(self, hook: Hook) -> None:
        """Call ``hook(layer, y)`` after each layer's forward pass. y may be lent memory: look, or copy."""
        self._hooks.append(hook)

    def remove_hook(self, hook: Hook) -> None:
        """Stop calling ``hook``."""
        self._hooks.remove(hook)

    def backward(self, grad_y: Array, input_gradient: bool = False) -> Array | None:
        """Add dL/dparameter to every ``grad``, given dL/dy of the last forward pass.

        dL/dx, with respect to the network's input, costs another matrix product and is returned on request.
        """
        last = len(self.layers) - 1
        stop = 0 if input_gradient else self._first_to_learn + 1
        for i in range(last, stop - 1, -1):
            grad_y = self.layers[i].backward(grad_y)
        if input_gradient:
            return grad_y
        self.layers[self._first_to_learn].backward_parameters(grad_y)
        return None

    def training_step(self, x: Array, targets: NDArray[Any], loss: Loss) -> tuple[float, Array]:
        """Loss and scores of a batch, with the gradients of all parameters left in ``grad``.

        The same as ``zero_grad``, ``forward``, ``loss`` and ``backward``, in memory that the next step uses
        again: the scores returned are valid until then.
        """
        with self._lending, loss.buffers.lending:
            self.parameters.zero_grad()
            scores = self.forward(x)
            value = loss.forward(scores, targets)
            self.backward(loss.backward())
        return value, scores

    def evaluation_step(self, x: Array) -> Array:
        """Scores of a batch in lent memory: valid until the next step."""
        with self._lending:
            return self.forward(x)

    def scores(self, x: NDArray[Any], batch_size: int = 1000) -> Array:
        """The same as ``forward``, in batches, so that memory stays small for any number of rows."""
        x = self._as_input(x)
        batch_size = check_integer("batch_size", batch_size, 1)
        if x.ndim <= 1 or len(x) <= batch_size:
            return self.forward(x)
        return np.concatenate([self.forward(x[i : i + batch_size]) for i in range(0, len(x), batch_size)])

    def predict(self, x: NDArray[Any]) -> NDArray[np.intp]:
        """The class of the largest score for each row: x (..., in_features) -> (...)."""
        return self.scores(x).argmax(axis=-1)

    def predict_proba(self, x: NDArray[Any]) -> Array:
        """softmax of the scores, (..., classes): probabilities if the network was trained with cross-entropy."""
        return softmax(self.scores(x))

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self.parameters.zero_grad()

    def state_dict(self) -> dict[str, Array]:
        """A copy of every parameter under its name."""
        return {p.name: p.data.copy() for p in self.parameters}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take all parameters from ``state``. Raises ``InputError``, and changes nothing, unless it fits."""
        check_state(state, {p.name: p.shape for p in self.parameters})
        for p in self.parameters:
            p.data = state[p.name]

    def astype(self, dtype: DTypeLike) -> Network:
        """A copy of this network, sharing no memory with it, that computes in ``dtype``."""
        twins = [layer.astype(dtype) for layer in self.layers]
        copies: dict[int, Parameter] = {}
        for layer, twin in zip(self.layers, twins, strict=True):
            for name, p in layer.parameters().items():
                # A parameter that two layers share stays shared.
                setattr(twin, name, copies.setdefault(id(p), getattr(twin, name)))
        return Network(*twins)

    def __deepcopy__(self, memo: dict[int, Any]) -> Network:
        # Copied one by one, the views would no longer lie in the flat vectors.
        return self.astype(self.dtype)

    def explain_non_finite(self, x: NDArray[Any]) -> str | None:
        """Where the first value that is not finite comes from when this batch goes forward, or None."""
        with np.errstate(over="ignore"):
            x = self._as_input(x)
        if not np.isfinite(x).all():
            return "the input is not finite"
        for layer in self.layers:
            for name, p in layer.parameters().items():
                if not np.isfinite(p.data).all():
                    return f"the {name} of {layer.name} is not finite"
            with np.errstate(all="ignore"):
                x = layer.forward(x)
            if not np.isfinite(x).all():
                return f"the output of {layer.name} is not finite, though its input is"
        return None

    def summary(self, batch_size: int | str = "N") -> Text:
        """A table of the layers with their output shapes and parameter counts."""
        rows = [("layer", "output shape", "parameters")]
        width = self.in_features
        for i, layer in enumerate(self.layers):
            width = getattr(layer, "out_features", width)
            count = sum(p.size for p in layer.parameters().values())
            rows.append((f"{i}  {layer!r}", f"({batch_size}, {width})", f"{count:,}"))
        rows.append(("total", "", f"{self.parameters.size:,}"))
        wide = [max(len(row[k]) for row in rows) for k in range(3)]
        lines = [f"{a:<{wide[0]}}  {b:<{wide[1]}}  {c:>{wide[2]}}" for a, b, c in rows]
        rule = "-" * len(lines[0])
        size = self.parameters.size * self.dtype.itemsize
        return Text("\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], f"{self.dtype}, {size:,} bytes"]))

    def _as_input(self, x: NDArray[Any]) -> Array:
        if not isinstance(x, np.ndarray):
            try:
                x = np.asarray(x)
            except ValueError as error:
                raise InputError(f"Network: the input is not an array: {error}") from None
        if x.dtype != self.dtype:
            if x.dtype.kind not in "fiub":
                raise InputError(f"Network: the input must be an array of real numbers, got {x.dtype}")
            x = x.astype(self.dtype)
        return x

    def __call__(self, x: NDArray[Any]) -> Array:
        return self.forward(x)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> Layer:
        return self.layers[index]

    def __repr__(self) -> str:
        inner = "".join(f"    {layer!r},\n" for layer in self.layers)
        return f"Network(\n{inner})"
