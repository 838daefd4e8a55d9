"""What is a convention and no mistake: seen only when the parts of a submission are looked at together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mlp.grading.candidates import Candidate, Definitions
from mlp.grading.explain import Explanation
from mlp.grading.hypotheses.component import Case
from mlp.grading.hypotheses.losses import RATIOS, REDUCTIONS
from mlp.grading.judge import Judgement

# The usual reductions; a gradient that belongs to one of them is right, and then the value is at fault.
USUAL = {
    "MSE": ("1/(2N)", "1/(NK)", "1/N", "1/(2NK)"), "CrossEntropy": ("1/N",), "Hinge": ("1/N",),
    "CrossEntropy of probabilities": ("1/N",),
}  # fmt: skip
SIZES = ((5, 3), (7, 10), (4, 4))
FUSED = "gradient-of-softmax-too"
MEAN = "gradients-over-n"
PARTLY_MEAN = (MEAN, "weight-gradient-over-n", "bias-gradient-over-n", "all-gradients-over-n")


@dataclass
class Graded:
    """A candidate with what was found out about it."""

    candidate: Candidate
    judgement: Judgement
    component: str
    convention: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def excuse(subject: Any, judgement: Judgement) -> Judgement:
    """A loss whose value is a vector, or decay of the weights alone, judged by its own convention."""
    found = judgement.explanation
    if judgement.outcome == "passed" or found is None:
        return judgement
    component = subject.component.name
    if component == "SGD" and found.id == "decay-on-weights-only" and subject.candidate.form != "update":
        subject.convention["weight decay"] = "on the weights, not on the biases"
        return Judgement("passed", variant=judgement.variant)
    if component not in USUAL or judgement.side != "backward":
        return judgement
    vector = getattr(subject, "vector", "")
    if vector and found.id == f"gradient-lacks-1/{vector}":
        subject.convention["gradient"] = "of the vector's sum"
        return Judgement("passed", variant=judgement.variant)
    return blame(subject, judgement, found)


def blame(subject: Any, judgement: Judgement, found: Explanation) -> Judgement:
    """If the gradient belongs to a usual reduction and the value to none, the value is at fault."""
    component = subject.component.name
    case: Case | None = judgement.case
    law = next((law for id, _, law in RATIOS if id == found.id), None)
    if law is None or case is None:
        return judgement
    own = case.v.factor
    euclidean = "euclid" in subject.candidate.name.lower()
    usual = tuple(u for u in USUAL[component] if not (u == "1/N" and euclidean))
    if any(REDUCTIONS[u] is own for u in usual):
        return judgement
    if not any(all(abs(law(*s) * own(*s) - REDUCTIONS[u](*s)) < 1e-12 for s in SIZES) for u in usual):
        return judgement
    return replace(judgement, side="forward", explanation=exchanged(found))


def exchanged(found: Explanation) -> Explanation:
    """The same difference, said of the value: what the gradient has too much, the value lacks."""
    opposite = {"lacks": "extra", "extra": "lacks", "doubled": "halved", "halved": "doubled"}
    _, *words = found.id.split("-")
    id = "-".join(["value", *(opposite.get(w, w) for w in words)])
    factor = words[-1]
    names = {
        "value-lacks": f"the value lacks the factor {factor} that the gradient has",
        "value-extra": f"the value has a factor {factor} that the gradient does not have",
        "value-doubled": "the value is twice what its gradient belongs to",
        "value-halved": "the value is half of what its gradient belongs to",
    }  # fmt: skip
    name = (
        names.get(id) or names.get("-".join(id.split("-")[:2])) or "the value has another factor than the gradient"
    )
    return Explanation(id, name, found.look)


def agree(graded: Sequence[Graded], definitions: Definitions) -> None:
    """What is right only together, and what is wrong only because something else is."""
    agree_on_mean(graded)
    agree_on_softmax(graded, definitions)
    leave_consequences(graded, definitions)


def leave_consequences(graded: Sequence[Graded], definitions: Definitions) -> None:
    """A network in one piece that calls parts which are wrong themselves is not blamed for them."""
    wrong = [g for g in graded if g.judgement.outcome == "failed" and g.component not in ("Network", "SGD")]
    for g in graded:
        candidate = g.candidate
        whole = "parameters" in g.convention and g.component == "Network" and g.judgement.outcome == "failed"
        text = candidate.source.text if candidate.form == "model" else candidate.text
        own = set(candidate.methods)
        calls = (definitions.functions - own) | (definitions.classes.keys() - {candidate.name})
        if whole and wrong and any(re.search(rf"\b(?<!\.){name}\(", text) for name in calls):
            blamed = ", ".join(dict.fromkeys(w.component for w in wrong))
            g.judgement = Judgement("error", text=f"it is built of parts that are wrong themselves: {blamed}")


def agree_on_softmax(graded: Sequence[Graded], definitions: Definitions) -> None:
    """A loss of probabilities may have the gradient p - t, if no layer adds the softmax's derivative."""
    layers = [g for g in graded if g.component == "Softmax"]
    chained = [g for g in layers if g.judgement.side != "forward" and not hands_through(g)]
    losses = [g for g in graded if g.judgement.explanation and g.judgement.explanation.id == FUSED]
    applied = any(f.lower() == "softmax" for f in definitions.functions)
    if not losses or chained or not (layers or applied):
        return
    for g in [*losses, *(g for g in layers if hands_through(g))]:
        g.judgement = Judgement("passed", variant=g.judgement.variant)
        g.convention["gradient"] = "of the scores: the softmax's derivative is in the loss's"


def hands_through(g: Graded) -> bool:
    """Is this a softmax whose backward returns the upstream gradient as it came?"""
    return g.judgement.explanation is not None and g.judgement.explanation.id == "upstream-only"


def agree_on_mean(graded: Sequence[Graded]) -> None:
    """Linear may divide by the batch size if the losses leave it to Linear, and only then."""
    layers = [g for g in graded if g.judgement.explanation and g.judgement.explanation.id in PARTLY_MEAN]
    losses = [g for g in graded if leaves_mean_to_others(g)]
    whole = [g for g in graded if g.candidate.form == "model" and g.judgement.outcome == "passed"]
    if not layers or not (losses or whole):
        return
    needed = bool(whole) or any(is_mean_with_gradient_of_sum(g) for g in losses)
    for g in layers:
        if g.judgement.if_right and (needed or (g.judgement.explanation and g.judgement.explanation.id == MEAN)):
            g.judgement = g.judgement.if_right(MEAN)
            g.convention["1/N"] = "inside the layer; the losses leave it out"
    for g in losses:
        if g.judgement.explanation and g.judgement.explanation.id == "gradient-lacks-1/N":
            g.judgement = Judgement("passed", variant=g.judgement.variant)
        g.convention["1/N"] = "left to the layer"


def leaves_mean_to_others(g: Graded) -> bool:
    """Is this a loss whose gradient is that of a sum?"""
    j = g.judgement
    summed = j.side != "forward" and j.variant.rpartition(", ")[2] in ("1", "1/2", "1/K", "1/(2K)")
    return g.component in USUAL and (summed or is_mean_with_gradient_of_sum(g))


def is_mean_with_gradient_of_sum(g: Graded) -> bool:
    """Then somebody else must divide by the batch size."""
    found = g.judgement.explanation
    vector = g.convention.get("gradient") == "of the vector's sum" or "over N" in g.convention.get("value", "")
    return g.component in USUAL and (vector or (found is not None and found.id == "gradient-lacks-1/N"))
