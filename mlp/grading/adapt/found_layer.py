"""Where a layer's parameters are, which way its examples lie, and whether it steps itself: from one object."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlp.grading import names
from mlp.grading.adapt.construct import path_of
from mlp.grading.adapt.context import dotted, first_example, role
from mlp.grading.adapt.made_layer import MadeLayer
from mlp.grading.adapt.parameters import Slot, arrays, find, kept_rate, kind, running_statistics
from mlp.grading.adapt.remote import Array, Handle, Path, as_array
from mlp.grading.hypotheses.activations import with_constants
from mlp.grading.hypotheses.batchnorm import fitted
from mlp.grading.hypotheses.component import copy
from mlp.grading.judge import Missing
from mlp.grading.process import StudentError

SET_UP = r"set_input_\w+|initiali[sz]e\w*|build|init_?(weights?|params|parameters)|reset_parameters"
N, N_IN, N_OUT = 4, 6, 5
ONE_BY_ONE = (
    r"x_train\[\w+\]|range\(samples\)|"
    r"for \(?\w+, ?\w+\)? in (zip\((x|X)\w*, ?(y|Y)|mini_?batch\b|batch\b|training_data\b)"
)
BATCHES = r"axis ?= ?[01]|\.shape\[[01]\]|\blen\("


@dataclass
class FoundLayer(MadeLayer):
    """A layer's class, so far as it can be known before a case is run."""

    def settle(self) -> None:
        """Construct one and find its parameters by shape, name and effect."""
        if self.component.name not in ("Linear", "BatchNorm"):
            made = self.make(N_IN, N_IN)
            self.component = with_constants(self.component, self.numbers(made))
            self.check_strays(made)
            return
        made = self.make(N_IN, N_OUT)
        if self.component.name == "BatchNorm":
            leaves = self.remote.leaves(made)
            self.find_vectors(leaves)
            kept = {str(p[-1]): float(v) for p, v in leaves.items() if isinstance(v, float)}
            statistics = running_statistics(leaves)
            self.component = fitted(self.component, kept, None if statistics is None else float(statistics[1, 0]))
            return
        x = np.random.default_rng(3).normal(size=(N, N_IN))
        if not find(self.remote.leaves(made), [(N_IN, N_OUT), (N_OUT, N_IN)], "weight"):  # made at the first call
            self.forward(made, x)
        self.find_weight_and_bias(made, x)
        self.describe_slots()
        self.find_orientation(made, x)
        self.find_batches(made, x)
        self.find_rate(made)

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

    def find_rate(self, made: Handle) -> None:
        """The size of the step that backward takes itself, for cases that depend on it."""
        rate = kept_rate(self.remote.leaves(made)) or self.given_rate()
        if rate:
            draw = self.component.draw
            self.component = replace(self.component, draw=lambda rng: [copy(c, rate=rate) for c in draw(rng)])

    def given_rate(self) -> float | None:
        """Of our own optimizer, or of backward's argument."""
        signatures = self.candidate.methods.values()
        asked = any(names.matches(rf"\w*opt\w*|{names.RATE}", p.name) for m in signatures for p in m)
        return 0.5 if asked else None

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
