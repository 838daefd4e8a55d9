"""Layers written as classes: Linear, activations, Softmax, BatchNorm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlp.grading import names
from mlp.grading.adapt.construct import arguments_of, by_name, construct, guesses, path_of, shown
from mlp.grading.adapt.parameters import Slot, arrays, find, gradient_of, kind, settled_shape
from mlp.grading.adapt.remote import Array, Handle, Items, Path, Remote, Reply, Typed, as_array, as_tuple
from mlp.grading.discovery import Candidate, Parameter, required
from mlp.grading.hypotheses.component import Case, Component, agrees, with_variant
from mlp.grading.judge import Failing, Missing
from mlp.grading.process import StudentError


@dataclass
class Context:
    """What is known about a submission as a whole."""

    clears: bool = False  # some code sets gradients back to zero
    columns: bool = False  # examples are columns: (features, N)
    gradients_transposed: bool = False  # gradients are (features, N) although inputs are (N, features)
    layer_divides: bool = False  # Linear divides its gradients by N
    loss_sums: bool = False  # some loss leaves the division by N to others


@dataclass
class ClassLayer:
    """A layer object in the child."""

    remote: Remote
    module: Handle
    candidate: Candidate
    component: Component
    context: Context
    mode: str = (
        "upstream"  # "local": backward gives f' only, to be multiplied; "local of output": as a function of y
    )
    convention: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    manners: dict[str, str] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    which: int = 0

    def prepare(self) -> None:
        """Find out how it is made and where its parameters are. Raises ``StudentError`` or ``Missing``."""
        methods = self.candidate.methods
        forwards = [m for m in names.FORWARD if m in methods]
        if not forwards and "forward" not in self.candidate.overrides:
            raise Missing("y", f"class {self.candidate.name} has no forward")
        told = self.candidate.overrides
        self.forward_name = str(told.get("forward", forwards[0] if forwards else ""))
        rest = [m for m in names.BACKWARD if m in methods and m != self.forward_name]
        self.backward_name = str(told.get("backward", rest[0] if rest else ""))
        self.signature = methods.get("__init__", [])
        first = None
        for which in range(len(self.tries(6, 5))):
            self.which = which
            try:
                self.settle()
                return
            except (StudentError, Missing) as error:
                if first is None or (isinstance(error, Missing) and isinstance(first, StudentError)):
                    first = error
                if isinstance(error, StudentError) and error.details["type"] not in ("TypeError",):
                    first = error
        assert first
        raise first

    def tries(self, n_in: int, n_out: int) -> list[list[Any]]:
        """Argument lists for the constructor."""
        if "arguments" in self.candidate.overrides:
            return [arguments_of(self.candidate.overrides["arguments"], n_in, n_out)]
        if self.component.name == "Linear":
            return guesses(self.signature, n_in, n_out)
        named = by_name(self.signature, n_in, n_in)
        rest: list[list[Any]] = (
            [[n_in], ["n", n_in], [n_in, n_in]] if self.component.name == "BatchNorm" else [[], ["n"]]
        )
        return ([named] if named is not None else []) + rest

    def make(self, n_in: int, n_out: int) -> Handle:
        """A new object."""
        made, arguments = construct(
            self.remote, self.module, self.candidate.name, [self.tries(n_in, n_out)[self.which]]
        )
        self.convention["constructor"] = self.candidate.name + shown(arguments)
        return made

    def settle(self) -> None:
        """Construct one and find its parameters by shape, name and effect."""
        n, n_in, n_out = 4, 6, 5
        if self.component.name not in ("Linear", "BatchNorm"):
            self.check_strays(self.make(6, 6))
            return
        made = self.make(n_in, n_out)
        x = np.random.default_rng(3).normal(size=(n, n_in))
        leaves = self.remote.leaves(made)
        if self.component.name == "BatchNorm":
            self.find_slots(leaves, {"gamma": ("weight", (n_in,)), "beta": ("bias", (n_in,))})
            return
        if not find(leaves, [(n_in, n_out), (n_out, n_in)], "weight"):  # made at the first call
            self.forward(made, x)
            leaves = self.remote.leaves(made)
        weights = self.told("weight") or find(leaves, [(n_in, n_out), (n_out, n_in)], "weight")
        if not weights:
            raise Missing(
                "W", f"no weight of shape ({n_in}, {n_out}) or ({n_out}, {n_in}) found in {self.candidate.name}"
            )
        if len(weights) > 1 and kind(weights[0]) != "weight":
            weights = [p for p in weights if self.matters(made, p, x)] or weights
        shape = arrays(leaves)[weights[0]].shape
        self.slots["W"] = Slot(weights[0], shape, shape == (n_out, n_in))
        biases = self.told("bias") or [
            p for p in find(leaves, [(n_out,), (n_out, 1), (1, n_out)], "bias") if p != weights[0]
        ]
        if len(biases) > 1 and kind(biases[0]) != "bias":
            biases = [p for p in biases if self.matters(made, p, x)] or biases
        if biases:
            self.slots["b"] = Slot(biases[0], arrays(leaves)[biases[0]].shape)
        self.describe_slots()
        self.find_orientation(made, x, n_out)

    def told(self, key: str) -> list[Path]:
        """What an adapter says about where an array is."""
        return [path_of(str(self.candidate.overrides[key]))] if key in self.candidate.overrides else []

    def find_slots(self, leaves: Mapping[Path, Any], wanted: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
        """Vectors by name: γ and β of BatchNorm."""
        words = {"gamma": r"gamma|weight|bw|scale|w|g", "beta": r"beta|bias|bb|shift|b"}
        for slot, (_, (n,)) in wanted.items():
            fitting = [
                p for p, a in arrays(leaves).items()
                if a.shape in ((n,), (1, n), (n, 1)) and any(names.matches(words[slot], str(s)) for s in p[-2:])
            ]  # fmt: skip
            if not fitting:
                raise Missing(slot, f"no array {slot} found in {self.candidate.name}")
            self.slots[slot] = Slot(fitting[0], arrays(leaves)[fitting[0]].shape)
        self.describe_slots()

    def describe_slots(self) -> None:
        """For the grader."""
        for name, slot in self.slots.items():
            dotted = ".".join(map(str, slot.path))
            order = (
                ("(out, in)" if slot.transposed else "(in, out)")
                if name == "W"
                else str(slot.shape).replace("5", "out")
            )
            self.convention[{"W": "weight", "b": "bias"}.get(name, name)] = f"{dotted}, shape {order}"

    def matters(self, made: Handle, path: Path, x: Array) -> bool:
        """Does the output depend on the array?"""
        before = as_array(self.forward(made, x).value)
        old = as_array(self.remote.get(made, path))
        assert old is not None
        self.remote.set(made, path, np.random.default_rng(4).normal(size=old.shape))
        after = as_array(self.forward(made, x).value)
        self.remote.set(made, path, old)
        return before is None or after is None or before.shape != after.shape or not np.array_equal(before, after)

    def find_orientation(self, made: Handle, x: Array, n_out: int) -> None:
        """Rows or columns as examples: whichever the shapes allow."""
        try:
            y = as_array(self.forward(made, x).value)
            if y is not None and y.shape == (len(x), n_out):
                self.find_gradient_orientation(made, x, n_out)
                return
        except StudentError:
            pass
        if self.slots["W"].transposed:
            self.context.columns = True
            try:
                y = as_array(self.forward(made, x).value)
                self.context.columns = y is not None and y.shape == (len(x), n_out)
            except StudentError:
                self.context.columns = False
            if self.context.columns:
                self.convention["examples"] = "columns: arrays are (features, N)"

    def find_gradient_orientation(self, made: Handle, x: Array, n_out: int) -> None:
        """Are gradients (features, N) although inputs are (N, features)?"""
        g = np.random.default_rng(3).normal(size=(len(x), n_out))
        try:
            self.remote.call(made, self.backward_name, args=[g])
        except StudentError:
            try:
                self.forward(made, x)
                dx = self.remote.call(made, self.backward_name, args=[g.T]).value
            except StudentError:
                return
            if (array := as_array(dx)) is not None and array.shape == x.T.shape:
                self.context.gradients_transposed = True
                self.convention["gradients"] = "transposed throughout: (features, N)"

    def check_strays(self, made: Handle) -> None:
        """Arrays of an activation that its output depends on are parameters that nothing here checks."""
        leaves = arrays(self.remote.leaves(made))
        x = np.random.default_rng(3).normal(size=(4, 6))
        for path, array in leaves.items():
            if array.size > 1 and array.dtype.kind == "f" and self.matters(made, path, x):
                raise Missing(
                    "parameters", f"{'.'.join(map(str, path))} influences the output, and nothing here checks it"
                )

    # One case -----------------------------------------------------------------------------------------------------

    def observe(self, case: Case) -> Mapping[str, Array]:
        """Run the case: a first call, a second one, or one with another object in between."""
        layer = self.new(case if case.kind == "fresh" else case.first)
        if case.kind == "again":
            self.through(layer, case.first)
            before = self.remote.leaves(layer)
            self.fill(layer, case)
            result = self.through(layer, case)
            return self.without_old(case, result, before)
        if case.kind == "shared":
            between = self.new(case.other)
            return self.through(layer, case, between)
        return self.through(layer, case)

    def new(self, case: Case) -> Handle:
        """An object with the case's parameters."""
        n_in, n_out = (case.x.shape[1], case.g.shape[1])
        layer = self.guard("forward", lambda: self.make(n_in, n_out))
        if self.component.name == "Linear" and self.lazy(layer):
            self.guard("forward", lambda: self.forward(layer, case.x))
        self.fill(layer, case)
        return layer

    def lazy(self, layer: Handle) -> bool:
        """Does it make its weight at the first call only?"""
        return self.slots["W"].path not in self.remote.leaves(layer)

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
        g = case.g * 1.0
        reply = self.guard("backward", lambda: self.backward(layer, case, values["y"], g), values)
        return self.collect(layer, case, reply, before, values)

    def collect(
        self, layer: Handle, case: Case, reply: Reply, before: Mapping[Path, Any], values: dict[str, Array]
    ) -> dict[str, Array]:
        """The input gradient that was returned, and the gradients that were left or returned beside it."""
        returned = reply.value
        parts = as_tuple(returned)
        if parts is None and isinstance(returned, Items) and returned.type == "dict":
            parts = list(returned.elements.values())
            inputs = [
                v
                for k, v in returned.elements.items()
                if names.matches(r"d?l?d?_?(x|input|a|z|prev|a_prev)", str(k))
            ]
            parts = inputs[:1] + [p for p in parts if not any(p is i for i in inputs[:1])]
        if parts:
            reply = Reply(parts[0], reply.changed, reply.same)
        try:
            values["dx"] = self.output(reply, "dx", layer)
        except Missing as missing:
            if self.slots:
                values |= self.gradients(layer, case, before, parts)
            raise Missing(missing.output, missing.what, values) from None
        if self.mode.startswith("local"):
            if values["dx"].shape == case.g.shape:
                values["dx"] = values["dx"] * case.g
            elif self.component.name == "Softmax" and values["dx"].shape == (*case.x.shape, case.x.shape[1]):
                values["dx"] = np.einsum("nij,ni->nj", values["dx"], case.g)
        if self.slots:
            values |= self.gradients(layer, case, before, parts)
        return values

    def gradients(
        self, layer: Handle, case: Case, before: Mapping[Path, Any], parts: Sequence[Any] | None
    ) -> dict[str, Array]:
        """Of the parameters, in the definition's layout."""
        after = self.remote.leaves(layer)
        found: dict[str, Array] = {}
        rest = [a for p in (parts or [])[1:] if (a := as_array(p)) is not None]
        for name, slot in self.slots.items():
            word = {"W": "weight", "gamma": "weight"}.get(name, "bias")
            if rest:
                value: Array | None = rest.pop(0)
            elif self.rate is not None:  # backward moves the parameters itself
                old, new = as_array(before[slot.path]), as_array(after[slot.path])
                value = None if old is None or new is None else (old - new) / self.rate
            else:
                if slot.gradient is None or slot.gradient not in after:
                    taken = {s.gradient for s in self.slots.values() if s.gradient and s is not slot}
                    slot.gradient = self.named_gradient(name, slot, word, before, after, taken)
                value = None if slot.gradient is None else as_array(after.get(slot.gradient))
            if value is None:
                dotted = ".".join(map(str, slot.path))
                raise Missing("d" + name, f"backward leaves no gradient of {dotted} that could be found", found)
            shown_path = ".".join(map(str, slot.gradient)) if slot.gradient else "returned by backward"
            label = {"W": "weight gradient", "b": "bias gradient"}.get(name, f"gradient of {name}")
            self.convention.setdefault(label, shown_path if self.rate is None else "applied by backward itself")
            shape = slot.like(getattr(case, name).shape)
            found["d" + name] = (
                slot.inward(value) if name == "W" else settled_shape(value, shape, self.remarks, label)
            )
        return found

    def named_gradient(
        self,
        name: str,
        slot: Slot,
        word: str,
        before: Mapping[Path, Any],
        after: Mapping[Path, Any],
        taken: set[Path],
    ) -> Path | None:
        """BatchNorm calls its arrays many things; a gradient has the parameter's name in its own."""
        if told := self.told(f"{word}_gradient"):
            return told[0]
        if name in ("gamma", "beta"):
            own = str(slot.path[-1]).lower()
            for path in arrays(after):
                last = str(path[-1]).lower()
                if last != own and own in last and ("d" in last.replace(own, "") or "grad" in last):
                    return path
        return gradient_of(slot, word, before, after, taken)

    rate: float | None = None

    def forward(self, layer: Handle, x: Array) -> Reply:
        """Call forward as its signature wants it."""
        extra = [
            True if names.matches(r"\w*train\w*|mode", p.name) else None
            for p in required(self.candidate.methods[self.forward_name])[1:]
        ]
        if extra and None in extra:
            extra = []
        return self.oriented(self.remote.call(layer, self.forward_name, args=[self.turned(x), *extra]))

    def backward(self, layer: Handle, case: Case, y: Array, g: Array) -> Reply:
        """Call backward with what its arguments are called."""
        signature = self.candidate.methods[self.backward_name]
        roles = [role(p) for p in required(signature)]
        if not roles and signature and self.mode == "upstream":
            roles = [role(signature[0])]
        if self.mode == "local" and len(roles) == 1:
            return self.remote.call(layer, self.backward_name, args=[self.turned(case.x)])
        if self.mode == "local of output" and len(roles) == 1:
            return self.remote.call(layer, self.backward_name, args=[self.turned(y)])
        if len(roles) == 1:
            roles = ["g"]
        self.rate = 0.5 if "rate" in roles else None
        if "g" not in roles and roles:
            roles = [
                "g" if i == (0 if roles[0] not in ("x", "y") else len(roles) - 1) else r
                for i, r in enumerate(roles)
            ]
        upstream = self.turned(g)
        if self.context.gradients_transposed:
            upstream = g.T.copy()
        given = {"g": upstream, "x": self.turned(case.x), "y": self.turned(y), "rate": 0.5}
        reply = self.oriented(self.remote.call(layer, self.backward_name, args=[given[r] for r in roles]))
        if self.context.gradients_transposed and isinstance(reply.value, np.ndarray):
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

    def kept(self, layer: Handle, name: str) -> Path | None:
        """Where a call that returns nothing leaves its result."""
        found = arrays(self.remote.leaves(layer))
        return next((p for p in found if names.matches(KEPT[name], str(p[-1]))), None)

    def output(self, reply: Reply, name: str, layer: Handle | None = None) -> Array:
        """The array that was returned; how it was returned goes to the manners."""
        value = reply.value
        side = "forward" if name == "y" else "backward"
        if value is None and layer is not None and (kept := self.kept(layer, name)) is not None:
            self.convention[f"{side} leaves its result in"] = ".".join(map(str, kept))
            value = self.remote.get(layer, kept)
        if name == "y" and (parts := as_tuple(value)):
            value = parts[0]
        if isinstance(value, Typed) or isinstance(value, Items):  # noqa: SIM101
            self.manners[f"{side}-returns-{value.type}"] = f"{side} returns a {value.type} instead of an array"
        array = as_array(value)
        if array is None:
            raise Missing(name, f"{side} returns {value.type if isinstance(value, Handle | Items) else value!r}")
        if reply.changed:
            remark = f"{side} changes its argument in place"
            if remark not in self.remarks:
                self.remarks.append(remark)
        return array

    def guard(self, stage: str, call: Any, partial: Mapping[str, Array] | None = None) -> Any:
        """Turn what the submission raises into what the judge understands."""
        try:
            return call()
        except StudentError as error:
            raise Failing(stage, error, partial) from None

    def without_old(self, case: Case, result: dict[str, Array], before: Mapping[Path, Any]) -> dict[str, Array]:
        """If gradients add up by contract, only what the second call added."""
        gradients = {n: s for n, s in self.slots.items() if s.gradient is not None}
        if not gradients:
            return result
        truth = self.component.predict(with_variant(case, self.component.variants[0]))
        assert truth is not None
        added = {}
        for name, slot in gradients.items():
            old = as_array(before.get(slot.gradient))  # type: ignore[arg-type]
            shape = slot.like(getattr(case, name).shape)
            if old is None or old.ndim == 0:
                return result
            old = slot.inward(old) if name == "W" else settled_shape(old, shape, [], name)
            if old.shape != result["d" + name].shape:
                return result
            added["d" + name] = result["d" + name] - old
        if any(agrees(result[k], truth[k]) for k in added):
            self.convention["gradients are"] = "set by every backward"
            return result
        if all(agrees(v, truth[k]) for k, v in added.items()) and self.context.clears:
            self.convention["gradients are"] = "accumulated until they are cleared"
            return result | added
        return result


KEPT = {  # what a result is called that is kept instead of returned
    "y": r"outputs?|out|y|result|value|activated?",
    "dx": r"d_?inputs?|dx|d_?in|grad_?inputs?|inputs?_?grad\w*|input_gradient|delta",
    "value": r"loss|value|cost|outputs?|out",
}


def role(parameter: Parameter) -> str:
    """What an argument of backward is: "g", "x", "y", "rate"."""
    name = parameter.name
    if names.matches(names.RATE, name):
        return "rate"
    if names.matches(names.UPSTREAM, name):
        return "g"
    if names.matches(r"y|out|output|s|activated", name):
        return "y"
    return "x" if names.matches(names.INPUT, name) or names.matches(r"cache\w*", name) else "g"
