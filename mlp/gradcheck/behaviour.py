"""Mistakes that one forward and one backward cannot show: changed arguments, stale caches, accumulation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.gradcheck.subject import Subject


@dataclass
class Pass:
    """What one forward and backward produced, all of it copied; None where there was no gradient."""

    output: Array
    input_gradient: Array | None
    gradients: dict[str, Array | None]


def owned(value: Any) -> Array:
    """A float64 copy that no later call can change."""
    return np.array(value, dtype=np.float64)


def run(subject: Subject, x: Array, upstream: Array) -> Pass:
    """One forward and backward on copies of the arguments, adding to whatever gradients there are."""
    output = owned(subject.forward(x.copy()))
    returned = subject.backward(upstream.copy())
    gradients = {
        name: None if parameter.grad is None else owned(parameter.grad)
        for name, parameter in subject.parameters.items()
    }
    return Pass(output, None if returned is None else owned(returned), gradients)


def same(a: Array | None, b: Array | None) -> bool:
    """Equal up to rounding: a BLAS may add in another order when an array lies elsewhere in memory."""
    if a is None or b is None:
        return a is b
    scale = max(np.abs(a).max(initial=0.0), np.abs(b).max(initial=0.0))
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= 1e-9 * scale))


def times(factor: float, a: Array | None) -> Array | None:
    """``factor * a``, and nothing of nothing."""
    return None if a is None else factor * a


def find_misbehaviour(
    make: Callable[[], Subject],
    x: Array,
    upstream: Array,
    other: Array,
    input_name: str,
) -> tuple[list[str], list[str]]:
    """Run fresh copies through calls whose results are known, and name each rule that was broken; and conventions.

    ``other`` is a second input of the same shape. The layer must already have given finite gradients.
    """
    found = _changed_arguments(make(), x, upstream, input_name)
    subject = make()
    if not same(owned(subject.forward(x.copy())), owned(subject.forward(x.copy()))):
        found.append(
            "forward is not deterministic: two calls on the same input differ, and nothing can be measured"
            " (switch dropout and noise off, or fix their mask)"
        )
        return found, []
    found += _overwritten_results(make(), x, upstream, other)
    mistakes, conventions = _history(make, x, upstream, other)
    return found + mistakes, conventions


def _changed_arguments(subject: Subject, x: Array, upstream: Array, name: str) -> list[str]:
    found = []
    given_x, given_upstream = x.copy(), upstream.copy()
    output = subject.forward(given_x)
    if not np.array_equal(given_x, x):
        found.append(f"forward changes its argument {name} in place: it belongs to the caller")
    x_before, output_before = given_x.copy(), owned(output)
    subject.backward(given_upstream)
    if not np.array_equal(given_x, x_before):
        found.append(f"backward changes {name}, the argument of forward, in place: it belongs to the caller")
    elif not np.array_equal(owned(output), output_before):
        found.append("backward overwrites the output that forward returned: the next layer still needs it")
    if not np.array_equal(given_upstream, upstream):
        found.append("backward changes its argument, the upstream gradient, in place: it belongs to the caller")
    if subject.targets is not None and not np.array_equal(*subject.targets):
        found.append("the targets are changed in place: they belong to the caller")
    return found


def _overwritten_results(subject: Subject, x: Array, upstream: Array, other: Array) -> list[str]:
    found = []
    first = subject.forward(x.copy())
    gradient = subject.backward(upstream.copy())
    first_before, gradient_before = owned(first), None if gradient is None else owned(gradient)
    subject.forward(other.copy())
    if not np.array_equal(owned(first), first_before):
        found.append("a later forward overwrites the output array that an earlier forward returned")
    subject.backward(-upstream)
    if gradient_before is not None and not np.array_equal(owned(gradient), gradient_before):
        found.append("a later backward overwrites the gradient array that an earlier backward returned")
    return found


def _history(make: Callable[[], Subject], x: Array, upstream: Array, other: Array) -> tuple[list[str], list[str]]:
    """Gradients add up until they are cleared, and otherwise no call knows of the calls before it."""
    found: list[str] = []
    conventions: list[str] = []
    subject = make()
    subject.clear()
    first = run(subject, x, upstream)
    second = run(subject, x, upstream)  # nothing cleared: parameter gradients must double
    subject.clear()
    third = run(subject, x, upstream)  # cleared: as at first

    grows = not same(second.input_gradient, first.input_gradient)
    if grows and same(second.input_gradient, times(2, first.input_gradient)):
        found.append("the input gradient accumulates over calls: only parameter gradients may, return a fresh one")
    overwrites, adds, wrong_sum, not_cleared = [], [], [], []
    for name, once in first.gradients.items():
        twice, again = second.gradients[name], third.gradients[name]
        if same(twice, times(2, once)):
            adds.append(name)
            if not same(again, once):
                not_cleared.append(name)
        elif same(twice, once):
            overwrites.append(name)
        else:
            wrong_sum.append(name)
    adds = [name for name in adds if name not in overwrites and np.any(first.gradients[name])]
    if overwrites and subject.may_replace and adds:
        found.append(
            f"a second backward replaces the gradient of {', '.join(overwrites)} and adds to that of"
            f" {', '.join(adds)}: all must do the same"
        )
    elif overwrites and subject.may_replace:
        conventions.append(
            f"{', '.join(overwrites)}: a second backward replaces the gradient instead of adding to it"
        )
    elif overwrites:
        found.append(
            f"{', '.join(overwrites)}: a second backward overwrites .grad instead of adding to it"
            " (gradients accumulate until zero_grad)"
        )
    if wrong_sum:
        found.append(
            f"{', '.join(wrong_sum)}: after a second backward without clearing, .grad is not twice the first:"
            " gradients must accumulate by adding"
        )
    if not_cleared:
        found.append(f"{', '.join(not_cleared)}: zero_grad does not clear the gradient of the calls before it")

    subject = make()
    run(subject, other, -upstream)
    subject.clear()
    late = run(subject, x, upstream)
    stale = [] if same(late.output, first.output) else ["the output"]
    if not grows and not same(late.input_gradient, first.input_gradient):
        stale.append("the input gradient")
    unsure = {*wrong_sum, *not_cleared}
    stale += [n for n, g in first.gradients.items() if n not in unsure and not same(late.gradients[n], g)]
    if stale:
        found.append(
            f"stale cache: right in the first call only, {', '.join(stale)} changes if the layer has seen"
            " another input before (something cached from an earlier call is used again)"
        )
    return found, conventions
