"""Two to five lines for the student: what is wrong, where, by how much, why probably, and what to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from mlp.grading.judge import Judgement

Hints = Literal["none", "where", "what", "how"]
LEVELS: tuple[Hints, ...] = ("none", "where", "what", "how")
ARRAYS = {
    "y": "the output of forward", "value": "the value of forward", "dx": "the gradient with respect to the input",
    "dW": "the gradient of the weight", "db": "the gradient of the bias", "dgamma": "the gradient of the scale γ",
    "dbeta": "the gradient of the shift β", "dW1": "the gradient of the first weight",
    "db1": "the gradient of the first bias", "dW2": "the gradient of the second weight",
    "db2": "the gradient of the second bias",
    "running": "the running statistics", "evaluated": "the output of evaluation",
    "received": "the gradients that the layers receive", "updates": "how often the layers are updated",
    "W1": "the weight after the steps", "b1": "the bias after the steps",
    "W2": "the weight of the second layer after the steps", "b2": "the bias of the second layer after the steps",
}  # fmt: skip
SIDES = {
    "forward": "The forward pass is wrong; the backward pass was not judged.",
    "backward": "The forward pass is right, the backward pass is wrong.",
    "update": "The update is wrong.",
    "state": "A first call is right; a later call, or one of several objects, is wrong.",
}


def message(component: str, j: Judgement, hints: Hints, remarks: Sequence[str] = ()) -> str:
    """The text of a verdict."""
    level = LEVELS.index(hints)
    lines = [headline(component, j)]
    if j.outcome == "passed":
        return "\n".join([*lines, *(f"Remark: {r}." for r in remarks[:2])] if level else lines)
    if level >= 1:
        lines += where(j)
    if level >= 2:
        lines += what(j)
    if level >= 3 and j.explanation:
        lines.append(f"What to look at: {j.explanation.look}")
    return "\n".join(lines[:5])


def where(j: Judgement) -> list[str]:
    """Which side and which array, or what was raised."""
    lines = []
    if j.side and j.outcome == "failed":
        lines.append(SIDES[j.side] + (f" Look at {ARRAYS.get(j.worst[0], j.worst[0])}." if j.worst else ""))
    if j.text:
        lines.append(j.text[0].upper() + j.text[1:] + ("" if j.text.endswith(".") else "."))
    return lines


def what(j: Judgement) -> list[str]:
    """The worst entry and the mistake."""
    lines = []
    if j.worst:
        output, index, got, expected = j.worst
        array = ARRAYS.get(output, output)
        place = f"[{', '.join(map(str, index))}]" if index else ""
        lines.append(f"{array[0].upper()}{array[1:]}{place} is {number(got)}, expected {number(expected)}.")
    if j.explanation:
        lines.append(f"The mistake: {j.explanation.name}.")
    elif j.outcome == "failed":
        lines.append("No known mistake gives these numbers.")
    return lines


def headline(component: str, j: Judgement) -> str:
    """One line."""
    words = {
        "passed": "passed", "failed": "failed", "missing": "not found", "unfinished": "not finished yet",
        "error": "could not be graded",
    }  # fmt: skip
    return f"{component}: {words[j.outcome]}."


def number(value: float) -> str:
    """Short, but never so short that two different numbers look alike."""
    return f"{value:.6g}" if np.isfinite(value) else str(value)
