"""Layers written as functions: f_forward and f_backward with a cache, f and its derivative, or f with a flag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlp.grading import names
from mlp.grading.adapt.context import Adapted, role
from mlp.grading.adapt.parameters import settled_shape
from mlp.grading.adapt.remote import Array, Handle, Typed, as_array, as_tuple
from mlp.grading.adapt.returned import flattened, parts_of, times_upstream
from mlp.grading.candidates import required
from mlp.grading.functions import FLAG
from mlp.grading.hypotheses.component import Case
from mlp.grading.judge import Missing
from mlp.grading.process import StudentError

# Parameters by component: attribute of the case, and what an argument for it is called.
WORDS = {
    "Linear": {"b": r"b\d*|bias\w*|beta", "W": r"w\d*|weights?|theta|kernel|w_\w+"},
    "BatchNorm": {"gamma": r"gamma|scale|weight|g", "beta": r"beta|shift|bias|b"},
}


@dataclass
class FunctionLayer(Adapted):
    """Functions in the child that together are a layer."""

    mode: str = "at input"  # what a derivative that takes one argument wants: "at input" or "at output"
    transposed: bool = False  # the weight is (out, in)
    columns: bool = False

    def prepare(self) -> None:
        """The layout of the weight, from a call that only one of them survives."""
        self.convention["calls"] = f"{self.candidate.name}, then {self.candidate.partner or 'with its flag'}"
        if self.component.name != "Linear":
            self.columns = self.context.columns and self.component.name == "Softmax"
            return
        case = Case(x=np.ones((4, 6)), W=np.ones((6, 5)), b=np.zeros(5))
        for self.columns, self.transposed in ((False, False), (False, True), (True, True), (True, False)):
            try:
                y, _ = self.forward(case)
            except (StudentError, Missing):
                continue
            if y.shape == (4, 5):
                break
        else:
            self.columns = self.transposed = False
        self.context.columns = self.columns
        self.convention["weight"] = f"an argument, shape {'(out, in)' if self.transposed else '(in, out)'}"
        if self.columns:
            self.convention["examples"] = "columns: arrays are (features, N)"

    def given(self, name: str, case: Case) -> Any:
        """The argument of forward with this name."""
        for parameter, words in WORDS.get(self.component.name, {}).items():
            if names.matches(words, name):
                value = getattr(case, parameter)
                if parameter == "W":
                    return (value.T if self.transposed else value).copy()
                return value[:, None] if self.columns else value * 1.0
        if names.matches(r"\w*param\w*|config|cfg|state", name):
            return {"mode": "train"}
        if names.matches(r"mode|train\w*|is_train\w*", name):
            return "train" if name == "mode" else True
        return self.turned(case.x)

    def turned(self, array: Array) -> Array:
        """As the submission wants examples."""
        return array.T.copy() if self.columns else array * 1.0

    def forward(self, case: Case) -> tuple[Array, Any]:
        """The output and whatever was cached."""
        arguments = [self.given(p.name, case) for p in required(self.candidate.methods["forward"])]
        reply = self.remote.call(self.module, self.candidate.name, args=arguments)
        parts = as_tuple(reply.value) or [reply.value]
        cache = None if len(parts) < 2 else parts[1] if len(parts) == 2 else Rest(parts[1:])
        name = self.candidate.name
        if isinstance(parts[0], Typed):
            self.manners[f"forward-returns-{parts[0].type}"] = (
                f"{name} returns a {parts[0].type} instead of an array"
            )
        y = as_array(parts[0])
        if y is None:
            raise Missing("y", f"{name} returns {'None' if parts[0] is None else 'no array'}")
        if reply.changed:
            self.remark(f"{name} changes its argument in place")
        return y.T if self.columns else y, cache

    def observe(self, case: Case) -> Mapping[str, Array]:
        """Functions keep nothing, so every case is a first call; those before it are made all the same."""
        if case.kind == "again":
            self.once(case.first)
        return self.once(case, case.other if case.kind == "shared" else None)

    def once(self, case: Case, between: Case | None = None) -> Mapping[str, Array]:
        """Forward, then backward with the cache."""
        y, cache = self.guard("forward", lambda: self.forward(case))
        values = {"y": y}
        if between is not None:
            self.guard("backward", lambda: self.forward(between), values)
        returned, local = self.guard("backward", lambda: self.backward(case, y, cache), values)
        parts = parts_of(returned) or [returned]
        dx = as_array(parts[0])
        if dx is None:
            what = "None" if returned is None else "no array"
            raise Missing("dx", f"{self.candidate.partner} returns {what}", values)
        dx = dx.T if self.columns else dx
        values["dx"] = times_upstream(dx, case) if local else dx
        return values | self.gradients(case, [a for p in parts[1:] for a in flattened(p)], values)

    def gradients(self, case: Case, arrays: list[Array], values: Mapping[str, Array]) -> dict[str, Array]:
        """Those of the parameters, in the order in which they are returned beside the input's."""
        found: dict[str, Array] = {}
        for name in {"Linear": ("W", "b"), "BatchNorm": ("gamma", "beta")}.get(self.component.name, ()):
            if not arrays:
                raise Missing("d" + name, f"{self.candidate.partner} returns no d{name}", values)
            array = arrays.pop(0)
            if name == "W":
                found["dW"] = array.T if self.transposed and array.ndim == 2 else array
            else:
                size = getattr(case, name).shape[0]
                shape = (size, 1) if self.columns else (size,)
                found["d" + name] = settled_shape(array, shape, self.remarks, "bias gradient")
        return found

    def backward(self, case: Case, y: Array, cache: Any) -> tuple[Any, bool]:
        """What the partner returns, and whether it is the local derivative only."""
        if self.candidate.form == "flag":
            flag = next(p.name for p in self.candidate.methods["forward"] if names.matches(FLAG, p.name))
            self.convention["derivative"] = f"{self.candidate.name}(x, {flag}=True), times the upstream gradient"
            at = self.turned(case.x if self.mode == "at input" else y)
            return self.remote.call(self.module, self.candidate.name, args=[at], **{flag: True}).value, True
        signature = required(self.candidate.methods["backward"]) or self.candidate.methods["backward"][:1]
        partner = str(self.candidate.partner)
        if len(signature) == 1:
            at_input = self.mode == "at input"
            self.convention["derivative"] = f"{partner}({'x' if at_input else 'y'}), times the upstream gradient"
            at = self.turned(case.x if at_input else y)
            return self.remote.call(self.module, partner, args=[at]).value, True
        arguments = self.arguments(case, y, cache)
        return self.remote.call(self.module, partner, args=arguments).value, False

    def arguments(self, case: Case, y: Array, cache: Any) -> list[Any]:
        """What a derivative with several arguments wants: the upstream gradient and what was kept."""
        signature = required(self.candidate.methods["backward"])
        roles = [role(p) for p in signature]
        roles = roles if roles.count("g") == 1 else ["g"] + ["x"] * (len(signature) - 1)
        kept = cache if cache is not None else self.turned(case.x if self.mode == "at input" else y)
        rest = list(kept.parts) if isinstance(kept, Rest) else []
        given = {"g": self.turned(case.g)} | ({"y": self.turned(y)} if cache is None else {})
        arguments: list[Any] = []
        for parameter, what in zip(signature, roles, strict=True):
            if what in given:
                arguments.append(given[what])
            elif self.is_parameter(parameter.name) and not rest:
                arguments.append(self.given(parameter.name, case))
            else:
                arguments.append(rest.pop(0) if rest else kept)
        return arguments

    def is_parameter(self, name: str) -> bool:
        """Is an argument a weight or the like?"""
        return any(names.matches(words, name) for words in WORDS.get(self.component.name, {}).values())


@dataclass(frozen=True)
class Rest:
    """What forward returned behind its output, if it was more than one thing."""

    parts: list[Handle | Any]
