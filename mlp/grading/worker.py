"""The side of the grader that holds the student's objects: it does what it is told and sends back what came out.

It runs in the child process and therefore imports NumPy and the standard library alone: neither the right answers
nor the grader are in its memory. A request is a dict; ``Worker.answer`` turns it into a reply.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Any

import numpy as np

from mlp.grading.imports import Refused, Stubs, import_definitions
from mlp.grading.leaves import children, collect, follow
from mlp.grading.stand_ins import Initial, Model, Probe, Rule

MADE: dict[str, Any] = {"rng": lambda: np.random.default_rng(0), "initial": Initial, "optimizer": Rule}


class Worker:
    """Holds the objects of one submission under numbers and answers requests about them."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self.stubs = Stubs()

    def prepare(self, paths: list[str]) -> None:
        """Make the submission importable and what it lacks harmless. Only in a process of its own."""
        sys.path[:0] = paths
        sys.meta_path.insert(0, Refused(self.stubs))
        sys.meta_path.append(self.stubs)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to one request; whatever the student's code raises is a reply as well."""
        try:
            arguments = {key: self.decode(value) for key, value in request.items() if key != "do"}
            return {"value": getattr(self, "do_" + request["do"])(**arguments)}
        except BaseException as error:  # SystemExit and KeyboardInterrupt too
            return {"error": describe_error(error)}

    # What the grader may ask for ---------------------------------------------------------------------------------

    def do_load(self, module: str, paths: list[str], definitions_only: bool = False) -> Any:
        """Import a module, or only what it defines; its number, and which modules had to be stubbed."""
        if paths:
            self.prepare(paths)
        loaded = import_definitions(module) if definitions_only else importlib.import_module(module)
        return {"module": self.keep(loaded), "stubs": self.stubs.names}

    def do_get(self, target: Any, path: list[Any]) -> Any:
        """An attribute or element, as a value."""
        return self.encode(follow(target, path))

    def do_call(self, target: Any, path: list[Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call it; the result, and which arguments are no longer what they were."""
        before = [np.array(a, copy=True) if isinstance(a, np.ndarray) else None for a in args]
        with np.errstate(all="ignore"):
            result = follow(target, path)(*args, **kwargs)
        changed = [
            i for i, (a, old) in enumerate(zip(args, before, strict=True))
            if old is not None and not (a.shape == old.shape and np.array_equal(a, old, equal_nan=True))
        ]  # fmt: skip
        aliases = [i for i, a in enumerate(args) if isinstance(a, np.ndarray) and result is a]
        arguments = {str(i): self.encode(args[i]) for i in changed}
        return {"result": self.encode(result), "changed": changed, "same": aliases, "arguments": arguments}

    def do_leaves(self, target: Any) -> Any:
        """Every array and number that the object keeps, with its path."""
        found: list[Any] = []
        collect(target, [], found, set())
        return [[path, self.encode(value)] for path, value in found]

    def do_set(self, target: Any, path: list[Any], value: Any) -> None:
        """Write into the array if it fits, so that whoever shares it sees it; otherwise replace it."""
        holder = follow(target, path[:-1])
        try:
            old = follow(holder, path[-1:])
            if (
                isinstance(old, np.ndarray)
                and old.shape == np.shape(value)
                and old.dtype.kind == "f"
                and old.flags.writeable
            ):
                old[...] = value
                return
        except (AttributeError, KeyError, IndexError, TypeError):
            pass
        if isinstance(holder, dict | list):
            holder[path[-1]] = value
        else:
            setattr(holder, path[-1], value)

    def do_make(self, value: Any) -> int:
        """Keep what the request describes."""
        return self.keep(value)

    def do_parts(self, target: Any) -> list[list[Any]]:
        """The paths of the objects with a forward that it consists of, in the order in which it got them."""
        found: list[list[Any]] = []
        for name, value in getattr(target, "__dict__", {}).items():
            several = isinstance(value, list | tuple | dict)
            for key, item in children(value) if several else [(None, value)]:
                if callable(getattr(item, "forward", None)) or (callable(item) and hasattr(item, "backward")):
                    found.append([name] if key is None else [name, key])
        return found

    def do_methods(self, target: Any) -> list[str]:
        """The names of what can be called on it."""
        return [n for n in dir(target) if not n.startswith("__") and callable(getattr(target, n, None))]

    # Values ----------------------------------------------------------------------------------------------------

    def keep(self, value: Any) -> int:
        """A number under which the object can be named later."""
        self.objects.append(value)
        return len(self.objects) - 1

    def decode(self, value: Any) -> Any:
        """What a request names: objects by number, things to be made, containers of them."""
        if isinstance(value, dict):
            if "$object" in value:
                return self.objects[value["$object"]]
            if "$bare" in value:
                return Model(**self.decode(value["$bare"]))
            if "$probe" in value:
                return Probe(*value["$probe"])
            if "$new" in value:
                return MADE[value["$new"]]()
            if "$tuple" in value:
                return tuple(self.decode(v) for v in value["$tuple"])
            return {k: self.decode(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.decode(v) for v in value]
        return value

    def encode(self, value: Any, depth: int = 0) -> Any:
        """A value as plain data; what is none is kept here and named by number and type."""
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc":
            return encode_array(value)
        if isinstance(value, int | float):
            return float(value) if isinstance(value, float) or abs(value) >= 2**62 else int(value)
        if isinstance(value, list | tuple | dict) and depth < 4 and len(value) < 1000:
            return self.encode_items(value, depth)
        return {"$object": self.keep(value), "$type": type(value).__name__}

    def encode_items(self, value: Any, depth: int) -> dict[str, Any]:
        """A list, tuple or dict with its elements."""
        named = isinstance(value, dict)
        pairs = value.items() if named else enumerate(value)
        items = [[str(k) if named else k, self.encode(v, depth + 1)] for k, v in pairs]
        kind = "dict" if named else "list" if isinstance(value, list) else "tuple"
        return {"$items": items, "$object": self.keep(value), "$type": kind}


def encode_array(value: Any) -> Any:
    """A plain copy; that it was something else, such as np.matrix, is said beside it."""
    plain = np.array(value, copy=True, subok=False)
    usual = type(value) is np.ndarray or isinstance(value, np.generic)
    return plain if usual else {"$type": type(value).__name__, "$array": plain}


def describe_error(error: BaseException) -> dict[str, Any]:
    """The exception in words, with the last line of the submission that it passed through."""
    here = os.path.dirname(__file__)
    frames = [
        f for f in traceback.extract_tb(error.__traceback__)
        if os.path.dirname(f.filename) != here and "<frozen" not in f.filename
    ]  # fmt: skip
    own = [
        f for f in frames if "site-packages" not in f.filename and f"{os.sep}lib{os.sep}python" not in f.filename
    ]
    where = own[-1] if own else None
    try:
        message = str(error)[:300]
    except BaseException:
        message = ""
    return {
        "type": type(error).__name__, "message": message, "in_student_code": bool(own),
        "file": os.path.basename(where.filename) if where else None, "line": where.lineno if where else None,
    }  # fmt: skip
