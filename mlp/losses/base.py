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
from mlp.buffers import Buffers
from mlp.checks import InputError
from mlp.functional import check_labels
from mlp.registry import Registry

Labels = NDArray[np.integer[Any]]
# How much each sample counts in the loss: one number if all count alike, else a column (N, 1).
Share = float | Array

LOSSES: Registry[Loss] = Registry("loss")


def register_loss(name: str) -> Callable[[type[Loss]], type[Loss]]:
    """Class decorator that lets a configuration name this loss (upper and lower case are one)."""
    return LOSSES.register(name)


def make_loss(name: str, **options: Any) -> Loss:
    """A new loss of the kind registered under ``name``. Raises ``InputError`` for an unknown name or option."""
    return LOSSES.make(name, **options)


class Loss:
    """L(scores, targets, sample_weight) -> float, for scores (..., K) and N = the product of the leading axes:

        total = sum_i w_i l_i,   weight = sum_i w_i,   L = total / weight  ("mean")  or  L = total  ("sum")

    with l_i the loss of sample i, which each class defines, and w_i its weight: ``sample_weight`` (...), 1 if left
    out. ``"element_mean"``, where it is offered, takes for l_i the mean over the K outputs instead of the sum. A
    weight of 2 is the same as the sample twice, 0 leaves it out; without any weight (an empty batch, or weights
    that are all 0) the loss and its gradient are 0.

    ``forward`` returns L and keeps ``total`` and ``weight``: over several batches, add up both and divide once. It
    also keeps in ``saved`` the derivative of L, which ``backward`` returns.

    A new loss defines ``forward`` in this order: ``check_scores``, its own checks, ``share``, ``keep``. Raises
    ``InputError`` for another ``reduction``, and ``forward`` for scores, targets or weights that do not fit.
    """

    reductions: tuple[str, ...] = ("mean", "sum")

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in self.reductions:
            raise InputError(
                f"{type(self).__name__}: reduction must be one of {', '.join(self.reductions)}, got {reduction!r}"
            )
        self.reduction = reduction
        self.total = self.weight = math.nan
        self.saved: Array | None = None
        self.buffers = Buffers()
        self._scale = 1.0  # L = scale · total
        self._rows: Array = np.eye(0)
        self._rows_value = 1.0

    def forward(self, scores: Array, targets: Array, sample_weight: Array | None = None) -> float:
        """The loss of these scores."""
        raise NotImplementedError(f"{type(self).__name__} needs a forward method")

    def backward(self) -> Array:
        """dL/dscores of the last ``forward``, with the shape of the scores: the caller's own."""
        if self.saved is None:
            raise InputError(f"{type(self).__name__}: backward needs a forward pass first")
        return self.saved if self.buffers.lending.is_on else self.saved.copy()

    def __call__(self, scores: Array, targets: Array, sample_weight: Array | None = None) -> float:
        return self.forward(scores, targets, sample_weight)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.written_options())})"

    def written_options(self) -> list[str]:
        """The options as one would write them, those at their default left out."""
        return [] if self.reduction == "mean" else [f"reduction={self.reduction!r}"]

    def empty(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Uninitialised memory: new, or lent inside a training step."""
        return self.buffers.empty(name, shape, dtype)

    def share(
        self, scores: Array, sample_weight: ArrayLike | None = None, class_factor: Array | None = None
    ) -> Share:
        """How much each sample counts in L: w_i / weight for a mean, w_i for a sum. Sets ``weight``.

        ``class_factor`` (N,) multiplies w_i in ``weight`` alone: for class weights, which are part of l_i.
        """
        if sample_weight is None:
            return self.equal_share(scores, class_factor)
        w = check_sample_weight(self, scores, sample_weight)
        self.weight = float(w.sum() if class_factor is None else w @ class_factor)
        return (w * self._set_scale(scores)).astype(scores.dtype)[:, np.newaxis]

    def equal_share(self, scores: Array, class_factor: Array | None = None) -> float:
        """The same without sample weights: 1/N for a mean, 1 for a sum."""
        self.weight = float(scores.size // scores.shape[-1] if class_factor is None else class_factor.sum())
        return self._set_scale(scores)

    def _set_scale(self, scores: Array) -> float:
        if self.reduction == "sum":
            self._scale = 1.0
        else:
            # A sum too small to divide by counts as 0.
            self._scale = 1 / self.weight if self.weight > sys.float_info.min else 0.0
        return self._scale * (1 / scores.shape[-1]) if self.reduction == "element_mean" else self._scale

    def keep(self, loss: float, gradient: Array, shape: tuple[int, ...]) -> float:
        """Remember ``gradient``, dL/dscores, for ``backward``, and ``total``. Returns the loss."""
        self.saved = gradient if gradient.shape == shape else gradient.reshape(shape)
        self.total = loss / self._scale if self._scale else 0.0
        return loss

    def weighted_dot(self, share: Share, a: Array, b: Array) -> float:
        """sum_i share_i sum_k a_ik b_ik, for a and b of shape (N, K)."""
        if isinstance(share, float):
            return share * float(np.vdot(a, b))
        return float(np.vdot(np.multiply(a, share, out=self.empty("weighted", a.shape, a.dtype)), b))

    def class_rows(self, num_classes: int) -> Array:
        """What the labels 0 .. K-1 stand for, as the rows of a matrix (K, K): one-hot vectors."""
        return np.eye(num_classes)

    def target_rows(self, s: Array, labels: NDArray[np.intp], value: float = 1.0) -> Array:
        """``value`` times the row that each label stands for: (N, K) for labels (N,), already checked."""
        rows = self._rows
        if rows.shape[0] != s.shape[1] or rows.dtype != s.dtype or self._rows_value != value:
            # The same in every step: its rows only need to be gathered.
            rows = self._rows = (value * self.class_rows(s.shape[1])).astype(s.dtype)
            self._rows_value = value
        return rows.take(labels, 0, self.empty("Y", s.shape, s.dtype), "clip")


def weighted_sum(share: Share, losses: Array) -> float:
    """sum_i share_i sum_k losses_ik, for losses of shape (N, K)."""
    if isinstance(share, float):
        return share * float(np.add.reduce(losses, axis=None))
    return float(np.vdot(share, losses.sum(axis=1)))


def check_scores(loss: Loss, scores: Array) -> Array:
    """The scores as (N, K). Raises ``InputError`` unless they are floating-point with a class axis."""
    if not isinstance(scores, np.ndarray) or scores.dtype.kind != "f":
        kind = scores.dtype if isinstance(scores, np.ndarray) else type(scores).__name__
        raise InputError(f"{type(loss).__name__}: scores must be a floating-point array, got {kind}")
    if scores.ndim < 1 or scores.shape[-1] < 1:
        raise InputError(f"{type(loss).__name__}: scores need a class axis, got shape {scores.shape}")
    return scores if scores.ndim == 2 else scores.reshape(-1, scores.shape[-1])


def check_class_labels(loss: Loss, scores: Array, labels: Labels) -> NDArray[np.intp]:
    """The labels as (N,). Raises ``InputError`` unless there is one label in range for each row of scores."""
    labels = np.asarray(labels)
    if labels.shape != scores.shape[:-1]:
        raise InputError(
            f"{type(loss).__name__}: scores of shape {scores.shape} need labels of shape "
            f"{scores.shape[:-1]}, got {labels.shape}"
        )
    return check_labels(labels.reshape(-1), scores.shape[-1])


def check_sample_weight(loss: Loss, scores: Array, sample_weight: ArrayLike) -> NDArray[np.float64]:
    """The weights as (N,), float64. Raises ``InputError`` unless each row of scores has a finite one >= 0."""
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
