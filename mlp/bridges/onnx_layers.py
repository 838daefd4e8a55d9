"""What each layer is in ONNX's operators, as it computes in evaluation mode: one short function a layer."""

from __future__ import annotations

from itertools import groupby

import numpy as np

from mlp.bridges.onnx_graph import Graph, writes
from mlp.layers import (
    AlphaDropout,
    BatchNorm,
    Compressed,
    Dropout,
    EmbeddedColumns,
    Embedding,
    GatedMlp,
    Identity,
    Layer,
    LayerNorm,
    Linear,
    Mlp,
    QuantizedLinear,
    Recompute,
    Residual,
    RMSNorm,
    Sequential,
)


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
