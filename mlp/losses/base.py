"""What every loss is: one number for how wrong the scores are, and its derivative with respect to every score.

The division by the number of samples, or by the sum of their weights, happens here and nowhere else, so that
``backward`` is exactly the derivative of ``forward``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_unmasked
from mlp.registry import Registry

LOSSES: Registry[Loss] = Registry("loss")


def register_loss(name: str, *synonyms: str) -> Callable[[type[Loss]], type[Loss]]:
    """Class decorator that lets a configuration name this loss (upper and lower case are one).

    ``synonyms`` are its names in other libraries, which are understood as well.
    """
    LOSSES.synonyms |= {synonym.lower(): name for synonym in synonyms}
    return LOSSES.register(name)


def make_loss(name: str, **options: Any) -> Loss:
    """A new loss of the kind registered under ``name``. Raises ``InputError`` for an unknown name or option."""
    return LOSSES.make(name, **options)


class Loss:
    """L(scores, targets, sample_weight) for scores (..., K) of N samples, N the product of the leading axes:

        total = sum_i w_i l_i,   weight = sum_i w_i,   L = total / weight  ("mean")  or  L = total  ("sum")

    with l_i the loss of sample i, which each class defines, and w_i its weight: ``sample_weight`` (...), 1 if left
    out. A weight of 2 is the same as the sample twice, 0 leaves it out; without any weight (an empty batch, or
    weights that are all 0) the loss and its gradient are 0. ``"none"`` gives all w_i l_i, an array (...), in place
    of their sum. ``"element_mean"``, where it is offered, is the mean with l_i the mean over the K outputs instead
    of the sum.

    ``forward`` returns L and keeps ``total`` and ``weight``: over several batches, add up both and divide once.
    ``backward`` returns dL/dscores (of the sum of all, for "none").

    A new loss defines ``per_sample``, and takes class labels (...) or targets of the scores' shape or both. Raises
    ``InputError`` for another ``reduction``, and ``forward`` for scores, targets or weights that do not fit.
    """

    reductions: tuple[str, ...] = ("mean", "sum", "none")
    # Whether a target may be a distribution over the classes, or any number, as mixup makes them.
    takes_soft_labels = False
    # The fewest scores a sample: to choose between classes takes two.
    fewest_scores = 1
    class_weight: tuple[float, ...] | None = None

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in self.reductions:
            raise InputError(
                f"{type(self).__name__}: reduction must be one of {', '.join(self.reductions)}, got {reduction!r}"
            )
        self.reduction = reduction
        self.is_mean = reduction in ("mean", "element_mean")  # L is total / weight
        self.total = self.weight = math.nan
        self.saved: Array | None = None

    def per_sample(self, s: Array, targets: Array) -> tuple[Array, Array]:
        """l_i and dl_i/ds_i, (N,) and (N, K), for scores s (N, K) and targets (N,) or (N, K)."""
        raise NotImplementedError(f"{type(self).__name__} needs a per_sample method")

    def importance(self, s: Array, targets: Array) -> Array:
        """With class weights, which are part of l_i: what w_i counts in ``weight`` besides itself, (N,)."""
        raise NotImplementedError(f"{type(self).__name__} has no class weights")

    def forward(self, scores: Array, targets: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """The loss of these scores: a float, or with reduction "none" an array."""
        s = check_scores(self, scores)
        t = check_targets(self, scores, targets)
        losses, gradient = self.per_sample(s, t)
        if self.reduction == "element_mean":
            losses, gradient = losses / s.shape[1], gradient / s.shape[1]
        share = None if self.class_weight is None else self.importance(s, t)
        if sample_weight is None:
            self.weight = float(len(s) if share is None else share.sum())
            self.total = float(losses.sum(dtype=np.float64))
        else:
            w = check_sample_weight(self, scores, sample_weight)
            self.weight = float(w.sum() if share is None else w @ share)
            losses = losses * w
            self.total = float(losses.sum())
        scale = 1.0
        if self.is_mean:
            # A sum of weights too small to divide by counts as 0.
            scale = 1 / self.weight if self.weight > sys.float_info.min else 0.0
            self.total *= scale > 0
        gradient *= scale if sample_weight is None else (w * scale).astype(s.dtype)[:, np.newaxis]  # 1/N
        self.saved = gradient.reshape(scores.shape)
        return losses.reshape(scores.shape[:-1]) if self.reduction == "none" else self.total * scale

    def backward(self) -> Array:
        """dL/dscores of the last ``forward``, with the shape of the scores: the caller's own."""
        if self.saved is None:
            raise InputError(f"{type(self).__name__}: backward needs a forward pass first")
        return self.saved.copy()

    def __call__(self, scores: Array, targets: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        return self.forward(scores, targets, sample_weight)

    def is_classification(self, targets: Array) -> bool:
        """Whether with these targets it is classes that are learned, and not numbers."""
        return True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.written_options())})"

    def written_options(self) -> list[str]:
        """The options as one would write them, those at their default left out."""
        return [] if self.reduction == "mean" else [f"reduction={self.reduction!r}"]


