"""One face for everything that can be checked (layer, loss, network, function), always a float64 copy."""

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError


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


def named_parameters(owner: Any) -> dict[str, Any]:
    """The parameters by name, from whichever form the owner offers.

    ``owner.parameters`` may be a method or an attribute, and a dict or an iterable of (named) parameters;
    without it (or if it is empty), the attributes ``weight`` and ``bias`` are used if they are parameters.
    """
    found: Any = getattr(owner, "parameters", None)
    if callable(found) and not isinstance(found, Iterable):
        found = found()
    if isinstance(found, Mapping):
        named = {str(name): parameter for name, parameter in found.items()}
    else:
        named = {}
        for i, item in enumerate(found if found is not None else ()):
            name, parameter = item if isinstance(item, tuple) else (getattr(item, "name", None), item)
            name = str(name or f"parameter {i}")
            named[name if name not in named else f"{name} ({i})"] = parameter
    if not named:
        named = {name: getattr(owner, name) for name in ("weight", "bias") if _is_parameter(owner, name)}
    return named


def _is_parameter(owner: Any, name: str) -> bool:
    value = getattr(owner, name, None)
    return hasattr(value, "data") and hasattr(value, "grad")


def float64_copy(owner: Any) -> Any:
    """A copy of ``owner`` with all parameters in float64 and gradients cleared; ``owner`` is untouched."""
    # A library's own astype comes first: it knows how its parameters share memory, deepcopy does not.
    if hasattr(owner, "astype"):
        converted = owner.astype(np.float64)
        if converted is not None and converted is not owner:
            return converted
    twin = copy.deepcopy(owner)
    for name, parameter in named_parameters(twin).items():
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


def _clearing(owner: Any, parameters: dict[str, Any]) -> Callable[[], None]:
    def clear() -> None:
        if hasattr(owner, "zero_grad"):
            owner.zero_grad()
        else:
            for parameter in parameters.values():
                if parameter.grad is not None:
                    parameter.grad[...] = 0

    return clear


def layer_subject(layer: Any, input_gradient: bool) -> Subject:
    """A layer or a network; where ``backward`` has the argument ``input_gradient``, it is passed on."""
    twin = float64_copy(layer)
    parameters = named_parameters(twin)
    keyword = "input_gradient" in _argument_names(twin.backward)

    def backward(upstream: Array) -> Any:
        return twin.backward(upstream, input_gradient=input_gradient) if keyword else twin.backward(upstream)

    return Subject(_repeatable(twin), backward, parameters, _clearing(twin, parameters))


def _repeatable(layer: Any) -> Callable[[Array], Any]:
    """The layer's forward pass with the same random numbers at every call: a changing mask has no derivative."""
    if not hasattr(layer, "snapshot") or not any(layer.snapshot()):
        forward: Callable[[Array], Any] = layer.forward
        return forward
    start = layer.snapshot()

    def repeat(x: Array) -> Any:
        layer.restore(start)
        return layer.forward(x)

    return repeat


def loss_subject(loss: Any, targets: Any, sample_weight: Any = None) -> Subject:
    """A loss as a function of its scores; ``sample_weight``, unless it is None, is its third argument."""
    twin = float64_copy(loss)
    given = np.array(targets)
    if given.dtype.kind == "f":
        given = given.astype(np.float64)
    weights = () if sample_weight is None else (np.array(sample_weight, np.float64),)

    def forward(scores: Array) -> Any:
        value = twin.forward(scores, given, *weights)
        if np.size(value) != 1:
            raise InputError(f"a loss must return one number, {type(loss).__name__} gave shape {np.shape(value)}")
        return value

    return Subject(forward, lambda _: twin.backward(), scalar=True, targets=(given, given.copy()))


def network_subject(network: Any, loss: Any, targets: Any, input_gradient: bool) -> Subject:
    """A network with a loss on top, as a function of the network's input."""
    body, head = layer_subject(network, input_gradient), loss_subject(loss, targets)
    return Subject(
        lambda x: head.forward(body.forward(x)),
        lambda upstream: body.backward(head.backward(upstream)),
        body.parameters,
        body.clear,
        scalar=True,
        targets=head.targets,
    )


def function_subject(f: Callable[..., Any], gradient: Callable[..., Any]) -> Subject:
    """A bare function with ``gradient(x, upstream)``, or ``gradient(x)`` if ``f`` gives one number."""
    last: list[Array] = []
    alone = len(_argument_names(gradient, required=True)) == 1

    def forward(x: Array) -> Any:
        last[:] = [x]
        value = f(x)
        if alone and np.size(value) != 1:
            raise InputError(
                f"f gives an array of shape {np.shape(value)}, so its gradient needs a second argument:"
                " gradient(x, upstream), the vector-Jacobian product"
            )
        return value

    def backward(upstream: Array) -> Any:
        return gradient(last[0]) if alone else gradient(last[0], upstream)

    return Subject(forward, backward, scalar=alone)


def _argument_names(function: Callable[..., Any], required: bool = False) -> list[str]:
    """Names of the arguments; only the positional ones without a default if ``required``."""
    try:
        arguments = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # built-in functions do not tell
        return []
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if required:
        return [a.name for a in arguments if a.kind in positional and a.default is a.empty]
    return [a.name for a in arguments]
