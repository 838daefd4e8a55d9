"""How good a network is on a whole data set: sums over batches, divided once."""

from __future__ import annotations

from mlp.data import Batches, Dataset
from mlp.losses import Loss
from mlp.metrics import count_correct
from mlp.network import Network


class Mean:
    """Loss and accuracy over the samples seen since ``reset``."""

    def __init__(self) -> None:
        self.loss, self.weight, self.correct, self.count = 0.0, 0.0, 0, 0

    def add(self, loss: float, weight: float, correct: int, count: int) -> None:
        """``loss`` is the sum over ``count`` samples, ``weight`` the sum of their weights (``count`` without any)."""
        self.loss += loss
        self.weight += weight
        self.correct += correct
        self.count += count

    def row(self, prefix: str, with_accuracy: bool) -> dict[str, float]:
        """{prefix_loss, prefix_accuracy}: the weighted mean of the losses, and the share of right answers."""
        row = {f"{prefix}_loss": self.loss / (self.weight or 1)}
        if with_accuracy:
            row[f"{prefix}_accuracy"] = self.correct / self.count
        return row

    def reset(self) -> None:
        self.__init__()  # type: ignore[misc]


def evaluate(network: Network, loss: Loss, data: Dataset, prefix: str = "") -> dict[str, float]:
    """Mean loss and, for classes, accuracy of a network on a data set: {"<prefix>_loss", "<prefix>_accuracy"}."""
    mean = Mean()
    with loss.buffers.lending:
        for x, y in Batches(data, min(1000, len(data)), network.dtype).epoch():
            scores = network.evaluation_step(x)
            loss.forward(scores, y)
            mean.add(loss.total, loss.weight, count_correct(scores, y) if data.is_classification else 0, len(x))
    return {name.lstrip("_"): value for name, value in mean.row(prefix, data.is_classification).items()}
