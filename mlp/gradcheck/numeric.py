r"""Derivatives measured from forward passes alone, with an honest estimate of how far each can be trusted.

One entry :math:`x_i` is moved up and down by a step :math:`h`, and the outputs are contracted with the
upstream gradient :math:`G` *after* they are subtracted, so that outputs which did not move add no rounding:

.. math:: D(h) = \sum_j G_j \, \frac{y_j(x_i + h) - y_j(x_i - h)}{2h} = \partial_i (G \cdot y) + O(h^2)

The truncation error falls like :math:`h^2`, the rounding error grows like :math:`\varepsilon / h`; their sum
is least near :math:`h = \varepsilon^{1/3}` (Nocedal & Wright, *Numerical Optimization*, 2006, section 8.1).
:math:`x_i` may be rounded, so the divisor is the step that was really made, :math:`(x_i + h) - (x_i - h)`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EPS = float(np.finfo(np.float64).eps)
STEP = EPS ** (1 / 3)
# Each output carries a few roundings of its own size; a matrix product of 1000 terms stays below this.
ROUNDINGS = 4.0
# Whatever the two steps disagree by, at most this fraction of the gradient is forgiven, so that the noise
# estimate never hides a real error. An entry that needs more is measured again, more carefully.
FORGIVEN = 1e-5
# The careful measurement uses the steps h·8^k for these k: small ones escape kinks, large ones rounding.
LADDER = tuple(8.0**k for k in range(-4, 3))
# After so many confirmed wrong entries in one array, measuring the others carefully changes no verdict.
ENOUGH = 64


@dataclass
class Differences:
    """The comparison of one array; every field but the first has one value per checked entry."""

    entries: NDArray[np.intp]  # flat indices of the checked entries
    analytic: Array
    numeric: Array
    noise: Array
    kink: NDArray[np.bool_]
    failed: NDArray[np.bool_]


@dataclass
class Slope:
    """One careful measurement: ``value ± noise``, and whether a kink was met (then nearest to analytic)."""

    value: float
    noise: float
    kink: bool


class Probe:
    """Moves single entries of ``array`` and watches ``G · evaluate()``; ``evaluate`` returns a flat copy."""

    def __init__(self, evaluate: Callable[[], Array], upstream: Array, array: NDArray[Any]) -> None:
        self.evaluate, self.array, self.weights = evaluate, array, upstream.reshape(-1)
        self.base = evaluate()
        # A small output may be the difference of large terms, hence at least the typical size.
        typical = np.sqrt(np.mean(self.base**2)) if self.base.size else 0.0
        self.squares = (self.weights * np.maximum(np.abs(self.base), typical)) ** 2
        self.largest_square = float(self.squares.max(initial=0.0))

    def at(self, index: tuple[Any, ...], value: float) -> Array:
        """The outputs with ``array[index] = value``, which is put back afterwards."""
        original = self.array[index]
        self.array[index] = value
        outputs = self.evaluate()
        self.array[index] = original
        return outputs

    def slope(self, high: Array, low: Array, span: float) -> tuple[float, float]:
        """``G · (high - low) / span`` and its rounding noise, from those outputs that changed."""
        change = high - low
        # One output is counted even when none changed: its change may just have been rounded away.
        size = np.sqrt(np.dot(change != 0, self.squares) + self.largest_square)
        return float(np.dot(self.weights, change)) / span, float(2 * ROUNDINGS * EPS * size / span)

    def quick(self, index: tuple[Any, ...], analytic: float, rtol: float) -> tuple[float, float]:
        """``D(h)`` and its noise if that settles the entry, and else with a second step ``2h`` as well.

        Two steps make Richardson's ``(4 D(h) - D(2h)) / 3``, whose noise also has ``|D(h) - D(2h)|``.
        """
        x = float(self.array[index])
        h = STEP * max(1.0, abs(x))
        up, down, up2, down2 = x + h, x - h, x + 2 * h, x - 2 * h
        one, rounding = self.slope(self.at(index, up), self.at(index, down), up - down)
        if abs(analytic - one) <= rtol * abs(one) + min(rounding, FORGIVEN * abs(one)):
            return one, rounding
        two, _ = self.slope(self.at(index, up2), self.at(index, down2), up2 - down2)
        return (4 * one - two) / 3, abs(one - two) + rounding

    def careful(self, index: tuple[Any, ...], analytic: float, rtol: float) -> Slope:
        """The slope from a ladder of steps, or the slope nearest to ``analytic`` if there is a kink here."""
        x = float(self.array[index])
        rungs = []  # (central, right, left, noise), from the smallest step to the largest
        for factor in LADDER:
            h = STEP * max(1.0, abs(x)) * factor
            up, down = x + h, x - h
            high, low = self.at(index, up), self.at(index, down)
            central, _ = self.slope(high, low, up - down)
            right, noise_right = self.slope(high, self.base, up - x)
            left, noise_left = self.slope(self.base, low, x - down)
            rung = (central, right, left, max(noise_right, noise_left))
            if np.all(np.isfinite(rung)):  # a large step may leave the domain, of a logarithm say
                rungs.append(rung)
        if not rungs:
            return Slope(float("nan"), 0.0, False)
        return _kink_at(rungs, analytic, rtol) or _best_rung(rungs, analytic)


def _kink_at(rungs: list[tuple[float, float, float, float]], analytic: float, rtol: float) -> Slope | None:
    """If the two one-sided slopes stay apart however small the step: the point between them next to analytic.

    On a smooth curve the gap between them is about ``h f''``, so a step 8 times smaller has 1/8 of the gap.
    """
    usable = [k for k, (_, r, ell, noise) in enumerate(rungs) if noise <= 1e-4 * max(abs(r), abs(ell))]
    if not usable or usable[0] + 1 >= len(rungs):
        return None
    (_, right, left, noise), (_, next_right, next_left, _) = rungs[usable[0]], rungs[usable[0] + 1]
    gap, next_gap = abs(right - left), abs(next_right - next_left)
    if gap <= 4 * noise + next_gap / 4:
        return None
    # Curvature bends each one-sided slope a little; the next rung tells how much.
    bend = min(max(abs(right - next_right), abs(left - next_left)) / 7, FORGIVEN * max(abs(right), abs(left)))
    low, high = min(left, right), max(left, right)
    return Slope(min(max(analytic, low), high), noise + bend + rtol * max(abs(low), abs(high)), True)


def _best_rung(rungs: list[tuple[float, float, float, float]], analytic: float) -> Slope:
    """The central difference whose estimated error is smallest.

    The error of a step is its own rounding noise plus what it disagrees with any smaller step by, beyond
    the noise of that one: so a large step that jumps over a nearby kink loses to a small one that does not.
    """
    best = Slope(float("nan"), np.inf, False)
    rounding = np.inf
    for k, (central, _, _, noise) in enumerate(rungs):
        disagreement = max((abs(central - c) - n for c, _, _, n in rungs[:k]), default=0.0)
        if noise + max(disagreement, 0.0) < best.noise:
            best, rounding = Slope(central, noise + max(disagreement, 0.0), False), noise
    # A gap that shrinks much faster than 8 times from one step to the next was a kink between the two.
    gaps = [(abs(right - left), noise) for _, right, left, noise in rungs]
    best.kink = any(big > 16 * (small + noise) for (small, noise), (big, _) in pairwise(gaps))
    best.noise = min(best.noise, rounding + FORGIVEN * max(abs(analytic), abs(best.value)))
    return best


def compare(
    evaluate: Callable[[], Array],
    upstream: Array,
    array: NDArray[Any],
    analytic: Array,
    entries: NDArray[np.intp],
    rtol: float,
) -> Differences:
    """Compare ``analytic`` with numeric derivatives at ``entries`` (flat indices into ``array``).

    Accepts ``|a - n| <= rtol max(|a|, |n|) + noise``. First every entry is measured quickly; those that fail,
    or whose noise is too large to tell, are measured carefully.
    """
    a = analytic.reshape(-1)[entries]
    n, noise = np.empty_like(a), np.empty_like(a)
    kink = np.zeros(a.shape, dtype=bool)
    indices = [np.unravel_index(i, array.shape) for i in entries]
    # A step may leave the domain of the function or overflow: that is seen to here, and is no warning.
    with np.errstate(all="ignore"):
        probe = Probe(evaluate, upstream, array)
        for j, index in enumerate(indices):
            n[j], noise[j] = probe.quick(index, float(a[j]), rtol)
        error, size = np.abs(a - n), np.maximum(np.abs(a), np.abs(n))
        failed = ~(error <= rtol * size + noise)
        doubtful = failed | ((noise > FORGIVEN * size) & (error > 0))
        excess = np.nan_to_num(error / (rtol * size + noise), nan=np.inf)
        doubtful_first = np.argsort(np.where(doubtful, -excess, np.inf), kind="stable")[: doubtful.sum()]
        confirmed = 0
        for j in doubtful_first:
            slope = probe.careful(indices[j], float(a[j]), rtol)
            n[j], noise[j] = slope.value, slope.noise
            failed[j] = not abs(a[j] - n[j]) <= rtol * max(abs(a[j]), abs(n[j])) + noise[j]
            kink[j] = slope.kink and not failed[j]
            confirmed += bool(failed[j])
            if confirmed == ENOUGH:
                break
    return Differences(entries, a, n, noise, kink, failed)
