"""A multilayer perceptron in pure NumPy, written to be read.

>>> import mlp
>>> train, test = mlp.load_mnist()
>>> network = mlp.Network(mlp.Linear(784, 128), mlp.ReLU(), mlp.Linear(128, 10), rng=2022)
>>> optimizer = mlp.SGD(network.parameters, lr=0.05, momentum=0.9)
>>> history = mlp.Solver(network, mlp.CrossEntropyLoss(), optimizer, epochs=3).fit(train, test)
"""

import importlib
from typing import Any

from mlp import (
    data,
    gradcheck,
    initializers,
    inspection,
    layers,
    losses,
    metrics,
    network,
    optim,
    regularizers,
    solver,
)
from mlp.callbacks import Callback, EarlyStopping, Progress
from mlp.checkpoint import load, save
from mlp.data import Dataset, load_mnist
from mlp.errors import InputError
from mlp.evaluation import evaluate
from mlp.history import History
from mlp.layers import (
    ELU,
    BatchNorm,
    Dropout,
    Embedding,
    GatedMlp,
    GeLU,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSoftmax,
    Mlp,
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
from mlp.losses import (
    BinaryCrossEntropyLoss,
    CrammerSingerLoss,
    CrossEntropyLoss,
    HingeLoss,
    HuberLoss,
    MAELoss,
    MSELoss,
    NLLLoss,
)
from mlp.network import Network
from mlp.optim import SGD, AdaGrad, Adam, AdamW, RMSProp
from mlp.solver import Solver

# Parts that many programs never use: mlp.diagnosis is there all the same, and loaded when it is first named.
AT_USE = (
    "adversarial",
    "bridges",
    "calibration",
    "diagnosis",
    "ensemble",
    "memory",
    "parallel",
    "plots",
    "precision",
    "quantization",
    "rate_search",
    "sanity",
)


def __getattr__(name: str) -> Any:
    if name in AT_USE:
        return importlib.import_module(f"mlp.{name}")
    raise AttributeError(f"module 'mlp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *AT_USE})


__version__ = "0.1.0"

__all__ = [
    "ELU",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "BatchNorm",
    "BinaryCrossEntropyLoss",
    "Callback",
    "CrammerSingerLoss",
    "CrossEntropyLoss",
    "Dataset",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "GatedMlp",
    "GeLU",
    "HingeLoss",
    "History",
    "HuberLoss",
    "Identity",
    "InputError",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MAELoss",
    "MSELoss",
    "Mlp",
    "NLLLoss",
    "Network",
    "Progress",
    "RMSNorm",
    "RMSProp",
    "ReLU",
    "ReLU6",
    "Recompute",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Solver",
    "Tanh",
    "data",
    "evaluate",
    "gradcheck",
    "initializers",
    "inspection",
    "layers",
    "load",
    "load_mnist",
    "losses",
    "metrics",
    "network",
    "optim",
    "regularizers",
    "save",
    "solver",
]
