"""The kinds of settings: dataclass fields that know what they accept, how it is written, and when it matters."""

from __future__ import annotations

import dataclasses
import math
import os
import reprlib
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from mlp.checks import InputError, find_name
from mlp.run.conditions import Condition, Words

# What stands for null on a command line; a sweep of wandb writes None.
NULLS = ("null", "None", "none", "~")


@dataclass(frozen=True)
class Setting:
    """All that is known of a setting, in one place; lists of settings elsewhere are derived from it.

    ``clean`` returns an accepted value in its one spelling, and raises ``ValueError`` for any other. ``read`` turns
    the text of an option into a value, or returns the text, which ``clean`` then refuses.
    """

    default: Any
    accepted: Words
    clean: Callable[[Any], Any]
    read: Callable[[str], Any]
    help: str
    needs: tuple[Condition, ...] = ()
    may_change: bool = False  # when a run is resumed
    in_key: bool = True  # whether a run with another value is another run
    kind: str = "TEXT"

    def check(self, name: str, value: Any) -> Any:
        """``value`` in its one spelling. Raises ``InputError`` naming the setting unless it is accepted."""
        try:
            return self.clean(value)
        except ValueError:
            raise InputError(f"{name}: got {shorten(value)}; accepted: {self.accepted()}") from None

    def unmet(self, value: Any, config: Any) -> Condition | None:
        """The first condition for this value that ``config`` does not fulfil, or None."""
        if value == self.default:
            return None
        return next((need for need in self.needs if not need.holds(config)), None)


def setting(
    default: Any,
    accepted: str | Words,
    clean: Callable[[Any], Any],
    read: Callable[[str], Any],
    help: str,
    *needs: Condition,
    optional: bool = False,
    **facts: Any,
) -> Any:
    """A dataclass field with a ``Setting``. One whose default is null, or that is ``optional``, accepts null."""
    words: Words = accepted if callable(accepted) else lambda: accepted
    if optional or default is None:
        required, plain, in_words = clean, read, words
        clean = lambda v: None if v is None else required(v)  # noqa: E731
        read = lambda text: None if text in NULLS else plain(text)  # noqa: E731
        words = lambda: f"{in_words()}, or null"  # noqa: E731
    factory = {"default_factory": lambda: list(default)} if isinstance(default, list) else {"default": default}
    known = Setting(default, words, clean, read, help, needs, **facts)
    return dataclasses.field(**factory, metadata={"setting": known})


def refuse_unless(is_accepted: bool) -> None:
    """Raise ``ValueError``, which ``Setting.check`` puts into words."""
    if not is_accepted:
        raise ValueError


def integer(
    default: int | None, low: int, help: str, *needs: Condition, high: int | None = None, **facts: Any
) -> Any:
    """An integer of at least ``low``, and at most ``high`` if given."""

    def clean(v: Any) -> int:
        refuse_unless(isinstance(v, int) and not isinstance(v, bool) and low <= v <= (v if high is None else high))
        return int(v)

    accepted = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"
    return setting(default, accepted, clean, _read_as(int), help, *needs, kind="INTEGER", **facts)


def number(
    default: float | None, accepted: str, check: Callable[[float], bool], help: str, *needs: Condition, **facts: Any
) -> Any:
    """A finite number that passes ``check``."""

    def clean(v: Any) -> float:
        is_number = isinstance(v, int | float) and not isinstance(v, bool)
        # Compared before it is converted: a huge integer has no float. Adding 0 makes 0 of -0.
        refuse_unless(is_number and abs(v) <= sys.float_info.max and check(v))
        return float(v) + 0.0

    return setting(default, accepted, clean, read_number, help, *needs, kind="NUMBER", **facts)


def between(low: float, high: float, default: float, help: str, *needs: Condition) -> Any:
    """A number from ``low`` to ``high``, both included."""
    return number(default, f"a number from {low:g} to {high:g}", lambda v: low <= v <= high, help, *needs)


