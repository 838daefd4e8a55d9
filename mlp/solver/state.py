"""Where a training stands: what its next step depends on besides settings and data, to save and to bring back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.data.class_names import read_classes, written_classes
from mlp.losses.base import Loss
from mlp.network import Network
from mlp.optim.base import Optimizer
from mlp.solver.callback import Callback
from mlp.solver.evaluation import Mean
from mlp.solver.history import History
from mlp.solver.step import Step


class Training:
    """What a ``Solver`` has before and between its steps: ``update``, the step that it makes, and where it stands.

    ``global_step`` steps were made, and ``epoch`` epochs and ``step_in_epoch`` steps are complete. ``stopped`` says
    why training ended before its last epoch.
    """

    def __init__(self, update: Step, callbacks: list[Callback], rng: np.random.Generator) -> None:
        self.update, self.callbacks, self.rng = update, callbacks, rng
        self.model = update.model  # what is trained, as the step sees it
        # Apart from that of the order, so that augmentation does not change which samples meet.
        self.transform_rng = rng.spawn(1)[0]
        self.history = History()
        self.global_step = self.epoch = self.step_in_epoch = 0
        self.stopped = ""
        # The order of an epoch follows from the generator's state at its beginning.
        self._order_state = rng.bit_generator.state
        self._in_epoch, self._in_log = Mean(), Mean()
        self._is_done = False  # whether ``fit`` has come to its end

    @property
    def network(self) -> Network:
        """The network that was given; of one that is divided, what this rank has."""
        return self.update.network

    @property
    def loss(self) -> Loss:
        """The loss that was given."""
        return self.update.loss

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer that was given."""
        return self.update.optimizer

    @property
    def step(self) -> int:
        """Another name of ``global_step``."""
        return self.global_step

    def state_dict(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """(arrays, JSON-able rest): all that the next step depends on besides the settings and the data.

        Of a network that ranks have divided among them it is the state of the same training in one process; all of
        them call this. What callbacks remember has to be alike on all ranks.
        """
        model, parts = self.model, {"network": self.model.state_dict()}
        parts["optimizer"] = model.optimizer_state(self.optimizer)
        parts |= {name: callback.state_dict() for name, callback in self._named_callbacks().items()}
        if self.update.average is not None:
            parts["average"] = model.gather(self.update.average.state_dict())
        if self.update.precision is not None:
            parts["precision"] = self.update.precision.state_dict()
        arrays = {f"{part}/{name}": array for part, state in parts.items() for name, array in state.items()}
        rest = {
            "step": self.global_step,
            "epoch": self.epoch,
            "stopped": self.stopped,
            "learning_rate": self.optimizer.lr,
            "lr_factor": self.update.lr_factor,
            "generators": {"transform": self.transform_rng.bit_generator.state, **model.generator_states()},
            "step_in_epoch": self.step_in_epoch,
            "order_state": self._order_state,
            "in_epoch": vars(self._in_epoch).copy(),
            "in_log": vars(self._in_log).copy(),
            "history": [dict(row) for row in self.history],
            "architecture": repr(self.network),
            "task": self.network.task,
            **written_classes(self.network.classes),
            "input_rule": self.network.input_rule,
        }
        return arrays, rest

    def load_state_dict(self, arrays: Mapping[str, Array], rest: Mapping[str, Any]) -> None:
        """Continue from a ``state_dict``, also one of another number of ranks.

        Raises ``InputError`` unless it fits this network and optimizer.
        """
        parts: dict[str, dict[str, Array]] = {"network": {}, "optimizer": {}}
        for name, value in arrays.items():
            part, _, key = name.partition("/")
            parts.setdefault(part, {})[key] = value
        self.model.load_state_dict(parts["network"])
        self.model.load_optimizer_state(self.optimizer, parts["optimizer"])
        if self.update.average is not None:
            self.update.average.load_state_dict(self.model.take(parts.get("average", {})))
        if self.update.precision is not None:
            self.update.precision.load_state_dict(parts.get("precision", {}))
        for key, callback in self._named_callbacks().items():
            if key in parts:
                callback.load_state_dict(parts[key])
        try:
            generators = dict(rest["generators"])
            self.transform_rng.bit_generator.state = generators.pop("transform")
            self.model.load_generator_states(generators)
            self.stopped, self.optimizer.lr = str(rest["stopped"]), rest["learning_rate"]
            self.update.lr_factor = float(rest["lr_factor"])
            self.rng.bit_generator.state = self._order_state = rest["order_state"]
            self.global_step, self.epoch = int(rest["step"]), int(rest["epoch"])
            self.step_in_epoch = int(rest["step_in_epoch"])
            for mean, sums in ((self._in_epoch, rest["in_epoch"]), (self._in_log, rest["in_log"])):
                vars(mean).update({name: type(value)(sums[name]) for name, value in vars(mean).items()})
            self.history = History([{**row} for row in rest["history"]])
            self.network.task = rest.get("task", self.network.task)
            self.network.classes = read_classes(rest) or self.network.classes
            self.network.input_rule = rest.get("input_rule") or self.network.input_rule
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not the state of a solver: {error!r}") from error
        self._is_done = False
        self.model.publish(precision=self.update.precision)

    def _named_callbacks(self) -> dict[str, Callback]:
        """The callbacks by class and number within it."""
        named: dict[str, Callback] = {}
        for callback in self.callbacks:
            kind = type(callback).__name__
            named[f"{kind}{sum(type(c).__name__ == kind for c in named.values())}"] = callback
        return named
