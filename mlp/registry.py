"""Parts by name: what a configuration, a notebook or a student's own file may choose, and how more are added."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

from mlp.checks import InputError, bind_arguments, find_name

Part = TypeVar("Part")
Maker = TypeVar("Maker", bound=Callable[..., Any])


class Registry(dict[str, Callable[..., Part]]):
    """name -> what makes the part: a class, or a function. Upper and lower case are one.

        LOSSES: Registry[Loss] = Registry("loss")

        @LOSSES.register("CE")
        class CrossEntropyLoss(Loss): ...

        LOSSES.make("ce", label_smoothing=0.1)

    ``kind`` is what messages call such a part. ``synonyms`` are other names, as other libraries have them.
    """

    def __init__(self, kind: str, known: Mapping[str, Callable[..., Part]] | None = None) -> None:
        super().__init__(known or {})
        self.kind = kind
        self.synonyms: dict[str, str] = {}

    def register(self, *names: str) -> Callable[[Maker], Maker]:
        """Decorator that adds a class or function under these names, instead of any that had them."""

        def add(make: Maker) -> Maker:
            self.update(dict.fromkeys(names, make))
            return make

        return add

    def known(self, name: str) -> str:
        """The spelling under which ``name`` is registered. Raises ``InputError`` if it is not."""
        meant = self.synonyms.get(name.lower(), name) if isinstance(name, str) else name
        return known_name(self.kind, meant, self)

    def options(self, name: str) -> frozenset[str]:
        """The names of the arguments that make the part: what it can be told is a fact of its own."""
        return frozenset(inspect.signature(self[self.known(name)]).parameters)

    def default(self, name: str, option: str) -> Any:
        """What the option is if it is not given; None if it has to be, or if there is no such option."""
        parameter = inspect.signature(self[self.known(name)]).parameters.get(option)
        return None if parameter is None or parameter.default is parameter.empty else parameter.default

    def made_with(self, *given: str) -> list[str]:
        """The names of the parts that need none but these arguments."""

        def needed(name: str) -> set[str]:
            parameters = inspect.signature(self[name]).parameters.values()
            return {p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD}

        return [name for name in self if needed(name) <= set(given)]

    def make(self, name: str, *arguments: Any, **options: Any) -> Part:
        """A new part. Raises ``InputError`` for an unknown name, and for options that it lacks or does not have."""
        name = self.known(name)
        bind_arguments(name, self[name], *arguments, **options)
        return self[name](*arguments, **options)


def known_name(kind: str, name: str, names: Iterable[str]) -> str:
    """The one of ``names`` that is meant. Raises ``InputError`` if none is, with the nearest and all of them."""
    names = sorted(names)
    known = find_name(name, names) if isinstance(name, str) else None
    if known is None:
        near = nearest(name, names)
        there_are = f"did you mean {near}? There are" if near else "there are"
        raise InputError(f"unknown {kind} {name!r}; {there_are}: {', '.join(names)}")
    return known


def nearest(name: object, names: Iterable[str]) -> str | None:
    """The one of ``names`` that a person who wrote ``name`` most likely meant, or None if none is near."""
    lower = {known.lower(): known for known in names}
    found = difflib.get_close_matches(str(name)[:100].lower(), lower, n=1)
    return lower[found[0]] if found else None


def also_called(**habits: str) -> Callable[[Maker], Maker]:
    """Decorator of a function: keywords as other libraries call them, ``learning_rate`` for ``lr``, work too.

    A keyword that it does not have raises ``InputError`` with the nearest one, in place of Python's own error.
    """

    def wrap(function: Maker) -> Maker:
        parameters = inspect.signature(function).parameters
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())

        @wraps(function)
        def call(self: Any, *arguments: Any, **options: Any) -> Any:
            for habit, name in habits.items():
                if habit in options and name not in options:
                    options[name] = options.pop(habit)
            for option in options:
                if option not in parameters and not takes_any:
                    names = [name for name in parameters if name != "self"]
                    near = nearest(option, names)
                    hint = f"did you mean {near}?" if near else f"there are: {', '.join(names)}"
                    name = "" if function.__name__ == "__init__" else f".{function.__name__}"
                    raise InputError(f"{type(self).__name__}{name} has no option {option!r}; {hint}")
            return function(self, *arguments, **options)

        return cast(Maker, call)

    return wrap
