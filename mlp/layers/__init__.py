"""The layers, by family: a forward and a hand-written backward side by side in every class."""

from mlp.layers.activations import (
    ACTIVATIONS,
    ELU,
    GeLU,
    Identity,
    LeakyReLU,
    LogSoftmax,
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
from mlp.layers.blocks import GatedMlp, Mlp
from mlp.layers.compression import Compressed
from mlp.layers.containers import Container, Residual, Sequential
from mlp.layers.dropout import Dropout
from mlp.layers.embedding import EmbeddedColumns, Embedding
from mlp.layers.linear import Linear
from mlp.layers.normalization import LayerNorm, RMSNorm
from mlp.layers.quantized import QuantizedLinear
from mlp.layers.recompute import Recompute

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "BatchNorm",
    "Compressed",
    "Container",
    "Dropout",
    "EmbeddedColumns",
    "Embedding",
    "GatedMlp",
    "GeLU",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Mlp",
    "QuantizedLinear",
    "RMSNorm",
    "ReLU",
    "ReLU6",
    "Recompute",
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
