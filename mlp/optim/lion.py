"""Lion: only the sign of the momentum counts, so every weight moves by the same length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mlp.arrays import Array
from mlp.checks import check_number
from mlp.optim.adam import check_betas
from mlp.optim.base import Optimizer, register_optimizer
from mlp.parameter import Parameter, ParameterVector


@register_optimizer("Lion")
class Lion(Optimizer):
    """Evolved sign momentum: from m = 0 each step is

        w ← w - η [sign(β₁ m + (1 - β₁) g) + λ w]
        m ← β₂ m + (1 - β₂) g

    Every coordinate moves by η, so η should be 3 to 10 times smaller than Adam's, and the weight decay λ, which is
    decoupled as in ``AdamW``, as much larger. It remembers one number for each weight, half of what Adam does.

    Raises ``InputError`` for lr < 0, betas outside [0, 1], or λ < 0.

    Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023.
    """

    def __init__(
        self,
        parameters: ParameterVector | Iterable[Parameter],
        lr: float = 0.0001,
        betas: Sequence[float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr)
        self.betas = check_betas("Lion", betas)
        self.weight_decay = check_number("Lion: weight_decay", weight_decay, 0)
        self.parameters.rows[[0, 3]] = 0
        self._scratch = self._scratch_rows(2)

    def step(self) -> None:
        """One update of all parameters from their gradients."""
        beta1, beta2 = self.betas
        for part, factor, own_decay in self._begin():
            m, g, w, _ = self.parameters.rows[:, part]
            s, d = self._scratch[:, : w.size]
            np.multiply(m, beta1, out=s)
            s += np.multiply(g, 1 - beta1, out=d)
            np.sign(s, out=s)
            s += np.multiply(w, self.weight_decay if own_decay is None else own_decay, out=d)
            s *= factor * self.lr
            w -= s
            m *= beta2
            m += np.multiply(g, 1 - beta2, out=d)

    def state(self) -> dict[str, Array]:
        """m: not a copy."""
        return {"momentum": self.parameters.rows[0, : self.parameters.size]}
