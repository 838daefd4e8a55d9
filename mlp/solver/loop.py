"""The training loop: batches through the network, gradients into the optimizer, epoch after epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_integer
from mlp.data import Batches, Dataset
from mlp.losses import Loss
from mlp.network import Network
from mlp.optim import Optimizer
from mlp.solver.callbacks import Callback
from mlp.solver.evaluation import Mean, evaluate
from mlp.solver.history import History
from mlp.solver.interrupt import deferred_interrupts
from mlp.solver.step import Step

Data = Dataset | tuple[Array, Array]


class NotFinite(ArithmeticError):
    """Training stopped because a loss was not finite; ``step`` is the number of the step that found it."""

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message)
        self.step = step


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during training: the step under way was completed first, and ``fit`` can be called to go on."""


class Solver:
    """Mini-batch training. One epoch passes over the training set once, in an order drawn from ``rng``; one step is

        scores = network(x),  L = loss(scores, y),  gradients by backpropagation,  optimizer.step()

    with whatever ``step_options`` put between: those of ``mlp.solver.step.Step`` (transform, accumulate, precision,
    regularizer, clip_value, clip_norm, schedule, constraint, average), by keyword; or ``step`` is the whole of it,
    such as one that several processes make together. ``batch_size=None`` takes the whole training set as one
    batch, ``batch_size=1`` one sample at a time.

    ``fit`` returns a ``History`` with a row for each epoch: train loss and accuracy (running means over the
    epoch, each batch measured before its update), and loss and accuracy on the validation and the test set after
    it, computed with the average of the weights if there is one. No loss contains the penalty of a regularizer:
    the column ``train_penalty`` has it.

    Raises ``InputError`` for data that do not fit the network, ``NotFinite`` as soon as a loss is NaN or
    infinite, and ``Interrupted`` after Ctrl-C.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        *,
        epochs: int = 10,
        batch_size: int | None = 100,
        rng: int | np.random.Generator = 2022,
        log_every: int = 100,
        callbacks: Sequence[Callback] = (),
        step: Step | None = None,
        **step_options: Any,
    ) -> None:
        self.network, self.loss = network, loss
        self.update = step or Step(network, loss, optimizer, **step_options)
        self.epochs = check_integer("epochs", epochs, 0)
        self.batch_size = None if batch_size is None else check_integer("batch_size", batch_size, 1)
        self.log_every = check_integer("log_every", log_every, 1)
        self.rng = np.random.default_rng(rng)
        # Apart from that of the order, so that augmentation does not change which samples meet.
        self.transform_rng = self.rng.spawn(1)[0]
        self.callbacks = list(callbacks)
        self.history = History()
        self.step = 0
        self.epoch = 0
        self.step_in_epoch = 0
        self.steps_per_epoch = 0
        self.stopped = ""  # why training ended before its last epoch
        self.train_seconds = 0.0
        self.evaluation_seconds = 0.0
        # The order of an epoch follows from the generator's state at its beginning.
        self._order_state = self.rng.bit_generator.state
        self._in_epoch, self._in_log = Mean(), Mean()
        self._interrupted = False

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer that was given."""
        return self.update.optimizer

    def fit(self, train: Data, test: Data | None = None, validation: Data | None = None) -> History:
        """Train until ``epochs`` epochs are complete, counting those of earlier calls, or until ``stop``."""
        train = self._check(train, "train")
        watched = {
            name: self._check(data, name)
            for name, data in (("validation", validation), ("test", test))
            if data is not None
        }
        batches = Batches(train, self.batch_size or len(train), self.network.dtype)
        self.steps_per_epoch = len(batches)
        # Overflow is found where it matters, in the loss, and explained there.
        with np.errstate(over="ignore", invalid="ignore"), deferred_interrupts(self._interrupt):
            self._interrupted = False
            try:
                for callback in self.callbacks:
                    callback.on_start(self)
                while self.epoch < self.epochs and not self.stopped:
                    self._run_epoch(batches, watched)
                for callback in self.callbacks:
                    callback.on_end(self)
            finally:
                for callback in self.callbacks:
                    callback.on_close(self)
        return self.history

    def stop(self, reason: str) -> None:
        """End training after the current epoch: for callbacks. ``reason`` is kept in ``stopped``."""
        self.stopped = reason

    def _run_epoch(self, batches: Batches, watched: dict[str, Dataset]) -> None:
        is_classification = batches.dataset.is_classification
        begin = time.perf_counter()
        for x, y in self._batches_left(batches):
            self._training_step(x, y, batches.sample_weight, is_classification)
            if self.step % self.log_every == 0:
                row = {"step": self.step, "epoch": self.epoch + self.step_in_epoch / len(batches)}
                row |= self._in_log.row("batch", is_classification)
                self._in_log.reset()
                for callback in self.callbacks:
                    callback.on_log(self, row)
            if self._interrupted:
                self._interrupted = False
                for callback in self.callbacks:
                    callback.on_interrupt(self)
                raise Interrupted(f"interrupted after step {self.step}")
        trained = time.perf_counter()
        row = {"step": self.step, "epoch": self.epoch + 1, "learning_rate": self.optimizer.lr}
        row |= self._in_epoch.row("train", is_classification)
        if self.update.regularizer is not None:
            row["train_penalty"] = self._in_epoch.penalty / len(batches)
        if self.update.precision is not None:
            row |= self.update.precision.row()
        with self.update.averaged():
            for name, data in watched.items():
                row |= evaluate(self.network, self.loss, data, name)
                if not math.isfinite(row[f"{name}_loss"]):
                    x = data.arrays(self.network.dtype)[0]
                    raise self._not_finite(row[f"{name}_loss"], f"on the {name} data", x)
        self.train_seconds = trained - begin
        self.evaluation_seconds = time.perf_counter() - trained
        self.epoch += 1
        self.step_in_epoch = 0
        self._in_epoch.reset()
        self._order_state = self.rng.bit_generator.state
        self.history.append(row)
        for callback in self.callbacks:
            callback.on_epoch(self, row)

    def _batches_left(self, batches: Batches) -> Iterator[tuple[Array, Array]]:
        """The batches of the current epoch that have not been seen."""
        self.rng.bit_generator.state = self._order_state
        return batches.epoch(self.rng, start=self.step_in_epoch)

    def _training_step(self, x: Array, y: Array, weight: Array | None, is_classification: bool) -> None:
        try:
            outcome = self.update(self.step, x, y, weight, self.transform_rng, is_classification)
        except FloatingPointError as error:  # of mixed precision, with a gradient that no loss scale can help
            raise NotFinite(f"step {self.step + 1} (epoch {self.epoch + 1}): {error}", self.step + 1) from None
        if not math.isfinite(outcome.loss):
            raise self._not_finite(outcome.loss, "", x)
        self.step += 1
        self.step_in_epoch += 1
        self._in_epoch.add(outcome)
        self._in_log.add(outcome)
        for callback in self.callbacks:
            callback.on_iteration(self, x, y)

    def _not_finite(self, loss: float, where: str, x: Array) -> NotFinite:
        step = self.step if where else self.step + 1
        reason = self.network.explain_non_finite(x) or "the scores are finite, their loss is not"
        return NotFinite(
            f"the loss {where + ' ' if where else ''}is {loss} at step {step} (epoch {self.epoch + 1}): {reason}; "
            f"a smaller learning rate or momentum usually helps",
            step,
        )

    def state_dict(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """(arrays, JSON-able rest): all that the next step depends on besides the settings and the data."""
        arrays = {f"network/{name}": value for name, value in self.network.state_dict().items()}
        arrays |= {f"optimizer/{name}": value for name, value in self.optimizer.state_dict().items()}
        for key, callback in self._named_callbacks().items():
            arrays |= {f"{key}/{name}": value for name, value in callback.state_dict().items()}
        if self.update.average is not None:
            arrays |= {f"average/{name}": value for name, value in self.update.average.state_dict().items()}
        if self.update.precision is not None:
            arrays |= {f"precision/{name}": value for name, value in self.update.precision.state_dict().items()}
        generators = {"transform": self.transform_rng, **self.network.generators()}
        rest = {
            "step": self.step,
            "epoch": self.epoch,
            "stopped": self.stopped,
            "learning_rate": self.optimizer.lr,
            "lr_factor": self.update.lr_factor,
            "generators": {name: rng.bit_generator.state for name, rng in generators.items()},
            "step_in_epoch": self.step_in_epoch,
            "order_state": self._order_state,
            "in_epoch": vars(self._in_epoch).copy(),
            "in_log": vars(self._in_log).copy(),
            "history": [dict(row) for row in self.history],
        }
        return arrays, rest

    def load_state_dict(self, arrays: dict[str, Array], rest: dict[str, Any]) -> None:
        """Continue from a ``state_dict``. Raises ``InputError`` unless it fits this network and optimizer."""
        parts: dict[str, dict[str, Array]] = {"network": {}, "optimizer": {}}
        for name, value in arrays.items():
            part, _, key = name.partition("/")
            parts.setdefault(part, {})[key] = value
        self.network.load_state_dict(parts["network"])
        self.optimizer.load_state_dict(parts["optimizer"])
        if self.update.average is not None:
            self.update.average.load_state_dict(parts.get("average", {}))
        if self.update.precision is not None:
            self.update.precision.load_state_dict(parts.get("precision", {}))
        for key, callback in self._named_callbacks().items():
            if key in parts:
                callback.load_state_dict(parts[key])
        generators = {"transform": self.transform_rng, **self.network.generators()}
        try:
            for name, state in rest["generators"].items():
                generators[name].bit_generator.state = state
            self.stopped, self.optimizer.lr = str(rest["stopped"]), rest["learning_rate"]
            self.update.lr_factor = float(rest["lr_factor"])
            self.rng.bit_generator.state = self._order_state = rest["order_state"]
            self.step, self.epoch = int(rest["step"]), int(rest["epoch"])
            self.step_in_epoch = int(rest["step_in_epoch"])
            vars(self._in_epoch).update(rest["in_epoch"])
            vars(self._in_log).update(rest["in_log"])
            self.history = History([dict(row) for row in rest["history"]])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not the state of a solver: {error!r}") from error

    def _named_callbacks(self) -> dict[str, Callback]:
        """The callbacks by class and number within it."""
        named: dict[str, Callback] = {}
        for callback in self.callbacks:
            kind = type(callback).__name__
            named[f"{kind}{sum(type(c).__name__ == kind for c in named.values())}"] = callback
        return named

    def _interrupt(self) -> None:
        self._interrupted = True

    def _check(self, data: Data, what: str) -> Dataset:
        if not isinstance(data, Dataset) and not (isinstance(data, tuple) and len(data) == 2):
            raise InputError(f"{what} data must be a Dataset or a pair (inputs, labels), got {type(data).__name__}")
        dataset = data if isinstance(data, Dataset) else Dataset(*data, name=what)
        wanted = self.network.in_features
        if wanted is not None and dataset.num_features != wanted:
            raise InputError(f"{what} data have {dataset.num_features} features, the network expects {wanted}")
        outputs = self.network.out_features or 0
        # One output is enough for two classes: yes or no.
        classes = 2 if outputs == 1 else outputs
        fits = dataset.num_classes <= classes if dataset.is_classification else dataset.num_classes == outputs
        if not fits:
            kind = "classes" if dataset.is_classification else "targets"
            raise InputError(f"{what} data have {dataset.num_classes} {kind}, the network {outputs} outputs")
        return dataset
