"""A chunk of a network that has several microbatches in flight: what each has left in the layers."""

from __future__ import annotations

from typing import Any

from mlp.arrays import Array
from mlp.layers.containers import Sequential


class Flight:
    """A microbatch between forward and backward: its output, and what the layers saved."""

    def __init__(self, y: Array, saved: list[Any]) -> None:
        self.y, self.saved = y, saved


class Chunk:
    """Layers in a row that can be several microbatches ahead of their backward passes.

    After each forward pass ``saved`` is taken out of the layers; before the backward pass of the same microbatch it
    is put back.
    """

    def __init__(self, body: Sequential) -> None:
        self.body = body
        self.layers = tuple(body.walk())
        self._flights: dict[int, Flight] = {}

    @property
    def in_flight(self) -> int:
        """How many microbatches there are between forward and backward."""
        return len(self._flights)

    def forward(self, microbatch: int, x: Array) -> Array:
        """y = f(x)."""
        y = self.body.forward(x)
        self._flights[microbatch] = Flight(y, [layer.saved for layer in self.layers])
        self.body.saved = None
        return y

    def output(self, microbatch: int) -> Array:
        """The y of a microbatch in flight."""
        return self._flights[microbatch].y

    def backward(self, microbatch: int, grad_y: Array, input_gradient: bool = True) -> Array | None:
        """Accumulate the parameters' gradients; returns dL/dx if asked for."""
        for layer, saved in zip(self.layers, self._flights.pop(microbatch).saved, strict=True):
            layer.saved = saved
        grad_x = None
        if input_gradient:
            grad_x = self.body.backward(grad_y)
        else:
            self.body.backward_parameters(grad_y)
        self.body.saved = None
        return grad_x

    def land(self, microbatch: int) -> None:
        """Forget a microbatch that has no backward pass."""
        del self._flights[microbatch]

    def land_all(self) -> None:
        """Forget those that an error has left in flight."""
        self._flights.clear()
