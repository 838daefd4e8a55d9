"""What may watch a training run, report on it, and end it."""

from mlp.callbacks.base import Callback
from mlp.callbacks.plateau import LowerOnPlateau
from mlp.callbacks.progress import Progress
from mlp.callbacks.stopping import EarlyStopping

__all__ = ["Callback", "EarlyStopping", "LowerOnPlateau", "Progress"]
