"""The layers, by family: a forward and a hand-written backward side by side in every class."""

from mlp.layers.activations import ACTIVATIONS, GeLU, ReLU, Sigmoid, make_activation, register_activation
from mlp.layers.base import Layer
from mlp.layers.batch_norm import BatchNorm
from mlp.layers.containers import Container, Residual, Sequential
from mlp.layers.dropout import Dropout
from mlp.layers.embedding import EmbeddedColumns, Embedding
from mlp.layers.linear import Linear
from mlp.layers.normalization import LayerNorm, RMSNorm

__all__ = [
    "ACTIVATIONS",
    "BatchNorm",
    "Container",
    "Dropout",
    "EmbeddedColumns",
    "Embedding",
    "GeLU",
    "Layer",
    "LayerNorm",
    "Linear",
    "RMSNorm",
    "ReLU",
    "Residual",
    "Sequential",
    "Sigmoid",
    "make_activation",
    "register_activation",
]
