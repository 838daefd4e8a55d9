"""The layers, by family: a forward and a hand-written backward side by side in every class."""

import importlib
from typing import Any

from mlp.layers.activations import (
    ACTIVATIONS,
    ELU,
    SELU,
    Elementwise,
    GeLU,
    Hardswish,
    Identity,
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
    make_activation,
    register_activation,
)
from mlp.layers.base import Layer
from mlp.layers.batch_norm import BatchNorm
from mlp.layers.blocks import Mlp
from mlp.layers.containers import Container, Residual, Sequential
from mlp.layers.dropout import AlphaDropout, Dropout
from mlp.layers.embedding import EmbeddedColumns, Embedding
from mlp.layers.gated_blocks import GatedMlp
from mlp.layers.linear import Linear
from mlp.layers.normalization import LayerNorm, RMSNorm

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "SELU",
    "AlphaDropout",
    "BatchNorm",
    "Container",
    "Dropout",
    "Elementwise",
    "EmbeddedColumns",
    "Embedding",
    "GatedMlp",
    "GeLU",
    "Hardswish",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Mish",
    "Mlp",
    "PReLU",
    "RMSNorm",
    "ReLU",
    "ReLU6",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "make_activation",
    "register_activation",
]


def __getattr__(name: str) -> Any:
    """Layers that have moved to ``mlp.efficiency``, under the names they had here."""
    if name in ("Compressed", "QuantizedLinear", "Recompute"):
        return getattr(importlib.import_module("mlp.efficiency"), name)
    raise AttributeError(f"module 'mlp.layers' has no attribute {name!r}")
