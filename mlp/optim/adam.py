"""Adam: a moving average of the gradient over the root of a moving average of its square; and AdamW."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_flag, check_number
from mlp.optim.base import Optimizer, decayed, register_optimizer
from mlp.parameter import Parameter, ParameterVector


@register_optimizer("Adam")
class Adam(Optimizer):
    """Momentum and adaptive step sizes in one: from m = v = 0, step t = 1, 2, ... is

        m ← β₁ m + (1 - β₁) g           m̂ = m / (1 - β₁ᵗ)
        v ← β₂ v + (1 - β₂) g²          v̂ = v / (1 - β₂ᵗ)
        w ← w - η m̂ / (√v̂ + ε)

    m̂ and v̂ are weighted means of all gradients and squares so far; the division by 1 - βᵗ corrects for the
    start at 0. With β = 1 they are plain means over all steps. The first step has length η in every coordinate.
    Weight decay λ is coupled: g + λ w takes the place of g, and is divided by √v̂ with it; see ``AdamW``.
    ``amsgrad=True`` puts the largest v so far, divided by the present 1 - β₂ᵗ, in the place of v̂.

    Raises ``InputError`` for lr < 0, betas outside [0, 1], λ < 0, or an ε that is 0 in the parameters' dtype.

    Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015;
    amsgrad: Reddi, Kale & Kumar, "On the convergence of Adam and beyond", ICLR 2018.
    """

    decoupled = False

    def __init__(
        self,
        parameters: ParameterVector | Iterable[Parameter],
        lr: float = 0.001,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(parameters, lr)
        self.betas = check_betas(type(self).__name__, betas)
        self.eps = self._check_eps(eps)
        self.weight_decay = check_number(f"{type(self).__name__}: weight_decay", weight_decay, 0)
        self.amsgrad = check_flag(f"{type(self).__name__}: amsgrad", amsgrad)
        self.parameters.rows[[0, 3]] = 0
        self._largest = self._zeros() if self.amsgrad else self.parameters.rows[3]
        self._counts = np.zeros(2)
        self._scratch = self._scratch_rows(1)

    def step(self) -> None:
        """One update of all parameters from their gradients."""
        runs = self._begin()
        # Stored are sums, M = Σ β₁^(t-i) gᵢ and V = Σ β₂^(t-i) gᵢ², which saves multiplying g and g² by 1 - β.
        # n = Σ β^(t-i) is the sum of the weights in each, so m̂ = M / n₁ and v̂ = V / n₂, and
        # η m̂ / (√v̂ + ε) = (η √n₂ / n₁) M / (√V + ε √n₂): the corrections are two numbers, no pass over memory.
        beta1, beta2 = self.betas
        self._counts *= self.betas
        self._counts += 1
        n1, n2 = self._counts.tolist()
        lr, eps = self.lr * math.sqrt(n2) / n1, self.eps * math.sqrt(n2)

        for part, factor, own_decay in runs:
            M, g, w, V = self.parameters.rows[:, part]
            s = self._scratch[0, : w.size]
            decay = self.weight_decay if own_decay is None else own_decay
            g = decayed(g, w, 0.0 if self.decoupled else decay, out=s)
            M *= beta1
            M += g
            V *= beta2
            V += np.multiply(g, g, out=s)
            if self.amsgrad:
                V = np.maximum(self._largest[part], V, out=self._largest[part])
            np.sqrt(V, out=s)
            s += eps
            np.divide(M, s, out=s)
            s *= factor * lr
            if self.decoupled and decay:
                w *= 1 - factor * self.lr * decay
            w -= s

    @property
    def first_moment(self) -> Array:
        """m̂ as in the equations, the mean gradient, one number for each parameter: a copy."""
        return self.parameters.rows[0, : self.parameters.size] / max(float(self._counts[0]), 1.0)

    @property
    def second_moment(self) -> Array:
        """v̂ as in the equations, the mean squared gradient, one number for each parameter: a copy."""
        return self.parameters.rows[3, : self.parameters.size] / max(float(self._counts[1]), 1.0)

    def state(self) -> dict[str, Array]:
        """The sums M and V, the weights in them, and for amsgrad the largest V: not copies."""
        size = self.parameters.size
        state = {
            "gradient_sum": self.parameters.rows[0, :size],
            "square_sum": self.parameters.rows[3, :size],
            "counts": self._counts,
        }
        return state | ({"largest": self._largest[:size]} if self.amsgrad else {})


@register_optimizer("AdamW")
class AdamW(Adam):
    """Adam with decoupled weight decay: the weights shrink by themselves, not by way of the gradient,

        w ← (1 - η λ) w - η m̂ / (√v̂ + ε)

    In Adam, coupled decay is divided by √v̂ like any gradient, so weights with large gradients decay less than
    others; here all decay at the same rate. λ is multiplied by η, so it follows a schedule of η (as in PyTorch).

    Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019.
    """

    decoupled = True

    def __init__(
        self,
        parameters: ParameterVector | Iterable[Parameter],
        lr: float = 0.001,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay, amsgrad)


def check_betas(name: str, betas: Sequence[float]) -> tuple[float, float]:
    """The two decay rates as a pair of floats."""
    try:
        beta1, beta2 = betas
    except (TypeError, ValueError):
        raise InputError(f"{name}: betas must be two numbers from 0 to 1, got {betas!r}") from None
    return check_number(f"{name}: beta1", beta1, 0, 1), check_number(f"{name}: beta2", beta2, 0, 1)
