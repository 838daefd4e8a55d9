"""Stochastic gradient descent with momentum: the optimizer to read first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_flag, check_number
from mlp.optim.base import Optimizer, register_optimizer
from mlp.parameter import Parameter, ParameterVector


@register_optimizer("SGD")
class SGD(Optimizer):
    """The heavy-ball method: for weights w, gradients g and a velocity v that starts at 0, each step is

        v ← μ v + (1 - d) (g + λ w)
        w ← w - η v                      or, with Nesterov,  w ← w - η (g + λ w + μ v)

    with learning rate η (``lr``), momentum μ, weight decay λ and dampening d. With d = 0 (the default) there is
    no factor 1 - μ: a constant gradient is followed with speed η / (1 - μ). With d = μ the velocity is the
    exponential moving average of the gradients, from the first step on (PyTorch leaves its first step undamped).
    Weight decay is coupled: it enters the velocity, as the gradient of ½ λ |w|² would.

    ``lr`` may be changed at any time; the velocity is not affected by that. The velocity lies beside the
    parameters, so a second SGD over the same parameters starts with v = 0 and takes the place of the first.

    Raises ``InputError`` for lr < 0, μ or d outside [0, 1], λ < 0, or Nesterov without momentum or with dampening.

    Polyak, "Some methods of speeding up the convergence of iteration methods", 1964;
    Sutskever, Martens, Dahl & Hinton, "On the importance of initialization and momentum", ICML 2013.
    """

    def __init__(
        self,
        parameters: ParameterVector | Iterable[Parameter],
        lr: float = 0.05,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        dampening: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(parameters, lr)
        self.momentum = check_number("SGD: momentum", momentum, 0, 1)
        self.weight_decay = check_number("SGD: weight_decay", weight_decay, 0)
        self.dampening = check_number("SGD: dampening", dampening, 0, 1)
        self.nesterov = check_flag("SGD: nesterov", nesterov)
        if self.nesterov and (momentum == 0 or dampening != 0):
            raise InputError(
                f"SGD: nesterov needs momentum > 0 and dampening 0, got {momentum!r} and {dampening!r}"
            )
        # Of the four rows, 1 holds the gradient and 2 the weights. The velocity lies in row 0 or 3 and moves
        # to the other with each step, so each step reads three neighbouring rows and writes the fourth.
        self._velocity_row = 0
        self.parameters.rows[[0, 3]] = 0
        self._scratch = self._scratch_rows(int(self.nesterov))
        # Stored is η v, the step that v stands for: then w -= row is all, one pass less over the memory. When η
        # changes, the row is rescaled; η = 0 cannot be, so the last η above 0 stays the scale meanwhile.
        self._scale = self.lr if self.lr > 0 else 1.0

    def step(self) -> None:
        """One update of all parameters from their gradients."""
        runs = self._begin()
        rows, old = self.parameters.rows, self._velocity_row
        new = 3 - old
        now = self.lr
        if now not in (self._scale, 0):
            rows[old] *= now / self._scale
            self._scale = now
        lr, mu, keep = self._scale, self.momentum, 1 - self.dampening

        for part, factor, own_decay in runs:
            block = rows[:, part]
            decay = self.weight_decay if own_decay is None else own_decay
            combine(block, old, mu, lr * keep, lr * keep * decay, out=block[new])
            change = block[new]
            if self.nesterov:
                # The old velocity is not needed any more: its row holds the change.
                change = np.multiply(block[new], mu, out=block[old])
                ahead = self._scratch[0, : change.size]
                change += combine(block, new, 0, lr, lr * decay, out=ahead)
            if now > 0:
                block[2] -= change if factor == 1 else factor * change
        self._velocity_row = new

    @property
    def velocity(self) -> Array:
        """v as in the equations, one number for each parameter: a copy."""
        return self.parameters.rows[self._velocity_row, : self.parameters.size] / self._scale

    def state_dict(self) -> dict[str, Array]:
        """Everything that the next step depends on besides the parameters and the settings: copies."""
        row = self.parameters.rows[self._velocity_row, : self.parameters.size]
        # The row belongs to it: the product sums in the order of the rows, which decides the last bit.
        return {
            "scaled_velocity": row.copy(),
            "scale": np.array(self._scale),
            "row": np.array(self._velocity_row),
        }

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Continue from a ``state_dict``. Raises ``InputError`` unless it fits these parameters."""
        shapes = {name: np.shape(value) for name, value in state.items()}
        expected = {"scaled_velocity": (self.parameters.size,), "scale": (), "row": ()}
        if shapes != expected or int(state["row"]) not in (0, 3):
            raise InputError(f"SGD: a state with {expected} is needed, got {shapes}")
        self._velocity_row = int(state["row"])
        self.parameters.rows[self._velocity_row, : self.parameters.size] = state["scaled_velocity"]
        self._scale = float(state["scale"])


def combine(rows: Array, velocity_row: int, v: float, g: float, w: float, out: Array | None = None) -> Array:
    """v·velocity + g·gradient + w·weights, as one product of coefficients and rows.

    The product reads every vector once; the same sum written with * and + would pass five times over memory.
    """
    if velocity_row == 0:
        return np.matmul(np.array([v, g, w], rows.dtype), rows[0:3], out=out)
    return np.matmul(np.array([g, w, v], rows.dtype), rows[1:4], out=out)
