"""One face for everything that can be checked (layer, loss, network, function), always a float64 copy."""

import copy
import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.gradcheck.parameters import (
    ArrayParameter,
    bare_arrays,
    clear_gradients,
    named_parameters,
    to_float64,
)
from mlp.gradcheck.students_code import as_numbers, call
from mlp.gradcheck.survey import survey


@dataclass
class Subject:
    """``backward`` takes the upstream gradient; a ``scalar`` subject (a loss) has none and is given 1."""

    forward: Callable[[Array], Any]
    backward: Callable[[Array], Any]
    parameters: dict[str, Any] = field(default_factory=dict)
    clear: Callable[[], None] = lambda: None
    scalar: bool = False
    # Targets are the caller's too: the array that the loss was given, and what it must still be afterwards.
    targets: tuple[Array, Array] | None = None
    # Arrays that forward depends on and that have no gradient to compare.
    unseen: list[str] = field(default_factory=list)

    @property
    def may_replace(self) -> bool:
        """Bare arrays say nothing of gradients that add up: replacing them is a convention, and no mistake."""
        return all(isinstance(parameter, ArrayParameter) for parameter in self.parameters.values())


def float64_copy(owner: Any) -> Any:
    """A copy of ``owner`` with all parameters in float64 and gradients cleared; ``owner`` is untouched."""
    # A library's own astype comes first: it knows how its parameters share memory, deepcopy does not.
    if hasattr(owner, "astype"):
        converted = owner.astype(np.float64)
        if converted is not None and converted is not owner:
            to_float64(converted)
            return converted
    twin = call("copying it", copy.deepcopy, owner)
    to_float64(twin)
    for name, parameter in named_parameters(twin).items():
        if isinstance(parameter, ArrayParameter):
            continue
        data = np.asarray(parameter.data)
        try:
            if data.dtype != np.float64:
                parameter.data = data.astype(np.float64)
            parameter.grad = np.zeros(data.shape)
        except AttributeError:  # read-only attributes: good enough if they are float64 already
            if data.dtype != np.float64:
                raise InputError(
                    f"cannot check {type(owner).__name__} in float64: parameter {name!r} is {data.dtype}"
                    " and has a read-only `data`; build it in float64, or give it `astype(dtype)`"
                ) from None
            if parameter.grad is not None:
                parameter.grad[...] = 0
    return twin


def layer_subject(layer: Any, x: Array, input_gradient: bool, constants: Collection[str] = ()) -> Subject:
    """A layer or a network; where ``backward`` has the argument ``input_gradient``, it is passed on."""
    twin = float64_copy(layer)
    subject = _declared_subject(twin, input_gradient)
    bare = bare_arrays(twin, subject.parameters, constants)
    if bare:
        tried = float64_copy(layer)
        calls = _declared_subject(tried, input_gradient)
        found = bare_arrays(tried, calls.parameters, constants)
        learned, subject.unseen = survey(calls.forward, calls.backward, found, x)
        subject.parameters |= {name: bare[name] for name in learned}
    for parameter in subject.parameters.values():
        if isinstance(parameter, ArrayParameter) and parameter.grad is not None:
            parameter.grad[...] = 0  # the others were cleared as they were copied
    return subject


def _declared_subject(twin: Any, input_gradient: bool) -> Subject:
    """``twin`` with the parameters that it names itself."""
    parameters = call("parameters()", named_parameters, twin)
    keywords = {"input_gradient": input_gradient} if "input_gradient" in _argument_names(twin, "backward") else {}

    def backward(upstream: Array) -> Any:
        returned = call("backward", lambda: twin.backward(upstream, **keywords))
        return None if returned is None else as_numbers(returned, "backward")

    forward = _repeatable(twin)
    return Subject(
        lambda x: as_numbers(call("forward", forward, x), "forward"),
        backward,
        parameters,
        lambda: call("zero_grad", clear_gradients, twin, parameters),
    )


