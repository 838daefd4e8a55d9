"""Optimizers, from the simplest on: each sees flat vectors of parameters and gradients, never a layer."""

from mlp.optim.sgd import SGD

__all__ = ["SGD"]
