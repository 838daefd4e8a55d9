"""Three questions to ask before a long training run, in one call."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np

from mlp.arrays import Array
from mlp.checks import check_integer
from mlp.data import Dataset
from mlp.losses import CrossEntropyLoss, HingeLoss, Loss
from mlp.metrics import count_correct
from mlp.network import Network
from mlp.optim import Adam
from mlp.optim.regularizers import Regularizer
from mlp.solver.evaluation import evaluate


class Answer(NamedTuple):
    """One answer: what was asked, whether it holds, and the numbers in words."""

    question: str
    ok: bool
    detail: str


class SanityCheck:
    """The answers of ``sanity_check``: prints as a table; ``ok`` if all are; ``assert_ok()`` for tests."""

    def __init__(self, answers: list[Answer]) -> None:
        self.answers = answers

    @property
    def ok(self) -> bool:
        """Whether every question has the answer that a network ready to be trained gives."""
        return all(answer.ok for answer in self.answers)

    def assert_ok(self) -> None:
        """Raise ``AssertionError`` with the whole table unless ``ok``."""
        if not self.ok:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        width = max(len(answer.question) for answer in self.answers)
        return "\n".join(f"{'ok' if a.ok else 'NO':2}  {a.question:<{width}}  {a.detail}" for a in self.answers)

    __repr__ = __str__


def sanity_check(
    network: Network,
    loss: Loss,
    data: Dataset | tuple[Array, Array],
    *,
    regularizer: Regularizer | None = None,
    samples: int = 20,
    steps: int = 500,
    lr: float = 0.01,
    tolerance: float = 0.3,
) -> SanityCheck:
    """Ask an untrained network what one should know before training it for long:

    1. Is the loss at the start that of guessing? For K classes cross-entropy is log K, the hinge loss
       (K - 1) margin (Crammer-Singer: margin), within ``tolerance`` of it. For other losses: is it finite?
    2. Does the loss rise when a regularizer's penalty is added to it? (Asked if there is one.)
    3. Can it learn ``samples`` samples by heart, in ``steps`` steps of Adam with rate ``lr``? A network that cannot
       has a mistake in it, or too few parameters. The loss must fall below a tenth of what it was; for classes, all
       samples must be right, and half the loss will do (with label smoothing it cannot reach 0).

    Works on a copy: the network is left as it is.

    Raises ``InputError`` for samples < 1 or steps < 1, or data that do not fit.

    Karpathy, "CS231n: Neural networks 3", section "Before learning: sanity checks".
    """
    check_integer("sanity_check: samples", samples, 1)
    check_integer("sanity_check: steps", steps, 1)
    data = data if isinstance(data, Dataset) else Dataset(*data)
    network = copy.deepcopy(network)
    start = evaluate(network, loss, data)["loss"]
    answers = [_at_the_start(network, loss, start, tolerance)]
    if regularizer is not None:
        penalty = regularizer.penalty(network.parameters)
        detail = f"{start:.4f} and {start + penalty:.4f} with {regularizer!r}"
        answers.append(Answer("the penalty raises the loss", penalty > 0, detail))
    few = data[: min(samples, len(data))]
    answers.append(_by_heart(network, loss, few, steps, lr))
    return SanityCheck(answers)


def expected_loss(loss: Loss, num_classes: int) -> float | None:
    """The loss of equal scores for all classes, where that does not depend on the labels; else None."""
    if loss.reduction != "mean":
        return None
    if isinstance(loss, CrossEntropyLoss | HingeLoss) and getattr(loss, "class_weight", None) is None:
        equal = np.zeros((1, num_classes))
        return copy.deepcopy(loss).forward(equal, np.zeros(1, int))
    return None


def _at_the_start(network: Network, loss: Loss, value: float, tolerance: float) -> Answer:
    expected = expected_loss(loss, network.out_features or 1)
    if expected is None:
        return Answer("the first loss is finite", bool(np.isfinite(value)), f"{value:.4f}")
    ok = abs(value - expected) <= tolerance * expected
    return Answer("the first loss is that of guessing", ok, f"{value:.4f}, expected about {expected:.4f}")


def _by_heart(network: Network, loss: Loss, few: Dataset, steps: int, lr: float) -> Answer:
    x, targets = few.arrays(network.dtype)
    optimizer = Adam(network.parameters, lr=lr)
    first = last = 0.0
    for step in range(steps):
        last, _ = network.training_step(x, targets, loss)
        first = last if step == 0 else first
        if not np.isfinite(last):
            break
        optimizer.step()
    question = f"it learns {len(few)} samples by heart"
    detail = f"loss {first:.4f} -> {last:.4f} in {steps} steps"
    ok = bool(np.isfinite(last)) and last < (0.5 if few.is_classification else 0.1) * first
    if few.is_classification and np.isfinite(last):
        correct = count_correct(targets, network.scores(x))
        ok = ok and correct == len(few)
        detail += f", {correct} of {len(few)} right"
    return Answer(question, ok, detail)
