"""The nonlinearities, each with its derivative beside it. Without one between them, two Linear layers are one."""

from mlp.layers.activations.elementwise import Elementwise
from mlp.layers.activations.rectifiers import ELU, SELU, LeakyReLU, PReLU, ReLU, ReLU6
from mlp.layers.activations.registry import ACTIVATIONS, make_activation, register_activation
from mlp.layers.activations.smooth import GeLU, Hardswish, Identity, Mish, Sigmoid, SiLU, Softplus, Tanh
from mlp.layers.activations.softmax import LogSoftmax, Softmax

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "SELU",
    "Elementwise",
    "GeLU",
    "Hardswish",
    "Identity",
    "LeakyReLU",
    "LogSoftmax",
    "Mish",
    "PReLU",
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
