"""The shape of a network whose training is to cost something: what a step takes, without there being a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mlp.checks import InputError, check_integer
from mlp.studies.cost.machine import Machine

# Passes over a layer's outputs in a step: add the bias (read and write), the activation (read and write), its
# derivative (read two, write one), and the bias's gradient (read).
OUTPUT_PASSES = 8
# Over the parameters, for SGD with momentum: read w, g and v, write w and v.
UPDATE_PASSES = 5
# Over the parameters, for each microbatch but the first: read the sum and the new gradient, write the sum.
ACCUMULATE_PASSES = 3
# Bytes for a parameter, its gradient and what the optimizer remembers of it: four numbers of 4 bytes here, and in
# mixed precision 2 + 2 + 12.
STATE_BYTES = 16


@dataclass(frozen=True)
class LayerShape:
    """A product x W + b with x (rows, ``fan_in``), in whole or one rank's part of it.

    ``products`` are those of a step: x W, xᵀ dy and, unless it is the network's first layer, dy Wᵀ.
    ``output_share`` is the part of the passes over its outputs that a rank makes.
    """

    fan_in: float
    fan_out: float
    products: int
    output_share: float = 1.0

    @property
    def parameters(self) -> float:
        """fan_in · fan_out weights and fan_out biases."""
        return (self.fan_in + 1) * self.fan_out

    def flops(self, rows: float) -> float:
        """Operations of a step: 2 · rows · fan_in · fan_out for each product."""
        return 2 * rows * self.fan_in * self.fan_out * self.products

    def seconds(self, machine: Machine, rows: float, itemsize: int) -> float:
        """Forward and backward for so many rows."""
        product = machine.product(rows, self.fan_out, self.fan_in, itemsize)
        return self.products * product + machine.passes(
            OUTPUT_PASSES * self.output_share * rows * self.fan_out, itemsize
        )


@dataclass(frozen=True)
class NetworkShape:
    """A multilayer perceptron of these ``widths``: ``NetworkShape((784, 1024, 1024, 10))``.

    Numbers have 4 bytes, with ``mixed_precision`` 2 (and the optimizer's as in ``mixed_precision_bytes_per_rank``).
    Raises ``InputError`` for fewer than two widths, or one below 1.
    """

    widths: tuple[int, ...]
    mixed_precision: bool = False

    def __init__(self, widths: Sequence[int], mixed_precision: bool = False) -> None:
        if len(widths) < 2:
            raise InputError(f"NetworkShape: widths must be at least two, of the input and output, got {widths!r}")
        checked = tuple(check_integer("NetworkShape: each of widths", width, 1) for width in widths)
        object.__setattr__(self, "widths", checked)
        object.__setattr__(self, "mixed_precision", mixed_precision)

    @property
    def itemsize(self) -> int:
        """Bytes of a weight, an activation and a gradient."""
        return 2 if self.mixed_precision else 4

    @property
    def layers(self) -> list[LayerShape]:
        """The products, from the input on."""
        return [LayerShape(i, o, 3 if n else 2) for n, (i, o) in enumerate(pairwise(self.widths))]

    @property
    def parameters(self) -> int:
        """P, weights and biases."""
        return int(sum(layer.parameters for layer in self.layers))

    def flops(self, rows: int) -> float:
        """Operations of a step with so many rows: about 6 P a row."""
        return sum(layer.flops(rows) for layer in self.layers)

    def activation_bytes(self, rows: float) -> float:
        """What the backward pass needs of the forward pass: x, and each layer's output before and after its
        activation.
        """
        return self.itemsize * rows * (self.widths[0] + 2 * sum(self.widths[1:]))

    def seconds(self, machine: Machine, rows: float) -> float:
        """Forward and backward for so many rows on one rank, without an update."""
        return sum(layer.seconds(machine, rows, self.itemsize) for layer in self.layers)

    def update_seconds(self, machine: Machine, parameters: float | None = None) -> float:
        """An optimizer's step over so many parameters, by default all; it has 4-byte numbers also in mixed
        precision.
        """
        return machine.passes(UPDATE_PASSES * (self.parameters if parameters is None else parameters), 4)

    def accumulation_seconds(self, machine: Machine, parameters: float, microbatches: int) -> float:
        """Adding up the gradients of so many parameters over the microbatches."""
        return machine.passes(ACCUMULATE_PASSES * (microbatches - 1) * parameters, self.itemsize)

    def tensor_layers(self, ranks: int, sequence_parallel: bool = False) -> list[LayerShape]:
        """One rank's part, where layers go in pairs: the first by columns, the second by rows. An odd last layer is
        whole on every rank.

        Raises ``InputError`` if the ranks cannot divide the width inside of a pair.
        """
        parts = []
        for n, layer in enumerate(self.layers):
            if n % 2 == 0 and n + 1 < len(self.layers):
                if layer.fan_out % ranks:
                    raise InputError(f"tensor parallel: {ranks} ranks cannot divide a width of {layer.fan_out:g}")
                parts.append(LayerShape(layer.fan_in, layer.fan_out / ranks, layer.products))
            elif n % 2:
                share = 1 / ranks if sequence_parallel else 1.0
                parts.append(LayerShape(layer.fan_in / ranks, layer.fan_out, layer.products, share))
            else:
                parts.append(layer)
        return parts

    def parts(self, count: int) -> list[slice]:
        """The layers of each of ``count`` parts of a pipeline, about equally expensive.

        Raises ``InputError`` for fewer layers than parts.
        """
        costs = np.cumsum([layer.flops(1) for layer in self.layers])
        if len(costs) < count:
            raise InputError(f"pipeline: {count} parts need as many layers, the network has {len(costs)}")
        wanted = costs[-1] * np.arange(1, count) / count
        ends = 1 + np.abs(costs - wanted[:, None]).argmin(axis=1)
        # Each part has a layer: ends grow by at least 1, and leave enough layers for the parts that follow.
        place = np.arange(1, count)
        ends = np.clip(np.maximum.accumulate(ends - place), 0, len(costs) - count) + place
        return [slice(a, b) for a, b in pairwise([0, *ends.tolist(), len(costs)])]
