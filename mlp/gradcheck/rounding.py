r"""How far rounding alone moves each output: no difference of two outputs can be trusted beyond that.

The last operation rounds an output :math:`y_j` at its own size, :math:`\varepsilon |y_j|`. What was rounded on
the way shows only where large terms cancel, as in :math:`x - \bar x` of data with a large mean. So it is
measured: move everything that forward reads by a few units :math:`v` in its last place, and look at

.. math:: J_j = 2 y_j(x + v) + y_j(x - 2v) - 3 y_j(x) = \text{rounding} + O(v^2),

for several sizes of :math:`v`: rounding is the part that does not grow with them. (Steps of one length to both
sides would miss what rounds up on one side and down on the other. The idea of differences along a line is that
of J. J. Moré and S. M. Wild, *Estimating computational noise*, SIAM J. Sci. Comput. 33, 2011.)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mlp.arrays import Array

EPS = float(np.finfo(np.float64).eps)
SINGLE_EPS = float(np.finfo(np.float32).eps)
HALF_EPS = float(np.finfo(np.float16).eps)
# Each output carries a few roundings of its own size; a matrix product of 1000 terms stays below this.
ROUNDINGS = 4.0
# Sizes of v in units of the last place: the larger reach what is rounded away when added to larger terms.
MOVES = tuple(8**k for k in range(1, 7))
DIRECTIONS = 3
# v² makes J 64 times larger from one size to the next, a kink 8 times; rounding stays as it is.
STAYS = 4.0
# J weighs one rounding by up to 3.7, and the largest of a few draws is taken for a little less than the bound.
JITTERS = 1.5
# An output that jumps by more than this fraction of its size jumps for another reason than rounding.
LARGEST_JITTER = 1e-4


@dataclass(frozen=True)
class Rounding:
    """What rounding does to each output, and together to their sum with the upstream's weights."""

    each: Array
    joint: float
    typical: float  # the size of a typical output, times the largest weight
    eps: float  # the precision that forward computes with

    def of_each(self, sizes: Array | float) -> Array:
        """The rounding of outputs that have grown to these sizes."""
        return np.maximum(self.each, ROUNDINGS * self.eps * sizes)

    def of_sum(self, weights: Array, sizes: Array | float = 0.0, share: Array | float = 1.0) -> float:
        """The rounding of the weighted sum of outputs, of each of which this share counts."""
        parts = np.abs(weights) * self.of_each(sizes) * share
        # Independent roundings add like a random walk; those with one common cause add up, at most to the sum.
        return min(float(parts.sum()), max(float(np.sqrt(parts @ parts)), self.joint))


def measure_rounding(
    evaluate: Callable[[], Array], weights: Array, arrays: Sequence[Array], eps: float = EPS
) -> Rounding:
    """Watch the outputs while all entries of ``arrays`` move by a few roundings of their size.

    ``eps`` is the precision that forward computes with: 2⁻⁵², or 2⁻²³ where it casts to float32.
    """
    rng = np.random.default_rng(0)
    base = evaluate()
    # A small output may be the difference of large terms, hence at least the typical size (a median:
    # one huge output among them says nothing about the others).
    sizes = np.abs(base)
    typical = float(np.median(sizes[sizes > 0])) if sizes.any() else 0.0
    # A loss is a sum of terms of size 1, also where it is nearly 0: log p of a sure network.
    typical = max(typical, 1.0) if sizes.size == 1 else typical
    sizes = np.maximum(sizes, typical)
    floats = [array for array in arrays if array.dtype.kind == "f"]
    jitters = []
    for move in MOVES:
        moved = []
        for _ in range(DIRECTIONS):
            steps = [rng.integers(-move, move + 1, array.shape) * _unit(array, eps) for array in floats]
            moved.append(np.nan_to_num(_second_difference(evaluate, base, floats, steps)))
        # One more column, for the weighted sum of all outputs.
        jitters.append(np.max([np.append(np.abs(j), abs(float(weights @ j))) for j in moved], axis=0))
    small, large = np.array(jitters[:-1]), np.array(jitters[1:])
    jitter = JITTERS * np.where(large <= STAYS * small, small, 0.0).max(axis=0)
    each = np.minimum(jitter[:-1], LARGEST_JITTER * sizes)
    return Rounding(
        np.maximum(ROUNDINGS * eps * sizes, each),
        min(float(jitter[-1]), float(np.abs(weights) @ each)),
        typical * float(np.abs(weights).max(initial=0.0)),
        eps,
    )


def _unit(array: Array, eps: float) -> Array:
    """One unit in the last place of every entry, in the precision that has this eps; nothing of zero."""
    return np.where(array == 0, 0.0, np.spacing(array) * (eps / EPS))


def _second_difference(
    evaluate: Callable[[], Array], base: Array, arrays: list[Array], steps: list[Array]
) -> Array:
    """``2 y(x + v) + y(x - 2v) - 3 y(x)``; the arrays are put back."""
    before = [array.copy() for array in arrays]
    try:
        total = -3 * base
        for weight, times in ((2, 1), (1, -2)):
            for array, original, step in zip(arrays, before, steps, strict=True):
                array[...] = original + times * step
            total += weight * evaluate()
        return total
    finally:
        for array, original in zip(arrays, before, strict=True):
            array[...] = original


def is_rounded_to_single(evaluate: Callable[[], Array], array: Array) -> bool:
    """Does forward cast ``array``, or what it computes from it, to float32 (or less)?

    It does if rounding the array to float32 changes no output, or if every output is a float32 number, at a
    point where a change in the fifth digit does show.
    """
    if array.dtype != np.float64 or array.size == 0:
        return False
    before, rng = array.copy(), np.random.default_rng(0)
    try:
        outputs = []
        for _ in range(2):
            array[...] = before * (1 + 1e-5 * rng.uniform(-1, 1, array.shape))
            outputs.append(evaluate())
        # So much that rounding to float32 would be seen as well.
        moved = np.abs(outputs[0] - outputs[1]) > 1e5 * EPS * np.abs(outputs[0])
        if not moved.any() or not np.all(np.isfinite(outputs)):
            return False
        if all(np.array_equal(output[moved], output[moved].astype(np.float32)) for output in outputs):
            return True
        exact = array.copy()
        array[...] = array.astype(np.float32)
        return not np.array_equal(array, exact) and np.array_equal(evaluate(), outputs[1])
    finally:
        array[...] = before
