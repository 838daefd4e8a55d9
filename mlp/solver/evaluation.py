"""How good a network is on a whole data set: sums over batches, divided once."""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any, NamedTuple, Protocol

import numpy as np

from mlp.arrays import Array
from mlp.data.batches import Batches
from mlp.data.dataset import Dataset
from mlp.functional import count_correct
from mlp.losses.base import Loss
from mlp.solver.data import Data, as_data

# From how many steps, samples and up to which share of the most frequent class chance level is worth a word.
ENOUGH_STEPS, ENOUGH_SAMPLES, MOST = 20, 400, 0.9


class Evaluable(Protocol):
    """A network, or what ranks hold of one: something that gives scores."""

    dtype: np.dtype[Any]

    def evaluation_step(self, x: Array) -> Array:
        """The scores of a batch, in evaluation mode."""


class Outcome(NamedTuple):
    """What one batch gave: the loss as a mean, and the sums that make means over many batches."""

    loss: float
    total: float
    weight: float
    correct: int
    samples: int
    penalty: float = 0.0


class Mean:
    """Loss, accuracy and penalty over the samples seen since ``reset``."""

    def __init__(self) -> None:
        self.loss, self.weight, self.correct, self.count, self.penalty = 0.0, 0.0, 0, 0, 0.0

    def add(self, outcome: Outcome) -> None:
        """Take in what was measured on one more batch."""
        self.loss += outcome.total
        self.weight += outcome.weight
        self.correct += outcome.correct
        self.count += outcome.samples
        self.penalty += outcome.penalty

    def row(self, prefix: str, with_accuracy: bool) -> dict[str, float]:
        """{prefix_loss, prefix_accuracy}: the weighted mean of the losses, and the share of right answers."""
        row = {f"{prefix}_loss": self.loss / (self.weight or 1)}
        if with_accuracy:
            row[f"{prefix}_accuracy"] = self.correct / self.count
        return row

    def reset(self) -> None:
        self.__init__()  # type: ignore[misc]


def evaluate(network: Evaluable, loss: Loss, data: Data, prefix: str = "") -> dict[str, float]:
    """Mean loss and, for classes, accuracy of a network on a data set: {"<prefix>_loss", "<prefix>_accuracy"}.

    ``data`` is a Dataset or a pair (inputs, labels); names of classes are those of ``network.classes``. In
    evaluation mode; samples count by their weights in the loss, and alike in the accuracy.
    """
    data = as_data(data, prefix or "evaluation", network)
    mean, loss = Mean(), copy.copy(loss)  # what the caller's loss remembers stays as it is
    batches = Batches(data, min(1000, len(data)), network.dtype)
    for x, y in batches.epoch():
        scores = network.evaluation_step(x)
        value = loss.forward(scores, y, batches.sample_weight)
        correct = count_correct(y, scores) if data.is_classification else 0
        mean.add(Outcome(value, loss.total, loss.weight, correct, len(x)))
    return {name.lstrip("_"): value for name, value in mean.row(prefix, data.is_classification).items()}


def warn_at_chance_level(accuracy: float, data: Dataset, steps: int) -> None:
    """Warn if after so many steps, an epoch, the accuracy is that of always naming the most frequent class.

    Few steps or samples say nothing, and a class with nearly all samples says little.
    """
    labels = data.labels
    if steps < ENOUGH_STEPS or len(data) < ENOUGH_SAMPLES or labels.ndim > 1:
        return
    share = float(np.bincount(labels.astype(np.intp)).max()) / len(labels)
    if share < MOST and accuracy < share + 0.5 / math.sqrt(len(labels)):
        warnings.warn(
            f"after an epoch the accuracy is {100 * accuracy:.1f} %, which guessing the most frequent class gives "
            f"({100 * share:.1f} %); mlp.diagnosis.diagnose(network, ...) looks for the reason",
            stacklevel=4,
        )
