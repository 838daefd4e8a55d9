"""An earlier name of a step whose batches are divided among ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlp.losses import Loss
from mlp.optim import Optimizer
from mlp.parallel.data.replicated import DataParallel
from mlp.solver.step import Step


class DataParallelStep(Step):
    """``Step(parallel, loss, optimizer, ...)``, whose ``shares`` belong to the ``DataParallel``."""

    def __init__(
        self, parallel: DataParallel, loss: Loss, optimizer: Optimizer, *, shares: Sequence[float] | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        if shares is not None:
            parallel.shares = parallel.check_shares(shares)
        super().__init__(parallel, loss, optimizer, **options)
