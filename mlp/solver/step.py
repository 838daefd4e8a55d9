"""One training step: from a batch to new weights, with all that may stand between gradient and update."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_integer
from mlp.data.batches import Batches
from mlp.losses.base import Loss
from mlp.network import Network
from mlp.optim.averaging import WeightAverage
from mlp.optim.base import Optimizer
from mlp.optim.clipping import clip_by_value
from mlp.optim.regularizers import MaxNorm, Regularizer
from mlp.optim.schedules import Schedule
from mlp.solver.evaluation import Outcome
from mlp.solver.trainable import Trainable

if TYPE_CHECKING:
    from mlp.efficiency.mixed_precision import MixedPrecision

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

    ``network`` is one, or something else to train, such as ``mlp.parallel.DataParallel``: of ``Trainable``, whose
    methods these are. The penalty is never part of the loss that is reported: it is reported beside it. In K parts
    a BatchNorm normalises each part by itself, so that its gradient is another one.

    Raises ``InputError`` for an optimizer or average of other parameters, an option out of range, or one that
    cannot be had with the network divided as it is.
    """

    def __init__(
        self,
        network: Network | Trainable,
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
        self.model = network if isinstance(network, Trainable) else Trainable(network)
        self.network, self.loss, self.optimizer = self.model.network, loss, optimizer
        self.transform, self.regularizer, self.schedule = transform, regularizer, schedule
        self.accumulate = check_integer("accumulate", accumulate, 1)
        self.clip_value, self.clip_norm = clip_value, clip_norm
        self.constraint, self.average, self.precision = constraint, average, precision
        # What a callback that watches the progress multiplies the learning rate with.
        self.lr_factor = 1.0
        self.gradient_norm = float("nan")
        for part in (optimizer, average):
            if part is not None and part.parameters is not self.model.parameters:
                raise InputError(f"{part!r} is of other parameters; make one for this network")
        if precision is not None and precision.network is not self.network:
            raise InputError("the MixedPrecision is of another network; make one for this network")
        if loss.reduction == "none":
            raise InputError(f"{loss!r} gives a loss for each sample; to train, one of them all: reduction='mean'")
        self.model.check_options(vars(self))
        if average is not None:
            average.watch(self.network.body.statistics())

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
        return self.learn(number, x, targets, sample_weight, is_classification)

    def learn(
        self, number: int, x: Array, targets: Array, sample_weight: Array | None, is_classification: bool
    ) -> Outcome:
        """All of step ``number`` but the transform."""
        outcome = self.model.gradients(
            x, targets, self.loss,
            sample_weight=sample_weight, parts=self.accumulate,
            precision=self.precision, is_classification=is_classification,
        )  # fmt: skip
        if math.isfinite(outcome.loss) and (self.precision is None or self.precision.unscale()):
            if self.regularizer is not None:
                outcome = outcome._replace(penalty=self.model.penalise(self.regularizer))
            if self.clip_value is not None:
                clip_by_value(self.model.parameters, self.clip_value)
            if self.clip_norm is not None:
                self.gradient_norm = self.model.clip_by_norm(self.clip_norm)
            if self.schedule is not None:
                self.optimizer.lr = self.schedule(number) * self.lr_factor
            self.optimizer.step()
            self.model.publish(self.constraint, self.precision)
            if self.average is not None:
                self.average.update()
        return outcome

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside this block the network computes with the average of its weights, if there is one."""
        if self.average is None:
            yield
            return
        with self.average.swapped():
            self.model.publish()
            yield
        self.model.publish(precision=self.precision)


class Batch(NamedTuple):
    """A batch as it is stored, what the step's ``transform`` made of it, and where that left its generator."""

    x: Array
    y: Array
    sample_weight: Array | None
    inputs: Array
    targets: Array
    state: Any


def prepare(
    epoch: Iterator[tuple[Array, Array]], batches: Batches, step: Step, rng: np.random.Generator
) -> Generator[Batch, None, None]:
    """The batches of an epoch, each prepared when it is asked for."""
    for x, y in epoch:
        inputs, targets = (x, y) if step.transform is None else step.transform(x, y, rng)
        yield Batch(x, y, batches.sample_weight, inputs, targets, rng.bit_generator.state)
