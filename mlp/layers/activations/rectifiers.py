"""Activations that pass positive numbers on as they are and hold negative ones back: ReLU and its relatives."""

from __future__ import annotations

import numpy as np

from mlp.arrays import Array
from mlp.checks import check_number
from mlp.functional import relu
from mlp.layers.activations.registry import register_activation
from mlp.layers.base import Layer, check_upstream


@register_activation("ReLU", initializer="he_normal")
class ReLU(Layer):
    """y = max(x, 0), elementwise; dy/dx = 1 where x > 0, else 0 (the slope at exactly 0 is taken as 0).

    Nair & Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.
    """

    def forward(self, x: Array) -> Array:
        y = relu(x)
        self.saved = y > 0
        return y

    def backward(self, grad_y: Array) -> Array:
        active = self.recall()
        check_upstream(self, grad_y, active.shape)
        return grad_y * active


@register_activation("LeakyReLU", initializer="he_normal")
class LeakyReLU(Layer):
    """y = a x, elementwise, with a = 1 where x > 0, else ``slope``; dy/dx = a (at exactly 0 it is ``slope``).

    Unlike ReLU it lets a little gradient through on the left, so no neuron can stop learning for good.

    Raises ``InputError`` unless the slope is a finite number from 0 to 1.
    Maas, Hannun & Ng, "Rectifier nonlinearities improve neural network acoustic models", ICML 2013.
    """

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__()
        self.slope = check_number("LeakyReLU: slope", slope, 0, 1)

    def forward(self, x: Array) -> Array:
        a = (x > 0).astype(x.dtype)  # 1 or 0
        a *= 1 - self.slope
        a += self.slope
        self.saved = a
        return x * a

    def backward(self, grad_y: Array) -> Array:
        a = self.recall()
        check_upstream(self, grad_y, a.shape)
        return grad_y * a

    def __repr__(self) -> str:
        return "LeakyReLU()" if self.slope == 0.01 else f"LeakyReLU(slope={self.slope:g})"


@register_activation("ReLU6", initializer="he_normal")
class ReLU6(Layer):
    """y = min(max(x, 0), 6), elementwise; dy/dx = 1 where 0 < x < 6, else 0 (also at exactly 0 and 6).

    Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.
    """

    def forward(self, x: Array) -> Array:
        y = np.clip(x, 0, 6)
        self.saved = (y > 0) & (y < 6)
        return y

    def backward(self, grad_y: Array) -> Array:
        active = self.recall()
        check_upstream(self, grad_y, active.shape)
        return grad_y * active


@register_activation("ELU", initializer="he_normal")
class ELU(Layer):
    """y = x where x > 0, else α (e^x - 1), elementwise; dy/dx = 1 or α e^x (at exactly 0 it is α).

    With the negative part n = α (e^min(x, 0) - 1), which is 0 where x > 0:

        y = max(x, 0) + n,    dy/dx = α + n + (1 - α) [x > 0]

    Raises ``InputError`` unless ``alpha`` is a finite number of at least 0.
    Clevert, Unterthiner & Hochreiter, "Fast and accurate deep network learning by exponential linear units",
    ICLR 2016.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = check_number("ELU: alpha", alpha, 0)

    def forward(self, x: Array) -> Array:
        n = np.expm1(np.clip(x, -np.inf, 0))  # expm1 keeps the digits of e^x - 1 near 0
        n *= self.alpha
        y = relu(x)
        self.saved = (n, y > 0)
        y += n
        return y

    def backward(self, grad_y: Array) -> Array:
        n, positive = self.recall()
        check_upstream(self, grad_y, n.shape)
        slope = n + self.alpha
        if self.alpha != 1:
            slope += positive * n.dtype.type(1 - self.alpha)
        slope *= grad_y
        return slope

    def __repr__(self) -> str:
        return "ELU()" if self.alpha == 1 else f"ELU(alpha={self.alpha:g})"
