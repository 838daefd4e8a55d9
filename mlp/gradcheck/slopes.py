r"""Derivatives measured from forward passes alone, with an honest estimate of how far each can be trusted.

One entry :math:`x_i` is moved up and down by a step :math:`h`, and the outputs are contracted with the
upstream gradient :math:`G` *after* they are subtracted, so that outputs which did not move add no rounding:

.. math:: D(h) = \sum_j G_j \, \frac{y_j(x_i + h) - y_j(x_i - h)}{2h} = \partial_i (G \cdot y) + O(h^2)

The truncation error falls like :math:`h^2`, the rounding error grows like :math:`\varepsilon / h`; their sum
is least near :math:`h = \varepsilon^{1/3}` (Nocedal & Wright, *Numerical Optimization*, 2006, section 8.1).
:math:`x_i` may be rounded, so the divisor is the step that was really made, :math:`(x_i + h) - (x_i - h)`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.gradcheck.rounding import EPS, Rounding

STEP = EPS ** (1 / 3)
# Whatever the two steps disagree by, at most this fraction of the gradient is forgiven, so that the noise
# estimate never hides a real error. An entry that needs more is measured again, more carefully.
FORGIVEN = 1e-5
# Five digits are too many to ask of a gradient as small as the tail of a softmax, 1e-10. So at least this
# fraction of the typical gradient in the array, and this fraction of a typical output, is forgiven.
TINY_GRADIENT, TINY_OUTPUT = 1e-8, 1e-11
# The careful measurement uses steps that grow by this factor: small ones escape kinks, large ones rounding.
GROWTH = 8.0
# They begin this far below the best step for the smallest scale in sight, and end this far above the usual one.
BEYOND = GROWTH**4
# Where they are too far apart, the best one and its neighbours are divided by two again and again.
FINER = 2.0 ** np.arange(-4, 7)
# A step of fewer roundings of x than this would not move x by what it says.
COARSE = 8.0


@dataclass
class Slope:
    """One careful measurement: ``value ± noise``, and whether a kink was met (then nearest to analytic)."""

    value: float
    noise: float
    kink: bool


@dataclass
class Estimate:
    """The slope from one step: its estimated error, and what of that is rounding."""

    value: float
    error: float
    rounding: float
    step: float


@dataclass
class Rung:
    """The slopes from one step of the ladder; ``right`` and ``left`` are one-sided, a value per output."""

    step: float
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

    def __init__(self, evaluate: Callable[[], Array], weights: Array, array: Array, rounding: Rounding) -> None:
        self.evaluate, self.weights, self.array, self.rounding = evaluate, weights, array, rounding
        self.base = evaluate()
        sizes = np.abs(array[array != 0])
        self.scale = float(np.median(sizes)) if sizes.size else 1.0

    def at(self, index: tuple[Any, ...], value: float) -> Array:
        """The outputs with ``array[index] = value``, which is put back afterwards."""
        original = self.array[index]
        self.array[index] = value
        outputs = self.evaluate()
        self.array[index] = original
        return outputs

    def slope(self, index: tuple[Any, ...], h: float) -> float:
        """D(h) in ``array[index]``."""
        up, down = float(self.array[index]) + h, float(self.array[index]) - h
        return float(self.weights @ (self.at(index, up) - self.at(index, down))) / (up - down)

    def quick(self, index: tuple[Any, ...], analytic: float, rtol: float) -> tuple[float, float]:
        """``D(h)`` and its noise if that settles the entry, and else with a second step ``2h`` as well.

        Two steps make Richardson's ``(4 D(h) - D(2h)) / 3``, whose noise also has ``|D(h) - D(2h)|``.
        """
        h = STEP * max(1.0, abs(float(self.array[index])))
        one = self.slope(index, h)
        # Every output counts: the change of one that stayed may have been rounded away.
        rounding = self.rounding.of_sum(self.weights) / h
        if abs(analytic - one) <= rtol * abs(one) + min(rounding, FORGIVEN * abs(one)):
            return one, rounding
        two = self.slope(index, 2 * h)
        return (4 * one - two) / 3, abs(one - two) + rounding

    def careful(self, index: tuple[Any, ...], analytic: float, scale: float) -> Slope:
        """The slope from a ladder of steps, or the slope nearest to ``analytic`` if there is a kink here.

        ``scale`` is the typical size of the gradients in this array.
        """
        x = float(self.array[index])
        rungs = self._rungs(x, index, self._steps(x))
        if not rungs:
            return Slope(float("nan"), 0.0, False)
        usual = [rung for rung in rungs if rung.step <= STEP * max(1.0, abs(x)) * GROWTH**2]
        at_kink = _kink_at(usual, analytic)
        if at_kink:
            return at_kink
        forgiven = max(FORGIVEN * abs(analytic), TINY_GRADIENT * scale, TINY_OUTPUT * self.rounding.typical)
        best = _best_rung(rungs, GROWTH)
        if best.error > best.rounding + forgiven:
            best = min(best, _best_rung(self._rungs(x, index, best.step * FINER), 2.0), key=lambda b: b.error)
        # A gap that shrinks much faster than 8 times from one step to the next was a kink between the two.
        near = [rung for rung in rungs if rung.step <= STEP * min(1.0, self.scale) * GROWTH * 1.01]
        kink = any(big.gap > 2 * GROWTH * (small.gap + small.noise) for small, big in pairwise(near))
        return Slope(best.value, min(best.error, best.rounding + max(forgiven, FORGIVEN * abs(best.value))), kink)

    def _rungs(self, x: float, index: tuple[Any, ...], steps: Iterable[float]) -> list[Rung]:
        """The slopes of these steps."""
        pairs = [(x + h, x - h, self.at(index, x + h), self.at(index, x - h)) for h in steps]
        # A large step may leave the domain, of a logarithm say.
        pairs = [pair for pair in pairs if np.all(np.isfinite(pair[2])) and np.all(np.isfinite(pair[3]))]
        moved = np.any([(high != self.base) | (low != self.base) for _, _, high, low in pairs], axis=0)
        # An output that the widest step left alone may grow by less than a rounding over that step.
        widest = pairs[-1][0] - pairs[-1][1] if pairs else 1.0
        return [
            self._rung(x, up, down, high, low, np.where(moved, 1.0, (up - down) / widest))
            for up, down, high, low in pairs
        ]

    def _steps(self, x: float) -> list[float]:
        """From the smallest step to the largest."""
        largest = STEP * max(1.0, abs(x)) * BEYOND
        smallest = max(STEP * min(1.0, abs(x) or 1.0, self.scale) / BEYOND, COARSE * EPS * abs(x))
        count = int(np.log(largest / smallest) / np.log(GROWTH) + 1e-9) + 1
        return [largest / GROWTH**k for k in reversed(range(count))]

    def _rung(self, x: float, up: float, down: float, high: Array, low: Array, share: Array) -> Rung:
        # x³ is small at x and large a step away: the larger output is the one that rounds.
        sizes = np.maximum(np.abs(high), np.abs(low))
        step = (up - down) / 2
        return Rung(
            step,
            float(self.weights @ (high - low)) / (up - down),
            self.weights * (high - self.base) / (up - x),
            self.weights * (self.base - low) / (x - down),
            2 * np.abs(self.weights) * self.rounding.of_each(sizes) / step,
            2 * self.rounding.of_sum(self.weights, sizes, share) / step,
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


def _best_rung(rungs: list[Rung], growth: float) -> Estimate:
    """The measurement whose estimated error is smallest, of ``D(h)`` and Richardson's extrapolation at each rung.

    The error of a step is its rounding noise, plus the truncation that the next larger step tells of, plus
    what it disagrees with any smaller step by, beyond the noise of that one: so a large step that jumps over
    a nearby kink loses to a small one that does not. Each step is ``growth`` times the one before.
    """
    d = [rung.central for rung in rungs]
    square = growth**2
    # From D(h) = d + a h² + b h⁴: with the next larger step, a disappears, and b h⁴ grows by growth⁴.
    r = [near + (near - far) / (square - 1) for near, far in pairwise(d)]
    candidates = [(0, d[0], 0.0)]  # of the smallest step the truncation is taken to be nothing
    candidates += [(k, d[k], abs(d[k + 1] - d[k]) * 2 / (square - 1)) for k in range(1, len(d) - 1)]
    candidates += [(k, r[k], abs(r[k + 1] - r[k]) / square) for k in range(len(r) - 1)]
    best = Estimate(float("nan"), np.inf, np.inf, rungs[0].step)
    for k, value, truncation in candidates:
        disagreement = max((abs(value - d[j]) - rungs[j].noise for j in range(k)), default=0.0)
        error = rungs[k].noise + truncation + max(disagreement, 0.0)
        if error < best.error:
            best = Estimate(value, error, rungs[k].noise, rungs[k].step)
    return best
