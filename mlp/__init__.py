"""A multilayer perceptron in pure NumPy, written to be read.

>>> import mlp
>>> train, test = mlp.load_mnist()
>>> network = mlp.Network(mlp.Linear(784, 128), mlp.ReLU(), mlp.Linear(128, 10), rng=2022)
>>> optimizer = mlp.SGD(network.parameters, lr=0.05, momentum=0.9)
>>> history = mlp.Solver(network, mlp.CrossEntropyLoss(), optimizer, epochs=3).fit(train, test)
"""

from mlp import data, gradcheck, inspection, layers, losses, metrics, network, optim, solver
from mlp.callbacks import Callback, Progress
from mlp.checkpoint import load, save
from mlp.data import Dataset, load_mnist
from mlp.errors import InputError
from mlp.evaluation import evaluate
from mlp.history import History
from mlp.layers import GeLU, Layer, Linear, ReLU, Sigmoid
from mlp.losses import CrossEntropyLoss, HingeLoss, MSELoss
from mlp.network import Network
from mlp.optim import SGD
from mlp.solver import Solver

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Callback",
    "CrossEntropyLoss",
    "Dataset",
    "GeLU",
    "HingeLoss",
    "History",
    "InputError",
    "Layer",
    "Linear",
    "MSELoss",
    "Network",
    "Progress",
    "ReLU",
    "Sigmoid",
    "Solver",
    "data",
    "evaluate",
    "gradcheck",
    "inspection",
    "layers",
    "load",
    "load_mnist",
    "losses",
    "metrics",
    "network",
    "optim",
    "save",
    "solver",
]
