"""What a layer learns, in whichever form it keeps it: parameters with ``.grad``, arrays in pairs, dicts, lists."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError

# Names that mean the same parameter: a gradient called dW may belong to an array called weight.
SPELLINGS = (
    ("w", "weight", "weights", "kernel"),
    ("b", "bias", "biases"),
    ("gamma", "scale"),
    ("beta", "shift"),
)
# What a gradient of W is called, underscores and capitals aside: dW, grad_W, W_grad, dLdW, ...
GRADIENT_OF = ("d{}", "grad{}", "{}grad", "dld{}", "dlossd{}", "djd{}", "gradient{}", "{}gradient", "gradof{}")
# Attributes or methods that hold the gradients of the dict or list beside them.
GRADIENT_HOLDERS = ("grads", "gradients", "grad", "gradient", "dparams", "paramgrads")
# Statistics that a layer keeps without learning them by gradients.
STATISTICS = ("running", "moving")


@dataclass
class ArrayParameter:
    """An array and its gradient, looked up anew at every use: an update or a backward may rebind either."""

    read: Callable[[], Array]
    read_grad: Callable[[], Any]

    @property
    def data(self) -> Array:
        return self.read()

    @property
    def grad(self) -> Any:
        found = self.read_grad()
        return found if isinstance(found, np.ndarray) else None


def plain(name: Any) -> str:
    """The name without capitals and underscores."""
    return str(name).lower().replace("_", "")


def gradient_names(name: Any) -> list[str]:
    """What the gradient of this array may be called, its own name before other spellings of it."""
    own = plain(name)
    others = [word for words in SPELLINGS if own in words for word in words if word != own]
    return [pattern.format(word) for word in (own, *others) for pattern in GRADIENT_OF]


def named_parameters(owner: Any) -> dict[str, Any]:
    """The parameters by name, from whichever form ``owner.parameters`` has.

    It may be a method or an attribute, a dict or an iterable of (named) parameters or arrays; without it (or if
    it is empty), the attributes ``weight`` and ``bias`` are used if they are parameters.
    """
    named = {}
    for name, value in _items(_listed(owner, "parameters")):
        if isinstance(value, np.ndarray):
            value = ArrayParameter(_reader(owner, "parameters", name), _gradient_reader(owner, {}, name))
        named[name] = value
    if not named:
        named = {name: getattr(owner, name) for name in ("weight", "bias") if _is_parameter(owner, name)}
    return named


def _listed(owner: Any, name: str) -> Any:
    found: Any = getattr(owner, name, None)
    return found() if callable(found) and not isinstance(found, Iterable) else found


def _items(found: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of a dict, of named parameters, or of a plain list, whose items are numbered."""
    if isinstance(found, Mapping):
        yield from ((str(name), value) for name, value in found.items())
        return
    seen: set[str] = set()
    for i, item in enumerate(found if found is not None else ()):
        name, value = item if isinstance(item, tuple) and len(item) == 2 else (getattr(item, "name", None), item)
        name = str(name or f"parameter {i}")
        name = name if name not in seen else f"{name} ({i})"
        seen.add(name)
        yield name, value


def _reader(owner: Any, listed: str, name: str) -> Callable[[], Any]:
    return lambda: dict(_items(_listed(owner, listed))).get(name)


def _is_parameter(owner: Any, name: str) -> bool:
    return _has(getattr(owner, name, None), "data", "grad")


def _gradient_reader(owner: Any, holder: Any, name: Any) -> Callable[[], Any]:
    """Looks for the gradient of ``holder[name]``: beside it, in a dict or list of gradients, in the attributes."""

    def read() -> Any:
        beside = _named(holder, name) if isinstance(holder, dict) else None
        if beside is not None:
            return beside
        for attribute in dir(owner):
            if plain(attribute) not in GRADIENT_HOLDERS or attribute.startswith("__"):
                continue
            try:
                found = dict(_items(_listed(owner, attribute)))
            except Exception:  # before the first backward there may be nothing to list
                continue
            if str(name) in found:
                return found[str(name)]
            if (inside := _named(found, name)) is not None:
                return inside
        return _named(vars(owner), name) if hasattr(owner, "__dict__") else None

    return read


