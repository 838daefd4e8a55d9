"""The container: layers in a row over one flat vector of parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self, overload

import numpy as np
from numpy.typing import DTypeLike

from mlp.arrays import Array
from mlp.checks import check_dtype, check_rng, check_state
from mlp.initializers import Initializer
from mlp.layers.assembly import (
    check_places,
    choose_initializers,
    convert_statistics,
    find_widths,
    fold_batch_norm,
    name_places,
)
from mlp.layers.base import Layer
from mlp.layers.containers import Hook, Sequential
from mlp.layers.predictor import Predictor
from mlp.losses.base import Loss
from mlp.parameter import ParameterVector
from mlp.registry import also_called


class Network(Predictor):
    """y = f_n(... f_2(f_1(x))) for layers f_1 ... f_n, each with its backward pass.

        net = Network(Linear(784, 128), ReLU(), Linear(128, 10), rng=2022)

    ``rng`` (a seed or a Generator), if given, draws all parameters anew, in order; without it the layers keep
    theirs. ``init`` says how weights are drawn in every Linear: an initializer, the name of one (those in
    ``mlp.initializers.INITIALIZERS``), or "auto", as the activation after it needs; without it, every Linear that
    was given no ``weight_init`` draws as for "auto". ``dtype`` is that of the layers unless given. ``task``,
    "classification" or "regression", says what the scores mean to ``predict``; if it is left out, the first
    training step sets it, by its loss and targets. ``classes`` are the names of the classes by number; a ``Solver``
    takes them from the training set.

    Parameters are named "<layer number>.<name>", for example "0.weight", and live in the flat vector
    ``parameters``. A layer given twice is one layer in two places, whose gradient is the sum over both.

    A network is made to learn, ``training`` is True; ``eval()`` and ``train()`` switch, for Dropout and BatchNorm.
    ``training_step`` always trains; ``scores``, ``predict``, ``evaluation_step`` never do.

    Raises ``InputError`` for no layers, something that is not a layer, layers of different dtype, a layer of
    another network, neighbours whose widths do not fit, or an unknown ``init``.
    """

    @also_called(seed="rng", random_state="rng")
    def __init__(
        self,
        *layers: Layer,
        rng: int | np.random.Generator | None = None,
        init: str | Initializer | None = None,
        dtype: DTypeLike | None = None,
        task: str | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.body = Sequential(*layers)
        check_places(self.body)
        self.parameters = ParameterVector(name_places(self.body), None if dtype is None else check_dtype(dtype))
        self.dtype = self.parameters.dtype
        find_widths(self.body, self.dtype)
        self.in_features, self.out_features = self.body.in_features, self.body.out_features
        self.task, self.classes = task, classes
        self._all_layers = tuple(self.body.train().walk())
        self.training = True
        convert_statistics(self.body, self.dtype)
        choose_initializers(self.body, init)
        if rng is not None or init is not None:
            self.body.reset_parameters(check_rng(rng))

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers f_1 ... f_n."""
        return self.body.layers

    def forward(self, x: Array) -> Array:
        """The scores for x (..., in_features), converted to the network's dtype: (..., out_features)."""
        return self.body.forward(self._as_input(x))

    def add_hook(self, hook: Hook) -> None:
        """Call ``hook(layer, y)`` after each layer's forward pass: to look, not to change.

        Layers inside a Residual or another container are watched too, before the container itself.
        """
        for container in self._sequences():
            container.forward_hooks.append(hook)

    def add_backward_hook(self, hook: Hook) -> None:
        """Call ``hook(layer, dL/dy)`` before each layer's backward pass."""
        for container in self._sequences():
            container.backward_hooks.append(hook)

    def remove_hook(self, hook: Hook) -> None:
        """Stop calling ``hook``, forward and backward."""
        for container in self._sequences():
            for hooks in (container.forward_hooks, container.backward_hooks):
                hooks[:] = [other for other in hooks if other != hook]

    def _sequences(self) -> list[Sequential]:
        return [layer for layer in self._all_layers if isinstance(layer, Sequential)]

    def train(self, mode: bool = True) -> Self:
        """Learn from now on; with False, only be used. Returns the network."""
        if mode != self.training:
            for layer in self._all_layers:
                layer.training = mode
            self.training = mode
        return self

    def eval(self) -> Self:
        """Only be used from now on: no dropout, running statistics. Returns the network."""
        return self.train(False)

    @contextmanager
    def mode(self, training: bool) -> Iterator[None]:
        """``with network.mode(training=False):`` evaluates inside the block, then goes back to the mode before."""
        before = self.training
        self.train(training)
        try:
            yield
        finally:
            self.train(before)

    def backward(self, grad_y: Array, input_gradient: bool = False) -> Array | None:
        """Add dL/dparameter to every ``grad``, given dL/dy of the last forward pass.

        dL/dx, with respect to the network's input, costs another matrix product and is returned on request.
        """
        if input_gradient:
            return self.body.backward(grad_y)
        self.body.backward_parameters(grad_y)
        return None

    def training_step(
        self,
        x: Array,
        targets: Array,
        loss: Loss,
        *,
        sample_weight: Array | None = None,
        scale: float = 1.0,
        accumulate: bool = False,
        summed: bool = False,
    ) -> tuple[float, Array]:
        """Loss and scores of a batch, with the gradients of all parameters left in ``grad``.

        The same as ``zero_grad``, ``forward``, ``loss`` and ``backward``, in training mode.
        ``accumulate`` adds to the gradients that are there. ``summed`` makes them those of the sum over the samples
        where the loss is a mean, so that several batches add up; ``scale`` multiplies them. The loss stays as is.
        """
        if self._task is None:
            self.task = "classification" if loss.is_classification(targets) else "regression"
        if not self.training:
            with self.mode(training=True):
                return self.training_step(
                    x, targets, loss, sample_weight=sample_weight, scale=scale, accumulate=accumulate, summed=summed
                )
        if not accumulate:
            self.parameters.zero_grad()
        scores = self.body.forward(self._as_input(x))
        value = loss.forward(scores, targets, sample_weight)
        grad_scores = loss.backward()
        if summed and loss.is_mean:
            scale *= loss.weight
        if scale != 1:
            grad_scores *= grad_scores.dtype.type(scale)
        self.body.backward_parameters(grad_scores)
        return value, scores

    def freeze(self, *names: str) -> Self:
        """Let parameters stay as they are: "0" for those of layer 0, "*.bias"; all without names."""
        for p in self.parameters.matching(*names or "*"):
            p.frozen = True
        return self

    def unfreeze(self, *names: str) -> Self:
        """Let frozen parameters learn again."""
        for p in self.parameters.matching(*names or "*"):
            p.frozen = False
        return self

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self.parameters.zero_grad()

    def state_dict(self) -> dict[str, Array]:
        """A copy of every parameter and of every running statistic under its name."""
        return {name: array.copy() for name, array in self._state().items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Take all of it from ``state``. Raises ``InputError``, and changes nothing, unless it fits."""
        own = self._state()
        check_state(state, own)
        for name, array in own.items():
            array[...] = state[name]

    def _state(self) -> dict[str, Array]:
        """Parameters and running statistics by name, each once: the arrays themselves."""
        statistics = {id(array): (name, array) for name, array in reversed(self.body.statistics().items())}
        return {p.name: p.data for p in self.parameters} | dict(reversed(statistics.values()))

    def generators(self) -> dict[str, np.random.Generator]:
        """The random generators of all layers by name: those of Dropout."""
        return self.body.generators()

    def snapshot(self) -> Any:
        """What a forward pass in training mode changes: running statistics and the state of the generators."""
        return self.body.snapshot()

    def restore(self, snapshot: Any) -> None:
        """Go back to a ``snapshot``."""
        self.body.restore(snapshot)

    def astype(self, dtype: DTypeLike) -> Network:
        """A copy of this network, sharing no memory with it, that computes in ``dtype``."""
        return Network(*self.body.astype(dtype)).meaning_the_same_as(self).train(self.training)

    def with_folded_batch_norm(self) -> Network:
        """A copy for use with every BatchNorm after a Linear folded into it: it computes the same."""
        return Network(*fold_batch_norm(self.body.astype(self.dtype))).meaning_the_same_as(self).eval()

    def __call__(self, x: Array) -> Array:
        return self.forward(x)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Layer:
        """One layer; of a slice a Sequential of the same layers, with the same parameters."""
        return self.body[index]

    def __repr__(self) -> str:
        inner = "".join(f"    {layer!r},\n" for layer in self.layers)
        return f"Network(\n{inner})"
