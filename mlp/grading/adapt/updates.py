"""Update rules that a layer or a function is: followed step by step on two layers of the same shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlp.grading import names
from mlp.grading.adapt.context import Adapted, dotted
from mlp.grading.adapt.layers import ClassLayer
from mlp.grading.adapt.remote import Array, Handle, Items, as_array, as_tuple
from mlp.grading.candidates import Parameter, required
from mlp.grading.hypotheses import component as definitions
from mlp.grading.hypotheses.component import Case
from mlp.grading.hypotheses.linear import LINEAR
from mlp.grading.hypotheses.steps import NAMES
from mlp.grading.judge import Failing, Missing
from mlp.grading.process import StudentError

CONFIG = {"learning_rate": 0.1, "lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
GRADIENTS = r"g|d|d_?[wpx]\d?|d_?param\w*|\w*grad\w*"
MOMENTUM, DECAY = r"momentum|mu|beta1?|m|gamma|rho|mom\w*", r"weight_?decay|wd|l2\w*|lambda_?|lam\w*|reg\w*"


@dataclass
class Updates(Adapted):
    """What all forms share."""

    way: str = ""

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

    rate_only: bool = False

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
        layers = {number: self.start(case, number) for number in "12"}
        paths: dict[str, list[Array]] = {name: [] for name in NAMES}
        for gradients in case.gradients:
            for number, layer in layers.items():
                for name, slot in self.layer.slots.items():
                    assert slot.gradient
                    self.remote.set(layer, slot.gradient, slot.outward(gradients[name + number]))
                self.remote.call(layer, "update", args=[case.lr if self.rate_only else config_of(case)])
                for name, value in self.values(layer, case, number).items():
                    paths[name].append(value)
        return stacked(paths)

    def start(self, case: Case, number: str) -> Handle:
        """A layer that has run once and holds the start's values."""
        inputs = definitions.fresh(
            x=np.ones((2, 4)), g=np.zeros((2, 3)), W=case.start["W" + number], b=case.start["b" + number]
        )
        layer = self.layer.new(inputs)
        self.layer.through(layer, inputs)
        self.layer.fill(layer, inputs)
        return layer

    def values(self, layer: Handle, case: Case, number: str) -> dict[str, Array]:
        """The arrays of a layer, in the definition's layout."""
        leaves = self.remote.leaves(layer)
        found = {}
        for name, slot in self.layer.slots.items():
            value = as_array(leaves.get(slot.path))
            if value is None:
                raise Missing(name + number, f"after update, {dotted(slot.path)} is no array any more")
            expected = slot.like(case.start[name + number].shape)
            value = slot.inward(value)
            found[name + number] = value.reshape(-1) if name == "b" and value.shape == expected else value
        return found


@dataclass
class FunctionUpdate(Updates):
    """rule(w, dw, config) -> (w, config), or rule(w, dw, lr) -> w."""

    configured: bool = False

    def prepare(self) -> None:
        """What can be asked for."""
        signature = self.candidate.methods["forward"]
        text = self.candidate.text
        self.configured = any(
            names.matches(r"config\w*|cfg|opts?|options|state|params?_?dict", p.name) for p in signature
        )
        words = " ".join(p.name for p in signature) + (text if self.configured else "")
        self.restrict("momentum" in words or "velocity" in words, "decay" in words)
        self.convention["step"] = f"{self.candidate.name}({', '.join(p.name for p in signature)})"

    def follow(self, case: Case) -> Mapping[str, Array]:
        """Every array by itself."""
        return stacked({name: self.path(case, name) for name in NAMES})

    def path(self, case: Case, name: str) -> list[Array]:
        """The values of one array, step by step."""
        memory: Any = self.remote.make(config_of(case))
        value = self.remote.make({"w": case.start[name] * 1.0})
        path: list[Array] = []
        for gradients in case.gradients:
            current = as_array(self.remote.get(value, ("w",)))
            assert current is not None
            signature = self.candidate.methods["forward"]
            arguments = [self.argument(p, current, gradients[name], memory, case) for p in signature]
            result = self.remote.call(self.module, self.candidate.name, args=arguments).value
            parts = as_tuple(result) or [result]
            new = as_array(parts[0])
            if new is None:
                raise Missing("W1", f"{self.candidate.name} returns no array")
            if len(parts) > 1 and (isinstance(parts[1], Items | Handle) or not self.configured):
                memory = parts[1]
            self.remote.set(value, ("w",), new)
            path.append(new)
        return path

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


def stacked(paths: Mapping[str, list[Array]]) -> dict[str, Array]:
    """Steps as the first axis; a path whose shape changes on the way keeps its last shape only."""
    result = {}
    for name, path in paths.items():
        same = len({a.shape for a in path}) == 1
        result[name] = np.stack(path) if same else path[-1][None]
    return result
