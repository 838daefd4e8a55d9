"""Batch normalisation: every feature brought to mean 0 and variance 1 over the batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from mlp.arrays import Array
from mlp.checks import InputError, check_dtype, check_number, short
from mlp.layers.base import check_features
from mlp.layers.linear import Linear
from mlp.layers.normalization import Normalization


class BatchNorm(Normalization):
    """Normalises every feature over the batch. With the mean μ and the variance σ² of a feature over the N samples,

        x̂ = (x - μ) / sqrt(σ² + ε),   y = γ x̂ + β                          x, y: (..., features)

        dL/dx = γ / sqrt(σ² + ε) · (dy - mean(dy) - x̂ · mean(dy · x̂)),   dL/dγ = Σ dy · x̂,   dL/dβ = Σ dy

    The last two terms of dL/dx are there because μ and σ² depend on x as well. All axes but the last count as
    samples.

    While it learns it also follows the two: running ← (1 - m) running + m · current, with ``momentum`` m, in
    ``running_mean`` and ``running_var``. After ``eval()`` it takes these instead, so the output for a sample no
    longer depends on the rest of its batch, and the layer is y = a x + b: it can be folded into the Linear before.

    σ² divides by N; what goes into ``running_var`` divides by N - 1, as in PyTorch. A batch of one has no
    variance: y = β, and the running statistics stay. (PyTorch refuses it.)

    Raises ``InputError`` for num_features < 1, eps < 0, momentum outside [0, 1], an x of another width or dtype.

    Ioffe & Szegedy, "Batch normalization", ICML 2015, arXiv:1502.03167.
    """

    statistic_names = ("running_mean", "running_var")

    def __init__(
        self,
        num_features: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(num_features, eps, affine, affine, dtype)
        self.momentum = check_number("BatchNorm: momentum", momentum, 0, 1)
        self.running_mean: Array = np.zeros(num_features, check_dtype(dtype))
        self.running_var: Array = np.ones(num_features, check_dtype(dtype))

    def reset_parameters(self, rng: np.random.Generator) -> None:
        super().reset_parameters(rng)
        self.running_mean[...] = 0
        self.running_var[...] = 1

    def forward(self, x: Array) -> Array:
        check_features(self, x, self.in_features, self.running_mean.dtype)
        rows = self.rows(x)
        trained = self.training and len(rows) > 0
        mean, var = self.running_mean, self.running_var
        if trained:
            mean = column_mean(rows)
        centred = rows - mean
        if trained:
            var = column_mean(centred * centred)
            self._follow(mean, var, len(rows))
        inverse = 1 / np.sqrt(var + x.dtype.type(self.eps))
        y = centred * (inverse if self.weight is None else inverse * self.weight.data)
        if self.bias is not None:
            y += self.bias.data
        self.saved = (x.shape, centred, inverse, trained)
        return y.reshape(x.shape)

    def backward(self, grad_y: Array) -> Array:
        shape, centred, inverse, trained = self.recall()
        dy = self.upstream(grad_y)
        along = (np.ones(len(dy), dy.dtype) @ (dy * centred)) * inverse  # Σ dy · x̂
        if self.weight is not None:
            self.weight.add(along)
        slope = inverse if self.weight is None else inverse * self.weight.data
        grad_x = dy * slope
        if trained:
            grad_x -= column_mean(grad_x)
            # x̂ mean(dy · x̂), with x̂ = centred · inverse
            grad_x -= centred * (slope * inverse * along / dy.dtype.type(len(dy)))
        return grad_x.reshape(shape)

    def _follow(self, mean: Array, var: Array, N: int) -> None:
        if N > 1:
            m = mean.dtype.type(self.momentum)
            self.running_mean += m * (mean - self.running_mean)
            self.running_var += m * (var * mean.dtype.type(N / (N - 1)) - self.running_var)

    def written_options(self) -> list[str]:
        return super().written_options() + ([] if self.momentum == 0.1 else [f"momentum={short(self.momentum)}"])

    def folded_into(self, linear: Linear) -> Linear:
        """One Linear that computes what ``linear`` followed by this layer does after ``eval()``:

            W' = W · a,   b' = (b - running mean) · a + β,   a = γ / sqrt(running variance + ε)

        Raises ``InputError`` if their widths or dtypes differ.
        """
        dtype = self.running_mean.dtype
        if linear.out_features != self.in_features or linear.weight.dtype != dtype:
            raise InputError(f"{self!r} in {dtype} cannot be folded into {linear!r} in {linear.weight.dtype}")
        a = 1 / np.sqrt(self.running_var + dtype.type(self.eps))
        if self.weight is not None:
            a *= self.weight.data
        folded = Linear(linear.in_features, linear.out_features, dtype=dtype, weight_init=linear.weight_init)
        assert folded.bias is not None
        folded.weight.data = linear.weight.data * a
        b = 0 if linear.bias is None else linear.bias.data
        folded.bias.data = (b - self.running_mean) * a + (0 if self.bias is None else self.bias.data)
        return folded


def column_mean(rows: Array) -> Array:
    """The mean of each column, (N, F) -> (F,), as a product with ones, which is the fastest way to sum."""
    return np.ones(len(rows), rows.dtype) @ rows / rows.dtype.type(len(rows))
