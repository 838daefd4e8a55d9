"""Activations without a kink: the sigmoids, which saturate on both sides, and smooth relatives of ReLU.

Each ``forward`` leaves the derivative dy/dx in ``saved``; ``backward`` multiplies with it: see elementwise.py.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_number, short
from mlp.functional import normal_cdf, normal_pdf, sigmoid, softplus
from mlp.layers.activations.elementwise import Elementwise
from mlp.layers.activations.registry import register_activation


@register_activation("Identity", initializer="xavier_normal")
class Identity(Elementwise):
    """y = x, dy/dx = 1: for a place where an activation is asked for and none is wanted."""

    def forward(self, x: Array) -> Array:
        self.saved = np.ones(x.shape, x.dtype)
        return x.copy()  # what a layer returns is the caller's own


@register_activation("Sigmoid", initializer="xavier_normal")
class Sigmoid(Elementwise):
    """y = 1 / (1 + e^-x), elementwise; dy/dx = y (1 - y), from y.

    Computed as (1 + tanh(x/2)) / 2, the same function, which overflows on neither side.
    """

    def forward(self, x: Array) -> Array:
        y = sigmoid(x)
        self.saved = (1 - y) * y
        return y


@register_activation("Tanh", initializer="xavier_normal")
class Tanh(Elementwise):
    """y = tanh x, elementwise; dy/dx = 1 - y², from y.

    LeCun, Bottou, Orr & Müller, "Efficient BackProp", 1998, on why outputs around 0 learn faster than a Sigmoid's.
    """

    def forward(self, x: Array) -> Array:
        y = np.tanh(x)
        self.saved = 1 - y * y
        return y


@register_activation("Swish", "SiLU", initializer="he_normal")
class SiLU(Elementwise):
    """y = x s with s = 1 / (1 + e^-x), elementwise; dy/dx = s + x s (1 - s) = s + y (1 - s). Also called Swish.

    Elfwing, Uchibe & Doya, "Sigmoid-weighted linear units for neural network function approximation in
    reinforcement learning", Neural Networks 107 (2018); Ramachandran, Zoph & Le, "Searching for activation
    functions", 2017, arXiv:1710.05941.
    """

    def forward(self, x: Array) -> Array:
        s = sigmoid(x)
        y = x * s
        slope = 1 - s
        slope *= y
        slope += s
        self.saved = slope
        return y


@register_activation("Softplus", initializer="he_normal")
class Softplus(Elementwise):
    """y = log(1 + e^(βx)) / β, elementwise; dy/dx = 1 / (1 + e^(-βx)) = 1 - e^(-βy), from y.

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
        with np.errstate(over="ignore"):  # to -inf, whose exponential is 0, as it should be
            self.saved = -np.expm1(-self.beta * y)  # expm1 keeps the digits of e^(-βy) - 1 where y is tiny
        return y

    def __repr__(self) -> str:
        return "Softplus()" if self.beta == 1 else f"Softplus(beta={short(self.beta)})"


@register_activation("GeLU", initializer="he_normal")
class GeLU(Elementwise):
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
        slope = p
        slope *= 6
        slope -= 4 * self._C  # 2 u' = 6 p - 4 c
        slope *= y
        slope *= 1 - s
        slope += s
        self.saved = slope
        return y

    def _forward_exact(self, x: Array) -> Array:
        cdf = normal_cdf(x)
        slope = normal_pdf(x)
        slope *= x
        slope += cdf
        self.saved = slope
        return x * cdf

    def __repr__(self) -> str:
        return "GeLU()" if self.approximate == "tanh" else f"GeLU(approximate={self.approximate!r})"


register_activation("GeLUExact", initializer="he_normal")(partial(GeLU, "none"))


@register_activation("Mish", initializer="he_normal")
class Mish(Elementwise):
    """y = x t with t = tanh(log(1 + e^x)), elementwise; dy/dx = t + x (1 - t²) s, s = 1 / (1 + e^-x).

    Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020, arXiv:1908.08681.
    """

    def forward(self, x: Array) -> Array:
        t = np.tanh(softplus(x))
        y = x * t
        self.saved = t + x * ((1 - t * t) * sigmoid(x))
        return y


@register_activation("Hardswish", initializer="he_normal")
class Hardswish(Elementwise):
    """y = x min(max(x + 3, 0), 6) / 6, elementwise: SiLU made of straight lines.

    dy/dx = 0 for x <= -3, 1 for x >= 3, and x/3 + 1/2 in between.

    Howard et al., "Searching for MobileNetV3", ICCV 2019, arXiv:1905.02244.
    """

    def forward(self, x: Array) -> Array:
        self.saved = np.where(np.abs(x) < 3, x / 3 + 0.5, x >= 3)
        return x * np.clip(x / 6 + 0.5, 0, 1)
