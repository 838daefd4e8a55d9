"""Normalisation of each sample over its features: layers that keep the scale of activations in hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from mlp.arrays import Array
from mlp.checks import check_dtype, check_flag, check_integer, check_number, short
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
        affine, bias = check_flag(f"{kind}: affine", affine), check_flag(f"{kind}: bias", bias)
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
        """dL/dy as (N, features), with the bias's gradient already added: dL/dβ = 1ᵀ dy."""
        shape = self.recall()[0]
        check_upstream(self, grad_y, shape)
        dy = grad_y.reshape(-1, self.in_features)
        if self.bias is not None:
            self.bias.add_sum(dy)
        return dy

    def scale(self, x_hat: Array) -> Array:
        """y = γ x̂ + β."""
        if self.weight is None:
            return x_hat.copy()
        y = x_hat * self.weight.data
        if self.bias is not None:
            y += self.bias.data
        return y

    def scale_backward(self, dy: Array, x_hat: Array) -> Array:
        """g = γ · dy, with dL/dγ = Σ dy · x̂ added to the weight's gradient."""
        if self.weight is None:
            return dy.copy()
        self.weight.add_sum(dy * x_hat)
        return dy * self.weight.data

    def __repr__(self) -> str:
        options = [str(self.in_features), *self.written_options()]
        return f"{type(self).__name__}({', '.join(options)})"

    def written_options(self) -> list[str]:
        """The options as one would write them, those at their default left out."""
        options = [] if self.eps == 1e-5 else [f"eps={short(self.eps)}"]
        return options + ([] if self.weight is not None else ["affine=False"])


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
        x_hat = rows - row_mean(rows)
        inverse = inverse_scale(x_hat, self.eps)
        x_hat *= inverse
        self.saved = (x.shape, x_hat, inverse)
        return self.scale(x_hat).reshape(x.shape)

    def backward(self, grad_y: Array) -> Array:
        shape, x_hat, inverse = self.recall()
        dy = self.upstream(grad_y)
        g = self.scale_backward(dy, x_hat)
        mean, along = row_mean(g), row_dot(g, x_hat) / dy.dtype.type(self.in_features)
        g -= mean
        g -= x_hat * along
        g *= inverse
        return g.reshape(shape)

    def written_options(self) -> list[str]:
        is_without_bias = self.weight is not None and self.bias is None
        return super().written_options() + (["bias=False"] if is_without_bias else [])


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
        x_hat = rows * inverse
        self.saved = (x.shape, x_hat, inverse)
        return self.scale(x_hat).reshape(x.shape)

    def backward(self, grad_y: Array) -> Array:
        shape, x_hat, inverse = self.recall()
        dy = self.upstream(grad_y)
        g = self.scale_backward(dy, x_hat)
        along = row_dot(g, x_hat) / dy.dtype.type(self.in_features)
        g -= x_hat * along
        g *= inverse
        return g.reshape(shape)


def row_mean(rows: Array) -> Array:
    """The mean of each row, (N, F) -> (N, 1), as a product, which is the fastest way to sum."""
    features = rows.shape[1]
    return rows @ np.full((features, 1), 1 / features, rows.dtype)


def row_dot(a: Array, b: Array) -> Array:
    """Σ_j a_ij b_ij, (N, F) and (N, F) -> (N, 1)."""
    return np.einsum("ij,ij->i", a, b)[:, np.newaxis]


def inverse_scale(rows: Array, eps: float) -> Array:
    """1 / sqrt(mean over the features of rows² + ε), (N, F) -> (N, 1)."""
    mean_square = row_dot(rows, rows) / rows.dtype.type(rows.shape[1])
    return 1 / np.sqrt(mean_square + rows.dtype.type(eps))
