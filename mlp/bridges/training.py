"""Training that can be stored as arrays and settings, and gone on with: what an estimator keeps between calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_number
from mlp.data import Dataset
from mlp.run.building import (
    make_callbacks,
    make_configured_loss,
    make_configured_optimizer,
    make_network,
    make_step_options,
)
from mlp.run.config import RunConfig
from mlp.solver.history import History
from mlp.solver.loop import Solver

# Settings of a run that describe network, loss and steps, and no more. The others are about data and records.
OF_TRAINING = (
    "hidden", "activation", "normalization", "dropout", "residual", "init", "init_std", "init_bias",
    "loss", "label_smoothing", "class_weights", "l1", "l2", "max_norm",
    "optimizer", "learning_rate", "momentum", "dampening", "nesterov", "beta1", "beta2", "weight_decay",
    "schedule", "warmup_epochs", "decay_epochs", "milestones", "decay_factor", "clip_norm", "clip_value",
    "accumulate",
    "batch_size", "epochs", "early_stopping", "noise", "mixup", "adversarial", "mask_salient",
)  # fmt: skip


def make_config(parameters: Mapping[str, Any], losses: tuple[str, ...], dtype: np.dtype[Any]) -> RunConfig:
    """The parameters of an estimator, with its further ``settings``, as settings of a run."""
    own = {name: value for name, value in parameters.items() if name in OF_TRAINING}
    more = parameters["settings"] or {}
    accepted = [name for name in OF_TRAINING if name not in own]
    if not isinstance(more, Mapping) or not set(more) <= set(accepted):
        raise InputError(f"settings: got {more!r}; accepted: a dict with any of {', '.join(accepted)}, or None")
    fraction = check_number("validation_fraction", parameters["validation_fraction"], 0, 1)
    validation = 0.0 if parameters["early_stopping"] is None else fraction
    values = {"loss": losses[0], "validation": validation, **own, **more}
    config = RunConfig(**{name: _plain(value) for name, value in values.items()}, dtype=str(dtype))
    if config.loss not in losses:
        raise InputError(f"settings: got loss {config.loss!r}; accepted: {', '.join(losses)}")
    return config


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's and sequences as lists, which is what settings are."""
    if isinstance(value, tuple | list | np.ndarray):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def samples_that_count(weight: Array, samples: int) -> NDArray[np.bool_]:
    """Which samples have a weight above 0. Raises ``InputError`` unless there is one, and none below 0."""
    if weight.shape != (samples,):
        raise InputError(f"sample_weight must have shape ({samples},), got {weight.shape}")
    if weight.min() < 0 or weight.max() == 0:
        low, high = weight.min(), weight.max()
        raise InputError(f"sample_weight must be >= 0, not zero everywhere, got {low:g} to {high:g}")
    return weight > 0


class Training:
    """A network made from ``config``, and all that its training depends on besides the data.

    ``seed`` draws the initial weights, the held-out samples, the order of the others, and dropout. With the same
    config, seed and data every number is the same, also if the training was stored in between: pickled, or copied
    with ``copy.deepcopy``, it becomes plain values and arrays.

    Raises ``InputError`` for widths that do not fit into memory, and whatever the solver raises.
    """

    def __init__(self, config: RunConfig, in_features: int, out_features: int, seed: int) -> None:
        self.config = config
        self.rng = np.random.default_rng(seed)
        self.network = make_network(config, in_features, out_features, self.rng.spawn(1)[0])
        self.widths = in_features, out_features
        self.history = History()
        self._optimizer: dict[str, Array] = {}
        self._rest: dict[str, Any] = {}

    def fit(self, train: Dataset) -> Self:
        """All epochs, from the initial weights. With early stopping, ``config.validation`` of it is held out."""
        validation = None
        if self.config.early_stopping is not None:
            try:
                train, validation = train.split(self.config.validation, self.rng)
            except InputError as error:
                raise InputError(f"validation_fraction: {error}") from None
        solver = self._make_solver(train)
        solver.fit(train, None, validation)
        return self._keep(solver)

    def fit_once(self, train: Dataset) -> Self:
        """One epoch more, over samples that may be others than before."""
        if self.config.early_stopping is not None:
            raise InputError("partial_fit holds no samples out: it needs early_stopping=None from the beginning")
        solver = self._make_solver(train)
        if self._rest:
            of_network = {f"network/{name}": array for name, array in self.network.state_dict().items()}
            solver.load_state_dict(of_network | self._optimizer, self._rest)
        solver.epochs = solver.epoch + 1
        solver.fit(train)
        return self._keep(solver)

    def _make_solver(self, train: Dataset) -> Solver:
        config, network = self.config, self.network
        loss = make_configured_loss(config, train)
        return Solver(
            network,
            loss,
            make_configured_optimizer(config, network.parameters),
            epochs=config.epochs,
            batch_size=min(config.batch_size or len(train), len(train)),
            rng=self.rng,
            callbacks=make_callbacks(config),
            **make_step_options(config, network, loss, train),
        )

    def _keep(self, solver: Solver) -> Self:
        arrays, self._rest = solver.state_dict()
        self._optimizer = {name: array for name, array in arrays.items() if name.startswith("optimizer/")}
        self.history = solver.history
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {
            "config": self.config.as_dict(),
            "widths": self.widths,
            "network": self.network.state_dict(),
            "optimizer": self._optimizer,
            "rest": self._rest,
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(RunConfig(**state["config"]), *state["widths"], seed=0)  # type: ignore[misc]
        self.network.load_state_dict(state["network"])
        self._optimizer, self._rest = state["optimizer"], state["rest"]
        self.history = History(list(self._rest.get("history", ())))
