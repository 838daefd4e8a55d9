"""What the constructor and the methods of a network in one piece want, by the names of their arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlp.grading import names
from mlp.grading.adapt.construct import INITIALIZER
from mlp.grading.adapt.remote import Array, Make
from mlp.grading.candidates import Parameter
from mlp.grading.hypotheses.whole import HIDDEN, IN, OUT
from mlp.grading.judge import Missing

RATE = 0.5
# Places for objects of the submission's own classes.
ACTIVATIONS, CRITERION = "<activations>", "<criterion>"
HIDDEN_WORDS = r"\w*hidden\w*|n_?h\d*|hid\w*|h\w*_?(size|dim|units)|hiddens?|h"
LIST_WORDS = r"\w*(sizes|dims|dimensions|layers|architecture|topology|shape|structure|arch|nodes)"
OUT_WORDS = names.SIZE_OUT + r"|\w*out\w*|\w*class\w*|k"
SIZE_WORDS = f"{HIDDEN_WORDS}|{names.SIZE_IN}|{OUT_WORDS}"
INPUTS = r"x|inputs?|data|x_\w+|features|a0|batch_?x|x_?batch|images?"
OUTPUTS = r"y_?hat|y_?pred\w*|out\w*|a_?[2l]|probs?|scores?|predictions?|pred\w*|z2|yhat|final\w*|result"
REGULARISATION = r"reg\w*|lam\w*|l2\w*|weight_?decay|momentum|dropout\w*|decay"

# Methods that give gradients or take a step, those that do nothing else first.
STEPS = (
    *names.BACKWARD, "compute_gradients", "loss_and_gradients", "loss_and_grad", "compute_loss_and_gradients",
    "gradient_descent", "train_step", "train_batch", "train_on_batch", "update_mini_batch", "fit_batch",
    "train_once", "step", "loss", "compute_loss", "cost", "fit", "train",
)  # fmt: skip
COST = r"(compute_?|calc\w*_?|get_?)?(loss|cost|cross_?entropy|mse)(_?function|_?fn)?"


@dataclass
class Given:
    """What there is to be given."""

    x: Array
    t: Array
    n: int
    columns: bool
    params: Any = None
    out: Any = None
    cache: Any = None
    grads: Any = None


def argument(name: str, given: Given) -> Any:
    """One argument. Raises ``Missing`` if its name is not understood."""
    if names.matches(r"(mini_?)?batch|training_?data|train_?data", name):
        pairs = zip(given.x.T if given.columns else given.x, given.t.T if given.columns else given.t, strict=True)
        return [(x.reshape(-1, 1), t.reshape(-1, 1)) if given.columns else (x[None], t[None]) for x, t in pairs]
    table: list[tuple[str, Any]] = [
        (OUTPUTS, given.out), (names.RATE, RATE), (REGULARISATION, 0.0), (r"n?_?epochs|\w*iter\w*", 1),
        (r"(mini_?)?batch_?size|m|n", given.n), (r"\w*cache\w*|memory|store|activations", given.cache),
        (r"\w*grad\w*", given.grads), (r"param\w*|weights|theta|model", given.params), (INPUTS, given.x),
        (names.TARGET, given.t),
    ]  # fmt: skip
    for pattern, value in table:
        if names.matches(pattern, name):
            if value is None:
                raise Missing("dW1", f"the argument {name} is not understood")
            return value
    raise Missing("dW1", f"the argument {name} is not understood")


def constructors(signature: Sequence[Parameter]) -> list[list[Any]]:
    """Argument lists for a network of one hidden layer, those that follow the names first."""
    tries = [named(signature, lists) for lists in (False, True)]
    usual: list[list[Any]] = [[[IN, HIDDEN, OUT]], [IN, HIDDEN, OUT], [IN, [HIDDEN], OUT], [IN, OUT, HIDDEN]]
    return [t for t in tries if t is not None] + usual


def named(signature: Sequence[Parameter], lists: bool) -> list[Any] | None:
    """Sizes, and settings that change nothing."""
    arguments: list[Any] = []
    for parameter in signature:
        if not parameter.required and not names.matches(SIZE_WORDS, parameter.name):
            break
        value = size(parameter.name, lists)
        if value is None:
            return None if parameter.required else arguments
        arguments.append(value)
    return arguments


def size(name: str, lists: bool) -> Any:
    """What one argument of the constructor should be."""
    several = name.endswith("s") and not name.endswith(
        ("units", "features", "neurons", "nodes", "inputs", "outputs")
    )
    table: list[tuple[str, Any]] = [
        (r"activations|\w*activation_?(fns|functions|layers)", ACTIVATIONS),
        (r"criterion|loss\w*|cost\w*", CRITERION), (r"(num|n)_(bn|batch)\w*", 0), (names.RATE, RATE),
        (REGULARISATION, 0.0), (names.SEED, 0), (INITIALIZER, Make({"$new": "initial"})),
        (names.STDDEV, 0.1), (HIDDEN_WORDS, [HIDDEN] if lists or several else HIDDEN),
        (LIST_WORDS, [IN, HIDDEN, OUT]), (names.SIZE_IN + r"|\w*_?in|input\w*", IN),
        (OUT_WORDS, OUT), (r"\w*epochs|\w*iter\w*", 1), (r"batch_?size", 10**6),
    ]  # fmt: skip
    return next((value for pattern, value in table if names.matches(pattern, name)), None)


def usable(methods: Mapping[str, Sequence[Parameter]]) -> list[str]:
    """Methods that may give gradients, in the order of STEPS, that take a target or a batch."""
    found = []
    for usual in STEPS:
        name = names.method_of([usual], methods)
        words = [p.name for p in methods.get(name, ())]
        if name and name not in found and any(names.matches(names.TARGET + r"|\w*batch|\w*data", w) for w in words):
            found.append(name)
    return found


def wanted(parameter: Parameter) -> bool:
    """An argument that must be given although it has a default: the target, one epoch, a whole batch."""
    return names.matches(names.TARGET + r"|n?_?epochs|\w*iter\w*|batch_?size|" + names.RATE, parameter.name)
