"""The ways in which a candidate may be meant, the most plausible first."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mlp.grading import names
from mlp.grading.adapt.context import Context
from mlp.grading.adapt.functions import FunctionLayer
from mlp.grading.adapt.layers import ClassLayer
from mlp.grading.adapt.losses import Loss
from mlp.grading.adapt.networks import NetworkSubject
from mlp.grading.adapt.optimizers import Optimizer, ways_of
from mlp.grading.adapt.remote import Handle, Remote
from mlp.grading.adapt.updates import FunctionUpdate, LayerUpdate
from mlp.grading.adapt.whole import Whole
from mlp.grading.candidates import Candidate
from mlp.grading.hypotheses import COMPONENTS
from mlp.grading.hypotheses.whole_mistakes import WHOLE
from mlp.grading.judge import Judgement

Attempt = Callable[[Remote, Handle], Any]
AT_INPUT = (
    r"^(self\.)?(z|Z|net|zs|pre|inputs?|weighted)\w*(\[.*)?$"  # what is called so has not passed the activation
)
CHAINED = ("backward", "bprop", "backprop", "backward_pass")  # names of what is given the upstream gradient
FIRST_PROBABILITIES = r"y_?pred\w*|prob\w*|p|y_?hat|yp|q|predictions?"


def attempts(candidate: Candidate, context: Context) -> list[Attempt]:
    """What to try, by the component and the form of the candidate."""
    assert candidate.component
    component = COMPONENTS[candidate.component]

    def adapt(kind: Callable[..., Any], **options: Any) -> Attempt:
        return lambda remote, module: kind(remote, module, candidate, component, context, **options)

    if candidate.component in names.LOSSES:
        return losses(candidate, context)
    if candidate.form in ("functions", "flag"):
        return [adapt(FunctionLayer, mode=mode) for mode in derivative_at(candidate)]
    if candidate.component == "Network":
        whole = [whole_network(candidate, context)]
        return whole if candidate.form == "model" else [adapt(NetworkSubject), *whole]
    if candidate.form == "update":
        return [adapt(LayerUpdate)]
    if candidate.component == "SGD":
        whole = [adapt(Optimizer, way=way) for way in ways_of(candidate)]
        return [adapt(FunctionUpdate), *whole] if candidate.form == "function" else whole
    return [adapt(ClassLayer, mode=mode) for mode in modes(candidate)]


def whole_network(candidate: Candidate, context: Context) -> Attempt:
    """A network that is no chain of layers but one piece."""
    return lambda remote, module: Whole(remote, module, candidate, WHOLE, context)


def derivative_at(candidate: Candidate) -> list[str]:
    """Whether a derivative is a function of the input or of the output, by how the submission calls it."""
    calls = re.findall(rf"(?<!def )\b{candidate.partner}\(([^()]*)", candidate.source.text)
    alone = len(candidate.methods.get("backward", ())) == 1
    known = alone and calls and all(re.search(AT_INPUT, c) for c in calls)
    return ["at input"] if known else ["at input", "at output"]


def losses(candidate: Candidate, context: Context) -> list[Attempt]:
    """Of scores or of probabilities, with one-hot targets or labels."""
    kinds = [str(candidate.component)]
    if candidate.component == "CrossEntropy" and not names.matches(
        r"\w*(softmax|logits|scores)\w*", candidate.name
    ):
        kinds.append("CrossEntropy of probabilities")
    order = candidate.methods.get("forward", candidate.methods.get("__call__", []))
    if any(names.matches(FIRST_PROBABILITIES, p.name) for p in order[:2]):
        kinds.reverse()
    forms = (False,) if candidate.component == "MSE" else (False, True)
    return [loss(candidate, context, kind, labels) for kind in kinds for labels in forms]


def loss(candidate: Candidate, context: Context, kind: str, labels: bool) -> Attempt:
    """One of them."""
    return lambda remote, module: Loss(
        remote, module, candidate, COMPONENTS[kind], context, labels=labels, columns=context.columns
    )


def modes(candidate: Candidate) -> list[str]:
    """What backward of an activation gives: the chain rule's product, or the local derivative."""
    backward = names.method_of(names.BACKWARD, candidate.methods)
    if candidate.component in names.ACTIVATIONS and backward:
        if not candidate.methods[backward]:
            return ["local"]
        if backward not in CHAINED and len([p for p in candidate.methods[backward] if p.required]) == 1:
            return ["local", "local of output", "upstream"]
    return ["upstream"]


def better(new: Judgement, old: Judgement) -> bool:
    """A failure with a name tells more than one without, and any failure more than an error."""

    def rank(j: Judgement) -> int:
        return {"failed": 2, "error": 1}.get(j.outcome, 0) + 4 * (j.explanation is not None)

    return rank(new) > rank(old)
