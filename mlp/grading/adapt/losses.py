"""Losses: classes or functions, two arguments or one, one-hot targets or labels, a number or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlp.grading import names
from mlp.grading.adapt.construct import arguments_of, by_name, construct, shown
from mlp.grading.adapt.context import KEPT, Adapted
from mlp.grading.adapt.parameters import arrays
from mlp.grading.adapt.remote import Array, Handle, Items, Reply, Typed, as_array, as_tuple
from mlp.grading.candidates import Parameter, required
from mlp.grading.hypotheses.component import Case
from mlp.grading.hypotheses.hinge import hinge_variants
from mlp.grading.judge import Missing


@dataclass
class Loss(Adapted):
    """A loss object or function in the child."""

    labels: bool = False  # integer classes instead of one-hot rows
    exchanged: bool = False  # (target, scores) instead of (scores, target)
    columns: bool = False
    linear: bool = False  # (W, X, y, reg): the loss of a linear classifier, judged with X the unit matrix
    vector: str = ""  # "N" or "K" if the value is a vector of that length
    forward_name: str = ""
    backward_name: str = ""

    def prepare(self) -> None:
        """Find the methods, construct one, read the margin from it."""
        methods, told = self.candidate.methods, self.candidate.overrides
        self.forward_name = str(told.get("forward") or names.method_of(names.FORWARD, methods))
        backward = names.method_of(names.BACKWARD, methods, self.forward_name)
        self.backward_name = str(told.get("backward") or backward)
        if not self.forward_name:
            raise Missing("value", f"class {self.candidate.name} has no forward")
        self.convention["targets"] = "integer labels" if self.labels else "one-hot or real"
        if self.component.name == "Hinge":
            known = tuple(v.margin for v in self.component.variants if v.label.endswith(", 1/N"))
            margins = tuple(dict.fromkeys([*self.numbers(), *known]))
            self.component = replace(self.component, variants=hinge_variants(margins))
        order = [p.name for p in methods[self.forward_name]]
        self.linear = {"W", "X"} <= set(order[:2]) and any(map(is_target, order[2:3]))
        self.exchanged = targets_first(order)
        usual = "target, then scores" if self.exchanged else "scores, then target"
        self.convention["arguments"] = ", ".join(order) if self.linear else usual

    def numbers(self) -> list[float]:
        """The plain numbers that the object keeps, such as a margin."""
        if self.candidate.form != "class":
            return []
        leaves = self.remote.leaves(self.make()).values()
        numbers = [float(v) for v in leaves if isinstance(v, int | float) and not isinstance(v, bool)]
        return [n for n in numbers if 0 < n < 100]

    def make(self) -> Handle:
        """A new object, or the module of a function."""
        if self.candidate.form != "class":
            return self.module
        signature = self.candidate.methods.get("__init__", [])
        named = by_name(signature, 3, 3)
        if "arguments" in self.candidate.overrides:
            named = arguments_of(self.candidate.overrides["arguments"], 3, 3)
        tries: list[list[Any]] = ([named] if named is not None else []) + [[], ["n"], [1.0], ["n", 1.0]]
        made, arguments = construct(self.remote, self.module, self.candidate.name, tries)
        self.convention["constructor"] = self.candidate.name + shown(arguments)
        return made

    def arguments(self, case: Case) -> list[Any]:
        """Scores and target as the submission wants them."""
        x, t = case.x * 1.0, case.t * 1.0
        if self.columns:
            x, t = x.T.copy(), t.T.copy()
        if self.labels:
            t = case.t.argmax(1)
        if self.linear:
            given = {"W": x, "X": np.eye(len(x))}
            signature = self.candidate.methods[self.forward_name]
            return [given.get(p.name, t if is_target(p.name) else 0.0) for p in signature]
        return [t, x] if self.exchanged else [x, t]

    def observe(self, case: Case) -> Mapping[str, Array]:
        """Value and gradient of one case."""
        made = self.guard("forward", self.make)
        if case.kind == "again":
            self.through(made, case.first)
        between = self.guard("forward", self.make) if case.kind == "shared" else None
        return self.through(made, case, between)

    def through(self, made: Handle, case: Case, between: Handle | None = None) -> dict[str, Array]:
        """Forward, another object's forward, backward."""
        reply = self.guard("forward", lambda: self.call(made, self.forward_name, self.arguments(case)))
        gradient: Any = None
        if parts := as_tuple(reply.value):
            gradient = of_shape(parts[1:], case)
            reply = Reply(parts[0], reply.changed, reply.same)
        values = {"value": self.value(reply, case)}
        if between is not None:
            self.guard("forward", lambda: self.call(between, self.forward_name, self.arguments(case.other)), values)
        if self.backward_name:
            reply = self.guard("backward", lambda: self.backward(made, case), values)
            if any(i in reply.changed for i in range(2)):
                self.remark("backward changes its argument in place")
            inner = as_tuple(reply.value)
            gradient = of_shape(inner, case, inner[0]) if inner else reply.value
        values["dx"] = self.gradient(gradient, made, case, values)
        return values

    def gradient(self, gradient: Any, made: Handle, case: Case, values: Mapping[str, Array]) -> Array:
        """As rows; where backward returned nothing, what the object keeps."""
        if isinstance(gradient, Typed | Items):
            self.manners[f"backward-returns-{gradient.type}"] = (
                f"backward returns a {gradient.type} instead of an array"
            )
        if gradient is None and self.candidate.form == "class":
            kept = arrays(self.remote.leaves(made))
            gradient = next((kept[p] for p in kept if names.matches(KEPT["dx"], str(p[-1]))), None)
        array = as_array(gradient)
        if array is None:
            what = "None" if gradient is None else "no array"
            raise Missing("dx", f"backward returns {what}", values)
        turned = self.columns or (self.context.gradients_transposed and array.shape == case.x.shape[::-1])
        return array.T if turned else array

    def value(self, reply: Reply, case: Case) -> Array:
        """One number; of a vector the mean, which is noted."""
        array = as_array(reply.value)
        if array is None or array.dtype.kind not in "biuf":
            raise Missing("value", f"forward returns {'None' if reply.value is None else 'no number'}")
        if reply.changed:
            self.remark("forward changes its argument in place")
        if array.ndim and array.size == 1:
            self.convention["value"] = f"an array of shape {array.shape} with one element"
            return np.asarray(array.reshape(()))
        if array.ndim:
            n, k = case.x.shape
            length = array.size
            self.vector = "N" if length == n else "K" if length == k else "NK" if length == n * k else "?"
            self.convention["value"] = f"a vector over {self.vector}, of which the mean is taken"
            return np.asarray(array.mean()) if self.vector != "?" else array
        return array

    def backward(self, made: Handle, case: Case) -> Reply:
        """With no argument, scores and target, or an upstream gradient of 1."""
        signature = self.candidate.methods[self.backward_name]
        needed = required(signature)
        if len(needed) == 0:
            if len(signature) >= 2 and is_target(signature[1].name):
                return self.call(made, self.backward_name, self.ordered(signature, case))
            return self.call(made, self.backward_name, [])
        if len(needed) == 1:
            only = needed[0].name
            if is_target(only):
                return self.call(made, self.backward_name, [self.arguments(case)[0 if self.exchanged else 1]])
            if names.matches(names.SCORES, only) and not names.matches(names.UPSTREAM, only):
                return self.call(made, self.backward_name, [self.arguments(case)[1 if self.exchanged else 0]])
            return self.call(made, self.backward_name, [1.0])
        arguments = self.ordered(signature, case)
        if names.matches(names.UPSTREAM, needed[0].name) and len(needed) > 2:
            arguments = [1.0, *arguments]
        return self.call(made, self.backward_name, arguments[: len(needed)])

    def ordered(self, signature: list[Parameter], case: Case) -> list[Any]:
        """In the order that backward's own arguments are named in."""
        first, second = self.arguments(case)
        scores, target = (second, first) if self.exchanged else (first, second)
        order = [p.name for p in signature if not names.matches(r"d?out|upstream|grad\w*", p.name)]
        exchanged = targets_first(order)
        same_words = len(order) < 2 or is_target(order[0]) == is_target(order[1])
        return [target, scores] if exchanged or (same_words and self.exchanged) else [scores, target]

    def call(self, made: Handle, name: str, arguments: list[Any]) -> Reply:
        """A method of the object, or a function of the module."""
        if self.candidate.form == "class":
            return self.remote.call(made, name, args=arguments)
        function = self.candidate.name if name == "forward" else str(self.candidate.partner)
        return self.remote.call(made, function, args=arguments)


def of_shape(parts: Sequence[Any], case: Case, otherwise: Any = None) -> Any:
    """The first part that has the shape of the scores."""
    fitting = (p for p in parts if (a := as_array(p)) is not None and a.shape in (case.x.shape, case.x.shape[::-1]))
    return next(fitting, otherwise)


def targets_first(order: Sequence[str]) -> bool:
    """(target, scores) instead of (scores, target)."""
    return len(order) >= 2 and is_target(order[0]) and not is_target(order[1])


def is_target(name: str) -> bool:
    """Does the argument's name mean the target? y alone does, beside x or y_hat."""
    words = r"t|ts|y|ys|y_?(true|target|label\w*|real|gt|t)|target\w*|labels?|truth|gt|ground_?truth|actual"
    return names.matches(words + r"|one_?hot\w*|true\w*|tgt|expected|desired|correct\w*|answers?|teacher", name)
