"""The training loop: batches through the network, gradients into the optimizer, epoch after epoch."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlp.callbacks import Callback
from mlp.checks import check_integer
from mlp.data import Batches, Dataset
from mlp.errors import InputError
from mlp.evaluation import Mean, evaluate
from mlp.history import History
from mlp.losses import Loss
from mlp.metrics import count_correct
from mlp.network import Network
from mlp.optim import SGD

Data = Dataset | tuple[NDArray[Any], NDArray[Any]]


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

    ``fit`` returns a ``History`` with a row for each epoch: train loss and accuracy (running means over the
    epoch, each batch measured before its update), and loss and accuracy on the test set after it.

    Raises ``InputError`` for data that do not fit the network, ``NotFinite`` as soon as a loss is NaN or
    infinite, and ``Interrupted`` after Ctrl-C.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: SGD,
        *,
        epochs: int = 10,
        batch_size: int = 100,
        rng: int | np.random.Generator = 2022,
        log_every: int = 100,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self.epochs = check_integer("epochs", epochs, 0)
        self.batch_size = check_integer("batch_size", batch_size, 1)
        self.log_every = check_integer("log_every", log_every, 1)
        self.rng = np.random.default_rng(rng)
        self.callbacks = list(callbacks)
        self.history = History()
        self.step = 0
        self.epoch = 0
        self.step_in_epoch = 0
        self.steps_per_epoch = 0
        self.train_seconds = 0.0
        self.evaluation_seconds = 0.0
        # The order of an epoch follows from the generator's state at its beginning.
        self._order_state = self.rng.bit_generator.state
        self._in_epoch, self._in_log = Mean(), Mean()
        self._interrupted = False

    def fit(self, train: Data, test: Data | None = None) -> History:
        """Train until ``epochs`` epochs are complete, counting those of earlier calls."""
        if self.optimizer.parameters is not self.network.parameters:
            raise InputError(f"{self.optimizer!r} is an optimizer of other parameters; make one for this network")
        train = self._check(train, "train")
        test = None if test is None else self._check(test, "test")
        batches = Batches(train, self.batch_size, self.network.dtype)
        self.steps_per_epoch = len(batches)
        # Overflow is found where it matters, in the loss, and explained there.
        with np.errstate(over="ignore", invalid="ignore"), self._finish_step_on_interrupt():
            self._interrupted = False
            try:
                for callback in self.callbacks:
                    callback.on_start(self)
                while self.epoch < self.epochs:
                    self._run_epoch(batches, test)
                for callback in self.callbacks:
                    callback.on_end(self)
            finally:
                for callback in self.callbacks:
                    callback.on_close(self)
        return self.history

    def _run_epoch(self, batches: Batches, test: Dataset | None) -> None:
        is_classification = batches.dataset.is_classification
        begin = time.perf_counter()
        for x, y in self._batches_left(batches):
            self._training_step(x, y, is_classification)
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
        if test is not None:
            row |= evaluate(self.network, self.loss, test, "test")
            if not math.isfinite(row["test_loss"]):
                raise self._not_finite(row["test_loss"], "on the test data", test.arrays(self.network.dtype)[0])
        self.train_seconds = trained - begin
        self.evaluation_seconds = time.perf_counter() - trained
        self.epoch += 1
        self.step_in_epoch = 0
        self._in_epoch.reset()
        self._order_state = self.rng.bit_generator.state
        self.history.append(row)
        for callback in self.callbacks:
            callback.on_epoch(self, row)

    def _batches_left(self, batches: Batches) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """The batches of the current epoch that have not been seen."""
        self.rng.bit_generator.state = self._order_state
        return batches.epoch(self.rng, start=self.step_in_epoch)

    def _training_step(self, x: NDArray[Any], y: NDArray[Any], is_classification: bool) -> None:
        loss, scores = self.network.training_step(x, y, self.loss)
        if not math.isfinite(loss):
            raise self._not_finite(loss, "", x)
        correct = count_correct(scores, y) if is_classification else 0
        self.optimizer.step()
        self.step += 1
        self.step_in_epoch += 1
        self._in_epoch.add(self.loss.total, self.loss.weight, correct, len(x))
        self._in_log.add(self.loss.total, self.loss.weight, correct, len(x))
        for callback in self.callbacks:
            callback.on_iteration(self, x, y)

    def _not_finite(self, loss: float, where: str, x: NDArray[Any]) -> NotFinite:
        step = self.step if where else self.step + 1
        reason = self.network.explain_non_finite(x) or "the scores are finite, their loss is not"
        return NotFinite(
            f"the loss {where + ' ' if where else ''}is {loss} at step {step} (epoch {self.epoch + 1}): {reason}; "
            f"a smaller learning rate or momentum usually helps",
            step,
        )

    def state_dict(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """(arrays, JSON-able rest): all that the next step depends on besides the settings and the data."""
        arrays = {f"network/{name}": value for name, value in self.network.state_dict().items()}
        arrays |= {f"optimizer/{name}": value for name, value in self.optimizer.state_dict().items()}
        for key, callback in self._named_callbacks().items():
            arrays |= {f"{key}/{name}": value for name, value in callback.state_dict().items()}
        rest = {
            "step": self.step,
            "epoch": self.epoch,
            "step_in_epoch": self.step_in_epoch,
            "order_state": self._order_state,
            "in_epoch": vars(self._in_epoch).copy(),
            "in_log": vars(self._in_log).copy(),
            "history": [dict(row) for row in self.history],
        }
        return arrays, rest

    def load_state_dict(self, arrays: dict[str, NDArray[Any]], rest: dict[str, Any]) -> None:
        """Continue from a ``state_dict``. Raises ``InputError`` unless it fits this network and optimizer."""
        parts: dict[str, dict[str, NDArray[Any]]] = {"network": {}, "optimizer": {}}
        for name, value in arrays.items():
            part, _, key = name.partition("/")
            parts.setdefault(part, {})[key] = value
        self.network.load_state_dict(parts["network"])
        self.optimizer.load_state_dict(parts["optimizer"])
        for key, callback in self._named_callbacks().items():
            if key in parts:
                callback.load_state_dict(parts[key])
        try:
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

    @contextmanager
    def _finish_step_on_interrupt(self) -> Iterator[None]:
        """Let Ctrl-C and SIGTERM end training between two steps; a second Ctrl-C ends it at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def interrupt(number: int, frame: object) -> None:
            self._interrupted = True
            signal.signal(signal.SIGINT, signal.default_int_handler)

        before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _check(self, data: Data, what: str) -> Dataset:
        if not isinstance(data, Dataset) and not (isinstance(data, tuple) and len(data) == 2):
            raise InputError(f"{what} data must be a Dataset or a pair (inputs, labels), got {type(data).__name__}")
        dataset = data if isinstance(data, Dataset) else Dataset(*data, name=what)
        wanted = self.network.in_features
        if wanted is not None and dataset.num_features != wanted:
            raise InputError(f"{what} data have {dataset.num_features} features, the network expects {wanted}")
        outputs = self.network.out_features or 0
        fits = dataset.num_classes <= outputs if dataset.is_classification else dataset.num_classes == outputs
        if not fits:
            kind = "classes" if dataset.is_classification else "targets"
            raise InputError(f"{what} data have {dataset.num_classes} {kind}, the network {outputs} outputs")
        return dataset
