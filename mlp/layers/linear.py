"""The fully connected layer: the one that learns."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from mlp.arrays import Array
from mlp.checks import check_dtype, check_flag, check_integer, check_rng
from mlp.initializers import Initializer, as_initializer, he_normal, zeros
from mlp.layers.base import Layer, check_features
from mlp.parameter import Parameter


class Linear(Layer):
    """y = x W + b, for x of shape (..., in_features) and y of shape (..., out_features).

    With dy = dL/dy the chain rule gives (sums over all leading axes, here written for two axes):

        dL/dW = xᵀ dy          (in_features, out_features)
        dL/db = 1ᵀ dy          (out_features,)
        dL/dx = dy Wᵀ          (batch, in_features)

    ``weight`` has shape (in_features, out_features), the transpose of PyTorch's. It is drawn by ``weight_init``,
    a function or its name, such as "xavier_normal", from ``rng``. By default that is He's N(0, 2 / in_features),
    and in a network that draws its weights (``rng=``) what suits the activation that follows. ``bias`` is drawn by
    ``bias_init``, by default zeros.

    Raises ``InputError`` for sizes below 1, and for an x of another width or dtype.

    Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors", Nature 323 (1986).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        weight_init: str | Initializer | None = None,
        bias_init: str | Initializer = zeros,
        rng: int | np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        dtype = check_dtype(dtype)
        self.in_features = check_integer("Linear: in_features", in_features, 1)
        self.out_features = check_integer("Linear: out_features", out_features, 1)
        self.weight_init = None if weight_init is None else as_initializer(weight_init)
        self.bias_init = as_initializer(bias_init)
        self.weight = Parameter(np.empty((in_features, out_features), dtype), "weight")
        self.bias = Parameter(np.empty(out_features, dtype), "bias") if check_flag("Linear: bias", bias) else None
        self.reset_parameters(check_rng(rng))

    def reset_parameters(self, rng: np.random.Generator) -> None:
        draw = self.weight_init or he_normal()
        self.weight.data = draw(self.weight.shape, rng)
        if self.bias is not None:
            self.bias.data = self.bias_init(self.bias.shape, rng)

    def forward(self, x: Array) -> Array:
        W = self.weight.data
        check_features(self, x, self.in_features, W.dtype)
        self.saved = x
        y = x @ W
        if self.bias is not None:
            y += self.bias.data
        return y

    def backward(self, grad_y: Array) -> Array:
        self.backward_parameters(grad_y)
        return grad_y @ self.weight.data.T

    def backward_parameters(self, grad_y: Array) -> None:
        x = self.recall_for(grad_y, self.out_features)
        x = x.reshape(-1, self.in_features)  # (N, in)
        dy = grad_y.reshape(-1, self.out_features)  # (N, out)
        self.weight.add_product(x.T, dy)  # dW += xᵀ dy
        if self.bias is not None:
            self.bias.add_sum(dy)  # db += 1ᵀ dy

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*input_shape[:-1], self.out_features)

    def __repr__(self) -> str:
        bias = "" if self.bias is not None else ", bias=False"
        return f"Linear({self.in_features}, {self.out_features}{bias})"
