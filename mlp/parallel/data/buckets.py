"""Buckets: gradients of the last layers are on their way while the first layers still compute theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlp.arrays import Array
from mlp.checks import check_integer
from mlp.layers.base import Layer
from mlp.network import Network
from mlp.parallel.calls import Handle
from mlp.parallel.communicator import Communicator


class Buckets:
    """Sums the gradient over the ranks in pieces, each begun as soon as the backward pass is done with it.

    The backward pass goes from the last layer to the first, so what is complete is the end of the flat vector. Once
    ``bucket_bytes`` or more of it are, their all-reduce begins: a bucket holds whole layers. A parameter that is
    shared stands in the flat vector where it is used first, which the backward pass reaches last.

        with buckets.overlapping():
            network.training_step(...)
        buckets.finish()

    Li et al., "PyTorch distributed: experiences on accelerating data parallel training", VLDB 2020.
    """

    def __init__(self, network: Network, communicator: Communicator, bucket_bytes: int) -> None:
        self.network, self.communicator = network, communicator
        self.bucket_bytes = check_integer("bucket_bytes", bucket_bytes, 1)
        self._ends = parameter_ends(network)
        self._begun = network.parameters.size  # from here on all-reduces are under way
        self._handles: list[Handle] = []

    @contextmanager
    def overlapping(self) -> Iterator[None]:
        """The backward pass inside of this block is the last one before the gradients are summed."""
        hooks = self.network.body.backward_hooks
        hooks.append(self._before_backward)
        try:
            yield
        finally:
            hooks.remove(self._before_backward)

    def finish(self) -> None:
        """Begin what has not begun, and wait until all sums are in the gradient."""
        if self._begun:
            self._start(0)
        for handle in self._handles:
            handle.wait()
        self._handles.clear()
        self._begun = self.network.parameters.size

    def _before_backward(self, layer: Layer, grad_y: Array) -> None:
        complete = self._ends[id(layer)]
        if (self._begun - complete) * grad_y.itemsize >= self.bucket_bytes:
            self._start(complete)

    def _start(self, begin: int) -> None:
        vector, end = self.network.parameters, 0
        for p in vector:
            end += p.size
            if begin < end <= self._begun:
                p.grad  # noqa: B018 - reading the gradient of a parameter that nothing has reached writes its zeros
        piece = vector.rows[1, begin : self._begun]
        self._handles.append(self.communicator.start_all_reduce(piece, out=piece))
        self._begun = begin


def parameter_ends(network: Network) -> dict[int, int]:
    """For each layer, by its id, where its parameters end in the flat vector, and those of all layers before it."""
    seen: dict[int, int] = {}
    ends: dict[int, int] = {}
    for layer in network.layers:
        seen |= {id(p): p.size for p in layer.parameters().values()}
        ends[id(layer)] = sum(seen.values())
    return ends
