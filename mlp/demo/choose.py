"""Which network reads the drawings: that of a checkpoint, that of the newest run, or one trained at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlp.checks import InputError
from mlp.data import load_mnist
from mlp.data.preprocessing import Preprocessing
from mlp.layers import Linear, ReLU
from mlp.losses import CrossEntropyLoss
from mlp.network import Network
from mlp.optim import SGD
from mlp.run.building import make_network, make_preprocessing
from mlp.run.config import read_config
from mlp.run.data import load_data
from mlp.run.folder import CONFIG, PREPROCESSING
from mlp.run.record import CHECKPOINT
from mlp.solver import Solver
from mlp.solver.checkpoint import load, load_arrays

RUNS = Path("runs")


class Choice(NamedTuple):
    """A network, the preprocessing that it was trained with, and where it comes from in words."""

    network: Network
    preprocessing: Preprocessing | None
    origin: str


def choose(path: Path | None, say: Callable[[str], None], runs: Path = RUNS) -> Choice:
    """The network of a checkpoint or of a run's folder; without a path that of the newest run under ``runs``.

    If there is no run, a small network is trained, which takes some seconds. ``say`` gets a line before.
    Raises ``InputError`` if there is no such file, or if it is no checkpoint.
    """
    path = path or newest(runs)
    if path is None:
        say(f"there is no run under {runs}/: training a small network first; ./train.sh trains a better one")
        return Choice(train_small(), None, "a small network, trained just now")
    file = path / CHECKPOINT if path.is_dir() else path
    folder = file.parent if file.name == CHECKPOINT else None
    return Choice(load_network(file, folder), load_preprocessing(folder), str(path))


def newest(runs: Path) -> Path | None:
    """The folder of the run whose checkpoint was written last."""
    found = [(file.stat().st_mtime, file.parent) for file in runs.glob(f"*/{CHECKPOINT}")]
    return max(found)[1] if found else None


def load_network(file: Path, folder: Path | None) -> Network:
    """The network of a checkpoint; of old ones, which do not tell their layers, as the run's settings say."""
    _, metadata = load_arrays(file)
    if "architecture" in metadata.get("solver", metadata) or folder is None or not (folder / CONFIG).is_file():
        return load(file)
    config = read_config(folder / CONFIG)
    train, _ = load_data(config)
    preprocessing = load_preprocessing(folder)
    x = train[:1].inputs if preprocessing is None else preprocessing.transform(train[:1].inputs)
    return load(make_network(config, x.shape[1], train.num_classes, np.random.default_rng(0)), file)


def load_preprocessing(folder: Path | None) -> Preprocessing | None:
    """What a run did with its inputs before its network saw them."""
    if folder is None or not (folder / PREPROCESSING).is_file():
        return None
    preprocessing = make_preprocessing(read_config(folder / CONFIG))
    if preprocessing is None:
        raise InputError(f"{folder} holds {PREPROCESSING}, but its {CONFIG} names no preprocessing")
    preprocessing.load_state_dict(load_arrays(folder / PREPROCESSING)[0])
    return preprocessing


def train_small(samples: int | None = 20000) -> Network:
    """A network of 128 hidden units after two epochs of a part of MNIST."""
    train, _ = load_mnist()
    network = Network(Linear(784, 128), ReLU(), Linear(128, 10), rng=0)
    optimizer = SGD(network.parameters, lr=0.1, momentum=0.9)
    Solver(network, CrossEntropyLoss(), optimizer, batch_size=100, epochs=2).fit(train[:samples])
    return network
