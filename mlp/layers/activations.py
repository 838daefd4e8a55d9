"""The nonlinearities, each with its derivative beside it. Without one between them, two Linear layers are one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlp.checks import find_name
from mlp.errors import InputError
from mlp.functional import normal_cdf, normal_pdf, sigmoid
from mlp.layers.base import Layer, check_upstream

Array = NDArray[np.floating[Any]]

ACTIVATIONS: dict[str, Callable[[], Layer]] = {}


def register_activation(name: str) -> Callable[[type[Layer]], type[Layer]]:
    """Class decorator that lets a configuration name this activation (upper and lower case are one)."""

    def register(layer: type[Layer]) -> type[Layer]:
        ACTIVATIONS[name] = layer
        return layer

    return register


def make_activation(name: str) -> Layer:
    """A new layer of the activation registered under ``name``. Raises ``InputError`` for an unknown one."""
    known = find_name(name, ACTIVATIONS)
    if known is None:
        raise InputError(f"unknown activation {name!r}; there are: {', '.join(sorted(ACTIVATIONS))}")
    return ACTIVATIONS[known]()


@register_activation("ReLU")
class ReLU(Layer):
    """y = max(x, 0), elementwise; dy/dx = 1 where x > 0, else 0 (the slope at exactly 0 is taken as 0).

    Nair & Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.
    """

    def forward(self, x: Array) -> Array:
        # A row of zeros, not the number 0: NumPy compares two arrays with vector instructions.
        zero = np.zeros(x.shape[-1:], x.dtype)
        y = np.maximum(x, zero, out=self.empty("y", x.shape, x.dtype))
        self.saved = np.greater(y, 0, out=self.empty("active", y.shape, bool))
        return y

    def backward(self, grad_y: Array) -> Array:
        active = self.recall()
        check_upstream(self, grad_y, active.shape)
        return np.multiply(grad_y, active, out=self.empty("grad_x", active.shape, grad_y.dtype))


@register_activation("Sigmoid")
class Sigmoid(Layer):
    """y = 1 / (1 + e^-x), elementwise; dy/dx = y (1 - y), from the saved output.

    Computed as (1 + tanh(x/2)) / 2, the same function, which overflows on neither side.
    """

    def forward(self, x: Array) -> Array:
        y = sigmoid(x, out=self.empty("y", x.shape, x.dtype))
        self.saved = self.keep_output(y)
        return y

    def backward(self, grad_y: Array) -> Array:
        y = self.recall()
        check_upstream(self, grad_y, y.shape)
        slope = np.subtract(1, y, out=self.empty("grad_x", y.shape, y.dtype))
        slope *= y
        slope *= grad_y
        return slope


@register_activation("GeLU")
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
        p = np.multiply(z, z, out=self.empty("p", x.shape, x.dtype))
        p *= self._C * self._A
        p += self._C  # p = u / z
        s = np.multiply(z, p, out=self.empty("s", x.shape, x.dtype))
        np.tanh(s, out=s)
        s += 1
        s *= 0.5
        y = np.multiply(x, s, out=self.empty("y", x.shape, x.dtype))
        self.saved = (self.keep_output(y), s, p)
        return y

    def _backward_tanh(self, grad_y: Array) -> Array:
        y, s, p = self.recall()
        slope = np.multiply(p, 6, out=self.empty("grad_x", p.shape, p.dtype))
        slope -= 4 * self._C  # 2 u' = 6 p - 4 c
        slope *= y
        slope *= np.subtract(1, s, out=self.empty("t", s.shape, s.dtype))
        slope += s
        slope *= grad_y
        return slope

    def _forward_exact(self, x: Array) -> Array:
        cdf = normal_cdf(x)
        self.saved = (x, cdf)
        return np.multiply(x, cdf, out=self.empty("y", x.shape, x.dtype))

    def _backward_exact(self, grad_y: Array) -> Array:
        x, cdf = self.recall()
        slope = normal_pdf(x)
        slope *= x
        slope += cdf
        return np.multiply(grad_y, slope, out=self.empty("grad_x", x.shape, x.dtype))

    def __repr__(self) -> str:
        return "GeLU()" if self.approximate == "tanh" else f"GeLU(approximate={self.approximate!r})"
