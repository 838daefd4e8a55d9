"""What a network's loss depends on in its input, and samples made with that knowledge to be hard for it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_number
from mlp.data.augmentation.base import Augmentation, check_floats
from mlp.losses.base import Loss
from mlp.network import Network


def input_gradient(network: Network, loss: Loss, x: Array, targets: Array) -> Array:
    """dL/dx for a batch x (m, features), in evaluation mode: (m, features) in the dtype of the network.

    With ``reduction="mean"`` the loss of each sample counts 1/m, so its gradient does too; with "sum" it counts 1.
    A pass like any other, hooks included, but afterwards the network and the loss are as they were: gradients of
    parameters, what layers remember between forward and backward, running statistics and mode.
    """
    loss = copy.copy(loss)  # what it remembers of its last batch stays with the original
    with undisturbed(network):
        loss.forward(network.forward(x), targets)
        gradient = network.backward(loss.backward(), input_gradient=True)
    assert gradient is not None
    return gradient


@contextmanager
def undisturbed(network: Network) -> Iterator[None]:
    """Evaluation mode inside the block, and after it gradients and memory of the network as before.

    All parameters are frozen meanwhile: dL/dx needs no dL/dW, which would be a third of the work.
    """
    gradients, saved = network.parameters.grad.copy(), network.body.saved
    learning = [p for p in network.parameters if not p.frozen]
    try:
        for p in learning:
            p.frozen = True
        with network.mode(training=False):
            yield
    finally:
        for p in learning:
            p.frozen = False
        network.parameters.grad[...] = gradients
        network.body.saved = saved


def saliency(network: Network, loss: Loss, x: Array, targets: Array) -> Array:
    """|dL/dx|, how much the loss depends on each feature: (m, features), for images a map of the pixels.

    Simonyan, Vedaldi & Zisserman, "Deep inside convolutional networks", ICLR 2014 workshop, who differentiate the
    score of a class where the loss stands here.
    """
    return abs(input_gradient(network, loss, x, targets))


class FGSM(Augmentation):
    """The fast gradient sign method: x' = x + ε sign(dL/dx), clipped to low .. high.

    No feature moves by more than ε, in the unit of x, and to first order no other such step raises the loss more.
    As an augmentation it trains on the hardest neighbours of the samples, as the network is at this step.

    ``low`` and ``high`` are the ends of the range in which x lies, None for no end: -128/255 and 127/255 for MNIST
    as ``load_mnist`` gives it. ε = 0 gives a copy of x.

    Raises ``InputError`` for a negative ε, or an empty range.

    Goodfellow, Shlens & Szegedy, "Explaining and harnessing adversarial examples", ICLR 2015.
    """

    uses_network = True

    def __init__(
        self, network: Network, loss: Loss, epsilon: float, low: float | None = None, high: float | None = None
    ) -> None:
        self.network, self.loss = network, loss
        self.epsilon = check_number("FGSM: epsilon", epsilon, 0)
        self.low = None if low is None else check_number("FGSM: low", low, -np.inf)
        self.high = None if high is None else check_number("FGSM: high", high, -np.inf)
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise InputError(f"FGSM: low must be below high, got {low!r} and {high!r}")

    def __call__(self, x: Array, targets: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        check_floats("FGSM", x)
        if self.epsilon == 0:
            return x.copy(), targets
        step = np.sign(input_gradient(self.network, self.loss, x, targets)).astype(x.dtype)
        step *= self.epsilon
        step += x
        if self.low is not None or self.high is not None:
            np.clip(step, self.low, self.high, out=step)
        return step, targets

    def __repr__(self) -> str:
        return f"FGSM(epsilon={self.epsilon:g}, low={self.low}, high={self.high})"


class MaskSalient(Augmentation):
    """The features that the loss depends on most are hidden: x' = ``fill`` where |dL/dx| is largest.

    In each sample ``fraction`` of the features, rounded, are set to ``fill``, the value of the background. A
    network that misses the evidence it prefers has to learn from the rest: explanation-guided augmentation.

    Raises ``InputError`` for a fraction outside 0 .. 1.

    Hiding what was found before, so that more is found: Wei, Feng, Liang, Cheng, Zhao & Yan, "Object region mining
    with adversarial erasing", CVPR 2017.
    """

    uses_network = True

    def __init__(self, network: Network, loss: Loss, fraction: float, fill: float = 0.0) -> None:
        self.network, self.loss = network, loss
        self.fraction = check_number("MaskSalient: fraction", fraction, 0, 1)
        self.fill = check_number("MaskSalient: fill", fill, -np.inf)

    def __call__(self, x: Array, targets: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        check_floats("MaskSalient", x)
        hidden = int(self.fraction * x.shape[-1] + 0.5)
        masked = x.copy()
        if hidden:
            salient = np.argpartition(saliency(self.network, self.loss, x, targets), -hidden, axis=-1)
            np.put_along_axis(masked, salient[..., -hidden:], self.fill, axis=-1)
        return masked, targets

    def __repr__(self) -> str:
        return f"MaskSalient(fraction={self.fraction:g}, fill={self.fill:g})"
