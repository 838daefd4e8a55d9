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
from mlp.grading.adapt.remote import Array, Handle, Items, Make, as_array, as_tuple
from mlp.grading.adapt.updates import DECAY, GRADIENTS, MOMENTUM, Updates, config_of, stacked
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
        methods = self.candidate.methods
        function = self.candidate.form == "function"
        self.step_name = "forward" if function else names.method_of(("step", *names.UPDATE), methods)
        words = [p.name for p in [*self.signature, *methods[self.step_name]]]
        found = re.findall(r"\.(\w+)|['\"](\w+)['\"]", self.candidate.text)
        self.attributes = list(dict.fromkeys(a or b for a, b in found))
        configured = any(names.matches(r"config\w*|cfg", w) for w in words)
        momentum = any(names.matches(MOMENTUM, w) for w in words)
        decay = any(names.matches(DECAY, w) for w in words)
        text = self.candidate.text if configured else ""
        self.restrict(momentum or "momentum" in text, decay or "decay" in text)
        name, given = self.candidate.name, ", ".join(p.name for p in self.signature)
        self.convention["step"] = name if function else f"{name}({given}).{self.step_name}"
        self.convention["arrays"] = f"given as {self.way}"
        roles = {names.kind_of_array(a): a for a in reversed(self.attributes)}
        self.own = {key: roles.get(kind, usual) for key, (kind, usual) in ROLES.items()}

    # What stands for the arrays -----------------------------------------------------------------------------------

    def materials(self, case: Case) -> dict[str, Handle]:
        """Two layers in every disguise: objects with the source's attribute names, parameters, dicts, a model."""
        layers = [self.layer(case, n) for n in "12"]
        parameters = [self.parameter(case.start[name]) for name in NAMES]
        things: dict[str, Any] = {f"layer{i + 1}": layer for i, layer in enumerate(layers)}
        things |= {f"parameter{i}": parameter for i, parameter in enumerate(parameters)}
        values = [case.start[name] * 1.0 for name in NAMES]
        blank = [value * 0.0 for value in values]
        made = {
            "params": dict(zip(NAMES, values, strict=True)), "grads": dict(zip(NAMES, blank, strict=True)),
            "d-grads": {"d" + name: value for name, value in zip(NAMES, blank, strict=True)},
            "memory": {d + name: value for name, value in zip(NAMES, blank, strict=True) for d in ("d", "")},
            "list": values, "gradients": blank, "state": {}, "config": config_of(case),
            "nested": [values[:2], values[2:]], "nested gradients": [blank[:2], blank[2:]],
            "layers": layers, "parameters": parameters,
            "pairs": list(zip(values, blank, strict=True)),
        }  # fmt: skip
        things |= {key: self.remote.make(value) for key, value in made.items()}
        held = {key: things[key] for key in ("pairs",)}
        things["model"] = self.remote.make(Make({"$bare": held | {
            "layers": list(layers), "layer_list": list(layers), "everything": list(parameters),
            "modules": list(layers),
        }}))  # fmt: skip
        return things

    def layer(self, case: Case, number: str) -> Handle:
        """An object with weight and bias under the names that the source uses."""
        w, b = case.start["W" + number] * 1.0, case.start["b" + number] * 1.0
        plain = {self.own["W"]: w, self.own["b"]: b, self.own["gW"]: w * 0, self.own["gb"]: b * 0}
        held = {"params": {"W": w, "b": b}, "grads": {"W": w * 0, "b": b * 0}}
        return self.remote.make(Make({"$bare": plain | held | {"trainable": True, "name": "layer" + number}}))

    def parameter(self, value: Array) -> Handle:
        """An object with a value and a gradient under all names that the source uses."""
        pattern = r"value|val|gradient|array|g|d|grads?|data"
        words = {"data", "grad"} | {a for a in self.attributes if names.matches(pattern, a)}
        return self.remote.make(Make({"$bare": {k: value * (0 if is_gradient(k) else 1) for k in words}}))

    # Steps -------------------------------------------------------------------------------------------------------

    def follow(self, case: Case) -> Mapping[str, Array]:
        """Make the optimizer, then set gradients, step and read."""
        if self.way == "arrays":
            return stacked({name: self.path(case, name) for name in NAMES})
        things = self.materials(case)
        target, step = self.optimizer(case, things)
        paths: dict[str, list[Array]] = {name: [] for name in NAMES}
        for gradients in case.gradients:
            self.set_gradients(things, gradients)
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

    def set_gradients(self, things: Mapping[str, Handle], gradients: Mapping[str, Array]) -> None:
        """Everywhere an optimizer may look."""
        for i, name in enumerate(NAMES):
            layer, parameter, value = things["layer" + name[1]], things[f"parameter{i}"], gradients[name]
            self.remote.set(layer, (self.own["g" + name[0]],), value)
            self.remote.set(layer, ("grads", name[0]), value)
            for path in self.remote.leaves(parameter):
                if is_gradient(path[0]):
                    self.remote.set(parameter, path, value)
            places: list[tuple[str, tuple[Any, ...]]] = [
                ("grads", (name,)), ("d-grads", ("d" + name,)), ("gradients", (i,)), ("pairs", (i, 1)),
                ("nested gradients", (i // 2, i % 2)),
            ]  # fmt: skip
            for key, path in places:
                self.remote.set(things[key], path, value)

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


PARAMETERS = {"dicts": "params", "d-dicts": "params", "lists": "list", "nested": "nested"}


def is_gradient(word: Any) -> bool:
    """grad, g, gradient, d."""
    return str(word).startswith("g") or word == "d"


def ways_of(candidate: Candidate) -> list[str]:
    """What an optimizer may want to be given, by the names of the arguments that it must have."""
    function = candidate.form == "function"
    step = "forward" if function else names.method_of(("step", *names.UPDATE), candidate.methods)
    known = (*candidate.methods.get("__init__", ()), *candidate.methods[step])
    words = [p.name for p in known if p.required]
    more = any(names.matches(GRADIENTS, w) for w in words)
    for word in words:
        if names.matches(r"model|net\w*|mlp|nn|module", word):
            return ["model"]
        if names.matches(r"layers|layer_list|modules", word):
            return ["layers"]
        if names.matches(r"layer", word):
            return ["layer"]
        if names.matches(r"w|weights?|x|p|param|theta|var", word) and more:
            return ["nested", "lists", "dicts"] if function else ["arrays", "dicts", "lists"]
        if names.matches(r"params?|parameters?|weights|w|theta|variables|vars", word):
            several = ["dicts", "d-dicts", "lists", "nested"]
            return several if more else ["parameters", "layers", "pairs", "parameter"]
    return ["parameters", "layers", "model", "dicts"]
