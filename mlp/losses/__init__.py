"""The losses, by family: the loss and its derivative with respect to the scores side by side in every class."""

from mlp.losses.base import LOSSES, Loss, make_loss, register_loss
from mlp.losses.binary import BinaryCrossEntropyLoss
from mlp.losses.cross_entropy import CrossEntropyLoss, KLDivLoss, NLLLoss
from mlp.losses.hinge import CrammerSingerLoss, HingeLoss
from mlp.losses.regression import HuberLoss, MAELoss, MSELoss

__all__ = [
    "LOSSES",
    "BinaryCrossEntropyLoss",
    "CrammerSingerLoss",
    "CrossEntropyLoss",
    "HingeLoss",
    "HuberLoss",
    "KLDivLoss",
    "Loss",
    "MAELoss",
    "MSELoss",
    "NLLLoss",
    "make_loss",
    "register_loss",
]
