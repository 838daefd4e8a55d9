"""Adam with another first step or another momentum: NAdam looks ahead, RAdam starts without the second moment."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_number
from mlp.optim.adam import check_betas
from mlp.optim.base import Optimizer, decayed, register_optimizer
from mlp.parameter import Parameter, ParameterVector


class MomentOptimizer(Optimizer):
    """Moving averages of the gradient and of its square, from m = v = 0, as in ``Adam``:

        m ← β₁ m + (1 - β₁) g,   v ← β₂ v + (1 - β₂) g²

    with g + λ w in place of g for weight decay λ (coupled). A subclass says in ``direction`` what a step takes off.
    """

    def __init__(
        self,
        parameters: ParameterVector | Iterable[Parameter],
        lr: float,
        betas: Sequence[float],
        eps: float,
        weight_decay: float,
    ) -> None:
        super().__init__(parameters, lr)
        name = type(self).__name__
        self.betas = check_betas(name, betas)
        if max(self.betas) == 1:
            raise InputError(f"{name}: betas must be below 1, got {betas!r}: with 1 nothing is ever averaged")
        self.eps = self._check_eps(eps)
        self.weight_decay = check_number(f"{name}: weight_decay", weight_decay, 0)
        self.parameters.rows[[0, 3]] = 0
        self._steps = np.zeros(1)
        self._scratch = self._scratch_rows(3)

    def step(self) -> None:
        """One update of all parameters from their gradients."""
        runs = self._begin()
        self._steps += 1
        self.begin(int(self._steps[0]))
        beta1, beta2 = self.betas
        for part, factor, own_decay in runs:
            m, g, w, v = self.parameters.rows[:, part]
            s, d, decayed_g = self._scratch[:, : w.size]
            g = decayed(g, w, self.weight_decay if own_decay is None else own_decay, out=decayed_g)
            m *= beta1
            m += np.multiply(g, 1 - beta1, out=s)
            np.multiply(g, g, out=s)
            s *= 1 - beta2
            v *= beta2
            v += s
            self.direction(m, v, g, s, d)
            if factor != 1:
                s *= factor
            w -= s

    def begin(self, t: int) -> None:
        """Prepare the numbers of step t = 1, 2, ..."""
        raise NotImplementedError(f"{type(self).__name__} needs a begin method")

    def direction(self, m: Array, v: Array, g: Array, s: Array, d: Array) -> None:
        """Write into s what step t takes off the weights; d is memory to work in."""
        raise NotImplementedError(f"{type(self).__name__} needs a direction method")

    def state(self) -> dict[str, Array]:
        """m, v and the number of steps: not copies."""
        size = self.parameters.size
        rows = self.parameters.rows
        return {"first_moment": rows[0, :size], "second_moment": rows[3, :size], "steps": self._steps}


@register_optimizer("NAdam")
class NAdam(MomentOptimizer):
    """Adam with Nesterov's look-ahead: the present gradient counts as if it had already moved the mean,

        w ← w - η [μₜ₊₁ m / (1 - Πₜ₊₁) + (1 - μₜ) g / (1 - Πₜ)] / (√(v / (1 - β₂ᵗ)) + ε)

    with a momentum that warms up, μₜ = β₁ (1 - ½ · 0.96^(t ψ)), its product Πₜ = μ₁ ... μₜ, and ψ =
    ``momentum_decay``.

    Raises ``InputError`` for lr < 0, betas outside [0, 1), λ < 0, ψ < 0, or an ε that is 0 in the parameters'
    dtype.

    Dozat, "Incorporating Nesterov momentum into Adam", ICLR 2016 workshop.
    """

    def __init__(
        self,
        parameters: ParameterVector | Iterable[Parameter],
        lr: float = 0.002,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 0.004,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)
        self.momentum_decay = check_number("NAdam: momentum_decay", momentum_decay, 0)
        self._product = np.ones(1)

    def begin(self, t: int) -> None:
        now, ahead = (self.betas[0] * (1 - 0.5 * 0.96 ** (i * self.momentum_decay)) for i in (t, t + 1))
        self._product *= now
        product = float(self._product[0])
        self._of_mean, self._of_gradient = ahead / (1 - product * ahead), (1 - now) / (1 - product)
        self._correction = math.sqrt(1 - self.betas[1] ** t)

    def direction(self, m: Array, v: Array, g: Array, s: Array, d: Array) -> None:
        np.multiply(m, self._of_mean, out=s)
        s += np.multiply(g, self._of_gradient, out=d)
        np.sqrt(v, out=d)
        d /= self._correction
        d += self.eps
        s /= d
        s *= self.lr

    def state(self) -> dict[str, Array]:
        return super().state() | {"momentum_product": self._product}


@register_optimizer("RAdam")
class RAdam(MomentOptimizer):
    """Adam rectified: as long as v has seen too little, steps do without it. With m̂ = m / (1 - β₁ᵗ) and

        ρ∞ = 2 / (1 - β₂) - 1,   ρₜ = ρ∞ - 2 t β₂ᵗ / (1 - β₂ᵗ)

        w ← w - η m̂                                         while ρₜ ≤ 5 (β₂ = 0.999: in the first 5 steps)
        w ← w - η rₜ m̂ √(1 - β₂ᵗ) / (√v + ε)                then,
        rₜ² = (ρₜ - 4) (ρₜ - 2) ρ∞ / [(ρ∞ - 4) (ρ∞ - 2) ρₜ]

    where rₜ grows to 1 as the variance of 1 / √v falls: a warm-up that needs no setting.

    Raises ``InputError`` for lr < 0, betas outside [0, 1), λ < 0, or an ε that is 0 in the parameters' dtype.

    Liu, Jiang, He, Chen, Liu, Gao & Han, "On the variance of the adaptive learning rate and beyond", ICLR 2020.
    """

    def __init__(
        self,
        parameters: ParameterVector | Iterable[Parameter],
        lr: float = 0.001,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def begin(self, t: int) -> None:
        beta1, beta2 = self.betas
        unseen = beta2**t
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * t * unseen / (1 - unseen)
        self._rate = self.lr / (1 - beta1**t)
        self._is_rectified = length > 5
        if self._is_rectified:
            r = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            self._rate *= math.sqrt(r * (1 - unseen))

    def direction(self, m: Array, v: Array, g: Array, s: Array, d: Array) -> None:
        np.multiply(m, self._rate, out=s)
        if self._is_rectified:
            np.sqrt(v, out=d)
            d += self.eps
            s /= d
