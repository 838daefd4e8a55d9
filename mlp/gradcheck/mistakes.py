"""What the difference between two gradients says about the mistake: a wrong gradient is rarely random."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.gradcheck.numeric import Differences

# Two gradients match if they agree to this fraction (and the noise): far below any mistake, above any noise.
MATCH = 1e-6


@dataclass(frozen=True)
class Evidence:
    """One array whose gradient is wrong, and what the gradient may have been confused with."""

    name: str
    is_input: bool
    analytic: Array  # every entry, also those that were not checked
    differences: Differences
    x: Array
    upstream: Array | None  # None for a loss, which has none
    labels: Array | None = None  # the targets of a loss


def explain_shape(name: str, got: tuple[int, ...], expected: tuple[int, ...], batch: tuple[int, ...]) -> str:
    """Why a gradient has another shape than its array; ``batch`` holds the leading axes of the input."""
    text = f"{name}: the gradient has shape {got}, expected {expected}"
    if len(expected) > 1 and got == expected[::-1]:
        return f"{text}: it is the transpose"
    if got == (*batch, *expected):
        return f"{text}: no sum over the batch"
    if got == (1, *expected):
        return f"{text}: the summed axis was kept (keepdims)"
    return text


def explain(evidence: Evidence) -> str:
    """The most specific explanation of a gradient that is wrong, as a clause about it.

    The order is the point: a gradient of zeros also has a constant factor (0), and the upstream gradient of
    ``y = -x`` also has a wrong sign.
    """
    if not np.any(evidence.analytic):
        return "is all zeros: it was not computed, or backward lost it"
    return (
        _confused(evidence)
        or _factor(evidence)
        or _place(evidence)
        or "no known mistake fits: compare the formulas"
    )


def _matches(candidate: Array, d: Differences) -> bool:
    """Is ``candidate`` (one value per checked entry) the numeric gradient? Kinks have no single slope."""
    scale = np.maximum(np.abs(candidate), np.abs(d.numeric)) + 1e-3 * np.abs(d.numeric).max(initial=0.0)
    close = np.abs(candidate - d.numeric) <= MATCH * scale + d.noise
    return bool(np.all(close | d.kink)) and bool(np.any(~d.kink))


def _confused(evidence: Evidence) -> str | None:
    """Another array in place of the gradient: the upstream gradient, the transpose, one row of the batch."""
    a, upstream, d = evidence.analytic, evidence.upstream, evidence.differences
    if upstream is not None and evidence.is_input and a.shape == upstream.shape:
        alone = _one_factor(a, upstream, d)
        if alone:
            return alone
    if a.ndim == 2 and a.shape[0] == a.shape[1] and _matches(a.T.reshape(-1)[d.entries], d):
        return "is the transpose of the right gradient"
    if upstream is not None and not evidence.is_input and a.ndim == 1 and a.shape == upstream.shape[-1:]:
        return _one_row(a, upstream.reshape(-1, a.size))
    return None


def _one_factor(a: Array, upstream: Array, d: Differences) -> str | None:
    """Of the product of upstream gradient and local derivative one factor alone."""
    if np.allclose(a, upstream):
        return "equals the upstream gradient: the local derivative is forgotten"
    if _matches((a * upstream).reshape(-1)[d.entries], d):
        return "is the local derivative alone: it has to be multiplied by the upstream gradient"
    return None


def _one_row(a: Array, rows: Array) -> str | None:
    same = np.flatnonzero(np.all(np.isclose(rows, a), axis=1))
    if same.size and len(rows) > 1:
        return f"equals row {same[0]} of the upstream gradient alone: no sum over the batch"
    return None


def _factor(evidence: Evidence) -> str | None:
    """The same wrong factor at every entry."""
    d = evidence.differences
    a, n = d.analytic[~d.kink], d.numeric[~d.kink]
    if not np.any(n) or not np.any(a):
        return None
    factor = float(a @ n / (n @ n))
    if factor == 0 or abs(factor - 1) < MATCH or not _matches(d.analytic / factor, d):
        return None
    clauses = list(_known_sizes(abs(factor), evidence))
    if not clauses and abs(factor + 1) > MATCH:
        clauses.append(f"is {abs(factor):.7g} times the right gradient, at every entry")
    if factor < 0:
        sign = "has the wrong sign"
        return f"{sign}, and {'; or '.join(clauses)}" if clauses else f"{sign}: it is -1 times the right gradient"
    return "; or ".join(clauses) or None


def _known_sizes(size: float, evidence: Evidence) -> Iterable[str]:
    """What a factor of this size stands for."""
    for symbol, count, meaning in _counts(evidence):
        if np.isclose(size * count, 1, rtol=1e-5):
            yield (
                f"is 1/{symbol} of the right gradient ({symbol} = {count}, {meaning}): a mean where a sum"
                f" belongs, or the 1/{symbol} applied twice"
            )
        elif np.isclose(size, count, rtol=1e-5):
            yield (
                f"is {symbol} times the right gradient ({symbol} = {count}, {meaning}): a sum where a mean"
                f" belongs, the 1/{symbol} is missing"
            )
    if np.isclose(size, 2, rtol=1e-5):
        twice = "" if evidence.is_input else ", or backward adds it to .grad twice"
        yield f"is twice the right gradient: a doubled factor of two, a lost ½{twice}"
    elif np.isclose(size, 0.5, rtol=1e-5):
        yield "is half the right gradient: a lost factor of two, as in the derivative of a square"


def _counts(evidence: Evidence) -> Iterable[tuple[str, int, str]]:
    """The numbers that a sum and a mean over the batch differ by."""
    shape = evidence.x.shape
    if len(shape) < 2 or evidence.x.size == 0:
        shape = (*shape, 1)
    rows = int(np.prod(shape[:-1]))
    counts = [("N", shape[0], "the batch size")]
    if rows != shape[0]:
        counts.append(("M", rows, "the number of rows, over all leading axes"))
    if evidence.upstream is None:
        counts.append(("C", shape[-1], "the number of columns"))
        counts.append(("NC", rows * shape[-1], "the number of all scores"))
    return [count for count in counts if count[1] > 1]


def _place(evidence: Evidence) -> str | None:
    """Right in one place and wrong in another."""
    d = evidence.differences
    wrong = d.failed
    if not np.all(d.kink[wrong]) and wrong.all():
        return None
    if evidence.is_input:
        region = _region(evidence.x.reshape(-1)[d.entries], wrong) or _label_column(evidence)
        if region:
            return region
    if np.all(d.kink[wrong]):
        return (
            "is wrong only at a kink or beside it, where the slope must lie between those on either side"
            " (if units of a network bend there together, as with an input of zeros, move the input a little)"
        )
    shape = evidence.analytic.shape
    places = np.array(np.unravel_index(d.entries, shape)).T
    if wrong.sum() == 1:
        where = ", ".join(map(str, places[wrong][0]))
        return f"is wrong in one entry of {wrong.size} only, [{where}]"
    for axis in range(len(shape)):
        indices = np.unique(places[wrong, axis])
        if indices.size == 1 and len(shape) > 1:
            return f"is wrong only at index {indices[0]} along axis {axis} (of {shape[axis]})"
    return f"is wrong in {wrong.sum()} of {wrong.size} entries, and right in the others"


def _region(x: Array, wrong: NDArray[np.bool_]) -> str | None:
    """Wrong only for some values of x: the mask or the branch of an elementwise function."""
    regions = {"x < 0": x < 0, "x > 0": x > 0, "x == 0": x == 0, "x <= 0": x <= 0, "x >= 0": x >= 0}
    for text, inside in regions.items():
        # A few entries inside may be right by chance, where the upstream is tiny or the input saturates.
        if not np.any(wrong & ~inside) and np.any(~inside) and wrong.sum() >= 0.8 * inside.sum():
            return f"is wrong only where {text}: the mask, or the branch of the formula for {text}"
    right_x, wrong_x = x[~wrong], x[wrong]
    if min(right_x.size, wrong_x.size) >= 3:
        if wrong_x.min() > right_x.max():
            bound = f"x > {right_x.max():.3g}"
        elif wrong_x.max() < right_x.min():
            bound = f"x < {right_x.min():.3g}"
        else:
            return None
        return f"is wrong only where {bound} (or a little beyond): the mask, or the branch of the formula there"
    return None


def _label_column(evidence: Evidence) -> str | None:
    """Wrong exactly at the column of each row's target: the one-hot part of a classification loss."""
    labels, shape, d = evidence.labels, evidence.x.shape, evidence.differences
    if labels is None or labels.dtype.kind not in "iu" or len(shape) != 2 or labels.shape != shape[:1]:
        return None
    rows, columns = np.unravel_index(d.entries, shape)
    if shape[1] > 1 and np.array_equal(d.failed, labels[rows] == columns):
        return "is wrong only at each row's target: the one-hot part, the -1 at the right class"
    return None