def _repeatable(layer: Any) -> Callable[[Array], Any]:
    """The layer's forward pass with the same random numbers at every call: a changing mask has no derivative."""
    if not hasattr(layer, "snapshot") or not any(layer.snapshot()):
        return lambda x: layer.forward(x)
    start = layer.snapshot()

    def repeat(x: Array) -> Any:
        layer.restore(start)
        return layer.forward(x)

    return repeat


def loss_subject(loss: Any, targets: Any, sample_weight: Any = None) -> Subject:
    """A loss as a function of its scores; ``sample_weight``, unless it is None, is its third argument.

    ``backward`` may take nothing, one upstream (it is given 1), or the scores and targets again. A bare function
    gives the value and the gradient together.
    """
    twin = float64_copy(loss)
    given = np.array(targets)
    if given.dtype.kind == "f":
        given = given.astype(np.float64)
    arguments = (given,) if sample_weight is None else (given, np.array(sample_weight, np.float64))
    last: list[Array] = []
    is_class = hasattr(loss, "forward")

    def forward(scores: Array) -> Any:
        last[:] = [scores.copy()]
        value = call(
            "forward", lambda: twin.forward(scores, *arguments) if is_class else twin(scores, *arguments)[0]
        )
        value = as_numbers(value, "forward")
        if np.size(value) != 1:
            raise InputError(f"a loss must return one number, {type(loss).__name__} gave shape {np.shape(value)}")
        return value

    required = len(_argument_names(twin, "backward", required=True)) if is_class else 0

    def backward(upstream: Array) -> Any:
        if not is_class:
            returned = call("forward", lambda: twin(last[0], *arguments)[1])
        else:
            again = () if required == 0 else (1.0,) if required == 1 else (last[0], *arguments)
            returned = call("backward", lambda: twin.backward(*again[:required]))
        return None if returned is None else as_numbers(returned, "backward")

    return Subject(forward, backward, scalar=True, targets=(given, given.copy()))


def network_subject(
    network: Any, x: Array, loss: Any, targets: Any, input_gradient: bool, constants: Collection[str]
) -> Subject:
    """A network with a loss on top, as a function of the network's input."""
    body, head = layer_subject(network, x, input_gradient, constants), loss_subject(loss, targets)
    return Subject(
        lambda x: head.forward(body.forward(x)),
        lambda upstream: body.backward(head.backward(upstream)),
        body.parameters,
        body.clear,
        scalar=True,
        targets=head.targets,
        unseen=body.unseen,
    )


def function_subject(f: Callable[..., Any], gradient: Callable[..., Any]) -> Subject:
    """A bare function with ``gradient(x, upstream)``, or ``gradient(x)`` if ``f`` gives one number."""
    last: list[Array] = []
    alone = len(_arguments(gradient, required=True)) == 1

    def forward(x: Array) -> Any:
        last[:] = [x]
        value = as_numbers(call("f", f, x), "f")
        if alone and np.size(value) != 1:
            raise InputError(
                f"f gives an array of shape {np.shape(value)}, so its gradient needs a second argument:"
                " gradient(x, upstream), the vector-Jacobian product"
            )
        return value

    def backward(upstream: Array) -> Any:
        returned = call("gradient", gradient, *((last[0],) if alone else (last[0], upstream)))
        return None if returned is None else as_numbers(returned, "gradient")

    return Subject(forward, backward, scalar=alone)


def _argument_names(owner: Any, method: str, required: bool = False) -> list[str]:
    """Names of the arguments of a method, nothing if there is no such method."""
    return _arguments(getattr(owner, method, None), required)


def _arguments(function: Any, required: bool = False) -> list[str]:
    """Names of the arguments; only the positional ones without a default if ``required``."""
    try:
        arguments = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # built-in functions do not tell
        return []
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if required:
        return [a.name for a in arguments if a.kind in positional and a.default is a.empty]
    return [a.name for a in arguments]
