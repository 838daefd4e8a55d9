"""The stable mathematics that layers and losses share, each function valid without overflow up to
1e300 in float64 and 1e37 in float32.

All functions keep the dtype of their floating-point argument and never change it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlp.arrays import Array
from mlp.checks import InputError


def relu(x: Array) -> Array:
    """max(x, 0), elementwise."""
    # NumPy clips with vector instructions, but not a maximum with the number 0, which takes three times as long.
    return np.clip(x, 0, np.inf)


def sigmoid(x: Array) -> Array:
    """Logistic function s(x) = 1 / (1 + e^-x), elementwise, as (1 + tanh(x/2)) / 2.

    The two are equal, and tanh overflows on neither side. The absolute error is that of rounding; below
    x = -37 in float64 (about -17 in float32) the result is 0.
    """
    y = np.tanh(0.5 * x)
    y += 1
    y *= 0.5
    return y


def log_sigmoid(x: Array) -> Array:
    """log s(x) = -log(1 + e^-x) = -softplus(-x), elementwise; finite where log(sigmoid(x)) would be -inf."""
    return -softplus(-x)


def softplus(x: Array, beta: float = 1.0) -> Array:
    """log(1 + e^(βx)) / β, elementwise, as max(x, 0) + log(1 + e^(-β|x|)) / β, whose exponents are at most 0."""
    with np.errstate(over="ignore"):  # to -inf, whose exponential is 0, as it should be
        y = np.log1p(np.exp(-beta * np.abs(x)))
    y /= beta
    y += relu(x)
    return y


def softmax(scores: Array) -> Array:
    """p_k = e^(s_k - m) / sum_j e^(s_j - m) along the last axis, with m the largest score of that row.

    Subtracting m changes nothing mathematically and keeps every exponent at or below 0.
    """
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    return p


def logsumexp(scores: Array) -> Array:
    """log sum_j e^(s_j) along the last axis, as m + log sum_j e^(s_j - m) with m the row's maximum."""
    top = scores.max(axis=-1, keepdims=True)
    return top[..., 0] + np.log(np.exp(scores - top).sum(axis=-1))


def log_softmax(scores: Array) -> Array:
    """log p_k = s_k - logsumexp(s), along the last axis; finite where log(softmax(s)) would be -inf."""
    z = scores - scores.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def classify(scores: Array) -> NDArray[np.intp]:
    """The class of the largest score (the first of equal ones), (..., K) -> (...).

    A single score, K = 1, says yes or no: class 1 where it is above 0, which is where its sigmoid is above 1/2.
    """
    return (scores[..., 0] > 0).astype(np.intp) if scores.shape[-1] == 1 else scores.argmax(axis=-1)


def class_probabilities(scores: Array) -> Array:
    """softmax of the scores (..., K); of a single score its sigmoid, (..., 1): the probability of class 1."""
    return sigmoid(scores) if scores.shape[-1] == 1 else softmax(scores)


def two_scores(scores: Array) -> Array:
    """What one score says, as scores of two classes: s (..., 1) -> (0, s), (..., 2). Others (..., K) stay.

    softmax(0, s) = (1 - sigmoid(s), sigmoid(s)), and s is the larger one where it is above 0: this is what a
    network with one output, trained with binary cross-entropy, means.
    """
    return np.concatenate([np.zeros_like(scores), scores], axis=-1) if scores.shape[-1] == 1 else scores


def count_correct(y_true: Array, y_score: Array) -> int:
    """The number of rows whose largest score is that of the label: ``mlp.metrics.accuracy`` for training steps.

    Arrays only, and nothing is checked but their order.
    """
    if y_true.ndim == y_score.ndim:
        y_true = y_true.argmax(axis=-1) if y_score.shape[-1] > 1 else y_true[..., 0]
    elif y_true.ndim > y_score.ndim:
        raise InputError(f"count_correct: y_true comes first, got shapes {y_true.shape} and {y_score.shape}")
    return int(np.count_nonzero(classify(y_score) == y_true))


def one_hot(labels: NDArray[np.integer], num_classes: int, dtype: np.dtype | type = np.float32) -> Array:
    """Y with Y[..., k] = 1 where k is the label and 0 elsewhere; labels (...) -> (..., num_classes).

    Raises ``InputError`` for a label outside 0 .. num_classes - 1, and for labels that are not integers.
    """
    labels = check_labels(labels, num_classes)
    return np.eye(num_classes, dtype=dtype)[labels]


def check_labels(labels: ArrayLike, num_classes: int) -> NDArray[np.intp]:
    """``labels`` as an index array, once every one of them is known to be in 0 .. num_classes - 1.

    False and True are 0 and 1, and 2.0 is 2: neither can mean anything else.
    """
    given = np.asarray(labels)
    if given.dtype.kind not in "biu" and not is_whole(given):
        raise InputError(
            f"class labels must be integers from 0 to {num_classes - 1}, got {given.dtype}"
            + (f" {given[np.floor(given) != given].flat[0]:g}" if given.dtype.kind == "f" else "")
        )
    indices = given.astype(np.intp, copy=False)
    # Seen as unsigned, a negative label is a huge one: one comparison finds both kinds.
    if indices.size and np.maximum.reduce(indices.view(np.uintp), axis=None) >= num_classes:
        wrong = given[(indices < 0) | (indices >= num_classes)]
        from_one = "; labels that count from 1 are given as labels - 1" if indices.min() == 1 else ""
        raise InputError(
            f"class labels must be integers from 0 to {num_classes - 1} for {num_classes} scores, "
            f"got {wrong.flat[0]}{from_one}"
        )
    return indices


