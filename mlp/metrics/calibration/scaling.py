"""Turning scores into honest probabilities after training: one or two numbers, fitted on held-out data.

Fit on validation data that the network was not trained on, and measure the result on test data.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from mlp.arrays import Array
from mlp.checks import InputError, check_number
from mlp.functional import class_probabilities, sigmoid, softmax
from mlp.metrics.inputs import Floats, check_binary, check_scores, real_array, target_distributions


class TemperatureScaling:
    """softmax(s / T): one temperature T > 0 for all classes. It softens (T > 1) or sharpens (T < 1).

        scaling = TemperatureScaling().fit(validation_scores, validation_labels)
        probabilities = scaling.predict_proba(test_scores)

    ``fit`` minimises the negative log-likelihood of the validation data,

        NLL(beta) = 1/n sum_i [logsumexp(beta s_i) - beta s_i,y_i],   beta = 1/T,

    which is convex in beta. The order of the scores of a sample stays, so predicted classes and the accuracy do
    too (dividing may at most round neighbouring numbers to the same one).

    T stays between ``min_temperature`` and ``max_temperature``; ``at_bound`` says that it ended there:
    - If every sample is classified correctly, NLL falls all the way to T = 0: T is ``min_temperature``.
    - If the scores are useless, or worse than a guess, it falls to T = infinity: T is ``max_temperature``, and
      the probabilities are nearly uniform.
    Where T changes nothing (in each row all scores are equal, or NLL is 0 to the last bit at T = 1), T is 1.

    C. Guo, G. Pleiss, Y. Sun & K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017.
    """

    def __init__(self, *, min_temperature: float = 1e-3, max_temperature: float = 1e3) -> None:
        self.min_temperature = check_number("TemperatureScaling: min_temperature", min_temperature, 1e-12, 1)
        self.max_temperature = check_number("TemperatureScaling: max_temperature", max_temperature, 1, 1e12)
        self.temperature: float | None = None
        self.at_bound = False

    def fit(self, scores: ArrayLike, labels: ArrayLike) -> TemperatureScaling:
        """Find T from scores (..., K), logits, and labels (...) or distributions (..., K), in float64."""
        y, s = check_scores("TemperatureScaling.fit", labels, scores)
        Y = target_distributions(y, s.shape[1])
        # A constant for each row changes no probability, and with 0 as the largest score nothing overflows.
        # A class that cannot be, -inf, keeps the probability 0 as a number that 0 may be multiplied with.
        z = np.maximum(s.astype(np.float64) - s.max(axis=1, keepdims=True), -1e30)

        def derivatives(beta: float) -> tuple[float, float]:
            """dNLL/dbeta = mean of sum_k (p_k - y_k) z_k, and d²NLL/dbeta² = mean variance of z under p."""
            p = softmax(beta * z)
            mean = np.sum(p * z, axis=1)
            variance = np.sum(p * (z - mean[:, np.newaxis]) ** 2, axis=1)
            return float(np.sum((p - Y) * z) / len(z)), float(np.mean(variance))

        low, high = 1 / self.max_temperature, 1 / self.min_temperature
        beta = _root(derivatives, low, high, start=1.0)
        self.temperature = min(max(1 / beta, self.min_temperature), self.max_temperature)
        self.at_bound = beta in (low, high)
        return self

    def transform(self, scores: ArrayLike) -> Array:
        """s / T: scores (..., K) of the calibrated network, in the dtype of the scores."""
        s = _floating("TemperatureScaling", scores)
        if self.temperature is None:
            raise InputError("TemperatureScaling: call fit with validation data first")
        return s / self.temperature

    def predict_proba(self, scores: ArrayLike) -> Array:
        """softmax(s / T), (..., K); of one score its sigmoid, (..., 1)."""
        return class_probabilities(self.transform(scores))

    def __repr__(self) -> str:
        return f"TemperatureScaling(temperature={self.temperature})"


def _root(function: Callable[[float], tuple[float, float]], low: float, high: float, start: float) -> float:
    """Where an increasing function, x -> (value, slope), is 0 between two positive bounds, or the nearest bound.

    Newton's method, safeguarded: a step that leaves the bracket, or is not half as long as the one before,
    gives way to bisection (of the logarithm, since the bracket spans decades). W. H. Press et al.,
    "Numerical Recipes", section 9.4.
    """
    x, step = start, np.inf
    value, slope = function(x)
    if value > 0 and function(low)[0] >= 0:
        return low
    if value < 0 and function(high)[0] <= 0:
        return high
    while value != 0:
        low, high = (low, x) if value > 0 else (x, high)
        newton = x - value / slope if slope > 0 else np.inf
        is_good = low < newton < high and abs(newton - x) < abs(step) / 2
        new = newton if is_good else float(np.sqrt(low * high))
        step, x = new - x, new
        if abs(step) <= 4 * np.finfo(np.float64).eps * x:
            break
        value, slope = function(x)
    return x


class PlattScaling:
    """p = sigma(a z + b) for a score z of the positive class, of any scale: two classes, two numbers.

    ``fit`` minimises the cross-entropy -sum_i [t_i log p_i + (1 - t_i) log(1 - p_i)] with Platt's targets

        t = (N+ + 1) / (N+ + 2) for the N+ positive samples,   1 / (N- + 2) for the N- negative ones,

    in place of 1 and 0, by Laplace's rule of succession. They keep a and b finite for samples that a threshold
    separates. Useless scores give a near 0 and p near the share of positives; scores that are all equal, a = 0.

    J. Platt, "Probabilistic outputs for support vector machines", 1999; the algorithm, Newton's method with
    backtracking: H.-T. Lin, C.-J. Lin & R. C. Weng, "A note on Platt's probabilistic outputs for support vector
    machines", Machine Learning 2007. Their A and B are -a and -b.
    """

    def __init__(self) -> None:
        self.a: float | None = None
        self.b: float | None = None

    def fit(self, scores: ArrayLike, labels: ArrayLike) -> PlattScaling:
        """Find a and b from scores (N,) or (N, 1) and labels (N,), 0 and 1, in float64.

        Raises ``InputError`` unless both classes occur.
        """
        is_positive, z = check_binary("PlattScaling.fit", labels, real_array("PlattScaling.fit", "scores", scores))
        positives = np.count_nonzero(is_positive)
        negatives = len(z) - positives
        t = np.where(is_positive, (positives + 1) / (positives + 2), 1 / (negatives + 2))
        if z.min() == z.max():
            self.a, self.b = 0.0, float(np.log(t.sum() / (1 - t).sum()))
            return self
        z = z.astype(np.float64)
        # In this unit the problem is well conditioned, whatever the scale of the scores.
        centre, scale = z.mean(), z.std()
        a, b = _fit_logistic((z - centre) / scale, t, start=(0.0, np.log((positives + 1) / (negatives + 1))))
        self.a, self.b = float(a / scale), float(b - a * centre / scale)
        return self

    def transform(self, scores: ArrayLike) -> Array:
        """a z + b: the log-odds of the positive class, (...), in the dtype of the scores."""
        z = _floating("PlattScaling", scores)
        if self.a is None or self.b is None:
            raise InputError("PlattScaling: call fit with validation data first")
        return self.a * z + self.b

    def predict_proba(self, scores: ArrayLike) -> Array:
        """sigma(a z + b): the probability of the positive class, (...)."""
        return sigmoid(self.transform(scores))

    def __repr__(self) -> str:
        return f"PlattScaling(a={self.a}, b={self.b})"


def _fit_logistic(u: Floats, t: Floats, start: tuple[float, float]) -> tuple[float, float]:
    """The a, b with the least cross-entropy of sigma(a u + b) to targets t strictly between 0 and 1."""

    def cross_entropy(a: float, b: float) -> float:
        v = a * u + b
        return float(np.sum(np.logaddexp(0, v) - t * v))

    a, b = start
    loss = cross_entropy(a, b)
    for _ in range(100):
        p = sigmoid(a * u + b)
        w = p * (1 - p)
        gradient = np.array([np.sum((p - t) * u), np.sum(p - t)])
        # The small ridge keeps the matrix invertible where nearly every p is 0 or 1.
        hessian = np.array([[np.sum(w * u * u), np.sum(w * u)], [np.sum(w * u), np.sum(w)]]) + 1e-12 * np.eye(2)
        da, db = -np.linalg.solve(hessian, gradient)
        slope = float(gradient @ (da, db))
        rounding = 4 * np.finfo(np.float64).eps * loss
        size = 1.0
        while (new := cross_entropy(a + size * da, b + size * db)) > loss + 1e-4 * size * slope + rounding:
            size /= 2
        a, b, loss = a + size * da, b + size * db, new
        # Newton's error is squared in each step: this was the last that mattered.
        if -slope <= 1e-16 * loss:
            break
    return a, b


def _floating(where: str, scores: ArrayLike) -> Array:
    """Scores as a floating-point array; whole numbers become float64."""
    s = real_array(where, "scores", scores, may_be_impossible=True)
    return s if s.dtype.kind == "f" else s.astype(np.float64)
