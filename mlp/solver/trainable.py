"""What a training step trains: a network, here the whole of it, in ``mlp.parallel`` divided among several ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_number
from mlp.functional import count_correct
from mlp.layers.assembly import check_parameters
from mlp.losses.base import Loss
from mlp.network import Network
from mlp.optim.base import Optimizer
from mlp.optim.clipping import norm
from mlp.optim.regularizers import MaxNorm, Regularizer
from mlp.parameter import ParameterVector
from mlp.solver.evaluation import Outcome

if TYPE_CHECKING:
    from mlp.efficiency.mixed_precision import MixedPrecision


class Trainable:
    """A network as a training step sees it. This one has all of it, in one process; of

        DataParallel, ShardedDataParallel, TensorParallel, Pipeline        in ``mlp.parallel``

    every rank has a copy or a part. They override what is different there, and all ranks call every method. A step
    is made of these methods alone, so it is written once, in ``Step``.

    ``network`` computes, and the optimizer moves ``parameters``. State, in and out, is that of the whole network
    trained in one process, whoever has which part of it: what some ranks save, others resume.
    """

    is_first = True  # of the ranks, the one that speaks
    # The options of a step that cannot be had here, each with the cure.
    refused: ClassVar[Mapping[str, str]] = {}

    def __init__(self, network: Network) -> None:
        self.network = network
        self.dtype, self.in_features, self.out_features = network.dtype, network.in_features, network.out_features
        self.whole_size = network.parameters.size
        self._is_interrupted = False

    @property
    def parameters(self) -> ParameterVector:
        """The flat vector that the optimizer moves."""
        return self.network.parameters

    # One step, in the order of its parts.

    def gradients(
        self,
        x: Array,
        targets: Array,
        loss: Loss,
        *,
        sample_weight: Array | None = None,
        parts: int = 1,
        precision: MixedPrecision | None = None,
        is_classification: bool = False,
    ) -> Outcome:
        """Leave dL/dw in ``parameters.grad`` for the loss L of a batch, and return L with the sums behind it.

        The batch is cut into ``parts``, one after another: their gradients add up, and are divided once.
        ``precision`` computes in float16 numbers: the gradients are those of S times the loss until its
        ``unscale``. Right answers are counted if ``is_classification``.
        """
        parts = min(parts, len(x))
        if parts == 1:
            compute = precision or self.network
            value, scores = compute.training_step(x, targets, loss, sample_weight=sample_weight)
            correct = count_correct(targets, scores) if is_classification else 0
            return Outcome(value, loss.total, loss.weight, correct, len(x))
        sums = self._add_up(x, targets, loss, sample_weight, parts, precision, is_classification)
        return self._divide(loss, *sums.tolist())

    def _add_up(
        self,
        x: Array,
        targets: Array,
        loss: Loss,
        sample_weight: Array | None,
        parts: int,
        precision: MixedPrecision | None,
        is_classification: bool,
    ) -> NDArray[np.float64]:
        """The gradient of the loss summed over the samples; returns (total, weight, correct, samples)."""
        compute = precision or self.network
        sums = np.zeros(4)
        bounds = np.linspace(0, len(x), parts + 1).astype(int)
        for i, (begin, end) in enumerate(pairwise(bounds)):
            part = slice(begin, end)
            with self._last_pass() if i == parts - 1 else nullcontext():
                _, scores = compute.training_step(
                    x[part], targets[part], loss,
                    sample_weight=None if sample_weight is None else sample_weight[part],
                    accumulate=i > 0, summed=True,
                )  # fmt: skip
            correct = count_correct(targets[part], scores) if is_classification else 0
            sums += loss.total, loss.weight, correct, len(scores)
        return sums

    def _last_pass(self) -> AbstractContextManager[None]:
        """Around the last backward pass of a batch."""
        return nullcontext()

    def _divide(self, loss: Loss, total: float, weight: float, correct: float, samples: float) -> Outcome:
        """Where the loss is a mean, the gradient of the sum becomes that of the mean."""
        value = total
        if loss.is_mean:
            value = total / (weight or 1)
            self.parameters.grad[...] *= 1 / weight if weight else 0
        return Outcome(value, total, weight, int(correct), int(samples))

    def penalise(self, regularizer: Regularizer) -> float:
        """Add dR/dw to the gradient; returns R(w)."""
        penalty = regularizer.penalty(self.parameters)
        regularizer.add_gradient(self.parameters)
        return penalty

    def global_norm(self) -> float:
        """|g| for the gradient g of all parameters of the whole network: NaN or inf if an entry is."""
        return norm(self.parameters.grad)

    def clip_by_norm(self, limit: float) -> float:
        """g ← g · min(1, limit / |g|), as ``mlp.optim.clip_by_norm`` does it; returns |g| as it was before.

        Raises ``InputError`` for limit < 0.
        """
        limit = check_number("clip_by_norm: limit", limit, 0)
        before = self.global_norm()
        if limit < before < math.inf:
            self.parameters.grad[...] *= limit / before
        return before

    def publish(self, constraint: MaxNorm | None = None, precision: MixedPrecision | None = None) -> None:
        """After a change of the weights: apply the constraint, and see to it that all ranks have what they use.

        With ``precision`` the weights that others get are float16 numbers.
        """
        if constraint is not None:
            constraint.apply(self.parameters)

    def check_parameters(self) -> None:
        """Raise ``InputError`` if a parameter was replaced by another one, which nothing would move."""
        if self.parameters is self.network.parameters:
            check_parameters(self.network.body, self.parameters.parameters)

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raise ``InputError`` for an option of a step that cannot be had here."""
        for name, cure in self.refused.items():
            if options[name] not in (None, 1):
                raise InputError(f"{type(self).__name__}: {name}={options[name]!r} is not supported: {cure}")

    # Use.

    def evaluation_step(self, x: Array) -> Array:
        """The scores of a batch, in evaluation mode."""
        return self.network.evaluation_step(x)

    def explain_non_finite(self, x: Array) -> str | None:
        """Where the first value that is not finite comes from when this batch goes forward, or None."""
        return self.network.explain_non_finite(x)

    # What ranks have to agree on.

    def agree(self, wanted: bool) -> bool:
        """What the first rank wants, on all of them."""
        return wanted

    def interrupt(self) -> None:
        """Ask for an end after the step under way. May be called at any time, by a signal handler too."""
        self._is_interrupted = True

    def take_interrupt(self) -> bool:
        """After a step, whether all ranks are to stop now, because one of them was asked to; asked only once."""
        taken, self._is_interrupted = self._is_interrupted, False
        return taken

    def forget_interrupts(self) -> None:
        """After the last step nobody can be asked any more."""
        self._is_interrupted = False

    # State: that of the whole network.

    def state_dict(self) -> dict[str, Array]:
        """``Network.state_dict`` of the whole network."""
        return self.network.state_dict()

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Take it over. Raises ``InputError``, and changes nothing, unless it fits."""
        self.network.load_state_dict(state)

    def gather_vector(self, vector: Array) -> Array:
        """One number for each parameter of the whole network, in its order, from one for each of ``parameters``."""
        return vector

    def take_vector(self, whole: Array) -> Array:
        """The way back."""
        return whole

    def gather(self, state: Mapping[str, Array]) -> dict[str, Array]:
        """The state of something over ``parameters``, such as a velocity, as it would be over the whole network.

        Arrays with one number for each parameter are put together; all others are the same on all ranks.
        """
        own = (self.parameters.size,)
        return {name: self.gather_vector(a) if a.shape == own else a for name, a in state.items()}

    def take(self, state: Mapping[str, Array]) -> dict[str, Array]:
        """The way back."""
        whole = (self.whole_size,)
        return {name: self.take_vector(a) if np.shape(a) == whole else a for name, a in state.items()}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Array]:
        """The optimizer's ``state_dict`` as it would be over the whole network."""
        return self.gather(optimizer.state_dict())

    def load_optimizer_state(self, optimizer: Optimizer, state: Mapping[str, Array]) -> None:
        """Take it over. Raises ``InputError``, as the optimizer does, unless it fits."""
        optimizer.load_state_dict(self.take(state))

    def generator_states(self) -> dict[str, Any]:
        """The states of the random generators of all layers, by name."""
        return {name: rng.bit_generator.state for name, rng in self.network.generators().items()}

    def load_generator_states(self, states: Mapping[str, Any]) -> None:
        """Go on from there."""
        for name, rng in self.network.generators().items():
            rng.bit_generator.state = states[name]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.network!r})"
