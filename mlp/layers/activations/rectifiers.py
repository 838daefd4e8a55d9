"""Activations that pass positive numbers on as they are and hold negative ones back: ReLU and its relatives.

Each ``forward`` leaves the derivative dy/dx in ``saved``; ``backward`` multiplies with it: see elementwise.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from mlp.arrays import Array
from mlp.checks import check_dtype, check_integer, check_number, short
from mlp.functional import relu
from mlp.layers.activations.elementwise import Elementwise
from mlp.layers.activations.registry import register_activation
from mlp.layers.base import Layer, check_features
from mlp.parameter import Parameter


@register_activation("ReLU", initializer="he_normal")
class ReLU(Elementwise):
    """y = max(x, 0), elementwise; dy/dx = 1 where x > 0, else 0 (the slope at exactly 0 is taken as 0).

    Nair & Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.
    """

    def forward(self, x: Array) -> Array:
        y = np.clip(x, 0, np.inf)  # in a third of the time of np.maximum(x, 0)
        self.saved = y > 0
        return y


@register_activation("LeakyReLU", initializer="he_normal")
class LeakyReLU(Elementwise):
    """y = a x, elementwise, with a = 1 where x > 0, else ``slope``; dy/dx = a (at exactly 0 it is ``slope``).

    Unlike ReLU it lets a little gradient through on the left, so no neuron can stop learning for good.

    Raises ``InputError`` unless the slope is a finite number from 0 to 1.
    Maas, Hannun & Ng, "Rectifier nonlinearities improve neural network acoustic models", ICML 2013.
    """

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__()
        self.slope = check_number("LeakyReLU: slope", slope, 0, 1)

    def forward(self, x: Array) -> Array:
        a = (x > 0).astype(x.dtype)
        a *= 1 - self.slope
        a += self.slope
        self.saved = a
        return x * a

    def __repr__(self) -> str:
        return "LeakyReLU()" if self.slope == 0.01 else f"LeakyReLU(slope={short(self.slope)})"


class PReLU(Layer):
    """y = a x where x <= 0, else x, with a slope a that is learned: one for all features, or one for each.

        dL/dx = dL/dy · (1 where x > 0, else a),    dL/da = Σ dL/dy · min(x, 0)

    ``weight`` (num_parameters,) is a and starts at ``init``. Raises ``InputError`` for fewer parameters than 1, and
    for an x of another width if there are more.

    He, Zhang, Ren & Sun, "Delving deep into rectifiers", ICCV 2015.
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, dtype: DTypeLike = np.float32) -> None:
        super().__init__()
        number = check_integer("PReLU: num_parameters", num_parameters, 1)
        self.init = check_number("PReLU: init", init, -np.inf)
        self.weight = Parameter(np.full(number, self.init, check_dtype(dtype)), "weight")

    def reset_parameters(self, rng: np.random.Generator) -> None:
        self.weight.data[...] = self.init

    def forward(self, x: Array) -> Array:
        if self.weight.size > 1:
            check_features(self, x, self.weight.size, self.weight.dtype)
        self.saved = x
        return np.where(x > 0, x, self.weight.data * x)

    def backward(self, grad_y: Array) -> Array:
        x = self.recall_for(grad_y)
        da = grad_y * np.minimum(x, 0)
        self.weight.add_sum(da.reshape(-1, self.weight.size))
        return grad_y * np.where(x > 0, x.dtype.type(1), self.weight.data)

    def __repr__(self) -> str:
        return f"PReLU({self.weight.size if self.weight.size > 1 else ''})"


@register_activation("ReLU6", initializer="he_normal")
class ReLU6(Elementwise):
    """y = min(max(x, 0), 6), elementwise; dy/dx = 1 where 0 < x < 6, else 0 (also at exactly 0 and 6).

    Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.
    """

    def forward(self, x: Array) -> Array:
        y = np.clip(x, 0, 6)
        self.saved = (y > 0) & (y < 6)
        return y


@register_activation("ELU", initializer="he_normal")
class ELU(Elementwise):
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
        slope = n + self.alpha
        if self.alpha != 1:
            slope += (x > 0) * x.dtype.type(1 - self.alpha)
        self.saved = slope
        return relu(x) + n

    def __repr__(self) -> str:
        return "ELU()" if self.alpha == 1 else f"ELU(alpha={short(self.alpha)})"


@register_activation("SELU", initializer="lecun_normal")
class SELU(Elementwise):
    """y = λ ELU(x) with α = 1.6733 and λ = 1.0507, chosen so that activations of mean 0 and variance 1 keep both.

    dy/dx = λ where x > 0, else λ α e^x. It wants weights of variance 1 / fan_in, and ``AlphaDropout``.

    Klambauer, Unterthiner, Mayr & Hochreiter, "Self-normalizing neural networks", NIPS 2017, arXiv:1706.02515.
    """

    ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805

    def forward(self, x: Array) -> Array:
        n = np.expm1(np.clip(x, -np.inf, 0))
        n *= self.ALPHA
        slope = np.where(x > 0, x.dtype.type(1), n + self.ALPHA)
        slope *= self.SCALE
        self.saved = slope
        y = relu(x) + n
        y *= self.SCALE
        return y
