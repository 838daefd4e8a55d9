"""Making a trained network small: weights of 8 bits, and a report of what that costs in accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlp.checks import InputError
from mlp.data import Batches, Dataset
from mlp.efficiency.quantized import QuantizedLinear
from mlp.layers import Layer, Linear
from mlp.layers.assembly import fold_batch_norm, replace_leaves
from mlp.metrics import count_correct
from mlp.network import Network


def quantize(network: Network) -> Network:
    """A copy for use with every Linear made a ``QuantizedLinear``, after each BatchNorm is folded into its Linear.

    Weights take a byte each and, for each output, a scale: about a quarter of float32. Everything else stays as it
    is: biases, embeddings, other layers. Layers that share their weights still do. What ``quantize`` returns is
    a Network: ``mlp.save(small, path)`` writes it, and ``mlp.load(quantize(network), path)`` reads it, given any
    network of the same layers.

    Raises ``InputError`` if there is no Linear, or weights are not finite.

    Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference",
    CVPR 2018, arXiv:1712.05877.
    """
    made: dict[tuple[int, int], QuantizedLinear] = {}

    def smaller(layer: Layer) -> Layer:
        if not isinstance(layer, Linear):
            return layer
        parameters = (id(layer.weight), id(layer.bias))
        if parameters in made:
            return made[parameters].tied()
        made[parameters] = QuantizedLinear.of(layer)
        return made[parameters]

    body = fold_batch_norm(network.body.astype(network.dtype))
    replace_leaves(body, smaller)
    if not made:
        raise InputError(f"quantize: there is no Linear in {network!r}")
    return Network(*body.layers).eval()


@dataclass(frozen=True)
class QuantizationReport:
    """A network before and after ``quantize``; ``print`` it."""

    accuracy_before: float
    accuracy_after: float
    bytes_before: int  # of all parameters and running statistics
    bytes_after: int
    score_error: float  # |ŝ - s| / |s| for the scores s of all samples before, ŝ after

    @property
    def accuracy_loss(self) -> float:
        """Accuracy before minus accuracy after: below 0 if the small network does better."""
        return self.accuracy_before - self.accuracy_after

    def __str__(self) -> str:
        return (
            f"            accuracy           bytes\n"
            f"before    {self.accuracy_before:>8.2%} {self.bytes_before:>17,}\n"
            f"int8      {self.accuracy_after:>8.2%} {self.bytes_after:>17,}\n"
            f"{self.bytes_before / self.bytes_after:.2f} times smaller, "
            f"accuracy {-100 * self.accuracy_loss:+.2f} points, relative error of the scores {self.score_error:.2g}"
        )


def quantization_report(network: Network, dataset: Dataset) -> QuantizationReport:
    """What ``quantize`` does to a network's size, and to its accuracy and scores on a data set.

    No data are needed to quantise weights, so all of the data set is there to judge.

    Raises ``InputError`` for a data set without classes, and as ``quantize`` does.
    """
    if not dataset.is_classification:
        raise InputError(f"quantization_report: accuracy needs a data set with classes, got {dataset!r}")
    small = quantize(network)
    before = after = 0
    difference = size = 0.0
    for x, y in Batches(dataset, min(1000, len(dataset)), network.dtype).epoch():
        s, q = network.evaluation_step(x), small.evaluation_step(x)
        before += count_correct(y, s)
        after += count_correct(y, q)
        difference += float(np.square(q - s).sum())
        size += float(np.square(s).sum())
    n = len(dataset)
    error = (difference / size) ** 0.5 if size else 0.0
    return QuantizationReport(before / n, after / n, count_bytes(network), count_bytes(small), error)


def count_bytes(network: Network) -> int:
    """Bytes of all parameters and running statistics, each counted once."""
    return sum(array.nbytes for array in network.state_dict().values())