def check_scores(loss: Loss, scores: Array) -> Array:
    """The scores as (N, K). Raises ``InputError`` unless they are floating-point with a class axis."""
    if not isinstance(scores, np.ndarray) or scores.dtype.kind != "f":
        kind = scores.dtype if isinstance(scores, np.ndarray) else type(scores).__name__
        raise InputError(f"{type(loss).__name__}: scores must be a floating-point array, got {kind}")
    if type(scores) is not np.ndarray:
        check_unmasked(f"{type(loss).__name__}: scores", scores)
    if scores.ndim < 1 or scores.shape[-1] < 1:
        raise InputError(f"{type(loss).__name__}: scores need a class axis, got shape {scores.shape}")
    if scores.shape[-1] < loss.fewest_scores:
        raise InputError(
            f"{type(loss).__name__}: one score a sample, one class, leaves nothing to choose from, got shape "
            f"{scores.shape}; give the network an output a class, or train one output with BinaryCrossEntropyLoss"
        )
    return scores if scores.ndim == 2 else scores.reshape(-1, scores.shape[-1])


def check_targets(loss: Loss, scores: Array, targets: ArrayLike) -> Array:
    """Targets of the scores' shape (..., K) as (N, K); one a sample, (...) or for labels (..., 1), as (N,).

    Raises ``InputError`` for other shapes, and for targets that are not real numbers.
    """
    if type(targets) is not np.ndarray:
        check_unmasked(f"{type(loss).__name__}: targets", targets)
    t = np.asarray(targets)
    if t.dtype.kind not in "fiub":
        raise InputError(
            f"{type(loss).__name__}: targets must be labels (integers) or real numbers, got {t.dtype}"
            + ("; a Dataset numbers names of classes: Dataset(x, names)" if t.dtype.kind in "UOS" else "")
        )
    if t.shape == scores.shape:
        return t.reshape(-1, scores.shape[-1])
    is_column_of_labels = t.shape == (*scores.shape[:-1], 1) and t.dtype.kind in "iub"
    if t.shape != scores.shape[:-1] and not is_column_of_labels:
        raise InputError(
            f"{type(loss).__name__}: scores of shape {scores.shape} need labels of shape {scores.shape[:-1]} or "
            f"targets of shape {scores.shape}, got {t.dtype} of shape {t.shape}"
        )
    return t.reshape(-1)


def check_sample_weight(loss: Loss, scores: Array, sample_weight: ArrayLike) -> NDArray[np.float64]:
    """The weights as (N,), float64. Raises ``InputError`` unless each row of scores has a finite one >= 0."""
    check_unmasked(f"{type(loss).__name__}: sample_weight", sample_weight)
    given = np.asarray(sample_weight)
    if given.shape != scores.shape[:-1] or given.dtype.kind not in "fiub":
        raise InputError(
            f"{type(loss).__name__}: scores of shape {scores.shape} need a sample_weight of real numbers of shape "
            f"{scores.shape[:-1]}, got {given.dtype} of shape {given.shape}"
        )
    return _finite_and_not_negative(f"{type(loss).__name__}: sample_weight", given.reshape(-1))


def check_weights(name: str, weights: Sequence[float] | ArrayLike) -> tuple[float, ...]:
    """Weights of classes or outputs, as floats. Raises ``InputError`` unless they are finite and >= 0, one > 0."""
    given = np.asarray(weights)
    if given.ndim != 1 or not given.size or given.dtype.kind not in "fiu":
        raise InputError(f"{name} must be a sequence of numbers, one for each class, got {weights!r}")
    values = _finite_and_not_negative(name, given)
    if not values.any():
        raise InputError(f"{name} must have an entry above 0, got {weights!r}")
    return tuple(values.tolist())


def _finite_and_not_negative(name: str, weights: Array) -> NDArray[np.float64]:
    values = weights.astype(np.float64)
    wrong = values[~((values >= 0) & (values < np.inf))]
    if wrong.size:
        raise InputError(f"{name} must be finite numbers of at least 0, got {wrong[0]:g}")
    with np.errstate(over="ignore"):
        if values.sum() == np.inf:
            raise InputError(f"{name} must have a finite sum, got numbers up to {values.max():g}")
    return values
