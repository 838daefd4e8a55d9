"""The comparison of one array: its analytic gradient against slopes measured entry by entry."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.gradcheck.rounding import Rounding
from mlp.gradcheck.slopes import FORGIVEN, Probe

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


def compare(
    evaluate: Callable[[], Array],
    weights: Array,
    array: Array,
    analytic: Array,
    entries: NDArray[np.intp],
    rtol: float,
    rounding: Rounding,
) -> Differences:
    """Compare ``analytic`` with numeric derivatives at ``entries`` (flat indices into ``array``).

    ``weights`` is the upstream gradient, flat as the outputs are. Accepts
    ``|a - n| <= rtol max(|a|, |n|) + noise``. First every entry is measured quickly; those that fail, or whose
    noise is too large to tell, are measured carefully.
    """
    a = analytic.reshape(-1)[entries]
    n, noise = np.empty_like(a), np.empty_like(a)
    kink = np.zeros(a.shape, dtype=bool)
    indices = [np.unravel_index(i, array.shape) for i in entries]
    # A step may leave the domain of the function or overflow: that is seen to here, and is no warning.
    with np.errstate(all="ignore"):
        probe = Probe(evaluate, weights, array, rounding)
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
