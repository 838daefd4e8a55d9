"""What the four checks share: run the subject once, compare every gradient, and ask what the differences say."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_rng
from mlp.gradcheck.behaviour import find_misbehaviour
from mlp.gradcheck.calls import Pass, owned, run
from mlp.gradcheck.checker import Checker
from mlp.gradcheck.result import Comparison, GradcheckResult
from mlp.gradcheck.students_code import StudentError
from mlp.gradcheck.subject import Subject

Rng = int | np.random.Generator

UNSEEN = (
    "{name}: forward uses this array, but it has no gradient to compare, so it is unchecked (call its gradient"
    " grad_{name} or d{name}, or list it in parameters(); if nobody learns it, pass constants=[{name!r}])"
)


def as_float64(values: Any, name: str, keep_integers: bool = False) -> Array:
    """A float64 copy of an argument, whatever its dtype and strides."""
    try:
        array = np.asarray(values)
    except ValueError:  # rows of unequal length
        raise InputError(f"{name} must be one rectangular array of numbers") from None
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
    if keep_integers and array.dtype.kind in "iu":
        return array.copy()
    array = np.array(array, dtype=np.float64)
    if not np.all(np.isfinite(array)):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f"{name} must be finite, got {array[where]} at index {where}")
    return array


def examine(
    title: str,
    make: Callable[[], Subject],
    x: Array,
    *,
    rng: Rng,
    rtol: float,
    max_entries: int,
    behaviour: bool,
    input_gradient: bool = True,
    input_name: str = "x",
) -> GradcheckResult:
    """What the four checks share: ``make`` gives a fresh float64 copy of the subject at every call."""
    if not 0 < rtol < 1:
        raise InputError(f"rtol must lie between 0 and 1, got {rtol}")
    if max_entries < 1:
        raise InputError(f"max_entries must be at least 1, got {max_entries}")
    generator = check_rng(rng)
    comparisons: list[Comparison] = []
    mistakes: list[str] = []
    conventions: list[str] = []
    try:
        subject = make()
        output = owned(subject.forward(x.copy()))
        if not np.all(np.isfinite(output)):
            mistake = f"forward gives values that are not finite at {int(np.sum(~np.isfinite(output)))} outputs"
            return GradcheckResult(title, (), (mistake,))
        # Neither tiny (an error there would not show) nor all of one sign or size.
        upstream = generator.uniform(0.5, 1.5, output.shape) * generator.choice([-1.0, 1.0], output.shape)
        if subject.scalar:
            upstream = np.ones(output.shape)
        subject = make()
        once = run(subject, x, upstream)
        checker = Checker(subject, x, upstream, generator, rtol, max_entries, comparisons, input_gradient)
        if input_gradient:
            checker.check(input_name, x, once.input_gradient, is_input=True)
        for name, parameter in subject.parameters.items():
            checker.check(name, parameter.data, once.gradients[name])
        mistakes += checker.sentences()
        mistakes += [UNSEEN.format(name=name) for name in subject.unseen]
        if behaviour and _all_finite(once):
            other = generator.permutation(x.reshape(-1)).reshape(x.shape)
            other = other if x.dtype.kind in "iu" else 0.9 * other  # the same values: surely in the domain
            found, conventions = find_misbehaviour(make, x, upstream, other, input_name)
            mistakes += found
    except StudentError as error:
        mistakes.append(str(error))
    return GradcheckResult(title, tuple(comparisons), tuple(mistakes), tuple(conventions))


def _all_finite(once: Pass) -> bool:
    arrays = (once.input_gradient, *once.gradients.values())
    return all(array is None or bool(np.all(np.isfinite(array))) for array in arrays)
