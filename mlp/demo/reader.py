"""What a network says about a picture of 28×28 pixels, what its hidden units do, and which pixels speak for it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.data.mnist import SCALE
from mlp.data.preprocessing import Preprocessing
from mlp.functional import class_probabilities
from mlp.layers import ACTIVATIONS, Layer, PReLU
from mlp.layers.containers import Container
from mlp.network import Network

PIXELS = 28 * 28
STEPS = 32  # of the integral below
SHOWN = 512  # hidden units of a layer


class Hidden(NamedTuple):
    """The outputs of a hidden layer: the first of them, and how many there are."""

    name: str
    values: Array
    units: int


class Reading(NamedTuple):
    """What ``Reader.read`` answers.

    ``probabilities`` (K,) are those of the classes and ``best`` is the most probable. ``contributions`` (784,) say
    how much each pixel raises the score of ``best`` above its score for an empty picture; they sum to
    ``score - empty_score``, up to the error of the integral.
    """

    probabilities: Array
    best: int
    score: float
    empty_score: float
    contributions: Array
    hidden: list[Hidden]


class Reader:
    """A network that reads pictures (28, 28) of bytes, with the preprocessing that it was trained with, if any.

    Works on a copy, so that nothing happens to the network. Raises ``InputError`` if the network does not take 784
    pixels, or chooses between no classes.
    """

    def __init__(self, network: Network, preprocessing: Preprocessing | None = None) -> None:
        inputs = len(_map(preprocessing, np.zeros((1, PIXELS)))[0])
        if network.in_features != inputs:
            raise InputError(
                f"the network takes {network.in_features} values, and a drawing has {inputs}; "
                "a network for pictures of 28×28 pixels is accepted"
            )
        if network.task == "regression" or not network.out_features or network.out_features < 2:
            raise InputError(
                "the network gives numbers, and no classes; one that was trained to classify is accepted"
            )
        self.network = network.astype(network.dtype).eval()
        self.classes = network.classes or tuple(map(str, range(network.out_features)))
        self._preprocessing = preprocessing
        # Every preprocessing is z = x J + z(0), so dL/dx = dL/dz Jᵀ.
        empty = _map(preprocessing, np.zeros((1, PIXELS)))
        self._jacobian = None if preprocessing is None else _map(preprocessing, np.eye(PIXELS)) - empty

    def read(self, picture: NDArray[np.uint8]) -> Reading:
        """What the network says of a picture (28, 28)."""
        x, empty = _as_input(picture), _as_input(np.zeros_like(picture))
        hidden: list[Hidden] = []

        def remember(layer: Layer, y: Array) -> None:
            if layer in self.network.layers[:-1] and _is_hidden(layer):
                name = f"layer {self.network.layers.index(layer)}: {layer!r}"
                hidden.append(Hidden(name, y[0, :SHOWN].copy(), y.shape[1]))

        self.network.add_hook(remember)
        scores = self._scores(x)
        self.network.remove_hook(remember)
        best = int(scores[0].argmax())
        return Reading(
            class_probabilities(scores)[0], best, float(scores[0, best]), float(self._scores(empty)[0, best]),
            self._contributions(x, empty, best), hidden,
        )  # fmt: skip

    def _scores(self, x: Array) -> Array:
        return self.network.forward(_map(self._preprocessing, x))

    def _contributions(self, x: Array, empty: Array, k: int) -> Array:
        """Integrated gradients of the score s_k from the empty picture x₀ to x, by the midpoint rule:

            (x - x₀) · ∫₀¹ ds_k/dx (x₀ + t (x - x₀)) dt

        Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks", ICML 2017, arXiv:1703.01365.
        """
        t = (np.arange(STEPS)[:, None] + 0.5) / STEPS
        scores = self._scores(empty + t * (x - empty))
        upstream = np.zeros_like(scores)
        upstream[:, k] = 1
        self.network.zero_grad()
        gradient = self.network.backward(upstream, input_gradient=True)
        assert gradient is not None
        slope = gradient.mean(axis=0, dtype=np.float64)
        slope = slope if self._jacobian is None else self._jacobian @ slope
        return (x - empty)[0] * slope


def _as_input(picture: NDArray[np.uint8]) -> Array:
    """x (1, 784) as ``load_mnist`` makes it."""
    return (picture.reshape(1, -1) - 128.0) * SCALE


def _map(preprocessing: Preprocessing | None, x: Array) -> Array:
    return x if preprocessing is None else preprocessing.transform(x)


def _is_hidden(layer: Any) -> bool:
    """Whether what a layer gives is what people mean by hidden units: activations, and blocks that contain some."""
    return isinstance(layer, Container | PReLU) or type(layer) in ACTIVATIONS.values()
