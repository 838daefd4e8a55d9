"""The kinds of settings: dataclass fields that know what they accept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any


def setting(default: Any, accepted: str, check: Callable[[Any], bool], help: str) -> Any:
    """A field with what is accepted in words, the check behind it, and a line of help."""
    factory = {"default_factory": lambda: list(default)} if isinstance(default, list) else {"default": default}
    return field(**factory, metadata={"accepted": accepted, "check": check, "help": help})


def integer(default: int | None, low: int, help: str, optional: bool = False) -> Any:
    """An integer of at least ``low``; or null, if that is the default or ``optional``."""
    optional = optional or default is None
    return setting(
        default,
        f"an integer of at least {low}" + (", or null" if optional else ""),
        lambda v: (optional and v is None) or (isinstance(v, int) and not isinstance(v, bool) and v >= low),
        help,
    )


def number(default: float | None, accepted: str, check: Callable[[float], bool], help: str) -> Any:
    """A finite number that passes ``check``; or null, if that is the default."""

    def is_accepted(v: Any) -> bool:
        # Compared before it is converted: a huge integer has no float.
        is_number = isinstance(v, int | float) and not isinstance(v, bool)
        return is_number and abs(v) <= sys.float_info.max and check(v)

    if default is None:
        return setting(None, f"{accepted}, or null", lambda v: v is None or is_accepted(v), help)
    return setting(default, accepted, is_accepted, help)


def not_negative(default: float, help: str) -> Any:
    """A finite number of at least 0."""
    return number(default, "a number >= 0", lambda v: v >= 0, help)


def positive_or_null(help: str) -> Any:
    """A finite number above 0, or null, the default."""
    return number(None, "a number > 0", lambda v: v > 0, help)


def share(default: float, help: str) -> Any:
    """A number from 0 to 1, both included."""
    return number(default, "a number from 0 to 1", lambda v: 0 <= v <= 1, help)


def below_one(default: float, help: str) -> Any:
    """A number from 0 to below 1."""
    return number(default, "a number from 0 to below 1", lambda v: 0 <= v < 1, help)


def switch(help: str) -> Any:
    """true or false, the default."""
    return setting(False, "true or false", lambda v: isinstance(v, bool), help)


def choice(default: str, choices: Callable[[], Sequence[str]], help: str) -> Any:
    """One of several names."""
    return setting(
        default,
        "one of " + ", ".join(choices()),
        lambda v: v in choices(),
        help,
    )


def text(help: str) -> Any:
    """Any text, or null, the default."""
    return setting(None, "a text, or null", lambda v: v is None or isinstance(v, str), help)


def shorten(value: Any, length: int = 60) -> str:
    """``repr(value)``, cut where it gets long."""
    text = repr(value)
    return text if len(text) <= length else f"{text[:length]}..."


def is_widths(value: Any) -> bool:
    """Whether ``value`` is a list of integers of at least 1."""
    return isinstance(value, list) and all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in value)
