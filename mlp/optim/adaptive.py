"""Adaptive step sizes: each weight's gradient is divided by the size that this weight's gradients usually have."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_flag, check_number
from mlp.optim.base import Optimizer, decayed, register_optimizer
from mlp.parameter import Parameter, ParameterVector


@register_optimizer("AdaGrad")
class AdaGrad(Optimizer):
    """Every weight has a learning rate that falls with the sum of its squared gradients so far, S, from S = 0:

        S ← S + g²
        w ← w - η g / (√S + ε)

    with g + λ w in place of g for weight decay λ (coupled, as in ``SGD``). The first step has length η in every
    coordinate, whatever the gradient; under a constant gradient step t has length η / √t.

    Raises ``InputError`` for lr < 0, λ < 0, or an ε that is 0 in the parameters' dtype.

    Duchi, Hazan & Singer, "Adaptive subgradient methods for online learning and stochastic optimization", Journal
    of Machine Learning Research, 2011.
    """

    def __init__(
        self,
        parameters: ParameterVector | Iterable[Parameter],
        lr: float = 0.01,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr)
        self.eps = self._check_eps(eps)
        self.weight_decay = check_number("AdaGrad: weight_decay", weight_decay, 0)
        self.parameters.rows[[0, 3]] = 0
        self._scratch = self._scratch_rows(2)

    def step(self) -> None:
        """One update of all parameters from their gradients."""
        for part, factor, own_decay in self._begin():
            _, g, w, S = self.parameters.rows[:, part]
            s, d = self._scratch[:, : w.size]
            g = decayed(g, w, self.weight_decay if own_decay is None else own_decay, out=d)
            S += np.multiply(g, g, out=s)
            np.sqrt(S, out=s)
            s += self.eps
            np.divide(g, s, out=s)
            s *= factor * self.lr
            w -= s

    def state(self) -> dict[str, Array]:
        """The sums of squared gradients: not a copy."""
        return {"square_sum": self.parameters.rows[3, : self.parameters.size]}


@register_optimizer("RMSProp")
class RMSProp(Optimizer):
    """AdaGrad with a memory that fades: the gradient over the root of a moving average v of its square, from v = 0.

        v ← α v + (1 - α) g²
        u ← μ u + g / (√v + ε)          for momentum μ; u = g / (√v + ε) for μ = 0
        w ← w - η u

    with g + λ w in place of g for weight decay λ (coupled). ``centered=True`` puts the variance v - m², with
    m ← α m + (1 - α) g, in the place of v; where rounding makes it negative, it counts as 0. ε stands outside
    the root, as in PyTorch. The averages start at 0 and are not corrected for it: the first step has length
    η / √(1 - α) in every coordinate, ten times η by default. So η is 0.001 unless given, as in Keras and in the
    lecture; PyTorch's 0.01 diverges here with a momentum of 0.9.

    Raises ``InputError`` for lr < 0, α outside [0, 1), μ outside [0, 1], λ < 0, or an ε that is 0 in the
    parameters' dtype.

    Tieleman & Hinton, "Lecture 6.5: RMSProp", Coursera, 2012; centered: Graves, arXiv:1308.0850, 2013.
    """

    def __init__(
        self,
        parameters: ParameterVector | Iterable[Parameter],
        lr: float = 0.001,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        super().__init__(parameters, lr)
        self.alpha = check_number("RMSProp: alpha", alpha, 0, 1)
        if self.alpha == 1:
            raise InputError("RMSProp: alpha must be below 1: with 1 nothing is ever averaged; AdaGrad adds it up")
        self.eps = self._check_eps(eps)
        self.weight_decay = check_number("RMSProp: weight_decay", weight_decay, 0)
        self.momentum = check_number("RMSProp: momentum", momentum, 0, 1)
        self.centered = check_flag("RMSProp: centered", centered)
        rows = self.parameters.rows
        rows[[0, 3]] = 0
        # Row 0 holds what the options ask for; only both together need memory of their own.
        self._velocity = rows[0]
        self._gradient_sum = self._zeros() if momentum else rows[0]
        self._scratch = self._scratch_rows(2)

    def step(self) -> None:
        """One update of all parameters from their gradients."""
        runs = self._begin()
        # Stored are sums, V = v / (1 - α) and M = m / (1 - α), which saves multiplying g and g² by 1 - α. With
        # c = √(1 - α) it is v - m² = c² (V - c² M²) and g / (√v + ε) = g / (√V + ε / c) / c; the velocity is
        # stored without its last factor, U = c u.
        c = math.sqrt(1 - self.alpha)
        lr, eps = self.lr / c, self.eps / c
        for part, factor, own_decay in runs:
            _, g, w, V = self.parameters.rows[:, part]
            s, d = self._scratch[:, : w.size]
            g = decayed(g, w, self.weight_decay if own_decay is None else own_decay, out=d)
            V *= self.alpha
            V += np.multiply(g, g, out=s)
            if self.centered:
                M = self._gradient_sum[part]
                M *= self.alpha
                M += g
                np.multiply(M, M, out=s)
                s *= -(c**2)
                s += V
                np.sqrt(np.maximum(s, 0, out=s), out=s)
            else:
                np.sqrt(V, out=s)
            s += eps
            np.divide(g, s, out=s)
            if self.momentum:
                U = self._velocity[part]
                U *= self.momentum
                U += s
                np.multiply(U, factor * lr, out=s)
            else:
                s *= factor * lr
            w -= s

    def state(self) -> dict[str, Array]:
        """V = v / (1 - α), and what the options add, M = m / (1 - α) and U = √(1 - α) u: not copies."""
        size = self.parameters.size
        state = {"square_sum": self.parameters.rows[3, :size]}
        if self.centered:
            state["gradient_sum"] = self._gradient_sum[:size]
        if self.momentum:
            state["scaled_velocity"] = self._velocity[:size]
        return state
