"""What may watch a training run, report on it, and end it."""

from mlp.solver.callback import Callback
from mlp.solver.callbacks.plateau import LowerOnPlateau
from mlp.solver.callbacks.progress import Progress
from mlp.solver.callbacks.stopping import EarlyStopping

__all__ = ["Callback", "EarlyStopping", "LowerOnPlateau", "Progress"]
