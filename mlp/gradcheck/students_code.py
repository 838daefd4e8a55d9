"""Calls code that may be wrong in any way, and says in one line what went wrong and where."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mlp.arrays import Array

OWN_FOLDER = str(Path(__file__).parent)
NUMPY_FOLDER = str(Path(np.__file__).parent)


class StudentError(Exception):
    """The code under test raised, or returned something that is no array; the text is one line."""


def call(name: str, function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    """What ``function`` returns; whatever it raises, an exit included, becomes a StudentError."""
    try:
        return function(*args, **keywords)
    except (Exception, SystemExit) as error:
        raise StudentError(describe(name, error)) from error


def describe(name: str, error: BaseException) -> str:
    """ "forward raised ValueError: ... (layers.py, line 12)"."""
    if isinstance(error, NotImplementedError):
        return f"{name} is not implemented yet: it raises NotImplementedError{_place(error)}"
    text = " ".join(str(error).split())
    return f"{name} raised {type(error).__name__}{': ' if text else ''}{text}{_place(error)}"


def _place(error: BaseException) -> str:
    """The deepest line that is neither NumPy's nor the checker's."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith((OWN_FOLDER, NUMPY_FOLDER))]
    return f" ({Path(theirs[-1].filename).name}, line {theirs[-1].lineno})" if theirs else ""


def as_numbers(value: Any, what: str) -> Array:
    """``value`` as an array of numbers.

    Raises:
        StudentError: it is None, a tuple, or holds anything but numbers.
    """
    if value is None:
        raise StudentError(f"{what} returned None: is a return missing?")
    if isinstance(value, tuple):
        raise StudentError(f"{what} returned a tuple of {len(value)} values instead of one array")
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "biuf":
        raise StudentError(f"{what} returned {type(value).__name__} instead of an array of real numbers")
    return array
