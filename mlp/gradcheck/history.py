"""Gradients add up until they are cleared, and otherwise no call knows of the calls before it. Does it hold?"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mlp.arrays import Array
from mlp.gradcheck.calls import Pass, run, same, times
from mlp.gradcheck.subject import Subject


@dataclass
class Sums:
    """What became of each parameter's gradient in a second backward, by the names of the parameters."""

    replaced: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    neither: list[str] = field(default_factory=list)
    not_cleared: list[str] = field(default_factory=list)


def find_dependence_on_history(
    make: Callable[[], Subject], x: Array, upstream: Array, other: Array
) -> tuple[list[str], list[str]]:
    """The mistakes that repeated calls show, and the conventions; ``other`` is another input."""
    subject = make()
    subject.clear()
    first = run(subject, x, upstream)
    second = run(subject, x, upstream)  # nothing cleared: parameter gradients must double
    subject.clear()
    third = run(subject, x, upstream)  # cleared: as at first

    mistakes = []
    grows = not same(second.input_gradient, first.input_gradient)
    if grows and same(second.input_gradient, times(2, first.input_gradient)):
        mistakes.append(
            "the input gradient accumulates over calls: only parameter gradients may, return a fresh one"
        )
    sums = _sums(first, second, third)
    found, conventions = _judge(sums, subject.may_replace)
    subject = make()
    run(subject, other, -upstream)
    subject.clear()
    stale = _stale(first, run(subject, x, upstream), grows, {*sums.neither, *sums.not_cleared})
    return mistakes + found + stale, conventions


def _sums(first: Pass, second: Pass, third: Pass) -> Sums:
    """Twice the first gradient was added to; the same was replaced; after clearing it must be as at first."""
    sums = Sums()
    for name, once in first.gradients.items():
        twice, again = second.gradients[name], third.gradients[name]
        if same(twice, times(2, once)):
            if once is not None and np.any(once):  # a gradient of zeros tells nothing
                sums.added.append(name)
            if not same(again, once):
                sums.not_cleared.append(name)
        elif same(twice, once):
            sums.replaced.append(name)
        else:
            sums.neither.append(name)
    return sums


def _judge(sums: Sums, may_replace: bool) -> tuple[list[str], list[str]]:
    """Mistakes and conventions."""
    mistakes, conventions = [], []
    replaced = ", ".join(sums.replaced)
    if replaced and not may_replace:
        mistakes.append(
            f"{replaced}: a second backward overwrites .grad instead of adding to it"
            " (gradients accumulate until zero_grad)"
        )
    elif replaced and sums.added:
        mistakes.append(
            f"a second backward replaces the gradient of {replaced} and adds to that of"
            f" {', '.join(sums.added)}: all must do the same"
        )
    elif replaced:
        conventions.append(f"{replaced}: a second backward replaces the gradient instead of adding to it")
    if sums.neither:
        mistakes.append(
            f"{', '.join(sums.neither)}: after a second backward without clearing, .grad is not twice the first:"
            " gradients must accumulate by adding"
        )
    if sums.not_cleared:
        mistakes.append(
            f"{', '.join(sums.not_cleared)}: zero_grad does not clear the gradient of the calls before it"
        )
    return mistakes, conventions


def _stale(first: Pass, late: Pass, input_gradient_grows: bool, unsure: set[str]) -> list[str]:
    """What a pass over another input has changed in the next one."""
    stale = [] if same(late.output, first.output) else ["the output"]
    if not input_gradient_grows and not same(late.input_gradient, first.input_gradient):
        stale.append("the input gradient")
    stale += [n for n, g in first.gradients.items() if n not in unsure and not same(late.gradients[n], g)]
    if not stale:
        return []
    return [
        f"stale cache: right in the first call only, {', '.join(stale)} changes if the layer has seen"
        " another input before (something cached from an earlier call is used again)"
    ]
