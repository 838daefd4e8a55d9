"""How much memory a training step takes, and what it costs to save some of it: measured, not calculated."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mlp.arrays import Array
from mlp.efficiency.compression import Compressed
from mlp.losses import Loss
from mlp.network import Network
from mlp.optim.clipping import norm


class ActivationBytes(NamedTuple):
    """Bytes beyond those of the parameters, their gradients and the batch."""

    held: int  # after the first forward pass, before its backward pass: what the layers remember, and the scores
    peak: int  # the most at any moment of a later training step


def measure_activation_bytes(network: Network, x: Array) -> ActivationBytes:
    """What a training step on the batch x needs besides x and the parameters, as the allocator counts it.

    Two steps are made, by a copy of the network: the network itself, its gradients, statistics and random
    generators stay as they are. The loss is left out (its dL/dscores is counted). ``tracemalloc`` watches, which
    sees each array that NumPy makes; steps take longer meanwhile.
    """
    network = network.astype(network.dtype)
    x = np.asarray(x, network.dtype)
    probe = _Probe()
    with _tracing(), np.errstate(all="ignore"):
        before = _traced()
        network.training_step(x, x, probe)
        held = probe.traced - before
        tracemalloc.reset_peak()
        network.training_step(x, x, probe)
        return ActivationBytes(held, tracemalloc.get_traced_memory()[1] - before)


class _Probe(Loss):
    """No loss, but a look at the memory in the moment between forward and backward; its gradient is all ones."""

    traced = 0

    def forward(self, scores: Array, targets: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        self.traced = _traced()
        self.saved = np.ones_like(scores)
        return 0.0


@contextmanager
def _tracing() -> Iterator[None]:
    was_tracing = tracemalloc.is_tracing()
    gc.collect()  # nothing old is to be freed, and so counted, in between
    if not was_tracing:
        tracemalloc.start()
    try:
        yield
    finally:
        if not was_tracing:
            tracemalloc.stop()


def _traced() -> int:
    return tracemalloc.get_traced_memory()[0]


def compression_error(network: Network, x: Array, targets: Array, loss: Loss) -> dict[str, float]:
    """|ĝ - g| / |g| for the gradient g of each parameter, by name, and of all together, under "all".

    g is the gradient of a training step on this batch, ĝ what it becomes where layers are in ``Compressed``. Both
    are taken by copies of the network, with the same dropout. A gradient that is 0 has error 0 or inf.
    """
    exact = network.astype(network.dtype)
    for layer in exact.body.walk():
        if isinstance(layer, Compressed):
            layer.storage = "exact"
    inexact = network.astype(network.dtype)
    for twin in (exact, inexact):
        twin.training_step(x, targets, loss)
    errors = {"all": _relative(inexact.parameters.grad, exact.parameters.grad)}
    for p, q in zip(inexact.parameters, exact.parameters, strict=True):
        errors[q.name] = _relative(p.grad, q.grad)
    return errors


def _relative(actual: Array, expected: Array) -> float:
    difference, size = norm((actual - expected).reshape(-1)), norm(expected.reshape(-1))
    return difference / size if size else (0.0 if difference == 0 else float("inf"))
