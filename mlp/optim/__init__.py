"""Optimizers, from the simplest on: each sees flat vectors of parameters and gradients, never a layer."""

from mlp.optim.adam import Adam, AdamW
from mlp.optim.adam_variants import NAdam, RAdam
from mlp.optim.adaptive import AdaGrad, RMSProp
from mlp.optim.averaging import WeightAverage
from mlp.optim.base import OPTIMIZERS, Optimizer, make_optimizer, register_optimizer
from mlp.optim.clipping import clip_by_norm, clip_by_value
from mlp.optim.lion import Lion
from mlp.optim.plateau import ReduceOnPlateau
from mlp.optim.schedules import (
    SCHEDULES,
    Schedule,
    constant,
    cosine,
    cosine_restarts,
    exponential,
    inverse_sqrt,
    inverse_time,
    linear,
    make_schedule,
    multi_step,
    one_cycle,
    polynomial,
    register_schedule,
    sequential,
    step_decay,
    warmup,
)
from mlp.optim.sgd import SGD

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Lion",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSProp",
    "ReduceOnPlateau",
    "Schedule",
    "WeightAverage",
    "clip_by_norm",
    "clip_by_value",
    "constant",
    "cosine",
    "cosine_restarts",
    "exponential",
    "inverse_sqrt",
    "inverse_time",
    "linear",
    "make_optimizer",
    "make_schedule",
    "multi_step",
    "one_cycle",
    "polynomial",
    "register_optimizer",
    "register_schedule",
    "sequential",
    "step_decay",
    "warmup",
]
