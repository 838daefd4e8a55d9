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

from mlp.arrays import Array

EPS = float(np.finfo(np.float64).eps)
STEP = EPS ** (1 / 3)
# Each output carries a few roundings of its own size; a matrix product of 1000 terms stays below this.
ROUNDINGS = 4.0
# Whatever the two steps disagree by, at most this fraction of the gradient is forgiven, so that the noise
# estimate never hides a real error. An entry that needs more is measured again, more carefully.
FORGIVEN = 1e-5
# Five digits are too many to ask of a gradient as small as the tail of a softmax, 1e-10. So at least this
# fraction of the typical gradient in the array, and this fraction of a typical output, is forgiven.
TINY_GRADIENT, TINY_OUTPUT = 1e-8, 1e-11
# The careful measurement uses the steps h·8^k for these k: small ones escape kinks, large ones rounding.
LADDER = tuple(8.0**k for k in range(-4, 5))
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


@dataclass
class Rung:
    """The slopes from one step of the ladder; ``right`` and ``left`` are one-sided, a value per output."""

    central: float
    right: Array
    left: Array
    noises: Array  # rounding noise of right and left
    noise: float  # rounding noise of their sums

    @property
    def gap(self) -> float:
        """How far the one-sided slopes are apart."""
        return abs(float(self.right.sum() - self.left.sum()))

    @property
    def steepest(self) -> float:
        return max(abs(float(self.right.sum())), abs(float(self.left.sum())))


class Probe:
    """Moves single entries of ``array`` and watches ``G · evaluate()``; ``evaluate`` returns a flat copy."""

    def __init__(self, evaluate: Callable[[], Array], upstream: Array, array: Array) -> None:
        self.evaluate, self.array, self.weights = evaluate, array, upstream.reshape(-1)
        self.base = evaluate()
        # A small output may be the difference of large terms, hence at least the typical size (a median:
        # one huge output among them says nothing about the others).
        sizes = np.abs(self.base)
        typical = float(np.median(sizes[sizes > 0])) if sizes.any() else 0.0
        # A loss is a sum of terms of size 1, also where it is nearly 0: log p of a sure network.
        typical = max(typical, 1.0) if sizes.size == 1 else typical
        self.squares = (self.weights * np.maximum(sizes, typical)) ** 2
        self.typical = typical * float(np.abs(self.weights).max(initial=0.0))

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
        # Where no output changed, the change of one may just have been rounded away.
        size = np.sqrt(np.dot(change != 0, self.squares) or self.typical**2)
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

    def careful(self, index: tuple[Any, ...], analytic: float, scale: float) -> Slope:
        """The slope from a ladder of steps, or the slope nearest to ``analytic`` if there is a kink here.

        ``scale`` is the typical size of the gradients in this array.
        """
        x = float(self.array[index])
        rungs = []  # from the smallest step to the largest
        for factor in LADDER:
            h = STEP * max(1.0, abs(x)) * factor
            up, down = x + h, x - h
            high, low = self.at(index, up), self.at(index, down)
            central, noise = self.slope(high, low, up - down)
            right = self.weights * (high - self.base) / (up - x)
            left = self.weights * (self.base - low) / (x - down)
            noises = 2 * ROUNDINGS * EPS * np.sqrt(self.squares) / h
            # A large step may leave the domain, of a logarithm say.
            if np.all(np.isfinite(right)) and np.all(np.isfinite(left)):
                rungs.append(Rung(central, right, left, noises, 2 * noise))
        if not rungs:
            return Slope(float("nan"), 0.0, False)
        return _kink_at(rungs, analytic) or _best_rung(
            rungs, abs(analytic), max(TINY_GRADIENT * scale, TINY_OUTPUT * self.typical)
        )


def _kink_at(rungs: list[Rung], analytic: float) -> Slope | None:
    """If one-sided slopes stay apart however small the step: the point between them that is next to analytic.

    On a smooth curve the gap between them is about ``h f''``, so a step 8 times smaller has 1/8 of the gap.
    Each output is judged by itself: of several that bend here, each may choose its own slope.
    """
    steepest = max(rung.steepest for rung in rungs)
    usable = [k for k, rung in enumerate(rungs) if rung.noise <= 1e-4 * steepest]
    if not usable or usable[0] + 1 >= len(rungs):
        return None
    rung, larger = rungs[usable[0]], rungs[usable[0] + 1]
    bent = np.abs(rung.right - rung.left) > 4 * rung.noises + np.abs(larger.right - larger.left) / 4
    if not bent.any():
        return None
    straight = float(np.where(bent, 0.0, (rung.right + rung.left) / 2).sum())
    low = straight + float(np.minimum(rung.right, rung.left)[bent].sum())
    high = straight + float(np.maximum(rung.right, rung.left)[bent].sum())
    # Curvature turns each one-sided slope a little; the next rung tells how much.
    turn = max(abs(float((rung.right - larger.right).sum())), abs(float((rung.left - larger.left).sum()))) / 7
    noise = rung.noise + min(turn, FORGIVEN * max(abs(low), abs(high)))
    return Slope(min(max(analytic, low), high), noise, True)


def _best_rung(rungs: list[Rung], size: float, tiny: float) -> Slope:
    """The measurement whose estimated error is smallest, of ``D(h)`` and Richardson's extrapolation at each rung.

    The error of a step is its rounding noise, plus the truncation that the next larger step tells of, plus
    what it disagrees with any smaller step by, beyond the noise of that one: so a large step that jumps over
    a nearby kink loses to a small one that does not. The estimate is capped, see ``FORGIVEN`` and ``tiny``.
    """
    d = [rung.central for rung in rungs]
    # From D(h) = d + a h² + b h⁴: with D(8h), a disappears, and the next larger result has 4096 times the error.
    r = [near + (near - far) / 63 for near, far in pairwise(d)]
    candidates = [(d[0], 0.0)]  # of the smallest step the truncation is taken to be nothing
    candidates += [(d[k], abs(d[k + 1] - d[k]) / 32) for k in range(1, len(d) - 1)]
    candidates += [(r[k], abs(r[k + 1] - r[k]) / 64) for k in range(len(r) - 1)]
    steps = [0, *range(1, len(d) - 1), *range(len(r) - 1)]
    best, rounding = Slope(float("nan"), np.inf, False), np.inf
    for k, (value, truncation) in zip(steps, candidates, strict=True):
        disagreement = max((abs(value - d[j]) - rungs[j].noise for j in range(k)), default=0.0)
        error = rungs[k].noise + truncation + max(disagreement, 0.0)
        if error < best.noise:
            best, rounding = Slope(value, error, False), rungs[k].noise
    # A gap that shrinks much faster than 8 times from one step to the next was a kink between the two.
    best.kink = any(big.gap > 16 * (small.gap + small.noise) for small, big in pairwise(rungs[:6]))
    best.noise = min(best.noise, rounding + max(FORGIVEN * max(size, abs(best.value)), tiny))
    return best


def compare(
    evaluate: Callable[[], Array],
    upstream: Array,
    array: Array,
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
        scale = float(np.sqrt(np.mean(n[np.isfinite(n)] ** 2))) if np.isfinite(n).any() else 0.0
        confirmed = 0
        for j in doubtful_first:
            slope = probe.careful(indices[j], float(a[j]), scale)
            n[j], noise[j] = slope.value, slope.noise
            failed[j] = not abs(a[j] - n[j]) <= rtol * max(abs(a[j]), abs(n[j])) + noise[j]
            kink[j] = slope.kink
            confirmed += bool(failed[j])
            if confirmed == ENOUGH:
                break
    return Differences(entries, a, n, noise, kink, failed)
