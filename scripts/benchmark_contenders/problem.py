"""What all contenders are given: the setting, the data, the order of the batches, the initial weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlp import load_mnist


@dataclass(frozen=True)
class Setting:
    """A network, a loss, and how it is trained."""

    sizes: tuple[int, ...]
    loss: str  # CE, Hinge, MSE
    activation: str  # GeLU, ReLU, Sigmoid
    batch_size: int = 100
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 1e-5
    margin: float = 0.1  # of the hinge loss
    weight_std: float = 0.01
    seed: int = 2022
    optimizer: str = "SGD"  # SGD, Adam, AdamW
    normalization: str = "none"  # none, BatchNorm, LayerNorm: before each activation
    dropout: float = 0.0  # after each activation
    title: str = ""

    @property
    def name(self) -> str:
        """For example single-CE-ReLU: the number of hidden layers, the loss, the activation; or the title."""
        return self.title or f"{'single' if len(self.sizes) == 3 else 'double'}-{self.loss}-{self.activation}"

    @property
    def is_plain(self) -> bool:
        """Whether only what every contender has is used."""
        return self.optimizer == "SGD" and self.normalization == "none" and self.dropout == 0


REPORT = {
    setting.name: setting
    for sizes in ((784, 128, 10), (784, 256, 128, 10))
    for loss in ("CE", "Hinge", "MSE")
    for activation in ("GeLU", "ReLU", "Sigmoid")
    for setting in [Setting(sizes, loss, activation)]
}
WIDE = Setting((784, 1024, 1024, 10), "CE", "ReLU", batch_size=128)
TOOLBOX = {
    setting.name: setting
    for setting in (
        replace(WIDE, title="wide-SGD"),
        replace(WIDE, title="wide-Adam", optimizer="Adam", lr=0.001),
        replace(WIDE, title="wide-AdamW", optimizer="AdamW", lr=0.001),
        replace(WIDE, title="wide-BatchNorm", normalization="BatchNorm", lr=0.005),
        replace(WIDE, title="wide-LayerNorm", normalization="LayerNorm", lr=0.005),
        replace(WIDE, title="wide-Dropout", dropout=0.5),
        replace(WIDE, title="wide-GeLU", activation="GeLU"),
    )
}
LARGE = {
    setting.name: setting
    for setting in (
        Setting((784, 2048, 2048, 10), "CE", "ReLU", batch_size=256, title="large-2048"),
        Setting((784, 2048, 2048, 10), "CE", "GeLU", batch_size=256, title="large-2048-GeLU"),
        Setting((784, 4096, 4096, 10), "CE", "ReLU", batch_size=256, title="large-4096"),
        Setting((784, 2048, 2048, 2048, 10), "CE", "ReLU", batch_size=512, title="large-2048-deep"),
    )
}
GROUPS = {"report": REPORT, "toolbox": TOOLBOX, "large": LARGE}
SETTINGS = {name: setting for group in GROUPS.values() for name, setting in group.items()}


class Problem:
    """A setting with its data; each contender process makes its own, equal to all others."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.dataset, self.test = load_mnist()
        rng = np.random.default_rng(setting.seed)
        #: (weight (in, out), bias (out,)) of each layer
        self.initial_weights = [
            (rng.normal(0, setting.weight_std, shape).astype(np.float32), np.zeros(shape[1], np.float32))
            for shape in pairwise(setting.sizes)
        ]

    @cached_property
    def inputs(self) -> NDArray[np.float32]:
        """All images as one float32 array (60000, 784) of (pixel - 128) / 255: the peers' best case."""
        return self.dataset.arrays(np.float32)[0]

    @property
    def labels(self) -> NDArray[np.intp]:
        return self.dataset.labels

    def order_rng(self) -> np.random.Generator:
        """The generator that every epoch's permutation is drawn from."""
        return np.random.default_rng(self.setting.seed)

    def index_batches(self, convert: Any = None) -> Iterator[Any]:
        """Which samples form each batch, epoch after epoch without end; ``convert`` is applied once an epoch."""
        rng, size = self.order_rng(), self.setting.batch_size
        while True:
            order = rng.permutation(len(self.labels))
            if convert is not None:
                order = convert(order)
            for begin in range(0, len(self.labels), size):
                yield order[begin : begin + size]
