"""The gated two-layer perceptron: one half of the hidden layer decides how much of the other half passes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from mlp.arrays import Array
from mlp.checks import InputError, check_integer, check_rng
from mlp.initializers import Initializer, zeros
from mlp.layers.base import Layer
from mlp.layers.blocks import Block
from mlp.layers.linear import Linear

# Of a packed first layer: the first is flash-attention's, the second Megatron's.
ORDERS = ("value_first", "gate_first")


def gated_width(in_features: int, hidden_features: int | None = None, multiple_of: int = 128) -> int:
    """The hidden width of a ``GatedMlp``: the one given, rounded up to a multiple of ``multiple_of``.

    If none is given it is int(8/3 in_features), with which three matrices have as many weights as the two of an
    ``Mlp``, rounded up likewise. Raises ``InputError`` for numbers below 1.
    """
    in_features = check_integer("GatedMlp: in_features", in_features, 1)
    hidden = 8 * in_features // 3 if hidden_features is None else hidden_features
    multiple = check_integer("GatedMlp: multiple_of", multiple_of, 1)
    return -(-check_integer("GatedMlp: hidden_features", hidden, 1) // multiple) * multiple


class GatedMlp(Block):
    """y = (v · act(g)) W2 + b2 with v = x Wv + bv and g = x Wg + bg: each hidden unit has a gate of its own.

    The product rule is what is new in the backward pass. With h = v · a and a = act(g),

        dL/dv = dL/dh · a,    dL/da = dL/dh · v,    dL/dx = (dL/dv) Wvᵀ + (dL/dg) Wgᵀ

    ``activation`` makes the block GLU ("Sigmoid"), SwiGLU ("SiLU"), GeGLU ("GeLU"), ReGLU ("ReLU") or bilinear
    ("Identity"). ``hidden_features`` is the width of v, and of g: see ``gated_width`` for its default and rounding.
    ``bias1`` is for bv and bg, ``bias2`` for b2. Initial values are drawn in the order ``value``, ``gate``,
    ``fc2``. Everything else is as in ``Mlp``.

    Other libraries pack v and g into one layer of twice the width: see ``packed_fc1`` and ``load_packed_fc1``.

    Dauphin, Fan, Auli & Grangier, "Language modeling with gated convolutional networks", ICML 2017,
    arXiv:1612.08083; Shazeer, "GLU variants improve transformer", 2020, arXiv:2002.05202.
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int | None = None,
        out_features: int | None = None,
        activation: str | Layer = "Sigmoid",
        *,
        bias1: bool = True,
        bias2: bool = True,
        multiple_of: int = 128,
        return_residual: bool = False,
        weight_init: str | Initializer | None = None,
        bias_init: str | Initializer = zeros,
        rng: int | np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        width = gated_width(in_features, hidden_features, multiple_of)
        super().__init__(in_features, width, out_features, return_residual)
        self.multiple_of = multiple_of
        options: dict[str, Any] = {"weight_init": weight_init, "bias_init": bias_init, "dtype": dtype}
        rng = check_rng(rng)
        self.value = Linear(self.in_features, self.hidden_features, bias=bias1, rng=rng, **options)
        self.gate = Linear(self.in_features, self.hidden_features, bias=bias1, rng=rng, **options)
        self.activation = self.make_activation(activation)
        self.fc2 = Linear(self.hidden_features, self.out_features, bias=bias2, rng=rng, **options)

    def forward(self, x: Array) -> Any:
        v = self.value.forward(x)
        a = self.activation.forward(self.gate.forward(x))
        y = self.fc2.forward(v * a)
        self.own_saved = (v, a)
        return (y, x) if self.return_residual else y

    def backward(self, grad_y: Any) -> Array:
        grad_y, grad_residual = self.split_upstream(grad_y)
        dv, dg = self._backward_product(grad_y)
        grad_x = self.value.backward(dv)
        grad_x += self.gate.backward(dg)
        return self.add_residual(grad_x, grad_residual)

    def backward_parameters(self, grad_y: Any) -> None:
        grad_y, _ = self.split_upstream(grad_y)
        dv, dg = self._backward_product(grad_y)
        self.value.backward_parameters(dv)
        self.gate.backward_parameters(dg)

    def _backward_product(self, grad_y: Array) -> tuple[Array, Array]:
        """dL/dv and dL/dg."""
        v, a = self.recall()
        dh = self.fc2.backward(grad_y)
        return dh * a, self.activation.backward(dh * v)

    def packed_fc1(self, order: str = "value_first") -> tuple[Array, Array | None]:
        """Weight (in_features, 2 hidden_features) and bias (2 hidden_features,) of v and g in one, as copies.

        ``order`` says whose columns come first: "value_first" is flash-attention's, "gate_first" Megatron's.
        PyTorch's layers hold the transpose: ``weight.T`` is the tensor there. Raises ``InputError`` for another
        order.
        """
        parts = self._in_order(order)
        weight = np.concatenate([part.weight.data for part in parts], axis=1)
        biases = [part.bias.data for part in parts if part.bias is not None]
        return weight, np.concatenate(biases) if biases else None

    def load_packed_fc1(self, weight: Array, bias: Array | None = None, order: str = "value_first") -> None:
        """Take v's and g's parameters from a packed layer, laid out as ``packed_fc1`` gives them.

        A PyTorch tensor of shape (2 hidden_features, in_features) is to be transposed first. Raises
        ``InputError``, and changes nothing, for other shapes, another order, or a bias where the block has none.
        """
        parts = self._in_order(order)
        packed = (self.in_features, 2 * self.hidden_features)
        expected = (packed, packed[1:] if self.value.bias is not None else None)
        given = (np.shape(weight), None if bias is None else np.shape(bias))
        if given != expected:
            raise InputError(
                f"{self.name}: a packed first layer has weight and bias of shapes {expected[0]} and {expected[1]}, "
                f"got {given[0]} and {given[1]}"
            )
        for i, part in enumerate(parts):
            columns = slice(i * self.hidden_features, (i + 1) * self.hidden_features)
            part.weight.data = weight[:, columns]
            if part.bias is not None and bias is not None:
                part.bias.data = bias[columns]

    def _in_order(self, order: str) -> tuple[Linear, Linear]:
        if order not in ORDERS:
            raise InputError(f"{self.name}: order must be one of {', '.join(ORDERS)}, got {order!r}")
        return (self.value, self.gate) if order == "value_first" else (self.gate, self.value)

    def __repr__(self) -> str:
        return self.describe(
            self.activation,
            bias1=(self.value.bias is not None, True),
            bias2=(self.fc2.bias is not None, True),
            multiple_of=(self.multiple_of, 128),
        )