def _named(mapping: Mapping[Any, Any], name: Any) -> Any:
    """The gradient of ``name`` in a mapping, by its name."""
    by_name = {plain(key): value for key, value in mapping.items()}
    return next((by_name[word] for word in gradient_names(name) if by_name.get(word) is not None), None)


def bare_arrays(owner: Any, known: Mapping[str, Any], constants: Iterable[str] = ()) -> dict[str, ArrayParameter]:
    """All float arrays of ``owner`` and of the layers inside it that ``known`` parameters do not cover."""
    covered = [a for p in known.values() for a in (p.data, p.grad) if isinstance(a, np.ndarray)]
    allowed = {*constants, *getattr(owner, "statistic_names", ())}
    return {
        name: array
        for name, array in _arrays(owner, "", set())
        if name not in allowed
        and not any(word in plain(name) for word in STATISTICS)
        and not any(np.shares_memory(array.data, other) for other in covered)
    }


def _arrays(owner: Any, prefix: str, seen: set[int]) -> Iterator[tuple[str, ArrayParameter]]:
    if id(owner) in seen or not hasattr(owner, "__dict__"):
        return
    seen.add(id(owner))
    attributes = vars(owner)
    ignored = set(getattr(owner, "statistic_names", ()))
    for name, value in attributes.items():
        if name not in ignored and plain(name) not in GRADIENT_HOLDERS:
            yield from _inside(owner, attributes, name, value, prefix, seen)


def _inside(
    owner: Any, holder: Any, key: Any, value: Any, prefix: str, seen: set[int]
) -> Iterator[tuple[str, ArrayParameter]]:
    """The arrays in one attribute, or in one place of a dict or list."""
    name = f"{prefix}{key}"
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and value.size and not _is_gradient(holder, key):
            yield name, ArrayParameter(lambda: holder[key], _gradient_reader(owner, holder, key))
    elif isinstance(value, dict | list | tuple):
        for inner, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield from _inside(owner, value, inner, item, f"{name}.", seen)
    elif _has(value, "forward", "backward"):
        yield from _arrays(value, f"{name}.", seen)
    elif _has(value, "data", "grad") and isinstance(value.data, np.ndarray):
        yield name, ArrayParameter(lambda: value.data, lambda: value.grad)


def _has(value: Any, *names: str) -> bool:
    return all(hasattr(value, name) for name in names)


def _is_gradient(holder: Any, key: Any) -> bool:
    """Is this the gradient of an array beside it?"""
    if not isinstance(holder, dict):
        return False
    return any(plain(key) in gradient_names(other) for other in holder if other != key)


def to_float64(owner: Any, seen: set[int] | None = None) -> None:
    """Convert all narrower float arrays that ``owner`` and the layers inside it hold bare, in place."""
    seen = set() if seen is None else seen
    if id(owner) in seen:
        return
    seen.add(id(owner))
    places = owner if isinstance(owner, dict | list) else getattr(owner, "__dict__", {})
    for key, value in list(places.items() if isinstance(places, dict) else enumerate(places)):
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.dtype != np.float64:
            places[key] = value.astype(np.float64)
        elif isinstance(value, dict | list) or _has(value, "forward", "backward"):
            to_float64(value, seen)


def clear_gradients(owner: Any, parameters: Mapping[str, Any]) -> None:
    """Set all gradients to zero, by the owner's own ``zero_grad`` if it has one."""
    if hasattr(owner, "zero_grad"):
        owner.zero_grad()
        return
    for name, parameter in parameters.items():
        if parameter.grad is not None:
            if not parameter.grad.flags.writeable:
                raise InputError(f"the gradient of {name} is read-only: give the layer a zero_grad()")
            parameter.grad[...] = 0
