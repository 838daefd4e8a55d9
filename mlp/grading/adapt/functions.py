"""Layers written as pairs of functions: f_forward and f_backward with a cache, or f and its derivative."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlp.grading import names
from mlp.grading.adapt.layers import Context, role
from mlp.grading.adapt.parameters import settled_shape
from mlp.grading.adapt.remote import Array, Handle, Items, Remote, Typed, as_array, as_tuple
from mlp.grading.discovery import Candidate, required
from mlp.grading.hypotheses.component import Case, Component
from mlp.grading.judge import Failing, Missing
from mlp.grading.process import StudentError


@dataclass
class FunctionLayer:
    """Two functions in the child that together are a layer."""

    remote: Remote
    module: Handle
    candidate: Candidate
    component: Component
    context: Context
    mode: str = "at input"  # what a derivative that takes one argument wants: "at input" or "at output"
    transposed: bool = False  # the weight is (out, in)
    convention: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    manners: dict[str, str] = field(default_factory=dict)

    def prepare(self) -> None:
        """The layout of the weight, from a call that only one of them survives."""
        self.convention["calls"] = f"{self.candidate.name}, then {self.candidate.partner}"
        if self.component.name != "Linear":
            return
        case = Case(x=np.ones((4, 6)), W=np.ones((6, 5)), b=np.zeros(5))
        for self.columns, self.transposed in ((False, False), (False, True), (True, True)):
            try:
                y, _ = self.forward(case)
            except (StudentError, Missing):
                continue
            if y.shape == (4, 5):
                break
        else:
            self.columns = self.transposed = False
        self.convention["weight"] = f"an argument, shape {'(out, in)' if self.transposed else '(in, out)'}"
        if self.columns:
            self.convention["examples"] = "columns: arrays are (features, N)"

    columns: bool = False

    def given(self, name: str, case: Case) -> Any:
        """The argument of forward with this name."""
        if names.matches(r"b\d*|bias\w*|beta", name) and hasattr(case, "b"):
            return case.b[:, None] if self.columns else case.b * 1.0
        if names.matches(r"w\d*|weights?|theta|kernel|w_\w+", name) and hasattr(case, "W"):
            return (case.W.T if self.transposed else case.W).copy()
        return case.x.T.copy() if self.columns else case.x * 1.0

    def forward(self, case: Case) -> tuple[Array, Any]:
        """The output and whatever was cached."""
        signature = required(self.candidate.methods["forward"])
        reply = self.remote.call(
            self.module, self.candidate.name, args=[self.given(p.name, case) for p in signature]
        )
        parts = as_tuple(reply.value)
        value, cache = (parts[0], parts[1] if len(parts) > 1 else None) if parts else (reply.value, None)
        if isinstance(value, Typed):
            self.manners[f"forward-returns-{value.type}"] = (
                f"{self.candidate.name} returns a {value.type} instead of an array"
            )
        y = as_array(value)
        if y is None:
            raise Missing(
                "y",
                f"{self.candidate.name} returns {value!r}"
                if value is None
                else f"{self.candidate.name} returns no array",
            )
        if reply.changed:
            self.remark(f"{self.candidate.name} changes its argument in place")
        return y.T if self.columns else y, cache

    def remark(self, text: str) -> None:
        """Once."""
        if text not in self.remarks:
            self.remarks.append(text)

    def observe(self, case: Case) -> Mapping[str, Array]:
        """Functions keep nothing, so every case is a first call; those before it are made all the same."""
        if case.kind == "again":
            self.once(case.first)
        if case.kind == "shared":
            return self.once(case, case.other)
        return self.once(case)

    def once(self, case: Case, between: Case | None = None) -> Mapping[str, Array]:
        """Forward, then backward with the cache."""
        try:
            y, cache = self.forward(case)
        except StudentError as error:
            raise Failing("forward", error) from None
        values = {"y": y}
        try:
            if between is not None:
                self.forward(between)
            returned, multiply = self.backward(case, y, cache)
        except StudentError as error:
            raise Failing("backward", error, values) from None
        parts = as_tuple(returned)
        if parts is None and isinstance(returned, Items):
            parts = list(returned.elements.values())
        arrays = [as_array(p) for p in parts or [returned]]
        if arrays[0] is None:
            raise Missing(
                "dx", f"{self.candidate.partner} returns {'None' if returned is None else 'no array'}", values
            )
        dx = arrays[0].T if self.columns else arrays[0]
        if multiply:
            if self.component.name == "Softmax" and dx.shape == (*case.x.shape, case.x.shape[1]):
                dx = np.einsum("nij,ni->nj", dx, case.g)
            elif dx.shape == case.g.shape:
                dx = dx * case.g
        values["dx"] = dx
        if self.component.name == "Linear":
            for name, array in zip(("dW", "db"), [*arrays[1:], None, None], strict=False):
                if array is None:
                    raise Missing(name, f"{self.candidate.partner} returns no {name}", values)
                turned = array.T if name == "dW" and self.transposed and array.ndim == 2 else array
                values[name] = (
                    settled_shape(
                        turned,
                        (case.b.shape[0], 1) if self.columns else case.b.shape,
                        self.remarks,
                        "bias gradient",
                    )
                    if name == "db"
                    else turned
                )
        return values

    def backward(self, case: Case, y: Array, cache: Any) -> tuple[Any, bool]:
        """What the partner returns, and whether it is the local derivative only."""
        signature = required(self.candidate.methods["backward"]) or self.candidate.methods["backward"][:1]
        x = case.x.T.copy() if self.columns else case.x * 1.0
        turned_y, g = (y.T.copy(), case.g.T.copy()) if self.columns else (y, case.g * 1.0)
        if len(signature) == 1:
            self.convention["derivative"] = (
                f"{self.candidate.partner}({'x' if self.mode == 'at input' else 'y'}), times the upstream gradient"
            )
            at = x if self.mode == "at input" else turned_y
            return self.remote.call(self.module, str(self.candidate.partner), args=[at]).value, True
        roles = [role(p) for p in signature]
        if roles.count("g") != 1:
            roles = ["g", *("x" for _ in signature[1:])]
        kept = cache if cache is not None else (x if self.mode == "at input" else turned_y)
        arguments = []
        for parameter, what in zip(signature, roles, strict=True):
            if what == "g":
                arguments.append(g)
            elif names.matches(r"w\d*|weights?|theta|kernel|b\d*|bias\w*", parameter.name) and hasattr(case, "W"):
                arguments.append(self.given(parameter.name, case))
            elif what == "y" and cache is None:
                arguments.append(turned_y)
            else:
                arguments.append(kept)
        reply = self.remote.call(self.module, str(self.candidate.partner), args=arguments)
        return reply.value, False
