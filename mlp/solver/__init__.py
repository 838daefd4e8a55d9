"""Batches in, better weights out: the loop, the step, what may watch it, and what comes out of it."""

from mlp.solver.loop import Interrupted, NotFinite, Solver
from mlp.solver.step import Step, Transform

__all__ = ["Interrupted", "NotFinite", "Solver", "Step", "Transform"]
