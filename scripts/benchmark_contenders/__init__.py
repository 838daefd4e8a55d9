"""The contenders of scripts/benchmark.py: the same training iteration, written with each library.

Each is one function ``build(problem) -> step``. Calling ``step()`` runs one iteration (the next batch in the
same random order, forward, loss, backward, update) and returns the batch's loss and accuracy as Python
numbers; ``step.classify(images)`` gives classes with the weights as they are then. So the files beside this
one can be read next to each other, to check that they do the same.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

# () -> loss and accuracy, None where there is none; with the attribute ``classify``.
Step = Any


class Unsupported(Exception):
    """A contender cannot run this setting at all; the message says why."""


@dataclass(frozen=True)
class Contender:
    """Where a contender is found, and what it needs."""

    title: str  # as in the tables
    function: str  # "file:function" in this folder
    package: str  # as it is imported
    is_peer: bool = True  # another library, which may be missing
    note: str = ""

    def build(self, problem: Any) -> Step:
        """A network with the problem's initial weights, as a function that trains it by one step a call."""
        module, _, function = self.function.partition(":")
        return getattr(importlib.import_module(f"{__name__}.{module}"), function)(problem)


CONTENDERS = {
    "mlp": Contender("mlp", "with_numpy:build_mlp", "mlp", is_peer=False),
    "bare": Contender(
        "bare products", "with_numpy:build_bare", "mlp", is_peer=False,
        note="only the matrix products x W, xᵀ dy and dy Wᵀ of one iteration, in its order: no data, no loss, "
        "no update",
    ),
    "torch-eager": Contender("PyTorch eager", "with_torch:build_eager", "torch"),
    "torch-fused": Contender("PyTorch fused", "with_torch:build_fused", "torch", note="SGD(fused=True)"),
    "torch-compile": Contender(
        "PyTorch compile", "with_torch:build_compiled", "torch",
        note="torch.compile of gather, forward, loss and accuracy, hence of their backward; SGD(fused=True)",
    ),
    "jax": Contender("JAX jit", "with_jax:build", "jax", note="the whole iteration in one jit, buffers donated"),
    "sklearn": Contender(
        "scikit-learn", "with_sklearn:build", "sklearn",
        note="MLPClassifier.partial_fit, which knows only cross-entropy with ReLU or sigmoid; it computes no "
        "accuracy and decays no biases, which is in its favour",
    ),
}  # fmt: skip
