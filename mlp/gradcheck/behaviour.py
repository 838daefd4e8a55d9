"""Mistakes that one forward and one backward cannot show: changed arguments, overwritten results, stale caches."""

from collections.abc import Callable

import numpy as np

from mlp.arrays import Array
from mlp.gradcheck.calls import owned, same
from mlp.gradcheck.history import find_dependence_on_history
from mlp.gradcheck.subject import Subject


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
    mistakes, conventions = find_dependence_on_history(make, x, upstream, other)
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
