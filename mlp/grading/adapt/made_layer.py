"""How a layer's class wants to be constructed, where its parameters are, and which way its examples lie."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mlp.grading import names
from mlp.grading.adapt.construct import arguments_of, by_name, construct, guesses, path_of, shown
from mlp.grading.adapt.context import Adapted, dotted, first_example, role
from mlp.grading.adapt.parameters import Slot, arrays, find, kind
from mlp.grading.adapt.remote import Array, Handle, Make, Path, Reply, as_array
from mlp.grading.candidates import required
from mlp.grading.hypotheses.activations import with_constants
from mlp.grading.judge import Missing
from mlp.grading.process import StudentError

SET_UP = r"set_input_\w+|initiali[sz]e\w*|build|init_?(weights?|params|parameters)|reset_parameters"
N, N_IN, N_OUT = 4, 6, 5
ONE_BY_ONE = (
    r"x_train\[\w+\]|range\(samples\)|for \(?\w+, ?\w+\)? in (zip\((x|X)\w*, ?(y|Y)|mini_?batch|training_data)"
)
BATCHES = r"axis ?= ?[01]|\.shape\[[01]\]|\blen\("


@dataclass
class MadeLayer(Adapted):
    """A layer's class, so far as it can be known before a case is run."""

    mode: str = "upstream"  # "local": backward gives f' only; "local of output": as a function of y
    slots: dict[str, Slot] = field(default_factory=dict)
    which: int = 0
    forward_name: str = ""
    backward_name: str = ""
    single: bool = False  # one example at a time

    def prepare(self) -> None:
        """Find out how it is made and where its parameters are. Raises ``StudentError`` or ``Missing``."""
        methods, told = self.candidate.methods, self.candidate.overrides
        self.forward_name = str(told.get("forward") or names.method_of(names.FORWARD, methods))
        if not self.forward_name:
            raise Missing("y", f"class {self.candidate.name} has no forward")
        backward = names.method_of(names.BACKWARD, methods, self.forward_name)
        self.backward_name = str(told.get("backward") or backward)
        errors: list[StudentError | Missing] = []
        for which in range(len(self.tries(N_IN, N_OUT))):
            self.which = which
            try:
                self.settle()
                return
            except (StudentError, Missing) as error:
                errors.append(error)
        raise most_telling(errors)

    def tries(self, n_in: int, n_out: int) -> list[list[Any]]:
        """Argument lists for the constructor."""
        signature = self.candidate.methods.get("__init__", [])
        if "arguments" in self.candidate.overrides:
            return [arguments_of(self.candidate.overrides["arguments"], n_in, n_out)]
        if self.component.name == "Linear":
            return guesses(signature, n_in, n_out)
        named = by_name(signature, n_in, n_in)
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
        for method in self.candidate.methods if self.component.name == "Linear" else ():
            if names.matches(SET_UP, method):
                with contextlib.suppress(StudentError):
                    self.remote.call(made, method, args=self.set_up_arguments(method, n_in, n_out))
        return made

    def set_up_arguments(self, method: str, n_in: int, n_out: int) -> list[Any]:
        """For initialize(optimizer), build(input_shape) and the like."""
        arguments: list[Any] = []
        for parameter in required(self.candidate.methods[method]):
            if names.matches(r"opt\w*", parameter.name):
                arguments.append(Make({"$new": "optimizer"}))
            elif re.search(r"shape", parameter.name):
                arguments.append((n_in,))
            else:
                arguments.append(n_out if names.matches(names.SIZE_OUT, parameter.name) else n_in)
        return arguments

    def settle(self) -> None:
        """Construct one and find its parameters by shape, name and effect."""
        if self.component.name not in ("Linear", "BatchNorm"):
            made = self.make(N_IN, N_IN)
            self.component = with_constants(self.component, self.numbers(made))
            self.check_strays(made)
            return
        made = self.make(N_IN, N_OUT)
        if self.component.name == "BatchNorm":
            self.find_vectors(self.remote.leaves(made))
            return
        x = np.random.default_rng(3).normal(size=(N, N_IN))
        if not find(self.remote.leaves(made), [(N_IN, N_OUT), (N_OUT, N_IN)], "weight"):  # made at the first call
            self.forward(made, x)
        self.find_weight_and_bias(made, x)
        self.describe_slots()
        self.find_orientation(made, x)
        self.find_batches(made, x)

    def numbers(self, made: Handle) -> list[float]:
        """The plain numbers that an object keeps, such as a slope."""
        leaves = self.remote.leaves(made).values()
        return [float(v) for v in leaves if isinstance(v, int | float) and not isinstance(v, bool)]

    def find_weight_and_bias(self, made: Handle, x: Array) -> None:
        """By shape and name; where several fit, by whether the output depends on it."""
        leaves = self.remote.leaves(made)
        shapes = [(N_IN, N_OUT), (N_OUT, N_IN)]
        weights = self.told("weight") or self.depended(made, x, find(leaves, shapes, "weight"), "weight")
        if not weights:
            raise Missing("W", f"no weight of shape {shapes[0]} or {shapes[1]} found in {self.candidate.name}")
        shape = arrays(leaves)[weights[0]].shape
        self.slots["W"] = Slot(weights[0], shape, shape == (N_OUT, N_IN))
        vectors = [p for p in find(leaves, [(N_OUT,), (N_OUT, 1), (1, N_OUT)], "bias") if p != weights[0]]
        biases = self.told("bias") or self.depended(made, x, vectors, "bias")
        if biases:
            self.slots["b"] = Slot(biases[0], arrays(leaves)[biases[0]].shape)

    def depended(self, made: Handle, x: Array, paths: list[Path], word: str) -> list[Path]:
        """If the names do not tell, those that the output depends on."""
        if len(paths) > 1 and kind(paths[0]) != word:
            return [p for p in paths if self.matters(made, p, x)] or paths
        return paths

    def told(self, key: str) -> list[Path]:
        """What an adapter says about where an array is."""
        return [path_of(str(self.candidate.overrides[key]))] if key in self.candidate.overrides else []

    def find_vectors(self, leaves: Mapping[Path, Any]) -> None:
        """γ and β of BatchNorm, by name."""
        words = {"gamma": r"gamma|weight|bw|scale|w|g", "beta": r"beta|bias|bb|shift|b"}
        for slot, pattern in words.items():
            fitting = [
                p for p, a in arrays(leaves).items()
                if a.size == max(a.shape) == N_IN and any(names.matches(pattern, str(s)) for s in p[-2:])
            ]  # fmt: skip
            if not fitting:
                raise Missing(slot, f"no array {slot} found in {self.candidate.name}")
            self.slots[slot] = Slot(fitting[0], arrays(leaves)[fitting[0]].shape)
        self.describe_slots()

    def describe_slots(self) -> None:
        """For the grader."""
        for name, slot in self.slots.items():
            order = "(out, in)" if slot.transposed else "(in, out)"
            shape = order if name == "W" else str(slot.shape).replace("5", "out")
            self.convention[{"W": "weight", "b": "bias"}.get(name, name)] = f"{dotted(slot.path)}, shape {shape}"

    def matters(self, made: Handle, path: Path, x: Array) -> bool:
        """Does the output depend on the array?"""
        before = as_array(self.forward(made, x).value)
        old = as_array(self.remote.get(made, path))
        assert old is not None
        self.remote.set(made, path, np.random.default_rng(4).normal(size=old.shape))
        after = as_array(self.forward(made, x).value)
        self.remote.set(made, path, old)
        return before is None or after is None or before.shape != after.shape or not np.array_equal(before, after)

    def find_orientation(self, made: Handle, x: Array) -> None:
        """Rows or columns as examples: whichever the shapes allow."""
        if self.runs(made, x):
            self.find_gradient_orientation(made, x)
            return
        self.context.columns = True
        self.context.columns = self.runs(made, x)
        if self.context.columns:
            self.convention["examples"] = "columns: arrays are (features, N)"

    def runs(self, made: Handle, x: Array) -> bool:
        """Does forward give a row for each example?"""
        try:
            y = as_array(self.forward(made, x).value)
        except StudentError:
            return False
        return y is not None and y.shape == (len(x), N_OUT)

    def find_gradient_orientation(self, made: Handle, x: Array) -> None:
        """Are gradients (features, N) although inputs are (N, features)?"""
        g = np.random.default_rng(3).normal(size=(len(x), N_OUT))
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

    def find_batches(self, made: Handle, x: Array) -> None:
        """A layer that steps in backward, in code that takes examples one by one, may know no batches."""
        text = self.candidate.source.text
        signature = self.candidate.methods.get(self.backward_name, [])
        steps = any(role(p) == "rate" for p in signature)
        if steps and (re.search(ONE_BY_ONE, text) or not re.search(BATCHES, text)):
            draw = self.component.draw
            if not self.returns(made, x) and self.returns(made, x[:1]):
                self.single = True
                self.component = replace(self.component, draw=lambda rng: [first_example(c) for c in draw(rng)])
                self.convention["examples"] = "one at a time"

    def returns(self, made: Handle, x: Array) -> bool:
        """Does backward run after forward?"""
        try:
            self.forward(made, x)
            self.backward(made, x, np.ones((len(x), N_OUT)), np.ones((len(x), N_OUT)))
        except StudentError:
            return False
        return True

    def check_strays(self, made: Handle) -> None:
        """Arrays of an activation that its output depends on are parameters that nothing here checks."""
        leaves = arrays(self.remote.leaves(made))
        x = np.random.default_rng(3).normal(size=(4, 6))
        for path, array in leaves.items():
            if array.size > 1 and array.dtype.kind == "f" and self.matters(made, path, x):
                raise Missing("parameters", f"{dotted(path)} influences the output, and nothing here checks it")

    def forward(self, layer: Handle, x: Array) -> Reply:
        """Call forward."""
        raise NotImplementedError

    def backward(self, layer: Handle, x: Array, y: Array, g: Array) -> Reply:
        """Call backward."""
        raise NotImplementedError


def most_telling(errors: list[StudentError | Missing]) -> StudentError | Missing:
    """The last that is no wrong number of arguments; a missing array tells more than that; else the first."""
    raised = [e for e in errors if isinstance(e, StudentError) and e.details["type"] != "TypeError"]
    missing = [e for e in errors if isinstance(e, Missing)]
    return (raised[-1:] or missing or errors)[0]
