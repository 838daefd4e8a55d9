"""What is right only beside other parts of a submission, and what is wrong only because another part is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mlp.grading.candidates import Definitions
from mlp.grading.conventions import USUAL, Graded, take_if_better
from mlp.grading.judge import Judgement

FUSED = "gradient-of-softmax-too"
FUSED_WRONGLY = (f"{FUSED}-negated", f"{FUSED}-lacks-1/N", "gradient-target-missing")
MEAN = "gradients-over-n"
PARTLY_MEAN = ("weight-gradient-over-n", "bias-gradient-over-n", "all-gradients-over-n")


def agree(graded: Sequence[Graded], definitions: Definitions) -> None:
    """What is right only together, and what is wrong only because something else is."""
    agree_on_mean(graded)
    agree_on_softmax(graded, definitions)
    leave_consequences(graded, definitions)


def leave_consequences(graded: Sequence[Graded], definitions: Definitions) -> None:
    """A network in one piece that calls parts which are wrong themselves is not blamed for them."""
    wrong = [g for g in graded if g.judgement.outcome == "failed" and g.component not in ("Network", "SGD")]
    blamed = ", ".join(dict.fromkeys(g.component for g in wrong))
    for g in graded:
        whole = g.component == "Network" and "built" not in g.convention
        if wrong and whole and g.judgement.outcome == "failed" and calls_others(g, definitions):
            g.judgement = Judgement("error", text=f"it is built of parts that are wrong themselves: {blamed}")


def calls_others(g: Graded, definitions: Definitions) -> bool:
    """Does it call functions or classes of the submission that are not its own methods?"""
    candidate = g.candidate
    text = candidate.source.text if candidate.form == "model" else candidate.text
    others = (definitions.functions | definitions.classes.keys()) - {candidate.name, *candidate.methods}
    return any(re.search(rf"\b(?<!\.){name}\(", text) for name in others)


def agree_on_softmax(graded: Sequence[Graded], definitions: Definitions) -> None:
    """A loss of probabilities may have the gradient p - t, if no layer adds the softmax's derivative."""
    layers = [g for g in graded if g.component == "Softmax"]
    applied = bool(layers) or "softmax" in map(str.lower, definitions.functions)
    if not applied or adds_derivative(layers):
        return
    fused = [g for g in graded if is_probabilistic(g) and is_fused(g)]
    for g in fused:
        g.convention["gradient"] = "of the scores: the softmax's derivative is in the loss's"
    for g in filter(hands_through, layers if fused else ()):
        g.judgement = Judgement("passed", variant=g.judgement.variant)


def is_fused(g: Graded) -> bool:
    """Is the gradient that of the scores, right or wrong?"""
    j = g.judgement
    return (j.if_right is not None and take_if_better(g, j.if_right(FUSED))) or mistake_of(g) in FUSED_WRONGLY


def hands_through(g: Graded) -> bool:
    """Is this a softmax whose backward returns the upstream gradient as it came?"""
    return mistake_of(g) == "upstream-only"


def adds_derivative(layers: Sequence[Graded]) -> bool:
    """Has one of the softmax layers a derivative of its own?"""
    return any(g.judgement.side != "forward" and not hands_through(g) for g in layers)


def is_probabilistic(g: Graded) -> bool:
    """A loss of probabilities whose gradient is wrong for these."""
    return g.component == "CrossEntropy of probabilities" and g.judgement.side == "backward"


def mistake_of(g: Graded) -> str:
    """The mistake's id, if it has a name."""
    return g.judgement.explanation.id if g.judgement.explanation else ""


def agree_on_mean(graded: Sequence[Graded]) -> None:
    """Linear may divide by the batch size if the losses leave it to Linear, and only then."""
    losses = [g for g in graded if leaves_mean_to_others(g)]
    needed = any(is_mean_with_gradient_of_sum(g) or g.candidate.form == "model" for g in graded)
    dividing = [g for g in graded if may_divide(g, needed, bool(losses)) and judged_as_divided(g)]
    for g in dividing:
        g.convention["1/N"] = "inside the layer; the losses leave it out"
    for g in losses if dividing else ():
        leave_mean(g)


def may_divide(g: Graded, needed: bool, possible: bool) -> bool:
    """A Linear whose gradients are wrong; if division is not needed but possible, one that divides them all."""
    wrong = g.component == "Linear" and g.judgement.side == "backward"
    return wrong and (needed or (possible and mistake_of(g) == MEAN))


def leave_mean(g: Graded) -> None:
    """Then the loss need not divide."""
    g.convention["1/N"] = "left to the layer"
    if mistake_of(g) == "gradient-lacks-1/N":
        g.judgement = Judgement("passed", variant=g.judgement.variant)


def judged_as_divided(g: Graded) -> bool:
    """Take the division back and judge again."""
    if g.judgement.if_scaled is None:
        return False
    undone = {output: lambda n, k: float(n) for output in ("dW", "db")}
    return take_if_better(g, g.judgement.if_scaled(undone), PARTLY_MEAN)


def leaves_mean_to_others(g: Graded) -> bool:
    """Is this a loss whose gradient is that of a sum?"""
    j = g.judgement
    summed = j.side != "forward" and j.variant.rpartition(", ")[2] in ("1", "1/2", "1/K", "1/(2K)")
    return g.component in USUAL and (summed or is_mean_with_gradient_of_sum(g))


def is_mean_with_gradient_of_sum(g: Graded) -> bool:
    """Then somebody else must divide by the batch size."""
    vector = "over N," in g.convention.get("value", "")
    vector = vector and (g.judgement.side == "forward" or g.convention.get("gradient") == "of the vector's sum")
    return g.component in USUAL and (vector or mistake_of(g) == "gradient-lacks-1/N")
