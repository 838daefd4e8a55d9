"""A Linear whose weights are 8-bit integers: a quarter of the memory, and nearly the same answers."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_dtype, check_flag, check_integer
from mlp.layers.base import Layer, check_features
from mlp.layers.linear import Linear
from mlp.parameter import Parameter


class QuantizedLinear(Layer):
    """y = (x Q) · s + b, for x of shape (..., in_features) and y of shape (..., out_features).

    Q (in_features, out_features) holds whole numbers from -127 to 127 in a byte each, ``integers``; s and b hold a
    number for each output, ``scale`` and ``bias``. With W ≈ Q · s it is nearly a Linear: see ``quantize_weight``.
    Q is not learned. s and b are, if somebody trains on, and the gradient goes through to x:

        dL/ds = Σ dy · (x Q),   dL/db = Σ dy,   dL/dx = (dy · s) Qᵀ

    s is small and its gradient large, as x Q is: gradient descent needs a learning rate about s² times the usual.

    Q becomes floating-point for the time of a product, since NumPy multiplies matrices of integers slowly: this
    layer saves memory, not time. A new one is all zeros; ``QuantizedLinear.of(linear)`` is the one to start from.

    Raises ``InputError`` for sizes below 1, and for an x of another width or dtype.

    Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference",
    CVPR 2018, arXiv:1712.05877 (there with an offset for each tensor, and integer activations as well).
    """

    statistic_names = ("integers",)

    def __init__(
        self, in_features: int, out_features: int, *, bias: bool = True, dtype: DTypeLike = np.float32
    ) -> None:
        super().__init__()
        dtype = check_dtype(dtype)
        self.in_features = check_integer("QuantizedLinear: in_features", in_features, 1)
        self.out_features = check_integer("QuantizedLinear: out_features", out_features, 1)
        self.integers = np.zeros((in_features, out_features), np.int8)
        self.scale = Parameter(np.ones(out_features, dtype), "scale")
        bias = check_flag("QuantizedLinear: bias", bias)
        self.bias = Parameter(np.zeros(out_features, dtype), "bias") if bias else None

    @classmethod
    def of(cls, linear: Linear) -> Self:
        """What comes nearest to ``linear``. Raises ``InputError`` if its weights are not finite."""
        has_bias = linear.bias is not None
        layer = cls(linear.in_features, linear.out_features, bias=has_bias, dtype=linear.weight.dtype)
        layer.integers, layer.scale.data = quantize_weight(linear.weight.data)
        if layer.bias is not None and linear.bias is not None:
            layer.bias.data = linear.bias.data
        return layer

    def dequantized(self) -> Array:
        """Q · s, the weights that it computes with, (in_features, out_features)."""
        return self.integers * self.scale.data

    def forward(self, x: Array) -> Array:
        s = self.scale.data
        check_features(self, x, self.in_features, s.dtype)
        z = x @ self.integers.astype(s.dtype)  # z = x Q
        y = z * s
        if self.bias is not None:
            y += self.bias.data
        self.saved = z
        return y

    def backward(self, grad_y: Array) -> Array:
        self.backward_parameters(grad_y)
        return (grad_y * self.scale.data) @ self.integers.astype(grad_y.dtype).T

    def backward_parameters(self, grad_y: Array) -> None:
        z = self.recall_for(grad_y)
        dy = grad_y.reshape(-1, self.out_features)
        self.scale.add_sum(dy * z.reshape(dy.shape))
        if self.bias is not None:
            self.bias.add_sum(dy)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*input_shape[:-1], self.out_features)

    def __repr__(self) -> str:
        bias = "" if self.bias is not None else ", bias=False"
        return f"QuantizedLinear({self.in_features}, {self.out_features}{bias})"


def quantize_weight(W: Array) -> tuple[NDArray[np.int8], Array]:
    """Whole numbers Q and scales s with W ≈ Q · s: (in, out) -> (in, out) in int8, and (out,).

        s_j = max_i |W_ij| / 127,   Q_ij = W_ij / s_j, rounded to the nearest, ties to even

    so |W_ij - Q_ij s_j| <= s_j / 2, and a weight of 0 stays 0. Each output has a scale of its own, because widths
    of weights differ between them. Raises ``InputError`` if W is not finite.
    """
    if not np.isfinite(W).all():
        raise InputError("quantize_weight: the weights must be finite")
    s = np.abs(W).max(axis=0) / W.dtype.type(127)
    s[s == 0] = 1  # an output that does not look at its input
    Q = np.clip(np.rint(W / s), -127, 127)  # beside the smallest numbers there are, s is rounded too
    return Q.astype(np.int8), s
