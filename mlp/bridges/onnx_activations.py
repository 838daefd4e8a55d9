"""What each activation is in ONNX's operators: one short function each, valid where its formula would overflow."""

from __future__ import annotations

import math

import numpy as np

from mlp.bridges.onnx_graph import Graph, writes
from mlp.functional import _ERFC_LARGE, _ERFC_LARGE_FLOAT32, _ERFC_UNDERFLOWS
from mlp.layers import (
    ELU,
    SELU,
    GeLU,
    Hardswish,
    Layer,
    LeakyReLU,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)


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