def is_whole(numbers: NDArray[Any]) -> bool:
    """Whether these are floats that are integers all the same: what a file of numbers makes of labels."""
    return numbers.dtype.kind == "f" and bool((np.isfinite(numbers) & (np.floor(numbers) == numbers)).all())


# Rounding keeps a row of probabilities from the sum 1: by up to 5e-4 in float16, about 1e-5 in float32 with
# thousands of classes. Rows that are something else, scores or counts or percentages, miss it by far more.
SUM_TOLERANCE = 1e-3


def find_no_distribution(rows: Array) -> int | None:
    """The first of the rows (N, K) that is no distribution, entries of at least 0 with sum 1; None if all are."""
    with np.errstate(over="ignore", invalid="ignore"):
        sums = rows.sum(axis=-1, dtype=np.float64)
    wrong = (rows < 0).any(axis=-1) | ~(np.abs(sums - 1) <= SUM_TOLERANCE)
    return int(wrong.argmax()) if wrong.any() else None


# erf(x) = x A(x^2) for |x| <= 1, and erfc(x) = e^(-x^2) B((x - 4)/(x + 4)) for x >= 0. The polynomials
# interpolate the functions at Chebyshev points (computed with 60 digits); the change of variable for
# erfc is Schonfelder's (1978), which maps the half-line to a bounded interval. Highest power first.
_ERF_SMALL = (
    5.957176147748911e-11, -1.1372848856791674e-09, 1.4659775274047436e-08, -1.6350312701054695e-07,
    1.6461000484121368e-06, -1.4925595266831182e-05, 0.0001205533111164271, -0.000854832698083379,
    0.0052239776248180145, -0.026866170645076792, 0.11283791670954879, -0.3761263890318375,
    1.1283791670955126,
)  # fmt: skip
_ERFC_LARGE = (
    5.262302095318729e-10, 1.7935593321352076e-09, -3.2346841255893115e-09, -1.5557549625430855e-08,
    2.6412000835830197e-08, 9.677089064749815e-08, -2.847849469353129e-07, -4.0917446133830203e-07,
    2.9448216166764107e-06, -1.9030200458583438e-06, -2.2556105038511748e-05, 7.898313074396784e-05,
    -2.1761710323363274e-05, -0.0007991268049276579, 0.004060263622948028, -0.012843946032288755,
    0.03129905651872367, -0.06310781563968046, 0.10896317739890521, -0.16425781669731068,
    0.21871967891826485, -0.25906804876017164, 0.13699945762506138,
)  # fmt: skip
# The polynomial of degree 12 through the points of its own: as good as float32 can show, in half the time.
_ERFC_LARGE_FLOAT32 = (
    -1.4600290535952002e-05, 7.094898697898344e-05, -3.109329822384548e-05, -0.0007884727060308982,
    0.004065694612722443, -0.012850491852378606, 0.031297498366951934, -0.06310588409018363,
    0.10896337045596449, -0.1642580595722814, 0.21871967204771772, -0.2590680400659451,
    0.13699945762506138,
)  # fmt: skip
_ERFC_UNDERFLOWS = 27.3


def erf(x: Array) -> Array:
    """Error function, 2/sqrt(pi) * integral of e^(-t^2) from 0 to x, elementwise.

    In float64 within 3 units in the last place. J. L. Schonfelder, "Chebyshev expansions for the error
    and related functions", Mathematics of Computation 32 (1978); the coefficients here are our own.
    """
    z = np.clip(x, -1, 1)
    small = z * _horner(_ERF_SMALL, z * z)
    large = np.copysign(1 - _erfc_of_magnitude(x), x)
    return np.where(np.abs(x) <= 1, small, large)


def erfc(x: Array) -> Array:
    """Complementary error function 1 - erf(x), with its relative accuracy kept where it is tiny.

    In float64 the relative error is below 1e-13 up to x = 26, where erfc(x) is about 1e-295.
    """
    positive = _erfc_of_magnitude(x)
    return np.where(x >= 0, positive, 2 - positive)


def _erfc_of_magnitude(x: Array) -> Array:
    """erfc(|x|)."""
    a = np.clip(np.abs(x), 0, _ERFC_UNDERFLOWS)
    t = 1 - 8 / (a + 4)  # (a - 4) / (a + 4)
    p = _horner(_ERFC_LARGE_FLOAT32 if a.dtype == np.float32 else _ERFC_LARGE, t)
    p *= np.exp(-(a * a))
    return p


def _horner(coefficients: tuple[float, ...], t: Array) -> Array:
    """The polynomial with these coefficients, highest power first, at t."""
    p = t * coefficients[0]
    for c in coefficients[1:-1]:
        p += c
        p *= t
    p += coefficients[-1]
    return p


def normal_cdf(x: Array) -> Array:
    """Phi(x) = (1 + erf(x / sqrt 2)) / 2, the probability that a standard normal variable is below x.

    With Q = erfc(|x| / sqrt 2) / 2, the tail beyond |x|, it is Q for x < 0, where it keeps its digits however
    small it gets, and 1 - Q for x >= 0: in one formula, the magnitude of [x >= 0] - Q.
    """
    Q = _erfc_of_magnitude(x * float(np.sqrt(0.5)))
    Q *= 0.5
    return np.abs((x >= 0) - Q)


def normal_pdf(x: Array) -> Array:
    """phi(x) = e^(-x^2 / 2) / sqrt(2 pi); 0 for |x| so large that it underflows."""
    z = np.clip(x, -40, 40)
    return np.exp(-0.5 * (z * z)) * float(1 / np.sqrt(2 * np.pi))
