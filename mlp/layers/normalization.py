"""Normalisation of each sample over its features: layers that keep the scale of activations in hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from mlp.arrays import Array
from mlp.checks import check_dtype, check_integer, check_number
from mlp.functional import ones
from mlp.layers.base import Layer, check_features, check_upstream
from mlp.parameter import Parameter


class Normalization(Layer):
    """What LayerNorm, RMSNorm and BatchNorm have in common: after x̂, which each makes in its own way, y = γ x̂ + β.

    γ is the parameter ``weight`` and starts at 1, β is ``bias`` and starts at 0; ``affine=False`` leaves both out.
    """

    def __init__(self, num_features: int, eps: float, affine: bool, bias: bool, dtype: DTypeLike) -> None:
        super().__init__()
        kind = type(self).__name__
        dtype = check_dtype(dtype)
        self.in_features = self.out_features = check_integer(f"{kind}: num_features", num_features, 1)
        self.eps = check_number(f"{kind}: eps", eps, 0)
        self.weight = Parameter(np.ones(num_features, dtype), "weight") if affine else None
        self.bias = Parameter(np.zeros(num_features, dtype), "bias") if affine and bias else None

    def reset_parameters(self, rng: np.random.Generator) -> None:
        if self.weight is not None:
            self.weight.data[...] = 1
        if self.bias is not None:
            self.bias.data[...] = 0

    def rows(self, x: Array) -> Array:
        """x as (N, features), once its width and dtype are known to be right."""
        # Without parameters it computes in whatever it is given.
        check_features(self, x, self.in_features, x.dtype if self.weight is None else self.weight.dtype)
        return x.reshape(-1, self.in_features)

    def upstream(self, grad_y: Array) -> Array:
        """dL/dy as (N, features), with the bias's gradient already accumulated: dL/dβ = 1ᵀ dy."""
        shape = self.recall()[0]
        check_upstream(self, grad_y, shape)
        dy = grad_y.reshape(-1, self.in_features)
        if self.bias is not None:
            self.bias.accumulate(np.matmul, ones(len(dy), dy.dtype), dy)
        return dy

    def accumulate_weight(self, dy: Array, x_hat: Array) -> None:
        """dL/dγ = sum over the batch of dy · x̂."""
        if self.weight is not None:
            product = np.multiply(dy, x_hat, out=self.empty("product", dy.shape, dy.dtype))
            self.weight.accumulate(np.matmul, ones(len(dy), dy.dtype), product)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.in_features}{'' if self.weight is not None else ', affine=False'})"


class LayerNorm(Normalization):
    """Normalises every sample over its features. With the mean μ and the variance σ² of a row over its features,

        x̂ = (x - μ) / sqrt(σ² + ε),   y = γ x̂ + β                          x, y: (..., features)

        dL/dx = (g - mean(g) - x̂ · mean(g · x̂)) / sqrt(σ² + ε),   g = γ · dy;   dL/dγ = Σ dy · x̂,   dL/dβ = Σ dy

    with means over the features and sums over the samples. It does the same in training and in use, and does not
    depend on the rest of the batch.

    Raises ``InputError`` for num_features < 1, eps < 0, an x of another width or dtype.

    Ba, Kiros & Hinton, "Layer normalization", 2016, arXiv:1607.06450.
    """

    def __init__(
        self, num_features: int, *, eps: float = 1e-5, affine: bool = True, bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, affine, bias, dtype)

    def forward(self, x: Array) -> Array:
        rows = self.rows(x)
        average = ones(self.in_features, x.dtype)[:, np.newaxis] / x.dtype.type(self.in_features)
        x_hat = np.subtract(rows, rows @ average, out=self.empty("x_hat", rows.shape, x.dtype))
        inverse = inverse_scale(x_hat, self.eps)
        x_hat *= inverse
        self.saved = (x.shape, x_hat, inverse)
        if self.weight is None:
            return self.keep_output(x_hat).reshape(x.shape)
        y = np.multiply(x_hat, self.weight.data, out=self.empty("y", rows.shape, x.dtype))
        if self.bias is not None:
            y += self.bias.data
        return y.reshape(x.shape)

    def backward(self, grad_y: Array) -> Array:
        shape, x_hat, inverse = self.recall()
        dy = self.upstream(grad_y)
        self.accumulate_weight(dy, x_hat)
        g = self.empty("grad_x", dy.shape, dy.dtype)
        np.multiply(dy, dy.dtype.type(1) if self.weight is None else self.weight.data, out=g)
        average = ones(self.in_features, dy.dtype)[:, np.newaxis] / dy.dtype.type(self.in_features)
        mean, along = g @ average, row_dot(g, x_hat) / dy.dtype.type(self.in_features)
        g -= mean
        g -= np.multiply(x_hat, along, out=self.empty("product", dy.shape, dy.dtype))
        g *= inverse
        return g.reshape(shape)


class RMSNorm(Normalization):
    """Scales every sample by its root mean square over the features, without centring:

        x̂ = x / r,   r = sqrt(mean(x²) + ε),   y = γ x̂                      x, y: (..., features)

        dL/dx = (g - x̂ · mean(g · x̂)) / r,   g = γ · dy;   dL/dγ = Σ dy · x̂

    Cheaper than LayerNorm, and about as good. Raises ``InputError`` as LayerNorm does.

    Zhang & Sennrich, "Root mean square layer normalization", NeurIPS 2019, arXiv:1910.07467.
    """

    def __init__(
        self, num_features: int, *, eps: float = 1e-5, affine: bool = True, dtype: DTypeLike = np.float32
    ) -> None:
        super().__init__(num_features, eps, affine, False, dtype)

    def forward(self, x: Array) -> Array:
        rows = self.rows(x)
        inverse = inverse_scale(rows, self.eps)
        x_hat = np.multiply(rows, inverse, out=self.empty("x_hat", rows.shape, x.dtype))
        self.saved = (x.shape, x_hat, inverse)
        if self.weight is None:
            return self.keep_output(x_hat).reshape(x.shape)
        return np.multiply(x_hat, self.weight.data, out=self.empty("y", rows.shape, x.dtype)).reshape(x.shape)

    def backward(self, grad_y: Array) -> Array:
        shape, x_hat, inverse = self.recall()
        dy = self.upstream(grad_y)
        self.accumulate_weight(dy, x_hat)
        g = self.empty("grad_x", dy.shape, dy.dtype)
        np.multiply(dy, dy.dtype.type(1) if self.weight is None else self.weight.data, out=g)
        along = row_dot(g, x_hat) / dy.dtype.type(self.in_features)
        g -= np.multiply(x_hat, along, out=self.empty("product", dy.shape, dy.dtype))
        g *= inverse
        return g.reshape(shape)


def row_dot(a: Array, b: Array) -> Array:
    """Σ_j a_ij b_ij, (N, F) and (N, F) -> (N, 1)."""
    return np.einsum("ij,ij->i", a, b)[:, np.newaxis]


def inverse_scale(rows: Array, eps: float) -> Array:
    """1 / sqrt(mean over the features of rows² + ε), (N, F) -> (N, 1)."""
    mean_square = row_dot(rows, rows) / rows.dtype.type(rows.shape[1])
    return 1 / np.sqrt(mean_square + rows.dtype.type(eps))
