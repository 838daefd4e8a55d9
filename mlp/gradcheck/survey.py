"""Which bare arrays of a layer are learned, and which does forward use though no gradient tells of them?"""

from collections.abc import Callable, Mapping

import numpy as np

from mlp.arrays import Array
from mlp.gradcheck.parameters import ArrayParameter


def survey(
    forward: Callable[[Array], Array],
    backward: Callable[[Array], Array | None],
    arrays: Mapping[str, ArrayParameter],
    x: Array,
) -> tuple[list[str], list[str]]:
    """Names of the learned ones and of the unseen ones, told by calls: gradients may exist only after a backward.

    An array that forward writes anew is a cache and neither of the two, whatever stands beside it.
    """
    before = {name: (array.data, array.data.copy()) for name, array in arrays.items()}
    for given in (x, x[::-1]):
        output = forward(given.copy())
    backward(np.ones(np.shape(output)))
    kept = [
        name
        for name, (array, values) in before.items()
        if arrays[name].data is array and np.array_equal(array, values, equal_nan=True)
    ]
    learned = [name for name in kept if arrays[name].grad is not None]
    others = [name for name in kept if arrays[name].grad is None]
    return learned, [name for name in others if _matters(forward, arrays[name].data, x)]


def _matters(forward: Callable[[Array], Array], array: Array, x: Array) -> bool:
    """Does the output change with this array? (Not told where it changes by itself.)"""
    values, rng = array.copy(), np.random.default_rng(0)
    with np.errstate(all="ignore"):
        outputs = [np.array(forward(x.copy())) for _ in range(2)]
        array[...] += rng.uniform(0.5, 1.0, array.shape) * max(1.0, float(np.abs(values).max()))
        moved = np.array(forward(x.copy()))
        array[...] = values
    return np.array_equal(outputs[0], outputs[1]) and not np.array_equal(outputs[0], moved)
