"""Checks of single arguments, so that every part of the library refuses them in the same words, and their error."""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlp.arrays import Array


class InputError(ValueError):
    """Something the user gave is wrong: the message names the value, what is accepted, and where.

    A ``ValueError``, so existing handlers catch it. The scripts print its message as one line and
    exit with status 2; any other exception is a bug and shows its traceback.
    """


def check_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """The NumPy dtype for float32 or float64, the two that networks compute in."""
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise InputError(f"dtype must be float32 or float64, got {dtype!r}") from None
    if kind not in (np.float32, np.float64):
        raise InputError(f"dtype must be float32 or float64, got {kind}")
    return kind


def check_number(name: str, value: object, low: float, high: float = math.inf) -> float:
    """``value`` as a float. Raises ``InputError`` unless it is a finite number from low to high."""
    given = value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if isinstance(given, int | float | np.integer | np.floating) and not isinstance(given, bool):
        with contextlib.suppress(OverflowError):  # a huge integer has no float
            number = float(given)
            if low <= number <= high and math.isfinite(number):
                return number
    accepted = f" >= {low:g}" if high == math.inf else f" from {low:g} to {high:g}"
    raise InputError(f"{name} must be a finite number{accepted if low > -math.inf else ''}, got {value!r}")


def check_positive(name: str, value: object) -> float:
    """``value`` as a float. Raises ``InputError`` unless it is a finite number above 0."""
    try:
        number = check_number(name, value, 0)
    except InputError:
        number = 0.0
    if number == 0:
        raise InputError(f"{name} must be a finite number above 0, got {value!r}")
    return number


def check_integer(name: str, value: object, low: int) -> int:
    """``value`` as an int. Raises ``InputError`` unless it is an integer of at least low."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= low:
        return int(value)
    raise InputError(f"{name} must be an integer of at least {low}, got {value!r}")


def check_flag(name: str, value: object) -> bool:
    """``value`` as a bool. Raises ``InputError`` for a text, for example: "False" would count as true."""
    if isinstance(value, bool | np.bool_) or (isinstance(value, int | np.integer) and value in (0, 1)):
        return bool(value)
    raise InputError(f"{name} must be True or False, got {value!r}")


def check_rng(rng: object) -> np.random.Generator:
    """The generator with this seed; a Generator itself; for None one that nobody can repeat.

    Raises ``InputError`` for anything else.
    """
    try:
        return np.random.default_rng(rng)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        accepted = "a seed (an integer of at least 0) or a numpy.random.Generator"
        raise InputError(f"rng must be {accepted}, got {rng!r}") from None


def plain_array(name: str, values: Any) -> NDArray[Any]:
    """``values`` as an array. Raises ``InputError`` for rows of unequal length, and for masked values.

    An array with a mask would lose it here, and what it hides would be computed with. Strings that came as objects
    become an array of strings.
    """
    check_unmasked(name, values)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(f"{name} do not form an array: {error}") from None
    if array.dtype.kind in "OT" and array.size and all(isinstance(value, str) for value in array.flat):
        return array.astype(np.str_)
    return array


def short(number: float) -> str:
    """The number as one would write it, without a digit less than it has."""
    text = f"{number:g}"
    return text if float(text) == number else repr(number)


def find_name(name: str, names: Iterable[str]) -> str | None:
    """The one of ``names`` that equals ``name`` but for upper and lower case, or None."""
    return next((known for known in names if known.lower() == name.lower()), None)


def bind_arguments(name: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """Raise ``InputError`` unless ``function`` can be called so: what configurations name is checked here."""
    signature = inspect.signature(function)
    try:
        signature.bind(*arguments, **options)
    except TypeError as error:
        accepted = ", ".join(list(signature.parameters)[len(arguments) :])
        raise InputError(f"{name}: {error}; options: {accepted or 'none'}") from None


def check_unmasked(name: str, array: object) -> None:
    """Raise ``InputError`` for an array of which entries are masked: arithmetic here would count them."""
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise InputError(
            f"{name} has {int(np.ma.getmaskarray(array).sum())} masked entries, which would count as numbers; "
            f"leave these samples out, or give them sample_weight 0 and a value: array.filled(0)"
        )


def check_state(state: Mapping[str, Array], own: Mapping[str, Array]) -> None:
    """Raise ``InputError`` unless ``state`` has exactly the names and shapes of ``own``, and its integers."""
    missing = [name for name in own if name not in state]
    extra = [name for name in state if name not in own]
    if missing or extra:
        raise InputError(
            "the parameters are of another architecture: "
            + "; ".join(
                f"{what} {', '.join(names)}"
                for what, names in (("missing", missing), ("not in this network:", extra))
                if names
            )
        )
    for name, array in own.items():
        _check_values(name, np.asarray(state[name]), array)


def _check_values(name: str, given: Array, own: Array) -> None:
    if given.dtype.kind not in "fiub":
        raise InputError(f"{name} must be an array of real numbers, got {given.dtype}")
    if given.shape != own.shape:
        raise InputError(
            f"the parameters are of another architecture: {name} has shape {given.shape}, this network needs "
            f"{own.shape}"
        )
    if own.dtype.kind in "iu":
        limits = np.iinfo(own.dtype)
        if given.dtype.kind not in "iu" or np.any((given < limits.min) | (given > limits.max)):
            raise InputError(f"{name} must hold integers from {limits.min} to {limits.max}, got {given.dtype}")
