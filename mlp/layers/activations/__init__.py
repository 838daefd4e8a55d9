"""The nonlinearities, each with its derivative beside it. Without one between them, two Linear layers are one."""

from mlp.layers.activations.rectifiers import ELU, LeakyReLU, ReLU, ReLU6
from mlp.layers.activations.registry import ACTIVATIONS, make_activation, register_activation
from mlp.layers.activations.smooth import GeLU, Identity, Sigmoid, SiLU, Softplus, Tanh
from mlp.layers.activations.softmax import LogSoftmax, Softmax

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "GeLU",
    "Identity",
    "LeakyReLU",
    "LogSoftmax",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "make_activation",
    "register_activation",
]
