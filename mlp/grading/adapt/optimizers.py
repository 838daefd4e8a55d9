"""Optimizers: an object with step() or update(...), or a function for all arrays at once.

``way`` says what it is given. "model", "layers", "layer": objects with arrays; "parameters", "parameter": objects
with data and grad; "pairs": tuples (value, gradient); "arrays": update(w, dw) of an optimizer for each array;
"dicts", "d-dicts": the gradient of W1 is called W1 or dW1; "lists", "nested": [W1, b1, ...] or [[W1, b1], ...].
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlp.grading import names
from mlp.grading.adapt.materials import is_gradient, materials, set_gradients
from mlp.grading.adapt.remote import Array, Handle, Items, as_array, as_tuple
from mlp.grading.adapt.updates import DECAY, GRADIENTS, MOMENTUM, Updates, stacked
from mlp.grading.candidates import Candidate, Parameter
from mlp.grading.hypotheses.component import Case
from mlp.grading.hypotheses.steps import NAMES
from mlp.grading.judge import Missing

ROLES = {
    "W": ("weight", "W"),
    "b": ("bias", "b"),
    "gW": ("weight-gradient", "grad_W"),
    "gb": ("bias-gradient", "grad_b"),
}
MEMORY = r"v|s|velocit\w*|state|cache|memory|momentums?|opt_state"
VALUES = ("model", "layers", "layer")  # ways in which the arrays are a layer's


@dataclass
class Optimizer(Updates):
    """An optimizer in the child."""

    step_name: str = ""
    own: dict[str, str] = field(default_factory=dict)
    attributes: list[str] = field(default_factory=list)
    turn: int = 0  # which layer or parameter, where it is given one at a time

    @property
    def signature(self) -> list[Parameter]:
        """The constructor's arguments."""
        return self.candidate.methods.get("__init__", [])

    def prepare(self) -> None:
        """How its source speaks of arrays, and what its constructor and step want."""
        methods, function = self.candidate.methods, self.candidate.form == "function"
        self.step_name = "forward" if function else names.method_of(("step", *names.UPDATE), methods)
        words = [p.name for p in [*self.signature, *methods[self.step_name]]]
        found = re.findall(r"\.(\w+)|['\"](\w+)['\"]", self.candidate.text)
        self.attributes = list(dict.fromkeys(a or b for a, b in found))
        text = self.candidate.text if any_of(r"config\w*|cfg", words) else ""
        self.restrict(any_of(MOMENTUM, words) or "momentum" in text, any_of(DECAY, words) or "decay" in text)
        name, given = self.candidate.name, ", ".join(p.name for p in self.signature)
        self.convention["step"] = name if function else f"{name}({given}).{self.step_name}"
        self.convention["arrays"] = f"given as {self.way}"
        roles = {names.kind_of_array(a): a for a in reversed(self.attributes)}
        self.own = {key: roles.get(kind, usual) for key, (kind, usual) in ROLES.items()}

    def follow(self, case: Case) -> Mapping[str, Array]:
        """Make the optimizer, then set gradients, step and read."""
        if self.way == "arrays":
            return stacked({name: self.path(case, name) for name in NAMES})
        things = materials(self.remote, case, self.own, self.attributes)
        target, step = self.optimizer(case, things)
        paths: dict[str, list[Array]] = {name: [] for name in NAMES}
        for gradients in case.gradients:
            set_gradients(self.remote, things, gradients, self.own)
            for turn in {"layer": [1, 2], "parameter": [0, 1, 2, 3]}.get(self.way, [0]):
                self.turn = turn
                arguments, named = self.given(self.candidate.methods[self.step_name], case, things)
                self.store(things, self.remote.call(target, step, args=arguments, **named).value)
            for name, value in self.read(things).items():
                paths[name].append(value)
        return stacked(paths)

    def optimizer(self, case: Case, things: Mapping[str, Handle]) -> tuple[Handle, str]:
        """What is called for a step: a method of a new object, or the function itself."""
        if self.candidate.form == "function":
            return self.module, self.candidate.name
        arguments, named = self.given(self.signature, case, things)
        made = self.remote.call(self.module, self.candidate.name, args=arguments, **named).value
        if not isinstance(made, Handle):
            raise Missing("W1", f"{self.candidate.name}() made no object")
        return made, self.step_name

    def path(self, case: Case, name: str) -> list[Array]:
        """The values of one array that has an optimizer of its own."""
        optimizer, step = self.optimizer(case, {})
        held = self.remote.make({"w": case.start[name] * 1.0, "g": case.start[name] * 0.0})
        path: list[Array] = []
        for gradients in case.gradients:
            self.remote.set(held, ("g",), gradients[name])
            arrays = {key: self.remote.get(held, (key,)) for key in "wg"}
            things = {"arrays": arrays["w"], "grads": arrays["g"]}
            arguments, named = self.given(self.candidate.methods[self.step_name], case, things)
            reply = self.remote.call(optimizer, step, args=arguments, **named)
            new = as_array(reply.value)
            if new is None:  # in place
                new = next((a for v in reply.changed.values() if (a := as_array(v)) is not None), arrays["w"])
            self.remote.set(held, ("w",), new)
            path.append(new)
        return path

    def given(
        self, signature: Sequence[Parameter], case: Case, things: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """What must be given by position, and the hyperparameters that may be given by name."""
        arguments: list[Any] = []
        named: dict[str, Any] = {}
        for parameter in signature:
            name, value = parameter.name, None
            for pattern, number in ((names.RATE, case.lr), (MOMENTUM, case.m), (DECAY, case.wd)):
                if value is None and names.matches(pattern, name):
                    value = number
            if value is not None and not parameter.required:
                named[name] = value
            elif parameter.required:
                arguments.append(self.thing(name, things) if value is None else value)
        return arguments, named

    def thing(self, name: str, things: Mapping[str, Any]) -> Any:
        """What stands for an argument that is no hyperparameter."""
        if names.matches(r"config\w*|cfg", name):
            return things["config"]
        if names.matches(r"\w*name|label", name):
            return "n"
        if names.matches(r"batch_?size|n|m|t|num_\w+", name):
            return 1
        gradients = {"lists": "gradients", "nested": "nested gradients", "d-dicts": "d-grads"}
        if names.matches(GRADIENTS, name):
            return things[gradients.get(self.way, "grads")]
        if names.matches(MEMORY, name):
            return things["memory" if self.way in ("dicts", "d-dicts") else "state"]
        turn = {"layer": f"layer{self.turn}", "parameter": f"parameter{self.turn}"}
        return things[turn.get(self.way) or PARAMETERS.get(self.way, self.way)]

    def store(self, things: Mapping[str, Handle], result: Any) -> None:
        """Some optimizers return the new values, alone or first."""
        parts = as_tuple(result)
        result = parts[0] if parts and isinstance(parts[0], Items) else result
        if isinstance(result, Items) and self.way in ("dicts", "d-dicts", "lists"):
            for i, name in enumerate(NAMES):
                key = i if self.way == "lists" else name
                value = as_array(result.elements.get(key))
                if value is not None:
                    self.remote.set(things[PARAMETERS[self.way]], (key,), value)

    def read(self, things: Mapping[str, Handle]) -> dict[str, Array]:
        """The values after a step."""
        arrays = {name: as_array(self.value(things, i, name)) for i, name in enumerate(NAMES)}
        if any(a is None for a in arrays.values()):
            raise Missing("W1", "after the step a parameter is no array any more")
        return {k: a for k, a in arrays.items() if a is not None}

    def value(self, things: Mapping[str, Handle], i: int, name: str) -> Any:
        """One of them, from wherever this way has it."""
        pairs = self.way == "pairs" or (self.way == "model" and "params_and_grads" in self.attributes)
        if pairs:
            return self.remote.get(things["pairs"], (i, 0))
        if self.way in PARAMETERS:
            path = {"lists": (i,), "nested": (i // 2, i % 2)}.get(self.way, (name,))
            return self.remote.get(things[PARAMETERS[self.way]], path)
        if self.way not in VALUES or (self.way == "model" and self.asks_for_parameters()):
            leaves = self.remote.leaves(things[f"parameter{i}"])
            return next(v for p, v in leaves.items() if not is_gradient(p[0]))
        held = "params" in self.attributes and self.own[name[0]] not in self.attributes
        return self.remote.get(things["layer" + name[1]], ("params", name[0]) if held else (self.own[name[0]],))

    def asks_for_parameters(self) -> bool:
        """Does it ask the model for parameters()?"""
        asked = any(a in ("parameters", "params", "get_parameters") for a in self.attributes)
        return asked and "layers" not in self.attributes


def any_of(pattern: str, words: Sequence[str]) -> bool:
    """Is one of them called so?"""
    return any(names.matches(pattern, w) for w in words)


PARAMETERS = {"dicts": "params", "d-dicts": "params", "lists": "list", "nested": "nested"}
SEVERAL = ["dicts", "d-dicts", "lists", "nested"]
# What a required argument is called; what may be meant, alone and beside an argument for gradients.
WAYS: list[tuple[str, list[str], list[str]]] = [
    (r"model|net\w*|mlp|nn|module", ["model"], ["model"]), (r"layers|layer_list|modules", ["layers"], ["layers"]),
    (r"layer", ["layer"], ["layer"]),
    (r"p|x|var", [], ["arrays", "dicts", "lists"]),
    (r"w|weights?|param|theta", ["parameters", "layers", "pairs", "parameter"], ["arrays", "dicts", "lists"]),
    (r"params?|parameters?|variables|vars", ["parameters", "layers", "pairs", "parameter"], SEVERAL),
]  # fmt: skip


def ways_of(candidate: Candidate) -> list[str]:
    """What an optimizer may want to be given, by the names of the arguments that it must have."""
    if candidate.form == "function":
        return ["nested", *(w for w in meant(candidate.methods["forward"]) if w != "arrays")]
    step = names.method_of(("step", *names.UPDATE), candidate.methods)
    return meant([*candidate.methods.get("__init__", ()), *candidate.methods[step]])


def meant(signature: Sequence[Parameter]) -> list[str]:
    """By the first argument that WAYS knows."""
    words = [p.name for p in signature if p.required]
    more = any_of(GRADIENTS, words)
    found = ((beside if more else alone) for w in words for p, alone, beside in WAYS if names.matches(p, w))
    return next((m for m in found if m), ["parameters", "layers", "model", "dicts"])
