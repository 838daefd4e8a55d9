"""Losses: one number for how wrong the scores are, and its derivative with respect to every score.

Each loss takes raw scores (no softmax before it). The division by the batch size happens here and nowhere
else, so that ``backward`` is exactly the derivative of ``forward``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlp.buffers import Buffers
from mlp.checks import check_number, find_name
from mlp.errors import InputError
from mlp.functional import check_labels, ones

Array = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]

LOSSES: dict[str, Callable[..., Loss]] = {}


def register_loss(name: str) -> Callable[[type[Loss]], type[Loss]]:
    """Class decorator that lets a configuration name this loss (upper and lower case are one)."""

    def register(loss: type[Loss]) -> type[Loss]:
        LOSSES[name] = loss
        return loss

    return register


class Loss:
    """L(scores, targets) -> float, for scores of shape (..., K) and N = the product of the leading axes.

    ``reduction="mean"`` divides the sum over the N samples by N, ``"sum"`` does not. An empty batch has loss 0.
    ``forward`` returns the loss and keeps in ``saved`` its derivative, which ``backward`` returns.
    """

    reductions: tuple[str, ...] = ("mean", "sum")

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in self.reductions:
            raise InputError(
                f"{type(self).__name__}: reduction must be one of {', '.join(self.reductions)}, got {reduction!r}"
            )
        self.reduction = reduction
        self.saved: Array | None = None
        self.total = self.weight = math.nan
        self.buffers = Buffers()
        # The rows of this matrix are what the labels stand for; it is the same in every step.
        self._diagonal: Array = np.eye(0)
        self._value = 1.0

    def forward(self, scores: Array, targets: NDArray[Any], sample_weight: NDArray[Any] | None = None) -> float:
        """The loss of these scores."""
        raise NotImplementedError(f"{type(self).__name__} needs a forward method")

    def backward(self) -> Array:
        """dL/dscores of the last ``forward``, with the shape of the scores: the caller's own."""
        if self.saved is None:
            raise InputError(f"{type(self).__name__}: backward needs a forward pass first")
        return self.saved if self.buffers.lending.is_on else self.saved.copy()

    def __call__(self, scores: Array, targets: NDArray[Any], sample_weight: NDArray[Any] | None = None) -> float:
        return self.forward(scores, targets, sample_weight)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self.reduction == 'mean' else f'reduction={self.reduction!r}'})"

    def empty(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Uninitialised memory: new, or lent inside a training step."""
        return self.buffers.empty(name, shape, dtype)

    def share(self, num_samples: int, sample_weight: NDArray[Any] | None = None) -> float:
        """How much each sample counts in the loss: 1/N for a mean, else 1."""
        if sample_weight is not None:
            raise NotImplementedError("sample_weight comes with the package mlp/losses/, being written")
        self.weight = float(num_samples)
        return 1.0 if self.reduction == "sum" else 1 / max(num_samples, 1)

    def one_hot(self, scores: Array, labels: NDArray[np.intp], value: float = 1.0) -> Array:
        """``value`` at each label and 0 elsewhere: (N, K) for labels (N,), already checked."""
        num_classes = scores.shape[-1]
        if self._diagonal.shape[0] != num_classes or self._diagonal.dtype != scores.dtype or self._value != value:
            self._diagonal = value * np.eye(num_classes, dtype=scores.dtype)
            self._value = value
        return self._diagonal.take(labels, 0, self.empty("Y", scores.shape, scores.dtype), "clip")


def check_scores(loss: Loss, scores: Array) -> Array:
    """The scores as (N, K). Raises ``InputError`` unless they are floating-point with a class axis."""
    if not isinstance(scores, np.ndarray) or scores.dtype.kind != "f":
        kind = scores.dtype if isinstance(scores, np.ndarray) else type(scores).__name__
        raise InputError(f"{type(loss).__name__}: scores must be a floating-point array, got {kind}")
    if scores.ndim < 1 or scores.shape[-1] < 1:
        raise InputError(f"{type(loss).__name__}: scores need a class axis, got shape {scores.shape}")
    return scores.reshape(-1, scores.shape[-1])


def check_class_labels(loss: Loss, scores: Array, labels: Labels) -> NDArray[np.intp]:
    """The labels as (N,). Raises ``InputError`` unless there is one label in range for each row of scores."""
    labels = np.asarray(labels)
    if labels.shape != scores.shape[:-1]:
        raise InputError(
            f"{type(loss).__name__}: scores of shape {scores.shape} need labels of shape "
            f"{scores.shape[:-1]}, got {labels.shape}"
        )
    return check_labels(labels.reshape(-1), scores.shape[-1])


@register_loss("CE")
class CrossEntropyLoss(Loss):
    """Cross-entropy of softmax(scores): L = -log p_y = log sum_k e^(s_k) - s_y, summed or averaged over samples.

    dL/ds = (p - Y) / N for the mean. The largest score of each row is subtracted before the exponential,
    which changes neither result and rules out overflow. At equal scores L = log K.

    Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
    """

    def forward(self, scores: Array, targets: Labels, sample_weight: NDArray[Any] | None = None) -> float:
        s = check_scores(self, scores)
        labels = check_class_labels(self, scores, targets)
        weight = self.share(len(s), sample_weight)
        Y = self.one_hot(s, labels, weight)  # Y / N: each label's entry is the sample's weight
        z = np.subtract(s, row_max(s), out=self.empty("z", s.shape, s.dtype))
        p = np.exp(z, out=self.empty("p", s.shape, s.dtype))
        total = p @ ones(s.shape[1], s.dtype)  # (N,): sum over the classes
        # mean of log(total) - z_y
        loss = weight * float(np.add.reduce(np.log(total))) - float(z.reshape(-1) @ Y.reshape(-1))
        self.total = loss / weight
        p *= (weight / total)[:, np.newaxis]  # from e^z to softmax, / N
        p -= Y
        self.saved = p.reshape(scores.shape)
        return loss


def row_max(s: Array) -> Array:
    """The largest entry of each row, (N, K) -> (N, 1)."""
    # Down the columns of the transpose the maximum runs over N numbers at a time, not over K.
    return np.maximum.reduce(np.ascontiguousarray(s.T))[:, np.newaxis]


@register_loss("MSE")
class MSELoss(Loss):
    """Squared error L = ½ sum_k (s_k - t_k)², summed or averaged over samples; dL/ds = (s - t) / N for the mean.

    Targets are real numbers of the scores' shape, or class labels, which stand for one-hot rows.
    ``reduction="element_mean"`` is PyTorch's MSELoss: no ½, and the mean over samples and outputs alike.
    The squared error is the negative log-likelihood of Gaussian noise, up to constants. Scores beyond 1e154 in
    float64 (1e19 in float32) have squares that no number holds: their loss is inf.
    """

    reductions = ("mean", "sum", "element_mean")

    def forward(self, scores: Array, targets: NDArray[Any], sample_weight: NDArray[Any] | None = None) -> float:
        s = check_scores(self, scores)
        t = np.asarray(targets)
        if np.issubdtype(t.dtype, np.integer) and t.shape != scores.shape:
            t = self.one_hot(s, check_class_labels(self, scores, t))
        elif t.shape != scores.shape or not np.issubdtype(t.dtype, np.number) or np.iscomplexobj(t):
            raise InputError(
                f"MSELoss: scores of shape {scores.shape} need targets of the same shape or class labels of "
                f"shape {scores.shape[:-1]}, got {t.dtype} of shape {t.shape}"
            )
        difference = np.subtract(
            s, t.reshape(s.shape), out=self.empty("difference", s.shape, s.dtype), casting="same_kind"
        )
        share = self.share(len(s), sample_weight)
        factor = share * (2 / s.shape[1] if self.reduction == "element_mean" else 1)
        loss = 0.5 * factor * float(np.vdot(difference, difference))
        self.total = loss / share
        difference *= factor
        self.saved = difference.reshape(scores.shape)
        return loss


@register_loss("Hinge")
class HingeLoss(Loss):
    """Multi-class margin loss L = sum over k ≠ y of max(0, margin - s_y + s_k), summed or averaged over samples.

    Each violated margin (strictly above 0) adds 1 to dL/ds_k and -1 to dL/ds_y. At equal scores
    L = (K - 1) margin. PyTorch's MultiMarginLoss is this divided by K.

    Weston & Watkins, "Support vector machines for multi-class pattern recognition", ESANN 1999.
    """

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = check_number("HingeLoss: margin", margin, 0)

    def forward(self, scores: Array, targets: Labels, sample_weight: NDArray[Any] | None = None) -> float:
        s = check_scores(self, scores)
        y = check_class_labels(self, scores, targets)
        N, K = s.shape
        own = np.arange(0, N * K, K) + y  # where s_y stands in the flattened scores
        violation = np.subtract(
            s, s.reshape(-1)[own][:, np.newaxis] - s.dtype.type(self.margin),
            out=self.empty("violation", s.shape, s.dtype),
        )  # fmt: skip
        violation.reshape(-1)[own] = 0  # k = y is left out of the sum
        np.maximum(violation, 0, out=violation)
        weight = self.share(N, sample_weight)
        loss = weight * float(violation.sum())
        self.total = loss / weight
        grad = np.multiply(violation > 0, s.dtype.type(weight), out=self.empty("grad", s.shape, s.dtype))
        grad.reshape(-1)[own] = -(grad @ ones(K, s.dtype))
        self.saved = grad.reshape(scores.shape)
        return loss

    def __repr__(self) -> str:
        options = "" if self.reduction == "mean" else f", reduction={self.reduction!r}"
        return f"HingeLoss(margin={self.margin:g}{options})"


def make_loss(name: str, **options: Any) -> Loss:
    """A new loss of the kind registered under ``name``. Raises ``InputError`` for an unknown one."""
    known = find_name(name, LOSSES)
    if known is None:
        raise InputError(f"unknown loss {name!r}; there are: {', '.join(sorted(LOSSES))}")
    return LOSSES[known](**options)
