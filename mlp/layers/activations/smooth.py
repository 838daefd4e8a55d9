"""Activations without a kink: the sigmoids, which saturate on both sides, and smooth relatives of ReLU."""

from __future__ import annotations

from functools import partial

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_number
from mlp.functional import normal_cdf, normal_pdf, sigmoid, softplus
from mlp.layers.activations.registry import register_activation
from mlp.layers.base import Layer, check_upstream


@register_activation("Identity", initializer="xavier_normal")
class Identity(Layer):
    """y = x, dy/dx = 1: for a place where an activation is asked for and none is wanted."""

    def forward(self, x: Array) -> Array:
        self.saved = x.shape
        return x.copy()  # what a layer returns is the caller's own

    def backward(self, grad_y: Array) -> Array:
        check_upstream(self, grad_y, self.recall())
        return grad_y.copy()


@register_activation("Sigmoid", initializer="xavier_normal")
class Sigmoid(Layer):
    """y = 1 / (1 + e^-x), elementwise; dy/dx = y (1 - y), from the saved output.

    Computed as (1 + tanh(x/2)) / 2, the same function, which overflows on neither side.
    """

    def forward(self, x: Array) -> Array:
        y = sigmoid(x)
        self.saved = y.copy()  # y is the caller's, who may write into it
        return y

    def backward(self, grad_y: Array) -> Array:
        y = self.recall()
        check_upstream(self, grad_y, y.shape)
        slope = 1 - y
        slope *= y
        slope *= grad_y
        return slope


@register_activation("Tanh", initializer="xavier_normal")
class Tanh(Layer):
    """y = tanh x, elementwise; dy/dx = 1 - y², from the saved output.

    LeCun, Bottou, Orr & Müller, "Efficient BackProp", 1998, on why outputs around 0 learn faster than a Sigmoid's.
    """

    def forward(self, x: Array) -> Array:
        y = np.tanh(x)
        self.saved = y.copy()
        return y

    def backward(self, grad_y: Array) -> Array:
        y = self.recall()
        check_upstream(self, grad_y, y.shape)
        slope = 1 - y * y
        slope *= grad_y
        return slope


@register_activation("Swish", "SiLU", initializer="he_normal")
class SiLU(Layer):
    """y = x s with s = 1 / (1 + e^-x), elementwise; dy/dx = s + x s (1 - s) = s + y (1 - s). Also called Swish.

    Elfwing, Uchibe & Doya, "Sigmoid-weighted linear units for neural network function approximation in
    reinforcement learning", Neural Networks 107 (2018); Ramachandran, Zoph & Le, "Searching for activation
    functions", 2017, arXiv:1710.05941.
    """

    def forward(self, x: Array) -> Array:
        s = sigmoid(x)
        y = x * s
        self.saved = (y.copy(), s)
        return y

    def backward(self, grad_y: Array) -> Array:
        y, s = self.recall()
        check_upstream(self, grad_y, y.shape)
        slope = 1 - s
        slope *= y
        slope += s
        slope *= grad_y
        return slope


@register_activation("Softplus", initializer="he_normal")
class Softplus(Layer):
    """y = log(1 + e^(βx)) / β, elementwise; dy/dx = 1 / (1 + e^(-βx)) = 1 - e^(-βy), from the saved output.

    The larger ``beta``, the closer it is to ReLU: the two differ most at 0, by log(2) / β.

    Raises ``InputError`` unless ``beta`` is a number from 1e-6 to 1e6.
    Dugas, Bengio, Bélisle, Nadeau & Garcia, "Incorporating second-order functional knowledge for better option
    pricing", NIPS 2000 (published 2001).
    """

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        self.beta = check_number("Softplus: beta", beta, 1e-6, 1e6)

    def forward(self, x: Array) -> Array:
        y = softplus(x, self.beta)
        self.saved = y.copy()
        return y

    def backward(self, grad_y: Array) -> Array:
        y = self.recall()
        check_upstream(self, grad_y, y.shape)
        with np.errstate(over="ignore"):  # to -inf, whose exponential is 0, as it should be
            slope = np.expm1(-self.beta * y)  # expm1 keeps the digits of e^(-βy) - 1 where y is tiny
        slope *= -grad_y
        return slope

    def __repr__(self) -> str:
        return "Softplus()" if self.beta == 1 else f"Softplus(beta={self.beta:g})"


@register_activation("GeLU", initializer="he_normal")
class GeLU(Layer):
    """y = x Phi(x), with Phi the standard normal distribution function; elementwise.

    ``approximate="tanh"`` (the default) replaces Phi by

        s(x) = (1 + tanh u) / 2,   u = c (x + a x³) = x p,   p = c (1 + a x²),   c = sqrt(2/π),   a = 0.044715,
        y = x s,   dy/dx = s + x s' = s + 2 y (1 - s) u',    u' = c (1 + 3 a x²) = 3 p - 2 c,

    ``approximate="none"`` is exact: dy/dx = Phi(x) + x phi(x). The two differ by at most 4.8e-4 in value
    and 8.7e-4 in derivative, so each has the derivative of its own formula.

    Raises ``InputError`` for another ``approximate``.
    Hendrycks & Gimpel, "Gaussian error linear units (GELUs)", 2016, arXiv:1606.08415.
    """

    def __init__(self, approximate: str = "tanh") -> None:
        super().__init__()
        if approximate not in ("tanh", "none"):
            raise InputError(f"GeLU: approximate must be 'tanh' or 'none', got {approximate!r}")
        self.approximate = approximate

    def forward(self, x: Array) -> Array:
        return self._forward_tanh(x) if self.approximate == "tanh" else self._forward_exact(x)

    def backward(self, grad_y: Array) -> Array:
        check_upstream(self, grad_y, self.recall()[0].shape)
        return self._backward_tanh(grad_y) if self.approximate == "tanh" else self._backward_exact(grad_y)

    _C = float(np.sqrt(2 / np.pi))
    _A = 0.044715

    def _forward_tanh(self, x: Array) -> Array:
        # Beyond 10 the tanh is 1 to the last bit, and far beyond the cube would overflow. The dot product rules out
        # an entry above 1e12, whose cube still fits into float32, in less time than clipping takes.
        z = x if np.vdot(x, x) < 1e24 else np.clip(x, -10, 10)
        p = z * z
        p *= self._C * self._A
        p += self._C  # p = u / z
        s = np.tanh(z * p)
        s += 1
        s *= 0.5
        y = x * s
        self.saved = (y.copy(), s, p)
        return y

    def _backward_tanh(self, grad_y: Array) -> Array:
        y, s, p = self.recall()
        slope = 6 * p
        slope -= 4 * self._C  # 2 u' = 6 p - 4 c
        slope *= y
        slope *= 1 - s
        slope += s
        slope *= grad_y
        return slope

    def _forward_exact(self, x: Array) -> Array:
        cdf = normal_cdf(x)
        self.saved = (x, cdf)
        return x * cdf

    def _backward_exact(self, grad_y: Array) -> Array:
        x, cdf = self.recall()
        slope = normal_pdf(x)
        slope *= x
        slope += cdf
        slope *= grad_y
        return slope

    def __repr__(self) -> str:
        return "GeLU()" if self.approximate == "tanh" else f"GeLU(approximate={self.approximate!r})"


register_activation("GeLUExact", initializer="he_normal")(partial(GeLU, "none"))
