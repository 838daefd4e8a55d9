"""The losses, by family: the loss and its derivative with respect to the scores side by side in every class."""

from mlp.losses.base import LOSSES, Loss, check_class_labels, check_scores, make_loss, register_loss
from mlp.losses.binary import BinaryCrossEntropyLoss
from mlp.losses.cross_entropy import CrossEntropyLoss, NLLLoss, row_max
from mlp.losses.hinge import CrammerSingerLoss, HingeLoss
from mlp.losses.regression import HuberLoss, MAELoss, MSELoss

__all__ = [
    "LOSSES",
    "BinaryCrossEntropyLoss",
    "CrammerSingerLoss",
    "CrossEntropyLoss",
    "HingeLoss",
    "HuberLoss",
    "Loss",
    "MAELoss",
    "MSELoss",
    "NLLLoss",
    "check_class_labels",
    "check_scores",
    "make_loss",
    "register_loss",
    "row_max",
]
