"""How a layer's class wants to be constructed."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from typing import Any

from mlp.grading import names
from mlp.grading.adapt.construct import arguments_of, by_name, construct, guesses, shown
from mlp.grading.adapt.context import Adapted
from mlp.grading.adapt.parameters import Slot
from mlp.grading.adapt.remote import Array, Handle, Make, Reply
from mlp.grading.candidates import required
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
    """A layer's class and how objects of it are made."""

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
        """Find everything else out from an object."""
        raise NotImplementedError

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
