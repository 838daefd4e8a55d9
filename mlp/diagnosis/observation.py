"""One batch through every layer: the scale of activations on the way up, that of gradients on the way down."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, plain_array
from mlp.diagnosis.statistics import LayerRow, LayerStatistics, ParameterRow
from mlp.layers import Layer, ReLU, ReLU6, Sequential, Sigmoid, Tanh
from mlp.losses import Loss
from mlp.network import Network
from mlp.optim.clipping import norm

RECTIFIERS = (ReLU, ReLU6)
# |dy/dx| of the layers that saturate, from their output. (Where ReLU6 is flat at 0, that is counted as dead.)
SLOPES: dict[type[Layer], Callable[[Array], Array]] = {
    Sigmoid: lambda y: y * (1 - y),
    Tanh: lambda y: 1 - y * y,
    ReLU6: lambda y: np.less(y, 6).astype(float),
}
# A slope below this counts as saturated: a fifth of the largest that Sigmoid has, a twentieth of Tanh's.
FLAT = 0.05


class Observation(NamedTuple):
    """A pass of one batch: what was measured, by layer as well, and the copies that made it."""

    statistics: LayerStatistics
    rows: dict[Layer, LayerRow]
    network: Network
    loss: Loss
    x: Array
    scores: Array

    @property
    def samples(self) -> int:
        """The number of samples: every axis but the last counts."""
        return self.scores.size // self.scores.shape[-1]


def layer_statistics(network: Network, loss: Loss, x: Array, targets: Array) -> LayerStatistics:
    """One forward and one backward pass of the batch x (..., in_features), measured at every layer.

    For the output y of a layer: mean, std, smallest and largest entry, the shares of zeros, of dead and of
    saturated units, and the rms of dL/dy. For a parameter w with gradient g: |w|, |g| and |g| / |w|. See
    ``LayerRow`` and ``ParameterRow``. A layer that only puts others in a row has no row of its own, since its
    output is that of the last of them; a Residual, or another block, has one, after those of the layers inside it.

    The pass is one of training mode, with dropout and with the batch's own statistics, and a copy makes it:
    gradients, memory, running statistics, generators and hooks of the network stay as they are. Overflow gives no
    warning, it shows in the numbers.

    Raises ``InputError`` for a batch that is empty, and for a batch or targets that do not fit.

    Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010, look
    at networks in this way.
    """
    return observe(network, loss, x, targets).statistics


def observe(network: Network, loss: Loss, x: Array, targets: Array) -> Observation:
    """The pass of ``layer_statistics``. The copy's parameters hold its gradients."""
    x = plain_array("layer_statistics: x", x)
    if x.size == 0:
        raise InputError(f"layer_statistics: the batch must not be empty, got shape {x.shape}")
    twin, loss = copy.deepcopy(network).train(), copy.deepcopy(loss)
    rows: dict[Layer, LayerRow] = {}
    for layer in twin.body.walk():
        if not isinstance(layer, Sequential):
            _watch(layer, rows)
    with np.errstate(all="ignore"):
        scores = twin.forward(x)
        value = loss.forward(scores, targets)
        twin.backward(loss.backward())
        statistics = LayerStatistics(
            loss=value,
            input=_measure("input", x),
            layers=tuple(rows.values()),
            trunk=tuple(rows[layer] for layer in trunk(twin.body)),
            parameters=tuple(_measure_parameter(p.name, p.data, p.grad) for p in twin.parameters),
        )
    return Observation(statistics, rows, twin, loss, x, scores)


def trunk(body: Sequential) -> Iterator[Layer]:
    """The layers that all of the signal passes, one after another; a Residual, or another block, is one of them."""
    for layer in body.layers:
        if isinstance(layer, Sequential):
            yield from trunk(layer)
        else:
            yield layer


def _watch(layer: Layer, rows: dict[Layer, LayerRow]) -> None:
    """Let a layer leave its row in ``rows``. Hooks would not do: they do not reach into blocks such as Mlp."""
    forward, backward, backward_parameters = layer.forward, layer.backward, layer.backward_parameters

    def watched_forward(x: Array) -> Array:
        y = forward(x)
        rows[layer] = _measure(layer.name, y, layer)
        return y

    def watched_backward(grad_y: Array) -> Array:
        note(grad_y)
        return backward(grad_y)

    def watched_backward_parameters(grad_y: Array) -> None:
        note(grad_y)
        backward_parameters(grad_y)

    def note(grad_y: Array) -> None:
        rms = float(np.sqrt(np.mean(np.square(grad_y, dtype=np.float64))))
        rows[layer] = replace(rows[layer], gradient_rms=rms)

    vars(layer).update(
        forward=watched_forward, backward=watched_backward, backward_parameters=watched_backward_parameters
    )


def _measure(name: str, y: Array, layer: Layer | None = None) -> LayerRow:
    units = y.reshape(-1, y.shape[-1]).astype(np.float64)
    slope = next((slope for kind, slope in SLOPES.items() if isinstance(layer, kind)), None)
    return LayerRow(
        name=name,
        shape=y.shape,
        mean=float(units.mean()),
        std=float(units.std()),
        min=float(units.min()),
        max=float(units.max()),
        signal=float(np.sqrt(units.var(axis=0).mean())),
        zeros=float(np.mean(units == 0)),
        dead=float(np.mean((units == 0).all(axis=0))) if isinstance(layer, RECTIFIERS) else None,
        saturated=None if slope is None else float(np.mean(slope(units) < FLAT)),
    )


def _measure_parameter(name: str, w: Array, g: Array) -> ParameterRow:
    finite = bool(np.isfinite(w).all() and np.isfinite(g).all())
    return ParameterRow(name, w.shape, norm(w.astype(np.float64)), norm(g.astype(np.float64)), finite)
