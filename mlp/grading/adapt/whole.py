"""Networks in one piece: a class with W1, b1, W2, b2, or functions that share a dict of them."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mlp.grading import names
from mlp.grading.adapt.context import Adapted, dotted, first_example
from mlp.grading.adapt.found_layer import ONE_BY_ONE
from mlp.grading.adapt.left_gradients import changed
from mlp.grading.adapt.parameters import Slot, arrays, find, kept_rate, settled_shape
from mlp.grading.adapt.remote import Array, Handle, Items, Path, as_array, as_tuple
from mlp.grading.adapt.whole_arguments import (
    ACTIVATIONS,
    COST,
    CRITERION,
    RATE,
    Given,
    argument,
    constructors,
    usable,
    wanted,
)
from mlp.grading.adapt.whole_gradients import assigned, from_leaves, listed
from mlp.grading.adapt.whole_meaning import meant
from mlp.grading.hypotheses.component import Case
from mlp.grading.hypotheses.whole import HIDDEN, IN, OUT
from mlp.grading.judge import Failing, Missing
from mlp.grading.process import StudentError

SHAPES = {"W1": (IN, HIDDEN), "b1": (HIDDEN,), "W2": (HIDDEN, OUT), "b2": (OUT,)}


@dataclass
class Whole(Adapted):
    """A network in the child, of one hidden layer."""

    columns: bool = False
    labels: bool = False
    forward_name: str = ""
    step_name: str = ""
    slots: dict[str, Slot] = field(default_factory=dict)

    def prepare(self) -> None:
        """Which way of calling gives most; one example at a time if the code goes so and knows no batches."""
        function = self.candidate.form == "model"
        self.forward_name = (
            "forward" if function else names.method_of(names.FORWARD, self.candidate.methods, "loss")
        )
        text = self.candidate.source.text if function else self.candidate.text
        if re.search(ONE_BY_ONE, text) and not self.takes_batches():
            draw = self.component.draw
            self.component = replace(self.component, draw=lambda rng: [first_example(c) for c in draw(rng)])
            self.convention["examples"] = "one at a time"
        self.choose()
        self.settle()

    def takes_batches(self) -> bool:
        """Are the gradients of the biases summed over a batch?"""
        try:
            self.choose()
            values = self.observe(self.component.draw(np.random.default_rng(1))[0])
        except (StudentError, Missing, Failing):
            return False
        return all(values["d" + name].size == SHAPES[name][0] for name in ("b1", "b2") if "d" + name in values)

    def choose(self) -> None:
        """A method for the gradients, rows or columns, one-hot targets or labels. Raises what stood in the way."""
        best: tuple[int, Any] = (0, None)
        trouble: list[Exception] = []
        steps = ["backward"] if self.candidate.form == "model" else usable(self.candidate.methods)
        for plan in itertools.product(steps, (False, True), (False, True)):
            if best[0] >= 4 and plan[0] != best[1][0]:
                break
            self.step_name, self.columns, self.labels = plan
            try:
                best = max(best, (self.tried(), plan), key=lambda b: b[0])
            except (StudentError, Missing, Failing) as error:
                trouble.append(error.error if isinstance(error, Failing) else error)
        if best[1] is None:
            nothing = Missing("dW1", f"{self.candidate.name} has no method that gives gradients")
            raise trouble[0] if trouble else nothing
        self.step_name, self.columns, self.labels = best[1]

    def tried(self) -> int:
        """How many outputs this way of calling gives."""
        case = self.component.draw(np.random.default_rng(1))[0]
        values = self.observe(case)
        return len(values) if "dW1" in values or "dW2" in values else 0

    def settle(self) -> None:
        """Which functions and which loss are meant."""
        seen = [(c, self.observe(c)) for c in self.component.draw(np.random.default_rng(1))[:2]]
        self.component = meant(self.component, seen, self.candidate.source.text, self.context.text)
        self.convention |= {"calls": ", ".join(w for w in (self.forward_name, self.step_name) if w)}
        if self.columns:
            self.convention["examples"] = self.convention.get("examples", "columns: arrays are (features, N)")
        if self.labels:
            self.convention["targets"] = "integer labels"

    # One case ----------------------------------------------------------------------------------------------------

    def observe(self, case: Case) -> Mapping[str, Array]:
        """Output, value, and the gradients: returned, left behind, or read from the step that was taken."""
        network = self.guard("forward", lambda: self.new(case))
        x, t = case.x * 1.0, (case.t.argmax(1) if self.labels else case.t * 1.0)
        if self.columns:
            x, t = x.T.copy(), (t if self.labels else t.T.copy())
        given = Given(x=x, t=t, n=len(case.x), columns=self.columns)
        given.params = network if self.candidate.form == "model" else None
        values = self.outputs(network, given, case)
        return values | self.gradients(network, given, case, values)

    def new(self, case: Case) -> Handle:
        """A network, or a dict of parameters, with the case's values."""
        if self.candidate.form == "model":
            return self.new_dict(case)
        errors: list[StudentError | Missing] = []
        for arguments in constructors(self.candidate.methods.get("__init__", [])):
            try:
                own = [self.own(a) for a in arguments]
                made = self.remote.call(self.module, self.candidate.name, args=own).value
                self.find_slots(made)
            except (StudentError, Missing) as error:
                errors.append(error)
                continue
            for name, slot in self.slots.items():
                self.remote.set(made, slot.path, slot.outward(getattr(case, name)))
            return made
        raise errors[0]

    def own(self, argument: Any) -> Any:
        """Objects of the submission's own classes, where the constructor wants these."""
        classes = self.context.classes
        if argument == CRITERION:
            loss = classes.get("CrossEntropy") or classes.get("MSE")
            return self.remote.call(self.module, str(loss)).value
        if argument == ACTIVATIONS:
            hidden = next((classes[n] for n in ("ReLU", "Sigmoid", "Tanh") if n in classes), None)
            chosen = [hidden, classes.get("Identity", hidden)]
            return [self.remote.call(self.module, str(name)).value for name in chosen]
        return argument

    def find_slots(self, made: Handle) -> None:
        """The four arrays by their shapes, which are all different."""
        if self.slots:
            return
        leaves = self.remote.leaves(made)
        for name, shape in SHAPES.items():
            accepted = [shape, shape[::-1]] if len(shape) == 2 else [shape, (*shape, 1), (1, *shape)]
            fitting = find(leaves, accepted, "weight" if len(shape) == 2 else "bias")
            if not fitting:
                raise Missing("d" + name, f"no array of shape {shape} found in {self.candidate.name}")
            own = arrays(leaves)[fitting[0]].shape
            self.slots[name] = Slot(fitting[0], own, len(shape) == 2 and own == shape[::-1])
        self.convention["parameters"] = ", ".join(dotted(s.path) for s in self.slots.values())

    def new_dict(self, case: Case) -> Handle:
        """{"W1": ..., "b1": ...} with the weights as (out, in) where examples are columns."""
        for name, shape in SHAPES.items():
            turned = shape[::-1] if self.columns and len(shape) == 2 else shape
            own = turned if len(shape) == 2 else (*shape, 1) if self.columns else (1, *shape)
            self.slots[name] = Slot((name,), own, self.columns and len(shape) == 2)
        return self.remote.make({name: slot.outward(getattr(case, name)) for name, slot in self.slots.items()})

    def outputs(self, network: Handle, given: Given, case: Case) -> dict[str, Array]:
        """What forward gives, and the loss if there is a method for it."""
        values: dict[str, Array] = {}
        if self.forward_name:
            call = self.guard("forward", lambda: self.call(network, self.forward_name, given, first=given.x))
            parts = as_tuple(call.value) or [call.value]
            given.out, given.cache = parts[0], parts[1] if len(parts) > 1 else None
            y = as_array(parts[0])
            y = y.T if y is not None and self.columns else y
            values |= {"y": y} if y is not None and y.shape == case.t.shape else {}
        cost = next((m for m in self.candidate.methods if names.matches(COST, m) and m != self.step_name), "")
        if cost:
            with contextlib.suppress(StudentError, Missing):
                values |= one_number(self.call(network, cost, given).value)
        return values

    def gradients(self, network: Handle, given: Given, case: Case, values: dict[str, Array]) -> dict[str, Array]:
        """Of all parameters; the value too, if it is returned beside them."""
        before = self.remote.leaves(network)
        result = self.guard("backward", lambda: self.call(network, self.step_name, given).value, values)
        after = self.remote.leaves(network)
        parts = as_tuple(result) or [result]
        own = {s.path for s in self.slots.values()}
        found = self.moved(before, after)
        if not found:
            found = assigned(self.slots, listed(result)) or assigned(self.slots, from_leaves(before, after, own))
            given.grads = next((p for p in parts if isinstance(p, Items)), None)
            found = self.stepped(network, given, after) or found
        if not found:
            raise Missing("dW1", f"{self.step_name} gives no gradients that could be found", values)
        beside = one_number(parts[0]) if len(parts) > 1 and "value" not in values else {}
        return beside | {"d" + name: self.inward(name, value, case) for name, value in found.items()}

    def stepped(self, network: Handle, given: Given, before: Mapping[Path, Any]) -> dict[str, Array]:
        """What the network's own update does with its gradients, if it has one."""
        update = names.method_of(names.UPDATE, self.candidate.methods, self.step_name)
        if not update or self.candidate.form == "model":
            return {}
        try:
            self.call(network, update, given)
        except (StudentError, Missing):
            return {}
        return self.moved(before, self.remote.leaves(network))

    def moved(self, before: Mapping[Path, Any], after: Mapping[Path, Any]) -> dict[str, Array]:
        """The gradients behind a step of the parameters."""
        if self.candidate.form == "model" or not any(changed(s.path, before, after) for s in self.slots.values()):
            return {}
        rate = kept_rate(before) or RATE
        steps = {name: (as_array(before[s.path]), as_array(after.get(s.path))) for name, s in self.slots.items()}
        return {
            name: (old - new) / rate for name, (old, new) in steps.items() if old is not None and new is not None
        }

    def inward(self, name: str, value: Array, case: Case) -> Array:
        """In the definition's layout."""
        slot = self.slots[name]
        if name[0] == "W":
            return slot.inward(value)
        return settled_shape(value, slot.like(SHAPES[name]), self.remarks, "bias gradient")

    def call(self, network: Handle, name: str, given: Given, first: Any = None) -> Any:
        """A method of the object or a function of the module, with its arguments by their names."""
        signature = [p for p in self.candidate.methods[name] if p.required or wanted(p)]
        if self.candidate.form == "model":
            function = {"forward": self.candidate.name, "backward": str(self.candidate.partner)}.get(name, name)
            return self.remote.call(self.module, function, args=[argument(p.name, given) for p in signature])
        start = [] if first is None else [first]
        return self.remote.call(
            network, name, args=start + [argument(p.name, given) for p in signature[len(start) :]]
        )


def one_number(result: Any) -> dict[str, Array]:
    """The value, if this is one."""
    value = as_array(result)
    finite = value is not None and value.size == 1 and bool(np.isfinite(value).all())
    return {"value": value.reshape(())} if finite and value is not None else {}
