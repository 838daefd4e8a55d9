"""Time instead of memory: layers that forget what they computed, and compute it again when it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlp.arrays import Array
from mlp.layers.containers import Sequential


class Recompute(Sequential):
    """y = f(x) as Sequential computes it, in less memory: activation checkpointing. With f the layers inside,

        forward(x):         y = f(x), keep x, forget what f saved
        backward(dL/dy):    f(x) once more, then f.backward(dL/dy)

    What is held from forward to backward is one input instead of all that n layers save. The price is a second
    forward pass, about a third of the time of a step. For a chain of n like layers in k blocks of n / k, memory
    goes with k + n / k, which is smallest for k = √n blocks. Blocks may be inside blocks.

        Network(Recompute(Linear(784, 512), ReLU()), Recompute(Linear(512, 512), ReLU()), Linear(512, 10))

    With ReLU, 512 rows and four hidden layers of 1024 a step takes 34 MiB, and 17 MiB with each Linear and its ReLU
    in a block; it takes 1.4 times as long.

    Every number is the same to the last bit. The second pass starts from what the first one started from: the state
    of the random generators, the running statistics, training or use. These are put back after it, so statistics
    move once per step, generators end where they would have. Hooks see the first pass only. Parameters must not be
    changed between forward and backward.

    Raises ``InputError`` as ``Sequential`` does.

    Chen, Xu, Zhang & Guestrin, "Training deep nets with sublinear memory cost", 2016, arXiv:1604.06174.
    """

    def forward(self, x: Array) -> Array:
        start = self._moment()
        y = super().forward(x)
        self.saved = None
        self.own_saved = (x, start)
        return y

    def backward(self, grad_y: Array) -> Array:
        with self._forward_again():
            return super().backward(grad_y)

    def backward_parameters(self, grad_y: Array) -> None:
        with self._forward_again():
            super().backward_parameters(grad_y)

    @contextmanager
    def _forward_again(self) -> Iterator[None]:
        """Inside this block the layers hold what they saved when x went forward."""
        x, start = self.recall()
        now = self._moment()
        try:
            self._go_to(start)
            with self._unwatched():
                super().forward(x)
        finally:
            self._go_to(now)
        try:
            yield
        finally:
            for layer in self.layers:
                layer.saved = None

    def _moment(self) -> tuple[Any, list[bool]]:
        """All that a forward pass depends on besides x and the parameters."""
        return self.snapshot(), [layer.training for layer in self.walk()]

    def _go_to(self, moment: tuple[Any, list[bool]]) -> None:
        snapshot, modes = moment
        self.restore(snapshot)
        for layer, mode in zip(self.walk(), modes, strict=True):
            layer.training = mode

    @contextmanager
    def _unwatched(self) -> Iterator[None]:
        """No forward hook is called inside this block."""
        watched = [(layer, layer.forward_hooks) for layer in self.walk() if isinstance(layer, Sequential)]
        for sequence, _ in watched:
            sequence.forward_hooks = []
        try:
            yield
        finally:
            for sequence, hooks in watched:
                sequence.forward_hooks = hooks
