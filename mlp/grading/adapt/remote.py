"""Objects in the child as the grader sees them: numbers to call, arrays to read and to set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlp.grading.process import Broken, Child

Array = NDArray[Any]
Path = tuple[Any, ...]


@dataclass(frozen=True)
class Handle:
    """An object of the submission, in the child, by number."""

    number: int
    type: str = ""


@dataclass(frozen=True)
class Items:
    """A list, tuple or dict of the submission: its number, and its elements by index or key."""

    number: int
    elements: Mapping[Any, Any]
    type: str


@dataclass(frozen=True)
class Typed:
    """An array of another type than ndarray, such as np.matrix."""

    array: Array
    type: str


@dataclass(frozen=True)
class Make:
    """Something that the child makes from a description, such as a probe."""

    description: Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """What a call gave, and which of its arguments it changed."""

    value: Any
    changed: Mapping[int, Any]
    same: Sequence[int]  # arguments that were returned as they are


class Remote:
    """Calls into the child."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.stubs: list[str] = []

    def load(self, module: str, paths: Sequence[str], definitions_only: bool = False) -> Handle:
        """Import a module of the submission."""
        answer = self.child.request("load", module=module, paths=list(paths), definitions_only=definitions_only)
        if not isinstance(answer, dict):
            raise Broken("it interfered with the grader's channel")
        self.stubs = list(answer["stubs"])
        return Handle(int(answer["module"]), "module")

    def call(self, target: Handle | Items, *path: Any, args: Sequence[Any] = (), **kwargs: Any) -> Reply:
        """target.path(*args, **kwargs)."""
        answer = self.child.request(
            "call", target=encode(target), path=list(path), args=[encode(a) for a in args],
            kwargs={k: encode(v) for k, v in kwargs.items()},
        )  # fmt: skip
        changed = {int(k): decode(v) for k, v in answer["arguments"].items()}
        return Reply(decode(answer["result"]), changed, answer["same"])

    def leaves(self, target: Handle | Items) -> dict[Path, Any]:
        """Every array and number that the object keeps."""
        return {tuple(path): decode(value) for path, value in self.child.request("leaves", target=encode(target))}

    def set(self, target: Handle | Items, path: Path, value: Any) -> None:
        """Write an array or number to where a path leads."""
        self.child.request("set", target=encode(target), path=list(path), value=encode(value))

    def get(self, target: Handle | Items, path: Path) -> Any:
        """Read what a path leads to."""
        return decode(self.child.request("get", target=encode(target), path=list(path)))

    def make(self, value: Any) -> Handle:
        """An object, list or dict of our own in the child."""
        return Handle(int(self.child.request("make", value=encode(value))))

    def parts(self, target: Handle | Items) -> list[Path]:
        """Where the layers of a network are."""
        return [tuple(p) for p in self.child.request("parts", target=encode(target))]

    def methods(self, target: Handle | Items) -> list[str]:
        """What can be called on it."""
        return list(self.child.request("methods", target=encode(target)))


def encode(value: Any) -> Any:
    """For the channel."""
    match value:
        case Handle(number=number) | Items(number=number):
            return {"$object": number}
        case Make(description=description):
            return {k: encode(v) for k, v in description.items()}
        case Typed(array=array):
            return array
        case tuple():
            return {"$tuple": [encode(v) for v in value]}
        case list():
            return [encode(v) for v in value]
        case dict():
            return {k: encode(v) for k, v in value.items()}
    return value


def decode(value: Any) -> Any:
    """From the channel."""
    if isinstance(value, dict):
        if "$array" in value:
            return Typed(value["$array"], str(value["$type"]))
        if "$items" in value:
            return Items(int(value["$object"]), {k: decode(v) for k, v in value["$items"]}, str(value["$type"]))
        if "$object" in value:
            return Handle(int(value["$object"]), str(value.get("$type", "")))
    return value


def as_array(value: Any) -> Array | None:
    """The numbers of a result, if it consists of numbers."""
    if isinstance(value, Typed):
        return value.array
    if isinstance(value, Items):
        parts = [as_array(v) for v in value.elements.values()]
        if value.type == "dict" or not parts or any(p is None or p.shape != parts[0].shape for p in parts):  # type: ignore[union-attr]
            return None
        return np.array(parts)
    if isinstance(value, np.ndarray):
        return value
    return np.asarray(value) if isinstance(value, bool | int | float) else None


def as_tuple(value: Any) -> list[Any] | None:
    """The elements, if it is a tuple or list with an array or several things in it."""
    if isinstance(value, Items) and value.type == "tuple":
        return list(value.elements.values())
    if (
        isinstance(value, Items)
        and value.type == "list"
        and any(isinstance(v, np.ndarray) and v.ndim for v in value.elements.values())
    ):
        return list(value.elements.values())
    return None
