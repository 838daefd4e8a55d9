"""One training step: from a batch to new weights, with all that may stand between gradient and update."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_integer
from mlp.efficiency.mixed_precision import MixedPrecision
from mlp.losses import Loss
from mlp.metrics import count_correct
from mlp.network import Network
from mlp.optim import Optimizer, Schedule, WeightAverage, clip_by_norm, clip_by_value
from mlp.optim.regularizers import MaxNorm, Regularizer
from mlp.solver.evaluation import Outcome

if TYPE_CHECKING:
    from mlp.solver.loop import Solver

# (x, targets, rng) -> (x, targets): an augmentation, drawn anew for every batch.
Transform = Callable[[Array, Array, np.random.Generator], tuple[Array, Array]]


class Step:
    """What happens to one batch, in this order; all but the gradient and the update are left out unless asked for:

        transform           x, targets = transform(x, targets, rng)
        accumulate=K        the batch is cut into K parts, one after another: less memory, the same gradient
        gradient            g = d(mean loss)/dw, by backpropagation; with ``precision``, in float16 numbers
        regularizer         g += dR/dw, for the penalty R(w)
        clip_value          each entry of g is brought into [-clip_value, clip_value]
        clip_norm           g is shortened to |g| <= clip_norm
        schedule            η = schedule(step), counted from 0
        optimizer           w moves along its direction by η
        constraint          w is brought back into the allowed set
        average             the moving average of w takes in the new w

    The penalty is never part of the loss that is reported: it is reported beside it.

    Raises ``InputError`` for an optimizer or average of other parameters, or an option out of range.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        *,
        transform: Transform | None = None,
        accumulate: int = 1,
        regularizer: Regularizer | None = None,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        schedule: Schedule | None = None,
        constraint: MaxNorm | None = None,
        average: WeightAverage | None = None,
        precision: MixedPrecision | None = None,
    ) -> None:
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self.transform, self.regularizer, self.schedule = transform, regularizer, schedule
        self.accumulate = check_integer("accumulate", accumulate, 1)
        self.clip_value, self.clip_norm = clip_value, clip_norm
        self.constraint, self.average, self.precision = constraint, average, precision
        self._training_step = (precision or network).training_step
        # What a callback that watches the progress multiplies the learning rate with.
        self.lr_factor = 1.0
        self.gradient_norm = float("nan")
        for part in (optimizer, average):
            if part is not None and part.parameters is not network.parameters:
                raise InputError(f"{part!r} is of other parameters; make one for this network")
        if precision is not None and precision.network is not network:
            raise InputError("the MixedPrecision is of another network; make one for this network")

    def __call__(
        self,
        number: int,
        x: Array,
        targets: Array,
        sample_weight: Array | None,
        rng: np.random.Generator,
        is_classification: bool,
    ) -> Outcome:
        """Run step ``number`` on a batch.

        Nothing is updated if the loss is not finite, or a gradient is too large for mixed precision.
        """
        if self.transform is not None:
            x, targets = self.transform(x, targets, rng)
        outcome = self._gradients(x, targets, sample_weight, is_classification)
        if np.isfinite(outcome.loss) and (self.precision is None or self.precision.unscale()):
            outcome = outcome._replace(penalty=self._penalise())
            self._update(number)
        return outcome

    def _gradients(self, x: Array, targets: Array, sample_weight: Array | None, is_classification: bool) -> Outcome:
        parts = min(self.accumulate, len(x))
        if parts == 1:
            value, scores = self._training_step(x, targets, self.loss, sample_weight=sample_weight)
            total, weight = self.loss.total, self.loss.weight
            correct = count_correct(targets, scores) if is_classification else 0
        else:
            value, total, weight, correct = self._in_parts(parts, x, targets, sample_weight, is_classification)
        return Outcome(value, total, weight, correct, len(x))

    def _penalise(self) -> float:
        if self.regularizer is None:
            return 0.0
        penalty = self.regularizer.penalty(self.network.parameters)
        self.regularizer.add_gradient(self.network.parameters)
        return penalty

    def _in_parts(
        self,
        parts: int,
        x: Array,
        targets: Array,
        sample_weight: Array | None,
        is_classification: bool,
    ) -> tuple[float, float, float, int]:
        """The gradient of the whole batch's loss, summed over its parts and divided once."""
        total, weight, correct = 0.0, 0.0, 0
        bounds = np.linspace(0, len(x), parts + 1).astype(int)
        for begin, end in pairwise(bounds):
            part = slice(begin, end)
            _, scores = self._training_step(
                x[part], targets[part], self.loss,
                sample_weight=None if sample_weight is None else sample_weight[part],
                accumulate=bool(begin), summed=True,
            )  # fmt: skip
            total += self.loss.total
            weight += self.loss.weight
            correct += count_correct(targets[part], scores) if is_classification else 0
        if self.loss.reduction == "sum":
            return total, total, weight, correct
        self.network.parameters.grad[...] *= 1 / weight if weight else 0
        return total / (weight or 1), total, weight, correct

    def _update(self, number: int) -> None:
        parameters = self.network.parameters
        if self.clip_value is not None:
            clip_by_value(parameters, self.clip_value)
        if self.clip_norm is not None:
            self.gradient_norm = self._clip(self.clip_norm)
        if self.schedule is not None:
            self.optimizer.lr = self.schedule(number) * self.lr_factor
        self.optimizer.step()
        if self.constraint is not None:
            self.constraint.apply(parameters)
        if self.average is not None:
            self.average.update()

    def _clip(self, limit: float) -> float:
        return clip_by_norm(self.network.parameters, limit)

    def serial_state(self, solver: Solver) -> tuple[dict[str, Array], dict[str, Any]]:
        """``solver.state_dict()``: what a step of several ranks puts together from all of them."""
        return solver.state_dict()

    def load_serial_state(self, solver: Solver, arrays: Mapping[str, Array], rest: dict[str, Any]) -> None:
        """Continue from a ``serial_state``. Raises ``InputError`` unless it fits."""
        solver.load_state_dict(dict(arrays), rest)

    def averaged(self) -> AbstractContextManager[None]:
        """Inside this block the network computes with the average of its weights, if there is one."""
        return nullcontext() if self.average is None else self.average.swapped()
