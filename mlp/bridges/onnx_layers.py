"""What each layer is in ONNX's operators, as it computes in evaluation mode: one short function a layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import groupby
from typing import TypeVar

import numpy as np

from mlp.bridges.onnx_graph import Graph
from mlp.functional import _ERFC_LARGE, _ERFC_LARGE_FLOAT32, _ERFC_UNDERFLOWS
from mlp.layers import (
    ELU,
    SELU,
    AlphaDropout,
    BatchNorm,
    Compressed,
    Dropout,
    EmbeddedColumns,
    Embedding,
    GatedMlp,
    GeLU,
    Hardswish,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSoftmax,
    Mish,
    Mlp,
    PReLU,
    QuantizedLinear,
    Recompute,
    ReLU,
    ReLU6,
    Residual,
    RMSNorm,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)

Write = TypeVar("Write", bound=Callable[..., str])

# Class of a layer -> function (graph, layer, name of x) -> name of y.
WRITERS: dict[type[Layer], Callable[..., str]] = {}


def writes(*kinds: type[Layer]) -> Callable[[Write], Write]:
    """Decorator: this function writes layers of these classes, but not of their subclasses, which may differ."""

    def register(write: Write) -> Write:
        WRITERS.update(dict.fromkeys(kinds, write))
        return write

    return register


@writes(Linear)
def write_linear(graph: Graph, layer: Linear, x: str) -> str:
    """x W + b."""
    y = graph.add("MatMul", x, layer.weight)
    return y if layer.bias is None else graph.add("Add", y, layer.bias)


@writes(QuantizedLinear)
def write_quantized_linear(graph: Graph, layer: QuantizedLinear, x: str) -> str:
    """(x Q) · s + b, with Q in bytes."""
    Q = graph.add("Cast", graph.constant("integers", layer.integers), to=graph.dtype)
    y = graph.add("Mul", graph.add("MatMul", x, Q), layer.scale)
    return y if layer.bias is None else graph.add("Add", y, layer.bias)


@writes(Identity, Dropout, AlphaDropout)
def write_nothing(graph: Graph, layer: Layer, x: str) -> str:
    """x itself."""
    return x


@writes(ReLU, Sigmoid, Tanh)
def write_by_name(graph: Graph, layer: Layer, x: str) -> str:
    """An operator of (nearly) the same name."""
    return graph.add({"ReLU": "Relu"}.get(type(layer).__name__, type(layer).__name__), x)


@writes(Softmax, LogSoftmax)
def write_softmax(graph: Graph, layer: Layer, x: str) -> str:
    """Along the last axis."""
    return graph.add(type(layer).__name__, x, axis=-1)


# Attributes of ONNX's operators are float32, and so are the constants inside some of them, such as Gelu. What has
# to be exact in float64 is a constant here, in the dtype of the network.


@writes(LeakyReLU)
def write_leaky_relu(graph: Graph, layer: LeakyReLU, x: str) -> str:
    """x where x > 0, else slope · x."""
    return graph.add("PRelu", x, [layer.slope])


@writes(ReLU6)
def write_relu6(graph: Graph, layer: ReLU6, x: str) -> str:
    """x brought into [0, 6]."""
    return graph.add("Clip", x, 0.0, 6.0)


@writes(ELU)
def write_elu(graph: Graph, layer: ELU, x: str) -> str:
    """x where x > 0, else α (e^x - 1)."""
    y = graph.add("Elu", x)
    return (
        y
        if layer.alpha == 1
        else graph.add("Where", graph.add("Greater", x, 0.0), x, graph.add("Mul", y, layer.alpha))
    )


@writes(SELU)
def write_selu(graph: Graph, layer: SELU, x: str) -> str:
    """λ x where x > 0, else λ α (e^x - 1)."""
    below = graph.add("Mul", graph.add("Elu", x), layer.ALPHA)
    return graph.add("Mul", graph.add("Where", graph.add("Greater", x, 0.0), x, below), layer.SCALE)


@writes(PReLU)
def write_prelu(graph: Graph, layer: PReLU, x: str) -> str:
    """x where x > 0, else a x."""
    return graph.add("PRelu", x, layer.weight)


@writes(Hardswish)
def write_hardswish(graph: Graph, layer: Hardswish, x: str) -> str:
    """x · min(max(x / 6 + 1/2, 0), 1)."""
    gate = graph.add("Clip", graph.add("Add", graph.add("Div", x, 6.0), 0.5), 0.0, 1.0)
    return graph.add("Mul", x, gate)


@writes(Mish)
def write_mish(graph: Graph, layer: Mish, x: str) -> str:
    """x · tanh(log(1 + e^x))."""
    return graph.add("Mul", x, graph.add("Tanh", write_softplus(graph, Softplus(), x)))


@writes(SiLU)
def write_silu(graph: Graph, layer: SiLU, x: str) -> str:
    """x · sigmoid(x)."""
    return graph.add("Mul", x, graph.add("Sigmoid", x))


@writes(Softplus)
def write_softplus(graph: Graph, layer: Softplus, x: str) -> str:
    """max(x, 0) + log(1 + e^(-β|x|)) / β. (ONNX's own Softplus overflows in some runtimes.)"""
    tail = graph.add("Exp", graph.add("Mul", graph.add("Abs", x), -layer.beta))
    tail = graph.add("Log", graph.add("Add", tail, 1.0))
    return graph.add("Add", graph.add("Relu", x), graph.add("Div", tail, layer.beta))


@writes(GeLU)
def write_gelu(graph: Graph, layer: GeLU, x: str) -> str:
    """x Φ(x), with Φ the normal distribution or (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2."""
    if layer.approximate == "none":
        return graph.add("Mul", x, write_normal_cdf(graph, x))
    cube = graph.add("Mul", graph.add("Mul", x, x), x)
    u = graph.add("Add", x, graph.add("Mul", cube, 0.044715))
    t = graph.add("Tanh", graph.add("Mul", u, math.sqrt(2 / math.pi)))
    return graph.add("Mul", x, graph.add("Mul", graph.add("Add", t, 1.0), 0.5))


def write_normal_cdf(graph: Graph, x: str) -> str:
    """Φ(x) as ``mlp.functional.normal_cdf`` computes it: runtimes have the operator Erf in float32 alone, if at
    all."""
    a = graph.add("Clip", graph.add("Mul", graph.add("Abs", x), math.sqrt(0.5)), 0.0, _ERFC_UNDERFLOWS)
    t = graph.add("Sub", 1.0, graph.add("Div", 8.0, graph.add("Add", a, 4.0)))
    first, *others = _ERFC_LARGE_FLOAT32 if graph.dtype == np.float32 else _ERFC_LARGE
    p = graph.add("Add", graph.add("Mul", t, first), others[0])
    for coefficient in others[1:]:
        p = graph.add("Add", graph.add("Mul", p, t), coefficient)
    tail = graph.add("Mul", graph.add("Mul", p, graph.add("Exp", graph.add("Neg", graph.add("Mul", a, a)))), 0.5)
    return graph.add("Where", graph.add("Less", x, 0.0), tail, graph.add("Sub", 1.0, tail))


@writes(BatchNorm)
def write_batch_norm(graph: Graph, layer: BatchNorm, x: str) -> str:
    """(x - running mean) · γ / sqrt(running variance + ε) + β."""
    scale = 1 / np.sqrt(layer.running_var + graph.dtype.type(layer.eps))
    if layer.weight is not None:
        scale *= layer.weight.data
    y = graph.add("Sub", x, graph.constant("running_mean", layer.running_mean))
    y = graph.add("Mul", y, graph.constant("scale", scale))
    return y if layer.bias is None else graph.add("Add", y, layer.bias)


@writes(LayerNorm, RMSNorm)
def write_row_norm(graph: Graph, layer: LayerNorm | RMSNorm, x: str) -> str:
    """γ c / sqrt(mean(c²) + ε) + β, with c = x - mean(x) in LayerNorm and c = x in RMSNorm."""

    def mean(value: str) -> str:
        return graph.add("ReduceMean", value, np.array([-1]), keepdims=1)

    c = graph.add("Sub", x, mean(x)) if isinstance(layer, LayerNorm) else x
    r = graph.add("Sqrt", graph.add("Add", mean(graph.add("Mul", c, c)), layer.eps))
    y = graph.add("Div", c, r)
    if layer.weight is not None:
        y = graph.add("Mul", y, layer.weight)
    return y if layer.bias is None else graph.add("Add", y, layer.bias)


@writes(Embedding)
def write_embedding(graph: Graph, layer: Embedding, x: str) -> str:
    """W[x]."""
    return graph.add("Gather", layer.weight, graph.add("Cast", x, to=np.dtype(np.int64)), axis=0)


@writes(EmbeddedColumns)
def write_embedded_columns(graph: Graph, layer: EmbeddedColumns, x: str) -> str:
    """The columns of x side by side, those of categories replaced by their vectors."""
    embeddings = dict(zip(layer.columns, layer.embeddings, strict=True))
    parts: list[str] = []
    for is_embedded, columns in groupby(range(layer.in_features), embeddings.__contains__):
        if is_embedded:
            parts += [graph.through(embeddings[c], graph.add("Gather", x, np.array(c), axis=-1)) for c in columns]
        else:
            parts.append(graph.add("Gather", x, np.array(list(columns)), axis=-1))
    return graph.add("Concat", *parts, axis=-1)


@writes(Sequential, Recompute, Compressed)
def write_sequential(graph: Graph, layer: Sequential, x: str) -> str:
    """One layer after another."""
    for child in layer.layers:
        x = graph.through(child, x)
    return x


@writes(Residual)
def write_residual(graph: Graph, layer: Residual, x: str) -> str:
    """x + f(x), or shortcut(x) + f(x)."""
    y = graph.through(layer.body, x)
    return graph.add("Add", x if layer.shortcut is None else graph.through(layer.shortcut, x), y)


@writes(Mlp)
def write_mlp(graph: Graph, layer: Mlp, x: str) -> str:
    """fc2(act(fc1(x)))."""
    return graph.through(layer.fc2, graph.through(layer.activation, graph.through(layer.fc1, x)))


@writes(GatedMlp)
def write_gated_mlp(graph: Graph, layer: GatedMlp, x: str) -> str:
    """fc2(value(x) · act(gate(x)))."""
    v = graph.through(layer.value, x)
    a = graph.through(layer.activation, graph.through(layer.gate, x))
    return graph.through(layer.fc2, graph.add("Mul", v, a))
