"""Layers written as classes: Linear, activations, Softmax, BatchNorm; what comes out for a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlp.grading import names
from mlp.grading.adapt.context import KEPT, dotted, roles_of
from mlp.grading.adapt.found_layer import FoundLayer
from mlp.grading.adapt.left_gradients import gradient_of
from mlp.grading.adapt.parameters import (
    Slot,
    arrays,
    kept_rate,
    running_statistics,
    settled_shape,
)
from mlp.grading.adapt.remote import Array, Handle, Items, Path, Reply, Typed, as_array, as_tuple
from mlp.grading.adapt.returned import flattened, parts_of, times_upstream
from mlp.grading.candidates import required
from mlp.grading.hypotheses.component import Case, agrees, with_variant
from mlp.grading.judge import Missing

LABELS = {"W": "weight gradient", "b": "bias gradient"}
Leaves = Mapping[Path, Any]


@dataclass
class ClassLayer(FoundLayer):
    """A layer object in the child."""

    rate: float | None = None  # of the step that backward takes itself

    def observe(self, case: Case) -> Mapping[str, Array]:
        """Run the case: a first call, a second one, or one with another object in between."""
        layer = self.new(case if case.kind == "fresh" else case.first)
        if case.kind == "again":
            self.through(layer, case.first)
            before = self.remote.leaves(layer)
            self.fill(layer, case)
            return self.without_old(case, self.through(layer, case), before)
        between = self.new(case.other) if case.kind == "shared" else None
        return self.through(layer, case, between)

    def new(self, case: Case) -> Handle:
        """An object with the case's parameters."""
        n_in, n_out = (case.x.shape[1], case.g.shape[1])
        layer: Handle = self.guard("forward", lambda: self.make(n_in, n_out))
        if self.component.name == "Linear" and self.slots["W"].path not in self.remote.leaves(layer):
            self.guard("forward", lambda: self.forward(layer, case.x))  # it makes its weight at the first call
        self.fill(layer, case)
        return layer

    def fill(self, layer: Handle, case: Case) -> None:
        """Set the parameters."""
        for name, slot in self.slots.items():
            self.remote.set(layer, slot.path, slot.outward(getattr(case, name)))

    def through(self, layer: Handle, case: Case, between: Handle | None = None) -> dict[str, Array]:
        """Forward, another object's forward, backward."""
        reply = self.guard("forward", lambda: self.forward(layer, case.x))
        values = {"y": self.output(reply, "y", layer)}
        if "b" not in self.slots and self.component.name == "Linear":
            values["y"] = values["y"] + case.b  # a layer without bias is judged as if it had one
        if between is not None:
            self.guard("forward", lambda: self.forward(between, case.other.x), values)
        if not self.backward_name:
            raise Missing("dx", f"class {self.candidate.name} has no backward", values)
        before = self.remote.leaves(layer) if self.slots else {}
        if self.component.name == "BatchNorm" and (statistics := running_statistics(before)) is not None:
            values["running"] = statistics
        reply = self.guard("backward", lambda: self.backward(layer, case.x, values["y"], case.g * 1.0), values)
        values = self.collect(layer, case, reply, before, values)
        if "running" in values:
            values |= self.evaluated(layer, case)
        return values

    def evaluated(self, layer: Handle, case: Case) -> dict[str, Array]:
        """The output with the running statistics, if forward has a switch for it."""
        more = [p.name for p in self.candidate.methods[self.forward_name][1:]]
        switch = next((n for n in more if names.matches(r"\w*(train|eval|test|infer)\w*", n)), None)
        if switch is None:
            return {}
        arguments = [self.turned(case.x), not names.matches(r"\w*train\w*", switch)]
        reply = self.guard("forward", lambda: self.remote.call(layer, self.forward_name, args=arguments))
        return {"evaluated": self.output(self.oriented(reply), "y")}

    def forward(self, layer: Handle, x: Array) -> Reply:
        """Call forward as its signature wants it."""
        more = required(self.candidate.methods[self.forward_name])[1:]
        train = all(names.matches(r"\w*train\w*|mode", p.name) for p in more)
        extra = [True for _ in more] if train else []
        return self.oriented(self.remote.call(layer, self.forward_name, args=[self.turned(x), *extra]))

    def backward(self, layer: Handle, x: Array, y: Array, g: Array) -> Reply:
        """Call backward with what its arguments are called."""
        roles = roles_of(self.candidate.methods[self.backward_name], self.mode)
        self.rate = 0.5 if "rate" in roles else None
        transposed = self.context.gradients_transposed
        given: dict[str, Any] = {
            "g": g.T.copy() if transposed else self.turned(g),
            "x": self.turned(x),
            "y": self.turned(y),
        }
        given |= {"rate": 0.5}
        reply = self.oriented(self.remote.call(layer, self.backward_name, args=[given[r] for r in roles]))
        if transposed and isinstance(reply.value, np.ndarray):
            return Reply(reply.value.T, reply.changed, reply.same)
        return reply

    def turned(self, array: Array) -> Array:
        """As the submission wants examples: rows or columns."""
        return array.T.copy() if self.context.columns and array.ndim == 2 else array * 1.0

    def oriented(self, reply: Reply) -> Reply:
        """Back to rows."""
        if self.context.columns and isinstance(reply.value, np.ndarray) and reply.value.ndim == 2:
            return Reply(reply.value.T, reply.changed, reply.same)
        return reply

    # What backward gave ------------------------------------------------------------------------------------------

    def collect(
        self, layer: Handle, case: Case, reply: Reply, before: Leaves, values: dict[str, Array]
    ) -> dict[str, Array]:
        """The input gradient that was returned, and the gradients that were left or returned beside it."""
        parts = parts_of(reply.value)
        if parts:
            first = parts[0].T if self.context.columns and isinstance(parts[0], np.ndarray) else parts[0]
            reply = Reply(first, reply.changed, reply.same)
        try:
            values["dx"] = self.output(reply, "dx", layer)
        except Missing as missing:
            if self.slots:
                values |= self.gradients(layer, case, before, parts)
            raise Missing(missing.output, missing.what, values) from None
        if self.mode.startswith("local"):
            values["dx"] = times_upstream(values["dx"], case)
        if self.slots:
            values |= self.gradients(layer, case, before, parts)
        return values

    def gradients(self, layer: Handle, case: Case, before: Leaves, parts: Sequence[Any] | None) -> dict[str, Array]:
        """Of the parameters, in the definition's layout."""
        after = self.remote.leaves(layer)
        found: dict[str, Array] = {}
        returned = [a for p in (parts or [])[1:] for a in flattened(p)]
        for name, slot in self.slots.items():
            value = returned.pop(0) if returned else self.gradient(name, slot, before, after)
            if value is None:
                raise Missing(
                    "d" + name, f"backward leaves no gradient of {dotted(slot.path)} that could be found", found
                )
            label = LABELS.get(name, f"gradient of {name}")
            place = dotted(slot.gradient) if slot.gradient else "returned by backward"
            self.convention.setdefault(label, "applied by backward itself" if self.rate is not None else place)
            shape = slot.like(getattr(case, name).shape)
            inward = slot.inward(value)
            found["d" + name] = inward if name == "W" else settled_shape(value, shape, self.remarks, label)
        return found

    def gradient(self, name: str, slot: Slot, before: Leaves, after: Leaves) -> Array | None:
        """Left in an array, or to be read from the step that backward took."""
        if self.rate is None:
            if slot.gradient is None or slot.gradient not in after:
                slot.gradient = self.named_gradient(name, slot, before, after)
            if slot.gradient is not None:
                return as_array(after.get(slot.gradient))
        old, new = as_array(before.get(slot.path)), as_array(after.get(slot.path))
        if old is None or new is None:
            return None
        if self.rate is None and (old.shape != new.shape or not np.array_equal(old, new)):
            self.rate = kept_rate(before) or self.given_rate()
        return (old - new) / self.rate if self.rate else None

    def named_gradient(self, name: str, slot: Slot, before: Leaves, after: Leaves) -> Path | None:
        """BatchNorm calls its arrays many things; a gradient has the parameter's name in its own."""
        word = {"W": "weight", "gamma": "weight"}.get(name, "bias")
        if told := self.told(f"{word}_gradient"):
            return told[0]
        if name in ("gamma", "beta"):
            own = str(slot.path[-1]).lower()
            for path in arrays(after):
                last = str(path[-1]).lower()
                if last != own and own in last and ("d" in last.replace(own, "") or "grad" in last):
                    return path
        taken = {s.gradient for s in self.slots.values() if s.gradient and s is not slot}
        return gradient_of(slot, word, before, after, taken)

    def words(self) -> dict[str, Any]:
        """What this layer calls its methods and its plain arrays, for layers that stand in for it."""
        paths = [p for s in self.slots.values() for p in (s.path, s.gradient) if p and len(p) == 1]
        update = names.method_of(names.UPDATE, self.candidate.methods)
        return {"forward": self.forward_name, "backward": self.backward_name, "update": update,
                "arrays": [p[0] for p in paths]}  # fmt: skip

    def output(self, reply: Reply, name: str, layer: Handle | None = None) -> Array:
        """The array that was returned; how it was returned goes to the manners."""
        value, side = reply.value, "forward" if name == "y" else "backward"
        if value is None and layer is not None:
            value = self.kept(layer, name, side)
        if name == "y" and (parts := as_tuple(value)):
            value = parts[0]
        if isinstance(value, Typed | Items):
            self.manners[f"{side}-returns-{value.type}"] = f"{side} returns a {value.type} instead of an array"
        array = as_array(value)
        if array is None:
            raise Missing(name, f"{side} returns {value.type if isinstance(value, Handle | Items) else value!r}")
        if reply.changed:
            self.remark(f"{side} changes its argument in place")
        return array

    def kept(self, layer: Handle, name: str, side: str) -> Any:
        """The result of a call that returns nothing, if the layer keeps it under a usual name."""
        found = arrays(self.remote.leaves(layer))
        path = next((p for p in found if names.matches(KEPT[name], str(p[-1]))), None)
        if path is None:
            return None
        self.convention[f"{side} leaves its result in"] = dotted(path)
        return found[path]

    def without_old(self, case: Case, result: dict[str, Array], before: Leaves) -> dict[str, Array]:
        """If gradients add up by contract, only what the second call added."""
        truth = self.component.predict(with_variant(case, self.component.variants[0]))
        assert truth is not None
        added = self.added(case, result, before)
        if any(agrees(result[k], truth[k]) for k in added):
            self.convention["gradients are"] = "set by every backward"
        elif self.context.clears and (grown := {k: v for k, v in added.items() if agrees(v, truth[k])}):
            self.convention["gradients are"] = "accumulated until they are cleared"
            return result | grown
        return result

    def added(self, case: Case, result: Mapping[str, Array], before: Leaves) -> dict[str, Array]:
        """By how much the gradients have grown; nothing if they were not there before."""
        grown = {}
        for name, slot in self.slots.items():
            old = None if slot.gradient is None else as_array(before.get(slot.gradient))
            if old is None or old.ndim == 0:
                continue
            shape = slot.like(getattr(case, name).shape)
            old = slot.inward(old) if name == "W" else settled_shape(old, shape, [], name)
            if old.shape == result["d" + name].shape:
                grown["d" + name] = result["d" + name] - old
        return grown
