"""What is known about a submission as a whole, and what its arguments and results are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlp.grading import names
from mlp.grading.adapt.remote import Handle, Path, Remote
from mlp.grading.candidates import Candidate, Parameter
from mlp.grading.hypotheses.component import Case, Component, copy
from mlp.grading.judge import Failing
from mlp.grading.process import StudentError


@dataclass
class Context:
    """What is known about a submission as a whole."""

    clears: bool = False  # some code sets gradients back to zero
    columns: bool = False  # examples are columns: (features, N)
    gradients_transposed: bool = False  # gradients are (features, N) although inputs are (N, features)
    arrays: dict[str, Any] = field(default_factory=dict)  # what its Linear calls things, for our own layers
    text: str = ""  # all its files
    classes: dict[str, str] = field(default_factory=dict)  # component -> the name of its class


@dataclass
class Adapted:
    """What all adapted components are made of."""

    remote: Remote
    module: Handle
    candidate: Candidate
    component: Component
    context: Context
    convention: dict[str, str] = field(default_factory=dict, kw_only=True)
    remarks: list[str] = field(default_factory=list, kw_only=True)
    manners: dict[str, str] = field(default_factory=dict, kw_only=True)

    def remark(self, text: str) -> None:
        """Once."""
        if text not in self.remarks:
            self.remarks.append(text)

    def guard(self, stage: str, call: Any, partial: Mapping[str, Any] | None = None) -> Any:
        """Turn what the submission raises into what the judge understands."""
        try:
            return call()
        except StudentError as error:
            raise Failing(stage, error, partial) from None


KEPT = {  # what a result is called that is kept instead of returned
    "y": r"outputs?|out|y|result|value|activated?",
    "dx": r"d_?inputs?|dx|d_?in|grad_?inputs?|inputs?_?grad\w*|input_gradient|delta",
    "value": r"loss|value|cost|outputs?|out",
}


def role(parameter: Parameter) -> str:
    """What an argument of backward is: "g", "x", "y", "rate"."""
    name = parameter.name
    if names.matches(names.RATE, name):
        return "rate"
    if names.matches(names.UPSTREAM, name):
        return "g"
    if names.matches(r"y|out|output|s|activated", name):
        return "y"
    return "x" if names.matches(names.INPUT, name) or names.matches(r"cache\w*", name) else "g"


def roles_of(signature: Sequence[Parameter], mode: str) -> list[str]:
    """What backward's arguments are, one of them the upstream gradient."""
    roles = [role(p) for p in signature if p.required]
    if mode != "upstream":
        return {1: ["x" if mode == "local" else "y"]}.get(len(roles), roles)
    if len(roles) == 1 or (not roles and signature):
        return ["g"]
    if roles and "g" not in roles:
        roles[-1 if roles[0] in ("x", "y") else 0] = "g"
    return roles


def dotted(path: Path) -> str:
    """params.W."""
    return ".".join(map(str, path))


def first_example(case: Case) -> Case:
    """The case with one example only, and so those that it refers to."""
    kept = {k: getattr(case, k)[:1] for k in ("x", "g", "t") if hasattr(case, k)}
    single = copy(case, **kept)
    single.first = single if case.first is case else first_example(case.first)
    single.other = single if case.other is case else first_example(case.other)
    return single
