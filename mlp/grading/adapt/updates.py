"""Update rules: a layer's own update, an optimizer object, or a function; followed step by step on two layers."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mlp.grading import names
from mlp.grading.adapt.layers import ClassLayer, Context
from mlp.grading.adapt.remote import Array, Handle, Items, Make, Remote, as_array, as_tuple
from mlp.grading.discovery import Candidate, Parameter, required
from mlp.grading.hypotheses import component as definitions
from mlp.grading.hypotheses.component import Case, Component
from mlp.grading.hypotheses.linear import LINEAR
from mlp.grading.hypotheses.update import NAMES
from mlp.grading.judge import Failing, Missing
from mlp.grading.process import StudentError

CONFIG = {"learning_rate": 0.1, "lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
GRADIENTS = r"g|d|dw|grads?|gradients?|dparams|\w*_grads?"
MOMENTUM, DECAY = r"momentum|mu|beta1?|m|gamma|rho|mom\w*", r"weight_?decay|wd|l2\w*|lambda_?|lam\w*|reg\w*"


@dataclass
class Updates:
    """What the three forms share."""

    remote: Remote
    module: Handle
    candidate: Candidate
    component: Component
    context: Context
    way: str = ""
    convention: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    manners: dict[str, str] = field(default_factory=dict)

    def restrict(self, momentum: bool, decay: bool) -> None:
        """Only the cases that the interface can be asked for."""
        cases = self.component.draw

        def draw(rng: np.random.Generator) -> list[Case]:
            return [c for c in cases(rng) if (momentum or c.m == 0) and (decay or c.wd == 0)]

        self.component = replace(self.component, draw=draw)
        asked = ["learning rate"] + ["momentum"] * momentum + ["weight decay"] * decay
        self.convention["hyperparameters"] = ", ".join(asked)

    def observe(self, case: Case) -> Mapping[str, Array]:
        """The paths of all arrays."""
        try:
            return self.follow(case)
        except StudentError as error:
            raise Failing("update", error) from None

    def follow(self, case: Case) -> Mapping[str, Array]:
        """Several steps."""
        raise NotImplementedError


def config_of(case: Case) -> dict[str, float]:
    """A configuration with the usual keys."""
    return CONFIG | {"learning_rate": case.lr, "lr": case.lr, "momentum": case.m, "weight_decay": case.wd}


@dataclass
class LayerUpdate(Updates):
    """layer.update(config), or layer.update(learning_rate)."""

    def prepare(self) -> None:
        """The layer itself is adapted first: its arrays and gradients."""
        self.layer = ClassLayer(self.remote, self.module, self.candidate, LINEAR, self.context)
        self.layer.prepare()
        case = definitions.fresh(x=np.ones((2, 4)), g=np.ones((2, 3)), W=np.ones((4, 3)), b=np.ones(3))
        try:
            self.layer.through(self.layer.new(case), case)
        except Failing as failing:
            raise failing.error from None
        slots = self.layer.slots
        if "b" not in slots or not all(s.gradient for s in slots.values()):
            raise Missing("W1", "the layer's gradients were not found, so its update cannot be followed")
        wanted = required(self.candidate.methods["update"])[0].name
        self.rate_only = names.matches(names.RATE, wanted)
        self.convention |= {"step": f"update({wanted})"}
        self.restrict(momentum=not self.rate_only, decay=not self.rate_only)

    def follow(self, case: Case) -> Mapping[str, Array]:
        """Two layers take turns."""
        layers = []
        for number in "12":
            inputs = definitions.fresh(
                x=np.ones((2, 4)), g=np.zeros((2, 3)), W=case.start["W" + number], b=case.start["b" + number]
            )
            layer = self.layer.new(inputs)
            self.layer.through(layer, inputs)
            self.layer.fill(layer, inputs)
            layers.append(layer)
        paths: dict[str, list[Array]] = {name: [] for name in NAMES}
        for gradients in case.gradients:
            for number, layer in zip("12", layers, strict=True):
                for name, slot in self.layer.slots.items():
                    assert slot.gradient
                    self.remote.set(layer, slot.gradient, slot.outward(gradients[name + number]))
                self.remote.call(layer, "update", args=[case.lr if self.rate_only else config_of(case)])
                leaves = self.remote.leaves(layer)
                for name, slot in self.layer.slots.items():
                    value = as_array(leaves.get(slot.path))
                    if value is None:
                        raise Missing(
                            name + number, f"after update, {'.'.join(map(str, slot.path))} is no array any more"
                        )
                    expected = slot.like(case.start[name + number].shape)
                    paths[name + number].append(
                        slot.inward(value).reshape(-1)
                        if name == "b" and value.shape == expected
                        else slot.inward(value)
                    )
        return stacked(paths)


@dataclass
class FunctionUpdate(Updates):
    """rule(w, dw, config) -> (w, config), or rule(w, dw, lr) -> w."""

    def prepare(self) -> None:
        """What can be asked for."""
        signature = self.candidate.methods["forward"]
        text = source_of(self.candidate)
        self.configured = any(
            names.matches(r"config\w*|cfg|opts?|options|state|params?_?dict", p.name) for p in signature
        )
        words = " ".join(p.name for p in signature) + (text if self.configured else "")
        self.restrict("momentum" in words or "velocity" in words, "decay" in words)
        self.convention["step"] = f"{self.candidate.name}({', '.join(p.name for p in signature)})"

    def follow(self, case: Case) -> Mapping[str, Array]:
        """Every array by itself."""
        paths: dict[str, list[Array]] = {name: [] for name in NAMES}
        for name in NAMES:
            memory: Any = self.remote.make(config_of(case))
            value = self.remote.make({"w": case.start[name] * 1.0})
            for gradients in case.gradients:
                current = as_array(self.remote.get(value, ("w",)))
                assert current is not None
                arguments: list[Any] = []
                for parameter in self.candidate.methods["forward"]:
                    arguments.append(self.argument(parameter, current, gradients[name], memory, case))
                result = self.remote.call(self.module, self.candidate.name, args=arguments).value
                parts = as_tuple(result) or [result]
                new = as_array(parts[0])
                if new is None:
                    raise Missing("W1", f"{self.candidate.name} returns no array")
                if (len(parts) > 1 and isinstance(parts[1], Items | Handle)) or (
                    len(parts) > 1 and not self.configured
                ):
                    memory = parts[1]
                self.remote.set(value, ("w",), new)
                paths[name].append(new)
        return stacked(paths)

    def argument(self, parameter: Parameter, value: Array, gradient: Array, memory: Any, case: Case) -> Any:
        """By its name."""
        name = parameter.name
        if names.matches(r"config\w*|cfg|opts?|options|state", name):
            return memory
        if names.matches(names.RATE, name):
            return case.lr
        if names.matches(r"v\d*|velocity|vel\w*|v_\w+", name):
            return memory if isinstance(memory, np.ndarray) else np.zeros_like(value)
        if names.matches(MOMENTUM, name):
            return case.m
        if names.matches(DECAY, name):
            return case.wd
        return (
            gradient * 1.0
            if names.matches(names.UPSTREAM, name) or re.match(r"d[wpx_]|grad", name)
            else value * 1.0
        )


@dataclass
class Optimizer(Updates):
    """An object with step() or update(...); ``way`` says what it is given: "model", "parameters", "dicts", ..."""

    def prepare(self) -> None:
        """How its source speaks of arrays, and what its constructor and step want."""
        methods = self.candidate.methods
        self.step_name = next(m for m in ("step", *names.UPDATE) if m in methods)
        self.signature, self.step_signature = methods.get("__init__", []), methods[self.step_name]
        words = [p.name for p in [*self.signature, *methods[self.step_name]]]
        self.attributes = attributes_of(self.candidate)
        self.configured = any(names.matches(r"config\w*|cfg", w) for w in words)
        momentum = any(names.matches(MOMENTUM, w) for w in words)
        self.restrict(momentum or self.configured, any(names.matches(DECAY, w) for w in words) or self.configured)
        self.convention["step"] = (
            f"{self.candidate.name}({', '.join(p.name for p in self.signature)}).{self.step_name}"
        )
        self.convention["arrays"] = f"given as {self.way}"

    def materials(self, case: Case) -> dict[str, Handle]:
        """Two layers in every disguise: objects with the source's attribute names, parameters, dicts, a model."""
        roles = {names.kind_of_array(a): a for a in reversed(self.attributes)}
        own = {
            "W": roles.get("weight", "W"), "b": roles.get("bias", "b"),
            "gW": roles.get("weight-gradient", "grad_W"), "gb": roles.get("bias-gradient", "grad_b"),
        }  # fmt: skip
        self.own = own
        layers, parameters = [], []
        for n in "12":
            w, b = case.start["W" + n] * 1.0, case.start["b" + n] * 1.0
            plain = {
                own["W"]: w,
                own["b"]: b,
                own["gW"]: w * 0,
                own["gb"]: b * 0,
                "trainable": True,
                "name": "layer" + n,
            }
            held = {"params": {"W": w, "b": b}, "grads": {"W": w * 0, "b": b * 0}}
            layers.append(self.remote.make(Make({"$bare": plain | held})))
            for array in (w, b):
                word = {"data", "grad"} | {
                    a for a in self.attributes if names.matches(r"value|val|gradient|array|g|d|grads?|data", a)
                }
                parameters.append(
                    self.remote.make(
                        Make({"$bare": {k: array * (0 if k.startswith("g") or k == "d" else 1) for k in word}})
                    )
                )
        model = self.remote.make(Make({"$bare": {
            "layers": list(layers), "layer_list": list(layers), "everything": list(parameters),
              "modules": list(layers)}}))  # fmt: skip
        keys = dict(zip(NAMES, NAMES, strict=True))
        params = self.remote.make({k: case.start[k] * 1.0 for k in keys})
        grads = self.remote.make({k: case.start[k] * 0.0 for k in keys})
        lists = (
            self.remote.make([case.start[k] * 1.0 for k in NAMES]),
            self.remote.make([case.start[k] * 0.0 for k in NAMES]),
        )
        return {
            "model": model, "layers": self.remote.make(list(layers)),
              "parameters": self.remote.make(list(parameters)),
            "layer1": layers[0], "layer2": layers[1], **{f"parameter{i}": p for i, p in enumerate(parameters)},
            "params": params, "grads": grads, "list": lists[0], "gradients": lists[1],
        }  # fmt: skip

    def follow(self, case: Case) -> Mapping[str, Array]:
        """Make the optimizer, then set gradients, step and read."""
        things = self.materials(case)
        arguments, named = self.given(self.signature, case, things)
        optimizer = self.remote.call(self.module, self.candidate.name, args=arguments, **named).value
        if not isinstance(optimizer, Handle):
            raise Missing("W1", f"{self.candidate.name}() made no object")
        paths: dict[str, list[Array]] = {name: [] for name in NAMES}
        for gradients in case.gradients:
            self.set_gradients(things, gradients)
            rounds = [1, 2] if self.way == "layer" else [0, 1, 2, 3] if self.way == "parameter" else [0]
            for self.turn in rounds:
                arguments, named = self.given(self.step_signature, case, things)
                result = self.remote.call(optimizer, self.step_name, args=arguments, **named).value
                self.store(things, result)
            for name, value in self.read(things).items():
                paths[name].append(value)
        return stacked(paths)

    turn = 0

    def given(
        self, signature: Sequence[Parameter], case: Case, things: Mapping[str, Handle]
    ) -> tuple[list[Any], dict[str, Any]]:
        """What must be given by position, and the hyperparameters that may be given by name."""
        arguments: list[Any] = []
        named: dict[str, Any] = {}
        for parameter in signature:
            name = parameter.name
            value: Any = None
            if names.matches(names.RATE, name):
                value = case.lr
            elif names.matches(MOMENTUM, name):
                value = case.m
            elif names.matches(DECAY, name):
                value = case.wd
            elif names.matches(r"config\w*|cfg", name):
                value = config_of(case)
            elif not parameter.required:
                continue
            elif names.matches(r"\w*name|label", name):
                value = "n"
            elif names.matches(GRADIENTS, name):
                value = things["gradients" if self.way == "lists" else "grads"]
            else:
                value = things[self.thing()]
            if parameter.required:
                arguments.append(value)
            else:
                named[name] = value
        return arguments, named

    def thing(self) -> str:
        """What stands for the arrays."""
        return {
            "layer": f"layer{self.turn}",
            "parameter": f"parameter{self.turn}",
            "dicts": "params",
            "lists": "list",
        }.get(self.way, self.way)

    def set_gradients(self, things: Mapping[str, Handle], gradients: Mapping[str, Array]) -> None:
        """Everywhere an optimizer may look."""
        for n in "12":
            layer = things["layer" + n]
            for name in "Wb":
                self.remote.set(layer, (self.own["g" + name],), gradients[name + n])
                self.remote.set(layer, ("grads", name), gradients[name + n])
        for i, name in enumerate(NAMES):
            parameter = things[f"parameter{i}"]
            for path in self.remote.leaves(parameter):
                if str(path[0]).startswith("g") or path[0] == "d":
                    self.remote.set(parameter, path, gradients[name])
            self.remote.set(things["grads"], (name,), gradients[name])
            self.remote.set(things["gradients"], (i,), gradients[name])

    def store(self, things: Mapping[str, Handle], result: Any) -> None:
        """Some optimizers return the new values."""
        if isinstance(result, Items) and self.way in ("dicts", "lists"):
            returned = result.elements
            for i, name in enumerate(NAMES):
                value = as_array(returned.get(name if self.way == "dicts" else i))
                if value is not None:
                    self.remote.set(
                        things["params" if self.way == "dicts" else "list"],
                        (name if self.way == "dicts" else i,),
                        value,
                    )

    def read(self, things: Mapping[str, Handle]) -> dict[str, Array]:
        """The values after a step."""
        found: dict[str, Any] = {}
        for i, name in enumerate(NAMES):
            if self.way in ("dicts", "lists"):
                found[name] = self.remote.get(
                    things["params" if self.way == "dicts" else "list"], (name if self.way == "dicts" else i,)
                )
            elif self.way in ("parameters", "parameter") or (self.way == "model" and self.moved_parameters(things)):
                leaves = self.remote.leaves(things[f"parameter{i}"])
                found[name] = next(v for p, v in leaves.items() if not (str(p[0]).startswith("g") or p[0] == "d"))
            else:
                layer = things["layer" + name[1]]
                key = (
                    ("params", name[0])
                    if "params" in self.attributes and self.own[name[0]] not in self.attributes
                    else (self.own[name[0]],)
                )
                found[name] = self.remote.get(layer, key)
        arrays = {k: as_array(v) for k, v in found.items()}
        if any(a is None for a in arrays.values()):
            raise Missing("W1", "after the step a parameter is no array any more")
        return {k: a for k, a in arrays.items() if a is not None}

    def moved_parameters(self, things: Mapping[str, Handle]) -> bool:
        """Does it ask the model for parameters()?"""
        return (
            any(a in ("parameters", "params", "get_parameters") for a in self.attributes)
            and "layers" not in self.attributes
        )


def stacked(paths: Mapping[str, list[Array]]) -> dict[str, Array]:
    """Steps as the first axis; a path whose shape changes on the way keeps its last shape only."""
    result = {}
    for name, path in paths.items():
        same = len({a.shape for a in path}) == 1
        result[name] = np.stack(path) if same else path[-1][None]
    return result


def source_of(candidate: Candidate) -> str:
    """The text of the class or function."""
    assert candidate.source.tree
    for node in ast.walk(candidate.source.tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == candidate.name:
            return ast.unparse(node)
    return ""


def attributes_of(candidate: Candidate) -> list[str]:
    """Names of attributes and string keys in the class, first come first."""
    found = re.findall(r"\.(\w+)|['\"](\w+)['\"]", source_of(candidate))
    return list(dict.fromkeys(a or b for a, b in found))
