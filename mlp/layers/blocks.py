"""A two-layer perceptron as one layer, of which large networks are stacked; the gated one is in gated_blocks.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from mlp.arrays import Array
from mlp.checks import InputError, check_flag, check_integer, check_rng
from mlp.initializers import Initializer, zeros
from mlp.layers.activations import make_activation
from mlp.layers.base import Layer, check_upstream
from mlp.layers.containers import Container
from mlp.layers.linear import Linear


class Block(Container):
    """What ``Mlp`` and ``GatedMlp`` share: their widths, their activation, and ``return_residual``.

    With ``return_residual`` a block is x ↦ (y, r) with r = x, for a caller that adds r back later. The loss then
    depends on x in two ways: ``backward`` takes the pair (dL/dy, dL/dr) and returns

        dL/dx = (what comes back through y) + dL/dr

    A network hands one array from layer to layer, so it refuses such a block: it is for code that calls it itself.
    """

    def __init__(
        self, in_features: int, hidden_features: int | None, out_features: int | None, return_residual: bool
    ) -> None:
        super().__init__()
        self.in_features = check_integer(f"{self.name}: in_features", in_features, 1)
        hidden = 4 * in_features if hidden_features is None else hidden_features
        self.hidden_features = check_integer(f"{self.name}: hidden_features", hidden, 1)
        out = in_features if out_features is None else out_features
        self.out_features = check_integer(f"{self.name}: out_features", out, 1)
        self.return_residual = check_flag(f"{self.name}: return_residual", return_residual)

    def make_activation(self, activation: str | Layer) -> Layer:
        """The activation that was given by its name or as a layer."""
        if isinstance(activation, str):
            return make_activation(activation)
        if isinstance(activation, Layer):
            return activation
        raise InputError(f"{self.name}: activation must be a name or a layer, got {activation!r}")

    def split_upstream(self, grad_y: Any) -> tuple[Array, Array | None]:
        """dL/dy and, with ``return_residual``, dL/dr."""
        if not self.return_residual:
            return grad_y, None
        if not isinstance(grad_y, tuple) or len(grad_y) != 2:
            raise InputError(
                f"{self.name}: with return_residual, backward takes the pair (dL/dy, dL/dr), "
                f"got {type(grad_y).__name__}"
            )
        return grad_y

    def add_residual(self, grad_x: Array, grad_residual: Array | None) -> Array:
        """dL/dx from both its ways."""
        if grad_residual is not None:
            check_upstream(self, grad_residual, grad_x.shape)
            grad_x += grad_residual
        return grad_x

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*input_shape[:-1], self.out_features)

    def describe(self, activation: Layer, **options: tuple[object, object]) -> str:
        """The constructor's call; an option (value, default) is named where the two differ."""
        named = [f"{name}={value!r}" for name, (value, default) in options.items() if value != default]
        if self.return_residual:
            named.append("return_residual=True")
        widths = (self.in_features, self.hidden_features, self.out_features)
        return f"{type(self).__name__}({', '.join([*map(repr, widths), repr(activation), *named])})"


class Mlp(Block):
    """y = act(x W1 + b1) W2 + b2, for x of shape (..., in_features) and y of shape (..., out_features).

    ``hidden_features`` is 4 in_features unless given, ``out_features`` is in_features; ``activation`` is a name
    (see ``ACTIVATIONS``) or a layer. ``bias1`` and ``bias2`` say whether there are b1 and b2; initial values are
    drawn as in ``Linear``, ``fc1`` before ``fc2``. With ``return_residual`` it returns (y, x): see ``Block``.

    Raises ``InputError`` for widths below 1, an unknown activation, an x of another width or dtype, and where
    a block that returns its residual is put into a network.

    Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.3. Names and defaults are those of ``Mlp``
    in flash-attention, except that its GeLU is the exact one: ``activation=GeLU("none")``.
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int | None = None,
        out_features: int | None = None,
        activation: str | Layer = "GeLU",
        *,
        bias1: bool = True,
        bias2: bool = True,
        return_residual: bool = False,
        weight_init: str | Initializer | None = None,
        bias_init: str | Initializer = zeros,
        rng: int | np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(in_features, hidden_features, out_features, return_residual)
        options: dict[str, Any] = {"weight_init": weight_init, "bias_init": bias_init, "dtype": dtype}
        rng = check_rng(rng)
        self.fc1 = Linear(self.in_features, self.hidden_features, bias=bias1, rng=rng, **options)
        self.activation = self.make_activation(activation)
        self.fc2 = Linear(self.hidden_features, self.out_features, bias=bias2, rng=rng, **options)

    def forward(self, x: Array) -> Any:
        y = self.fc2.forward(self.activation.forward(self.fc1.forward(x)))
        return (y, x) if self.return_residual else y

    def backward(self, grad_y: Any) -> Array:
        grad_y, grad_residual = self.split_upstream(grad_y)
        grad_x = self.fc1.backward(self.activation.backward(self.fc2.backward(grad_y)))
        return self.add_residual(grad_x, grad_residual)

    def backward_parameters(self, grad_y: Any) -> None:
        grad_y, _ = self.split_upstream(grad_y)
        self.fc1.backward_parameters(self.activation.backward(self.fc2.backward(grad_y)))

    def __repr__(self) -> str:
        biases = {"bias1": (self.fc1.bias is not None, True), "bias2": (self.fc2.bias is not None, True)}
        return self.describe(self.activation, **biases)
