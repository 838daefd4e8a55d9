"""A multilayer perceptron in pure NumPy, written to be read.

>>> import mlp
>>> train, test = mlp.load_mnist()
>>> network = mlp.Network(mlp.Linear(784, 128), mlp.ReLU(), mlp.Linear(128, 10), rng=2022)
>>> optimizer = mlp.SGD(network.parameters, lr=0.05, momentum=0.9)
>>> history = mlp.Solver(network, mlp.CrossEntropyLoss(), optimizer, epochs=3).fit(train, test)
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
from types import ModuleType
from typing import Any

from mlp import data, initializers, layers, losses, metrics, network, optim, solver
from mlp.arrays import Array
from mlp.checks import InputError
from mlp.data import Dataset, load_mnist
from mlp.layers import (
    ELU,
    SELU,
    AlphaDropout,
    BatchNorm,
    Dropout,
    Embedding,
    GatedMlp,
    GeLU,
    Hardswish,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSoftmax,
    Mish,
    Mlp,
    PReLU,
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
    KLDivLoss,
    MAELoss,
    MSELoss,
    NLLLoss,
)
from mlp.network import Network
from mlp.optim import SGD, AdaGrad, Adam, AdamW, RMSProp
from mlp.parameter import Parameter
from mlp.registry import nearest
from mlp.solver import Solver
from mlp.solver.callbacks import Callback, EarlyStopping, Progress
from mlp.solver.checkpoint import load, save
from mlp.solver.evaluation import evaluate
from mlp.solver.history import History

# Rooms that many programs never enter: mlp.diagnosis is there all the same, and loaded when it is first named.
AT_USE = ("bridges", "diagnosis", "efficiency", "gradcheck", "parallel", "plots", "run", "studies")
# Names that users know from before a part moved into its room: mlp.calibration is mlp.metrics.calibration.
MOVED = {
    "adversarial": "solver.adversarial",
    "calibration": "metrics.calibration",
    "callbacks": "solver.callbacks",
    "checkpoint": "solver.checkpoint",
    "config": "run.config",
    "ensemble": "solver.ensemble",
    "errors": "checks",
    "evaluation": "solver.evaluation",
    "experiments": "studies.experiments",
    "history": "solver.history",
    "inspection": "diagnosis.activity",
    "memory": "efficiency.memory",
    "precision": "efficiency.mixed_precision",
    "quantization": "efficiency.quantization",
    "rate_search": "diagnosis.rate_finder",
    "regularizers": "optim.regularizers",
    "report": "studies.report",
    "sanity": "diagnosis.sanity",
    "step": "solver.step",
    "summary": "layers.summary",
    "tracking": "run.tracking",
}
# The same for single names.
MOVED_NAMES = {"Recompute": "efficiency"}


def __getattr__(name: str) -> Any:
    if name in AT_USE:
        return importlib.import_module(f"mlp.{name}")
    if name in MOVED:
        return importlib.import_module(f"mlp.{MOVED[name]}")
    if name in MOVED_NAMES:
        return getattr(importlib.import_module(f"mlp.{MOVED_NAMES[name]}"), name)
    # GELU, Adagrad, RMSprop: what differs by upper and lower case alone can mean one thing only.
    meant = [known for known in __all__ if known.lower() == name.lower() and known != name]
    if len(meant) == 1 and not name.islower():
        return globals()[meant[0]]
    near = nearest(name, __all__)
    hint = f"; did you mean {near}?" if near and not name.startswith("_") else ""
    raise AttributeError(f"module 'mlp' has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    return sorted({*globals(), *AT_USE, *MOVED, *MOVED_NAMES})


class _MovedFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Lets ``import mlp.calibration`` find the module where it is now."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        package, _, name = fullname.partition(".")
        return importlib.machinery.ModuleSpec(fullname, self) if package == "mlp" and name in MOVED else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(f"mlp.{MOVED[spec.name.partition('.')[2]]}")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state  # it keeps the name under which it was loaded


sys.meta_path.append(_MovedFinder())

__version__ = "0.1.0"

__all__ = [
    "ELU",
    "SELU",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "AlphaDropout",
    "Array",
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
    "Hardswish",
    "HingeLoss",
    "History",
    "HuberLoss",
    "Identity",
    "InputError",
    "KLDivLoss",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MAELoss",
    "MSELoss",
    "Mish",
    "Mlp",
    "NLLLoss",
    "Network",
    "PReLU",
    "Parameter",
    "Progress",
    "RMSNorm",
    "RMSProp",
    "ReLU",
    "ReLU6",
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
