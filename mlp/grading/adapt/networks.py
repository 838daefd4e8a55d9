"""Networks: built of probes, or with their own layers replaced by probes, so that only the network is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mlp.grading import names
from mlp.grading.adapt.construct import by_name, construct, setting
from mlp.grading.adapt.context import Adapted, role
from mlp.grading.adapt.remote import Array, Handle, Make, Path, as_array, as_tuple
from mlp.grading.adapt.updates import CONFIG
from mlp.grading.candidates import required
from mlp.grading.hypotheses.component import Case, Values
from mlp.grading.hypotheses.network import draw, truth
from mlp.grading.judge import Missing

LAYERS = r"\*?(?!num_|n_)(layers?|modules|\w*layers|args)"
ADD = ("add", "add_layer", "append", "push", "addLayer", "register", "add_module")
SIZES: list[list[Any]] = [[], ["n"], [[3, 4, 3]], [3, 4, 3], [3, [4], 3], [3, 3]]


@dataclass
class NetworkSubject(Adapted):
    """A network object in the child."""

    way: str = ""
    paths: list[Path] = field(default_factory=list)
    forward_name: str = ""
    backward_name: str = ""
    update_name: str = ""
    add_name: str = ""

    def prepare(self) -> None:
        """Which way leads to a network of probes?"""
        methods = self.candidate.methods
        self.forward_name = names.method_of(names.FORWARD, methods, "loss")
        self.backward_name = names.method_of(names.BACKWARD, methods)
        self.update_name = names.method_of(names.UPDATE, methods)
        self.add_name = names.method_of(ADD, methods)
        if not self.forward_name:
            raise Missing("y", f"class {self.candidate.name} has no forward")
        if self.add_name:
            self.way = "add"
        elif [p for p in methods.get("__init__", []) if names.matches(LAYERS, p.name)]:
            self.way = "list"
        else:
            self.way = "replace"
            self.paths = interleaved(self.remote.parts(self.ready()))
            if not self.paths:
                raise Missing("y", f"no layers found in class {self.candidate.name}")
        self.component = replace(self.component, draw=lambda rng: self.fitted(draw(rng)), truth=self.truth)
        self.convention["built"] = {
            "add": f"{self.candidate.name}(), then {self.add_name}(layer)",
            "list": f"{self.candidate.name}(layers)",
            "replace": f"{self.candidate.name}() with its layers replaced by probes",
        }[self.way]  # fmt: skip

    def fitted(self, cases: list[Case]) -> list[Case]:
        """As many layers as the network has, if it came with its own."""
        if self.way != "replace":
            return cases
        count = len(self.paths)
        for case in cases[1:]:
            case.a = np.resize(case.a, count) + 0.1 * np.arange(count)
            case.c = np.resize(case.c, count) + np.arange(count)
            case.trainable = np.arange(count) % 2 == 0
        return cases[1:]

    def truth(self, case: Case) -> Values:
        """Without updates if the network has none."""
        values = truth(case)
        if not self.update_name or self.way == "replace":
            del values["updates"]
        return values

    def ready(self) -> Handle:
        """A network with its own layers."""
        named = by_name(self.candidate.methods.get("__init__", []), 3, 3)
        tries = ([named] if named is not None else []) + SIZES
        return construct(self.remote, self.module, self.candidate.name, tries)[0]

    def build(self, case: Case) -> tuple[Handle, list[Handle]]:
        """A network of probes."""
        probes = [
            self.remote.make(Make({"$probe": [float(a), float(c), bool(t), self.context.arrays]}))
            for a, c, t in zip(case.a, case.c, case.trainable, strict=True)
        ]  # fmt: skip
        if self.way == "list":
            return self.remote.call(self.module, self.candidate.name, args=self.with_layers(probes)).value, probes
        network = self.ready()
        for i, probe in enumerate(probes):
            if self.way == "replace":
                self.remote.set(network, self.paths[i], probe)
            else:
                self.remote.call(network, self.add_name, args=[probe])
        return network, probes

    def with_layers(self, probes: list[Handle]) -> list[Any]:
        """The constructor's arguments, the layers among them."""
        arguments: list[Any] = []
        for parameter in self.candidate.methods["__init__"]:
            if parameter.name.startswith("*"):
                return [*arguments, *probes]
            if names.matches(LAYERS, parameter.name):
                arguments.append(list(probes))
            elif parameter.required:
                arguments.append(setting(parameter.name, 3, 3)[1])
        return arguments

    def observe(self, case: Case) -> Mapping[str, Array]:
        """Forward, backward, update, and what the probes noted."""
        network, probes = self.guard("forward", lambda: self.build(case))
        values = {"y": self.output(network, case)}
        if not self.backward_name:
            raise Missing("received", f"class {self.candidate.name} has no backward", values)
        arguments = self.gradients(case)
        self.guard("backward", lambda: self.remote.call(network, self.backward_name, args=arguments), values)
        values["received"] = self.received(probes, case, values)
        if self.update_name and self.way != "replace":
            wanted = required(self.candidate.methods[self.update_name])
            settings = [CONFIG if not names.matches(names.RATE, p.name) else 0.1 for p in wanted]
            self.guard("update", lambda: self.remote.call(network, self.update_name, args=settings), values)
            counts = [as_array(self.remote.call(p, "moved").value) for p in probes]
            moved = np.array([0.0 if n is None else float(n) for n in counts])
            values["updates"] = np.where(case.trainable, moved, 0.0)
        return values

    def received(self, probes: list[Handle], case: Case, values: dict[str, Array]) -> Array:
        """The gradient that each layer was given; NaN for those that were not called."""
        received = [as_array(self.remote.get(p, ("received",))) for p in probes]
        if any(r is not None and r.shape != case.g.shape for r in received):
            raise Missing("received", "a layer receives a gradient of another shape than the output", values)
        return np.stack([np.full_like(case.g, np.nan) if r is None else r for r in received])

    def output(self, network: Handle, case: Case) -> Array:
        """What forward gives."""
        extra = [None for _ in required(self.candidate.methods[self.forward_name])[1:]]
        arguments = [case.x * 1.0, *extra]
        result = self.guard("forward", lambda: self.remote.call(network, self.forward_name, args=arguments)).value
        parts = as_tuple(result)
        y = as_array(parts[0] if parts else result)
        if y is None:
            raise Missing("y", "forward returns None" if result is None else "forward returns no array")
        return y

    def gradients(self, case: Case) -> list[Array]:
        """The arguments of backward: the gradient, and the input where it is wanted too."""
        signature = required(self.candidate.methods[self.backward_name])
        roles = [role(p) for p in signature]
        if any(names.matches(r"y|t|labels?|targets?|y_true", p.name) for p in signature):
            raise Missing("received", f"{self.backward_name} wants the target")
        return [case.x * 1.0 if len(roles) > 1 and r == "x" else case.g * 1.0 for r in roles or ["g"]]


def interleaved(paths: list[Path]) -> list[Path]:
    """Two lists, of layers and of their activations, take turns; a single list stays as it is."""
    lists: dict[Any, list[Path]] = {}
    for path in paths:
        lists.setdefault(path[0], []).append(path)
    groups = [g for g in lists.values() if len(g[0]) == 2]
    if len(groups) == 2 and sum(map(len, groups)) == len(paths) and abs(len(groups[0]) - len(groups[1])) <= 1:
        first, second = groups
        return [p for i in range(len(first)) for p in (first[i : i + 1] + second[i : i + 1])]
    if len(groups) == 1 and len(groups[0]) > 1:
        return groups[0]
    return paths
