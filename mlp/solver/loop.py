"""The training loop: batches through the network, gradients into the optimizer, epoch after epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_integer, check_rng
from mlp.data.batches import Batches
from mlp.data.dataset import Dataset
from mlp.losses.base import Loss
from mlp.network import Network
from mlp.optim.base import Optimizer
from mlp.registry import also_called
from mlp.solver.arguments import as_callbacks, as_loss_and_optimizer, check_option_names, check_step
from mlp.solver.callback import Callback
from mlp.solver.data import Data, as_data, as_training_data, as_watched_data, learn_meaning
from mlp.solver.evaluation import evaluate, warn_at_chance_level
from mlp.solver.history import History
from mlp.solver.interrupt import deferred_interrupts
from mlp.solver.prefetch import check_prefetch, prepare_ahead
from mlp.solver.state import Training
from mlp.solver.step import Batch, Step, prepare
from mlp.solver.threads import blas_threads, check_threads, choose_threads
from mlp.solver.trainable import Trainable


class NotFinite(ArithmeticError):
    """Training stopped because a loss was not finite; ``step`` is the number of the step that found it."""

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message)
        self.step = step


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during training: the step under way was completed first, and ``fit`` can be called to go on."""


class Solver(Training):
    """Mini-batch training. One epoch passes over the training set once, in an order drawn from ``rng``; one step is

        scores = network(x),  L = loss(scores, y),  gradients by backpropagation,  optimizer.step()

    with whatever ``step_options`` put between: those of ``mlp.solver.step.Step`` (transform, accumulate, precision,
    regularizer, clip_value, clip_norm, schedule, constraint, average), by keyword. ``network`` may also be one that
    several ranks train together, such as ``mlp.parallel.DataParallel``. ``step`` is a whole ``Step`` instead, of
    the same network, loss and optimizer. ``batch_size=None`` takes the whole training set as one batch,
    ``batch_size=1`` one sample at a time. With ``prefetch=2`` a thread prepares up to two batches while another is
    computed, to the same bits: on several cores, training does not wait for its augmentation. ``threads`` is how
    many threads of BLAS share a matrix product; without it one alone computes products that are too small to share,
    unless a variable such as OPENBLAS_NUM_THREADS says otherwise.

    ``fit`` returns a ``History`` with a row for each epoch: train loss and accuracy (running means over the
    epoch, each batch measured before its update), and loss and accuracy on the validation and the test set after
    it, computed with the average of the weights if there is one. No loss contains the penalty of a regularizer:
    the column ``train_penalty`` has it.

    Raises ``InputError`` for options that there are not and data that do not fit the network, ``NotFinite`` as soon
    as a loss is NaN or infinite, and ``Interrupted`` after Ctrl-C.
    """

    def __init__(
        self,
        network: Network | Trainable,
        loss: Loss,
        optimizer: Optimizer,
        *,
        epochs: int = 10,
        batch_size: int | None = 100,
        rng: int | np.random.Generator = 2022,
        log_every: int = 100,
        callbacks: Sequence[Callback] = (),
        prefetch: int = 0,
        threads: int | None = None,
        step: Step | None = None,
        **step_options: Any,
    ) -> None:
        check_option_names(step_options)
        if step is None:
            model = network if isinstance(network, Trainable) else Trainable(network)
            step = Step(model, *as_loss_and_optimizer(loss, optimizer, model), **step_options)
        else:
            check_step(step, network, loss, optimizer, step_options)
        super().__init__(step, as_callbacks(callbacks), check_rng(rng))
        self.epochs = check_integer("epochs", epochs, 0)
        self.batch_size = None if batch_size is None else check_integer("batch_size", batch_size, 1)
        self.log_every = check_integer("log_every", log_every, 1)
        self.prefetch = check_prefetch(prefetch, step)
        self.threads = check_threads(threads)
        self.steps_per_epoch = 0
        self._watching: list[Callback] = []
        self.train_seconds = 0.0
        self.evaluation_seconds = 0.0
        self.processor_seconds = 0.0  # of both, by all threads

    @also_called(validation_data="validation", val="validation", test_data="test", train_data="train")
    def fit(self, train: Data, test: Data | None = None, validation: Data | None = None) -> History:
        """Train until ``epochs`` epochs are complete, counting those of earlier calls, or until ``stop``.

        To train for longer, raise ``solver.epochs`` and call it again. Raises ``InputError`` if there is nothing
        left to do.
        """
        self._check_not_done()
        train, test = as_training_data(train, test)
        train = as_data(train, "train", self.model)
        learn_meaning(train, self.model)
        self.model.check_parameters()
        watched = {
            name: as_watched_data(data, name, self.model)
            for name, data in (("validation", validation), ("test", test))
            if data is not None
        }
        batches = Batches(train, self.batch_size or len(train), self.model.dtype)
        self.steps_per_epoch = len(batches)
        limit = blas_threads(choose_threads(self.threads, self.network, batches.batch_size))
        # Overflow is found where it matters, in the loss, and explained there.
        with np.errstate(over="ignore", invalid="ignore"), limit, deferred_interrupts(self.model.interrupt):
            try:
                self._tell("on_start")
                self._watching = [callback for callback in self.callbacks if callback.watches_steps()]
                while self.epoch < self.epochs and not self.stopped:
                    self._run_epoch(batches, watched)
                self._is_done = True
                self._tell("on_end")
            finally:
                self.model.forget_interrupts()
                self._tell("on_close")
        return self.history

    def stop(self, reason: str) -> None:
        """End training after the current epoch: for callbacks. ``reason`` is kept in ``stopped``."""
        self.stopped = reason

    def _check_not_done(self) -> None:
        if self._is_done and self.stopped:
            raise InputError(
                f"fit: training was stopped ({self.stopped}); to go on all the same, set solver.stopped = ''"
            )
        if self._is_done and self.epoch >= self.epochs:
            raise InputError(
                f"fit: all {self.epochs} epochs are done; to go on, raise solver.epochs (solver.epochs += "
                f"{self.epochs or 10}) and call fit again; to begin anew, make a new network and Solver"
            )

    def _tell(self, event: str, *details: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self, *details)

    def _run_epoch(self, batches: Batches, watched: dict[str, Dataset]) -> None:
        is_classification = batches.dataset.is_classification
        begin, processor = time.perf_counter(), time.process_time()
        self.rng.bit_generator.state = self._order_state
        order = batches.epoch(self.rng, start=self.step_in_epoch)
        ready = (order, batches, self.update, self.transform_rng)
        with closing(prepare_ahead(*ready, self.prefetch) if self.prefetch else prepare(*ready)) as prepared:
            for batch in prepared:
                self._training_step(batch, is_classification)
                if self.global_step % self.log_every == 0:
                    row = {"step": self.global_step, "epoch": self.epoch + self.step_in_epoch / len(batches)}
                    row |= self._in_log.row("batch", is_classification)
                    self._in_log.reset()
                    self._tell("on_log", row)
                if self.model.take_interrupt():
                    self._tell("on_interrupt")
                    raise Interrupted(f"interrupted after step {self.global_step}")
        trained = time.perf_counter()
        row = {"step": self.global_step, "epoch": self.epoch + 1, "learning_rate": self.optimizer.lr}
        row |= self._in_epoch.row("train", is_classification)
        if self.update.regularizer is not None:
            row["train_penalty"] = self._in_epoch.penalty / len(batches)
        if self.update.precision is not None:
            row |= self.update.precision.row()
        row |= self._evaluate(watched)
        self.train_seconds = trained - begin
        self.evaluation_seconds = time.perf_counter() - trained
        self.processor_seconds = time.process_time() - processor
        self.epoch += 1
        self.step_in_epoch = 0
        self._in_epoch.reset()
        self._order_state = self.rng.bit_generator.state
        self.history.append(row)
        if self.epoch == 1 and is_classification and self.model.is_first:
            warn_at_chance_level(row["train_accuracy"], batches.dataset, len(batches))
        self._tell("on_epoch", row)

    def _training_step(self, batch: Batch, is_classification: bool) -> None:
        x, y, weight, inputs, targets, _ = batch
        try:
            outcome = self.update.learn(self.global_step, inputs, targets, weight, is_classification)
        except FloatingPointError as error:  # of mixed precision, with a gradient that no loss scale can help
            number = self.global_step + 1
            raise NotFinite(f"step {number} (epoch {self.epoch + 1}): {error}", number) from None
        if not math.isfinite(outcome.loss):
            raise self._not_finite(outcome.loss, "", x)
        self.global_step += 1
        self.step_in_epoch += 1
        self._in_epoch.add(outcome)
        self._in_log.add(outcome)
        for callback in self._watching:
            callback.on_iteration(self, x, y)

    def _evaluate(self, watched: dict[str, Dataset]) -> dict[str, float]:
        row: dict[str, float] = {}
        with self.update.averaged():
            for name, data in watched.items():
                row |= evaluate(self.model, self.loss, data, name)
                if not math.isfinite(row[f"{name}_loss"]):
                    raise self._not_finite(
                        row[f"{name}_loss"], f"on the {name} data", data.arrays(self.model.dtype)[0]
                    )
        return row

    def __repr__(self) -> str:
        callbacks = f", callbacks={self.callbacks!r}" if self.callbacks else ""
        stopped = f", stopped: {self.stopped}" if self.stopped else ""
        network = f"{type(self.network).__name__} of {self.model.whole_size:,} parameters"
        what = f"{network}, {self.loss!r}, {self.optimizer!r}"
        numbers = f"epochs={self.epochs}, batch_size={self.batch_size}"
        return f"Solver({what}, {numbers}{callbacks}; {self.epoch} epochs done{stopped})"

    def _not_finite(self, loss: float, where: str, x: Array) -> NotFinite:
        step = self.global_step if where else self.global_step + 1
        reason = self.model.explain_non_finite(x) or "the scores are finite, their loss is not"
        return NotFinite(
            f"the loss {where + ' ' if where else ''}is {loss} at step {step} (epoch {self.epoch + 1}): {reason}; "
            f"a smaller learning rate or momentum usually helps",
            step,
        )
