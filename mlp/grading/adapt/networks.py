"""Networks: built of probes, or with their own layers replaced by probes, so that only the network is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mlp.grading import names
from mlp.grading.adapt.construct import by_name
from mlp.grading.adapt.layers import Context
from mlp.grading.adapt.remote import Array, Handle, Make, Path, Remote, as_array, as_tuple
from mlp.grading.adapt.updates import CONFIG
from mlp.grading.discovery import Candidate, required
from mlp.grading.hypotheses.component import Case, Component, Values
from mlp.grading.hypotheses.network import truth
from mlp.grading.judge import Failing, Missing
from mlp.grading.process import StudentError

LAYERS = r"\*?(layers?|modules|\w*layers|args)"
ADD = ("add", "add_layer", "append", "push", "addLayer", "register", "add_module")


@dataclass
class NetworkSubject:
    """A network object in the child."""

    remote: Remote
    module: Handle
    candidate: Candidate
    component: Component
    context: Context
    convention: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    manners: dict[str, str] = field(default_factory=dict)
    way: str = ""
    paths: list[Path] = field(default_factory=list)

    def prepare(self) -> None:
        """Which way leads to a network of probes?"""
        methods = self.candidate.methods
        self.forward_name = next((m for m in names.FORWARD if m in methods and m != "loss"), "")
        self.backward_name = next((m for m in names.BACKWARD if m in methods), "")
        self.update_name = next((m for m in names.UPDATE if m in methods), "")
        self.add_name = next((m for m in ADD if m in methods), "")
        if not self.forward_name:
            raise Missing(
                "y", f"class {self.candidate.name} has no forward; a network with loss(X, y) alone needs an adapter"
            )
        if self.add_name:
            self.way = "add"
        elif [p for p in methods.get("__init__", []) if names.matches(LAYERS, p.name)]:
            self.way = "list"
        else:
            self.way = "replace"
            self.paths = self.remote.parts(self.ready())
            count = len(self.paths)
            if not count:
                raise Missing("y", f"no layers found in class {self.candidate.name}")
            self.paths = interleaved(self.paths)
        self.component = replace(
            self.component, draw=lambda rng: self.fitted(self.component_cases(rng)), truth=self.truth
        )
        self.convention["built"] = {
            "add": f"{self.candidate.name}(), then {self.add_name}(layer)",
              "list": f"{self.candidate.name}(layers)",
            "replace": f"{self.candidate.name}() with its layers replaced by probes",
        }[self.way]  # fmt: skip

    def component_cases(self, rng: np.random.Generator) -> list[Case]:
        """The battery of the definition."""
        from mlp.grading.hypotheses.network import draw

        return draw(rng)

    def fitted(self, cases: list[Case]) -> list[Case]:
        """As many layers as the network has, if it came with its own."""
        if self.way == "replace":
            for case in cases[1:]:
                count = len(self.paths)
                case.a, case.c = (
                    np.resize(case.a, count) + 0.1 * np.arange(count),
                    np.resize(case.c, count) + np.arange(count),
                )
                case.trainable = np.arange(count) % 2 == 0
            return cases[1:]
        return cases

    def truth(self, case: Case) -> Values:
        """Without updates if the network has none."""
        values = truth(case)
        if not self.update_name or self.way == "replace":
            del values["updates"]
        return values

    def ready(self) -> Handle:
        """A network with its own layers."""
        signature = self.candidate.methods.get("__init__", [])
        named = by_name(signature, 3, 3)
        tries: list[list[Any]] = ([named] if named is not None else []) + [
            [],
            ["n"],
            [[3, 4, 3]],
            [3, 4, 3],
            [3, [4], 3],
            [3, 3],
        ]
        first = None
        for arguments in tries:
            try:
                value = self.remote.call(self.module, self.candidate.name, args=arguments).value
            except StudentError as error:
                first = first or error
                continue
            if isinstance(value, Handle):
                return value
        raise first or StudentError({"type": "TypeError", "message": "no network could be made"})

    def build(self, case: Case) -> tuple[Handle, list[Handle]]:
        """A network of probes."""
        probes = [
            self.remote.make(Make({"$probe": [float(a), float(c), bool(t)]}))
            for a, c, t in zip(case.a, case.c, case.trainable, strict=True)
        ]  # fmt: skip
        if self.way == "replace":
            network = self.ready()
            for path, probe in zip(self.paths, probes, strict=True):
                self.remote.set(network, path, probe)
        elif self.way == "list":
            starred = any(p.name.startswith("*") for p in self.candidate.methods.get("__init__", []))
            given = list(probes) if starred else [list(probes)]
            network = self.remote.call(self.module, self.candidate.name, args=given).value
        else:
            network = self.ready()
            for probe in probes:
                self.remote.call(network, self.add_name, args=[probe])
        return network, probes

    def observe(self, case: Case) -> Mapping[str, Array]:
        """Forward, backward, update, and what the probes noted."""
        values: dict[str, Array] = {}
        try:
            network, probes = self.build(case)
            extra = [None for _ in required(self.candidate.methods[self.forward_name])[1:]]
            result = self.remote.call(network, self.forward_name, args=[case.x * 1.0, *extra]).value
            parts = as_tuple(result)
            y = as_array(parts[0] if parts else result)
        except StudentError as error:
            raise Failing("forward", error) from None
        if y is None:
            raise Missing("y", "forward returns None" if result is None else "forward returns no array")
        values["y"] = y
        if not self.backward_name:
            raise Missing("received", f"class {self.candidate.name} has no backward", values)
        try:
            self.remote.call(network, self.backward_name, args=[case.g * 1.0])
        except StudentError as error:
            raise Failing("backward", error, values) from None
        received = [as_array(self.remote.get(p, ("received",))) for p in probes]
        blank = np.full_like(case.g, np.nan)
        if any(r is not None and r.shape != blank.shape for r in received):
            raise Missing("received", "a layer receives a gradient of another shape than the output", values)
        values["received"] = np.stack([blank if r is None else r for r in received])
        if self.update_name and self.way != "replace":
            try:
                wanted = required(self.candidate.methods[self.update_name])
                self.remote.call(
                    network,
                    self.update_name,
                    args=[CONFIG if not names.matches(names.RATE, p.name) else 0.1 for p in wanted],
                )
            except StudentError as error:
                raise Failing("update", error, values) from None
            counts = [float(self.remote.get(p, ("updates",))) for p in probes]
            values["updates"] = np.array([n if t else 0.0 for n, t in zip(counts, case.trainable, strict=True)])
        return values


def interleaved(paths: list[Path]) -> list[Path]:
    """Two lists, of layers and of their activations, take turns; a single list stays as it is."""
    lists: dict[Any, list[Path]] = {}
    for path in paths:
        lists.setdefault(path[0], []).append(path)
    groups = [g for g in lists.values() if len(g[0]) == 2]
    if (
        len(groups) == 2
        and len(groups[0]) + len(groups[1]) == len(paths)
        and abs(len(groups[0]) - len(groups[1])) <= 1
    ):
        first, second = groups
        return [p for i in range(len(first)) for p in (first[i : i + 1] + second[i : i + 1])]
    if len(groups) == 1 and len(groups[0]) > 1:
        return groups[0]
    return paths
