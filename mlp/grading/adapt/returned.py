"""What backward returned, taken apart: the input gradient first, then those of the parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlp.grading import names
from mlp.grading.adapt.parameters import kind
from mlp.grading.adapt.remote import Array, Items, as_array, as_tuple
from mlp.grading.hypotheses.component import Case

INPUT_GRADIENT = r"d?l?d?_?(x|input|a|z|prev|a_prev)"


def parts_of(value: Any) -> list[Any] | None:
    """The input gradient first, if backward gave several things."""
    if not (isinstance(value, Items) and value.type == "dict"):
        return as_tuple(value)
    inputs = [v for k, v in value.elements.items() if names.matches(INPUT_GRADIENT, str(k))][:1]
    return inputs + [p for p in value.elements.values() if not any(p is i for i in inputs)]


def flattened(value: Any) -> list[Array]:
    """The arrays of a result, of a dict the weight's first."""
    if isinstance(value, Items) and value.type == "dict":
        ordered = sorted(value.elements.items(), key=lambda item: "bias" in (kind((str(item[0]),)) or ""))
        return [a for _, v in ordered if (a := as_array(v)) is not None]
    array = as_array(value)
    return [] if array is None else [array]


def times_upstream(slope: Array, case: Case) -> Array:
    """The chain rule for those who return the local derivative alone."""
    if slope.shape in (case.g.shape, ()):
        return slope * case.g
    if slope.shape == (*case.x.shape, case.x.shape[1]):
        return np.asarray(np.einsum("nij,ni->nj", slope, case.g))
    return slope
