"""Batches in, better weights out: the loop, the step, what may watch it, and what comes out of it."""

import importlib
from typing import Any

from mlp.solver.loop import Interrupted, NotFinite, Solver
from mlp.solver.step import Step, Transform

__all__ = ["Interrupted", "NotFinite", "Solver", "Step", "Transform"]

# Files that few programs need: mlp.solver.ensemble is there all the same, and loaded when it is first named.
AT_USE = ("adversarial", "ensemble")


def __getattr__(name: str) -> Any:
    if name in AT_USE:
        return importlib.import_module(f"mlp.solver.{name}")
    raise AttributeError(f"module 'mlp.solver' has no attribute {name!r}")
