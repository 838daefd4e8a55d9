"""The layers, by family: a forward and a hand-written backward side by side in every class."""

from mlp.layers.activations import ACTIVATIONS, GeLU, ReLU, Sigmoid, make_activation, register_activation
from mlp.layers.base import Layer
from mlp.layers.linear import Linear

__all__ = [
    "ACTIVATIONS",
    "GeLU",
    "Layer",
    "Linear",
    "ReLU",
    "Sigmoid",
    "make_activation",
    "register_activation",
]
