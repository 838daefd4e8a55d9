"""Dropout: a different thinned network at every step, so that no neuron can rely on a particular other one."""

from __future__ import annotations

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_number, check_rng, short
from mlp.layers.base import Layer, check_upstream


class Dropout(Layer):
    """Inverted dropout: while it learns, each entry is dropped with probability p, and what stays is scaled up:

        m ~ Bernoulli(1 - p),   y = x m / (1 - p),   dL/dx = dL/dy m / (1 - p)

    so that the mean of y over m is x. After ``eval()`` it is y = x: nothing to do, nothing to forget. The original
    form, y = x m in training and y = (1 - p) x in use, is the same up to that factor: it scales at test time
    instead, which every user of the network must then know of.

    The masks come from ``rng`` (a seed or a Generator). A network that is built with ``rng=`` gives each of its
    Dropout layers a generator of its own, derived from that.

    Raises ``InputError`` for p outside [0, 1).

    Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov, "Dropout", JMLR 15 (2014).
    """

    def __init__(self, p: float = 0.5, rng: int | np.random.Generator | None = None) -> None:
        super().__init__()
        self.p = check_number("Dropout: p", p, 0, 1)
        if self.p == 1:
            raise InputError(f"Dropout: p must be below 1, got {p!r}: nothing would be left")
        self.rng = check_rng(rng)

    def reset_parameters(self, rng: np.random.Generator) -> None:
        self.rng = rng.spawn(1)[0]

    def forward(self, x: Array) -> Array:
        if not self.training or self.p == 0:
            self.saved = (x.shape, None)
            return x.copy()
        keep = self.rng.random(x.shape, x.dtype) >= x.dtype.type(self.p)
        y = x * keep
        y *= x.dtype.type(self._factor)
        self.saved = (x.shape, keep)
        return y

    def backward(self, grad_y: Array) -> Array:
        shape, keep = self.recall()
        check_upstream(self, grad_y, shape)
        if keep is None:
            return grad_y.copy()
        grad_x = grad_y * keep
        grad_x *= grad_y.dtype.type(self._factor)
        return grad_x

    @property
    def _factor(self) -> float:
        return 1 / (1 - self.p)

    def __repr__(self) -> str:
        return f"Dropout({short(self.p)})"


class AlphaDropout(Dropout):
    """Dropout for networks of ``SELU``: a dropped entry becomes α' = -λ α, what SELU gives far to the left, and

        y = a (x m + α' (1 - m)) + b,   m ~ Bernoulli(1 - p),   dL/dx = a m dL/dy

    with a = ((1 - p)(1 + p α'²))^(-1/2) and b = -a p α', so that mean 0 and variance 1 are kept.

    Klambauer, Unterthiner, Mayr & Hochreiter, "Self-normalizing neural networks", NIPS 2017, arXiv:1706.02515.
    """

    ALPHA = -1.7580993408473766

    def forward(self, x: Array) -> Array:
        if not self.training or self.p == 0:
            return super().forward(x)
        keep = self.rng.random(x.shape, x.dtype) >= x.dtype.type(self.p)
        self.saved = (x.shape, keep)
        a = self._factor
        return np.where(keep, x, x.dtype.type(self.ALPHA)) * x.dtype.type(a) - x.dtype.type(a * self.p * self.ALPHA)

    @property
    def _factor(self) -> float:
        return ((1 - self.p) * (1 + self.p * self.ALPHA**2)) ** -0.5

    def __repr__(self) -> str:
        return f"AlphaDropout({short(self.p)})"
