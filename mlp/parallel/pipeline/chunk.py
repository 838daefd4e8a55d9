"""A chunk of a network that has several microbatches in flight: what each has left in the layers, and where."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from mlp.arrays import Array
from mlp.buffers import Buffers, Lending
from mlp.layers.containers import Sequential


class Flight:
    """A microbatch between forward and backward: its memory, its output, and what the layers saved."""

    def __init__(self, buffers: list[Buffers], own: Buffers) -> None:
        self.buffers, self.own = buffers, own
        self.y: Array = np.empty(0)
        self.saved: list[Any] = []


class Chunk:
    """Layers in a row that can be several microbatches ahead of their backward passes.

    After each forward pass ``saved`` is taken out of the layers; before the backward pass of the same microbatch it
    is put back. As it points into the memory that the pass used, each microbatch in flight has memory of its own,
    which the next one takes over: in the steady state nothing is allocated. Backward passes, of which there is one
    at a time, share theirs.
    """

    def __init__(self, body: Sequential) -> None:
        self.body = body
        self.layers = tuple(body.walk())
        self._lending = Lending()
        self._own, self._backward_buffers = Buffers(self._lending), self._new_buffers()
        self._flights: dict[int, Flight] = {}
        self._free: list[Flight] = []

    @property
    def in_flight(self) -> int:
        """How many microbatches there are between forward and backward."""
        return len(self._flights)

    def input_memory(self, microbatch: int, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """Where to write the input of this microbatch: it stays there until its backward pass."""
        with self._lending:
            return self._flight(microbatch).own.empty("x", shape, dtype)

    def gradient_memory(self, microbatch: int) -> Array:
        """Where to write dL/dy."""
        y = self.output(microbatch)
        with self._lending:
            return self._own.empty("grad_y", y.shape, y.dtype)

    def forward(self, microbatch: int, x: Array) -> Array:
        """y = f(x), to be left as it is until the backward pass."""
        flight = self._flight(microbatch)
        self._compute_in(flight.buffers)
        with self._lending:
            flight.y = self.body.forward(x)
        flight.saved = [layer.saved for layer in self.layers]
        self.body.saved = None
        return flight.y

    def output(self, microbatch: int) -> Array:
        """The y of a microbatch in flight."""
        return self._flights[microbatch].y

    def backward(self, microbatch: int, grad_y: Array, input_gradient: bool = True) -> Array | None:
        """Accumulate the parameters' gradients; dL/dx, if asked for, is valid until the next backward pass."""
        flight = self._flights[microbatch]
        for layer, saved in zip(self.layers, flight.saved, strict=True):
            layer.saved = saved
        self._compute_in(self._backward_buffers)
        grad_x = None
        with self._lending:
            if input_gradient:
                grad_x = self.body.backward(grad_y)
            else:
                self.body.backward_parameters(grad_y)
        self.body.saved = None
        self.land(microbatch)
        return grad_x

    def land(self, microbatch: int) -> None:
        """Forget a microbatch; the next one may have its memory."""
        flight = self._flights.pop(microbatch)
        flight.saved = []
        self._free.append(flight)

    def land_all(self) -> None:
        """Forget those that an error has left in flight."""
        for microbatch in list(self._flights):
            self.land(microbatch)

    def _flight(self, microbatch: int) -> Flight:
        if microbatch not in self._flights:
            self._flights[microbatch] = self._free.pop() if self._free else self._new_flight()
        return self._flights[microbatch]

    def _new_flight(self) -> Flight:
        return Flight(self._new_buffers(), Buffers(self._lending))

    def _new_buffers(self) -> list[Buffers]:
        """One more set of buffers for the layers, of the kind that each wants."""
        self.body.lend(self._lending)
        return [layer.buffers for layer in self.layers]

    def _compute_in(self, buffers: list[Buffers]) -> None:
        for layer, own in zip(self.layers, buffers, strict=True):
            layer.buffers = own
