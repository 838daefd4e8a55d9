"""What is a convention and no mistake, in one component: a vector for a loss, a course's own rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mlp.grading import names
from mlp.grading.candidates import Candidate
from mlp.grading.explain import Explanation
from mlp.grading.hypotheses.losses import RATIOS, REDUCTIONS, Factor
from mlp.grading.judge import Judgement

# The usual reductions; a gradient that belongs to one of them is right, and then the value is at fault.
USUAL = {
    "MSE": ("1/(2N)", "1/(NK)", "1/N", "1/(2NK)"), "CrossEntropy": ("1/N",), "Hinge": ("1/N",),
    "CrossEntropy of probabilities": ("1/N",),
}  # fmt: skip
SIZES = ((5, 3), (7, 10), (4, 4))


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
    component = subject.component.name
    found = judgement.explanation
    if judgement.outcome == "passed":
        return judgement
    if component == "SGD" and found and found.id in own_rules(subject):
        subject.convention["rule"] = found.name
        return Judgement("passed", variant=judgement.variant)
    if component not in USUAL or judgement.side != "backward":
        return judgement
    if vector := getattr(subject, "vector", ""):
        judgement = of_sum(subject, judgement, vector)
    return blame(subject, judgement, judgement.explanation) if judgement.explanation else judgement


def own_rules(subject: Any) -> tuple[str, ...]:
    """What some courses teach as the rule: no decay of biases, and with β an average for the velocity."""
    beta = any(names.matches(r"beta_?1?", p.name) for m in subject.candidate.methods.values() for p in m)
    averaged = ("velocity-averaged",) if beta else ()
    return averaged if subject.candidate.form == "update" else ("decay-on-weights-only", *averaged)


def of_sum(subject: Any, judgement: Judgement, vector: str) -> Judgement:
    """The gradient of a vector's sum instead of that of its mean, if that explains more."""
    law = next((law for id, _, law in RATIOS if id == f"gradient-lacks-1/{vector}"), None)
    if law is None or judgement.if_scaled is None:
        return judgement
    graded = Graded(subject.candidate, judgement, subject.component.name)
    also = [id for id, _, _ in RATIOS if id.endswith(f"lacks-1/{vector}")]
    if take_if_better(graded, judgement.if_scaled({"dx": lambda n, k: 1 / law(n, k)}), also):
        subject.convention["gradient"] = "of the vector's sum"
    return graded.judgement


def blame(subject: Any, judgement: Judgement, found: Explanation) -> Judgement:
    """If the gradient belongs to a usual reduction and the value to none, the value is at fault."""
    law = next((law for id, _, law in RATIOS if id == found.id), None)
    if law is None or judgement.case is None:
        return judgement
    own = judgement.case.v.factor
    euclidean = "euclid" in subject.candidate.name.lower()
    usual = [REDUCTIONS[u] for u in USUAL[subject.component.name] if not (u == "1/N" and euclidean)]
    if own not in usual and any(same(lambda n, k: law(n, k) * own(n, k), u) for u in usual):
        return replace(judgement, side="forward", explanation=exchanged(found))
    return judgement


def same(one: Factor, other: Factor) -> bool:
    """For all sizes."""
    return np.allclose([one(*s) for s in SIZES], [other(*s) for s in SIZES], rtol=1e-12)


def exchanged(found: Explanation) -> Explanation:
    """The same difference, said of the value: what the gradient has too much, the value lacks."""
    opposite = {"lacks": "extra", "extra": "lacks", "doubled": "halved", "halved": "doubled"}
    _, *words = found.id.split("-")
    id = "-".join(["value", *(opposite.get(w, w) for w in words)])
    name = {
        "value-lacks": f"the value lacks the factor {words[-1]} that the gradient has",
        "value-extra": f"the value has a factor {words[-1]} that the gradient does not have",
        "value-doubled": "the value is twice what its gradient belongs to",
        "value-halved": "the value is half of what its gradient belongs to",
    }.get("-".join(id.split("-")[:2]), "the value has another factor than the gradient")  # fmt: skip
    return Explanation(id, name, found.look)


def take_if_better(g: Graded, new: Judgement, also: Sequence[str] = ()) -> bool:
    """The judgement under another convention, if then it passes, or has a name and had no plain one before."""
    old = g.judgement.explanation
    unnamed = old is None or old.id in also or any(mark in old.id for mark in ("factor-", " * ", " + "))
    named = new.explanation is not None and not new.explanation.id.startswith("factor-")
    if new.outcome == "passed" or (unnamed and named):
        g.judgement = new
        return True
    return False
