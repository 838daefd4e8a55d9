"""A multilayer perceptron in pure NumPy, written to be read.

>>> import mlp
>>> train, test = mlp.load_mnist()
>>> network = mlp.Network(mlp.Linear(784, 128), mlp.ReLU(), mlp.Linear(128, 10), rng=2022)
>>> optimizer = mlp.SGD(network.parameters, lr=0.05, momentum=0.9)
>>> history = mlp.Solver(network, mlp.CrossEntropyLoss(), optimizer, epochs=3).fit(train, test)
"""

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
from mlp.callbacks import Callback, Progress
from mlp.checkpoint import load, save
from mlp.data import Dataset, load_mnist
from mlp.errors import InputError
from mlp.evaluation import evaluate
from mlp.history import History
from mlp.layers import (
    ELU,
    GeLU,
    Identity,
    Layer,
    LeakyReLU,
    Linear,
    LogSoftmax,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from mlp.losses import (
    BinaryCrossEntropyLoss,
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

__version__ = "0.1.0"

__all__ = [
    "ELU",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "BinaryCrossEntropyLoss",
    "Callback",
    "CrossEntropyLoss",
    "Dataset",
    "GeLU",
    "HingeLoss",
    "History",
    "HuberLoss",
    "Identity",
    "InputError",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MAELoss",
    "MSELoss",
    "NLLLoss",
    "Network",
    "Progress",
    "RMSProp",
    "ReLU",
    "ReLU6",
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