def not_negative(default: float | None, help: str, *needs: Condition, **facts: Any) -> Any:
    """A finite number of at least 0."""
    return number(default, "a number >= 0", lambda v: v >= 0, help, *needs, **facts)


def positive(default: float | None, help: str, *needs: Condition) -> Any:
    """A finite number above 0."""
    return number(default, "a number > 0", lambda v: v > 0, help, *needs)


def below_one(default: float, help: str, *needs: Condition) -> Any:
    """A number from 0 to below 1."""
    return number(default, "a number from 0 to below 1", lambda v: 0 <= v < 1, help, *needs)


def switch(help: str, *needs: Condition) -> Any:
    """true or false, the default."""

    def clean(v: Any) -> bool:
        refuse_unless(isinstance(v, bool))
        return bool(v)

    spelled = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    return setting(
        False, "true or false", clean, lambda text: spelled.get(text.lower(), text), help, *needs, kind="BOOL"
    )


def choice(default: str, choices: Callable[[], Collection[str]], help: str, *needs: Condition, **facts: Any) -> Any:
    """One of several names, upper and lower case being one."""

    def clean(v: Any) -> str:
        known = find_name(v, choices()) if isinstance(v, str) else None
        refuse_unless(known is not None)
        return str(known)

    return setting(
        default, lambda: "one of " + ", ".join(choices()), clean, str, help, *needs, kind="NAME", **facts
    )


def text(default: str | None, help: str, **facts: Any) -> Any:
    """A text that can be printed, and is not empty."""

    def clean(v: Any) -> str:
        refuse_unless(isinstance(v, str) and v.strip() != "" and v.isprintable())
        return str(v)

    return setting(default, "a text", clean, str, help, **facts)


def folder(help: str, **facts: Any) -> Any:
    """The path of a folder, or null, the default. A leading ~ is the home of the user."""

    def clean(v: Any) -> str:
        refuse_unless(isinstance(v, str) and v.strip() != "" and v.isprintable())
        path = os.path.expanduser(v)
        refuse_unless(not path.startswith("~"))
        return path

    return setting(None, "the path of a folder", clean, str, help, kind="FOLDER", **facts)


def widths(default: list[int], help: str, *needs: Condition) -> Any:
    """A list of integers of at least 1."""

    def clean(v: Any) -> list[int]:
        is_widths = isinstance(v, list) and all(isinstance(n, int) and not isinstance(n, bool) for n in v)
        refuse_unless(is_widths and all(n >= 1 for n in v))
        return list(v)

    return setting(
        default,
        "a list of integers of at least 1, such as [256, 128], or []",
        clean,
        read_widths,
        help,
        *needs,
        kind="LIST",
    )


def read_widths(text: str) -> Any:
    """The list meant by "256,128", "[256, 128]", "256 128", "256" or "[]"; else ``text`` itself."""
    inner = text.strip()
    if inner.startswith("[") and inner.endswith("]"):
        inner = inner[1:-1].strip()
        if not inner:
            return []
    parts = inner.split(",") if "," in inner else inner.split()
    numbers = [_read_as(int)(part) for part in parts]
    return numbers if numbers and all(isinstance(n, int) for n in numbers) else text


def _read_as(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            return text

    return read


def read_number(text: str) -> Any:
    """The finite number that ``text`` spells, else ``text`` itself."""
    value = _read_as(float)(text)
    return value if isinstance(value, float) and math.isfinite(value) else text


def shorten(value: Any, length: int = 60) -> str:
    """``repr(value)``, cut where it gets long or deep; the whole of a huge one is never built."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 2 * length
    short.maxlist = short.maxdict = length
    try:
        text = short.repr(value)
    except ValueError:  # Python refuses to write out an integer of more than 4300 digits
        return "an integer of thousands of digits"
    return text if len(text) <= length else f"{text[:length]}..."


def plain(value: Any) -> str:
    """A value as one writes it in YAML: null, false, 0.1."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
