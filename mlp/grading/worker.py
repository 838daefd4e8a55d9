"""The side of the grader that holds the student's objects: it does what it is told and sends back what came out.

It runs in the child process and therefore imports NumPy and the standard library alone: neither the right answers
nor the grader are in its memory. A request is a dict; ``Worker.answer`` turns it into a reply.
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import traceback
import types
from typing import Any

import numpy as np

MAX_LEAVES = 400  # of one object: what a layer keeps, not a data set


class Stub(types.ModuleType):
    """Stands in for a module that is not installed: every attribute is there, calling it gives it back."""

    __path__: list[str] = []  # noqa: RUF012
    __file__ = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Stub(f"{self.__name__}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # As a decorator without arguments it hands the function through.
        return args[0] if len(args) == 1 and callable(args[0]) and not kwargs else self

    def __iter__(self) -> Any:
        return iter(())

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def __mro_entries__(self, bases: Any) -> tuple[type, ...]:
        return (object,)


class Stubs(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Last in ``sys.meta_path``: what the submission imports and nobody finds becomes a stub, and is listed."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.folder = os.getcwd()

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """A spec for every module, except parts of packages that are really there, and what libraries try."""
        parent = sys.modules.get(fullname.rpartition(".")[0])
        if parent is not None and not isinstance(parent, Stub):
            return None
        if parent is None and not self.asked_by_submission():
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def asked_by_submission(self) -> bool:
        """Is the import statement in one of the student's files?"""
        frame: Any = sys._getframe(2)
        while frame is not None and "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        return frame is not None and frame.f_code.co_filename.startswith(self.folder)

    def create_module(self, spec: Any) -> Any:
        """The stub."""
        self.names.append(spec.name)
        return Stub(spec.name)

    def exec_module(self, module: Any) -> None:
        """Nothing is executed."""


class Refused(importlib.abc.MetaPathFinder):
    """First in ``sys.meta_path``: plots and the grader's own library are not for submissions."""

    plots = ("matplotlib", "pylab", "seaborn", "tkinter", "wandb", "tensorboardX")

    def __init__(self, stubs: Stubs) -> None:
        self.stubs = stubs

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """A stub for plotting packages, and for ``mlp`` unless the submission has its own."""
        head = fullname.partition(".")[0]
        if head in self.plots:
            return importlib.machinery.ModuleSpec(fullname, self.stubs, is_package=True)
        if head == "mlp" and not any(
            os.path.exists(os.path.join(p, head + s)) for p in ("", *sys.path[:3]) for s in ("", ".py")
        ):
            raise ModuleNotFoundError("mlp is the grader's library and not for submissions", name=fullname)
        return None


class Probe:
    """A layer of our own, y = a x + c forward and a g + c/2 backward, that notes what a network does with it."""

    def __init__(self, a: float, c: float, trainable: bool) -> None:
        self.a, self.c, self.trainable, self.name = a, c, trainable, "probe"
        self.updates = 0
        self.received: Any = None
        for name in ("W", "b", "grad_W", "grad_b", "dLdW", "dLdb", "diff_W", "diff_b"):
            setattr(self, name, np.zeros((1, 1)))

    def forward(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """y = a x + c."""
        return np.asarray(x) * self.a + self.c

    __call__ = forward

    def backward(self, grad: Any, *args: Any, **kwargs: Any) -> Any:
        """Not quite the derivative: the constant tells the order of the calls."""
        self.received = np.array(grad, dtype=float)
        return self.received * self.a + self.c / 2

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Noted."""
        self.updates += 1

    step = update

    def parameters(self, *args: Any) -> list[Any]:
        """None of its own; nothing to clear and nothing to switch either."""
        return []

    params = zero_grad = train = eval = parameters


class Model(types.SimpleNamespace):
    """Something with layers and parameters, for optimizers that want one."""

    def parameters(self) -> Any:
        """What an optimizer moves."""
        return self.everything

    params = get_parameters = parameters


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
            items = (
                enumerate(value)
                if isinstance(value, list | tuple)
                else value.items()
                if isinstance(value, dict)
                else [(None, value)]
            )
            for key, item in items:
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
            if "$random" in value:
                return np.random.default_rng(value["$random"])
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
        if isinstance(value, int | float) and type(value).__module__ == "builtins":
            return value if isinstance(value, float) or abs(value) < 2**62 else float(value)
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc":
            plain = np.array(value, copy=True, subok=False)
            return (
                plain
                if type(value) in (np.ndarray,) or isinstance(value, np.generic)
                else {"$type": type(value).__name__, "$array": plain}
            )
        if isinstance(value, list | tuple) and depth < 4 and len(value) < 1000:
            items = [[i, self.encode(v, depth + 1)] for i, v in enumerate(value)]
            return {
                "$items": items,
                "$object": self.keep(value),
                "$type": "list" if isinstance(value, list) else "tuple",
            }
        if isinstance(value, dict) and depth < 4 and len(value) < 1000:
            items = [[str(k), self.encode(v, depth + 1)] for k, v in value.items()]
            return {"$items": items, "$object": self.keep(value), "$type": "dict"}
        return {"$object": self.keep(value), "$type": type(value).__name__}


def import_definitions(name: str) -> types.ModuleType:
    """The module without the statements that do something: imports, functions, classes and constants alone."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.origin:
        raise ModuleNotFoundError(name)
    with open(spec.origin, encoding="utf-8-sig", errors="replace") as file:
        tree = ast.parse(file.read())
    kept = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef)
    tree.body = [
        n for n in tree.body if isinstance(n, kept) or (isinstance(n, ast.Assign) and is_constant(n.value))
    ]
    module = types.ModuleType(name)
    module.__file__ = spec.origin
    sys.modules[name] = module
    exec(compile(tree, spec.origin, "exec"), module.__dict__)
    return module


def is_constant(node: ast.expr) -> bool:
    """A number, text, attribute such as np.float64, or arithmetic of such; no calls but np.sqrt(2) and the like."""
    for call in (n for n in ast.walk(node) if isinstance(n, ast.Call)):
        where = call.func.value if isinstance(call.func, ast.Attribute) else None
        plain = isinstance(where, ast.Name) and where.id in ("np", "numpy", "math")
        if not plain or any(isinstance(a, ast.Name) for a in call.args):
            return False
    return True


def follow(target: Any, path: list[Any]) -> Any:
    """target.a["b"][0] for the path ["a", "b", 0]."""
    for step in path:
        if isinstance(target, dict) or isinstance(step, int):  # noqa: SIM108
            target = target[step]
        else:
            target = getattr(target, step)
    return target


def collect(value: Any, path: list[Any], found: list[Any], seen: set[int]) -> None:
    """All arrays and numbers that can be reached from an object of the submission, first come first."""
    if len(found) >= MAX_LEAVES or len(path) > 5:
        return
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc":
        found.append((path, value))
        return
    if isinstance(value, bool | int | float):
        found.append((path, value))
        return
    if value is None or isinstance(
        value, str | bytes | type | types.ModuleType | types.FunctionType | types.MethodType | Stub
    ):
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, dict):
        items = [(k, v) for k, v in value.items() if isinstance(k, str | int)]
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    else:
        slots = [s for c in type(value).__mro__ for s in getattr(c, "__slots__", ()) if hasattr(value, s)]
        shared = [
            k
            for k, v in vars(type(value)).items()
            if isinstance(v, np.ndarray | dict | list | property) and not k.startswith("_")
        ]
        items = list(getattr(value, "__dict__", {}).items())
        names = {k for k, _ in items}
        for name in [*slots, *shared]:
            if name not in names:
                try:
                    items.append((name, getattr(value, name)))
                except Exception:
                    continue
    for key, item in items:
        collect(item, [*path, key], found, seen)


def describe_error(error: BaseException) -> dict[str, Any]:
    """The exception in words, with the last line of the submission that it passed through."""
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if f.filename != __file__ and "<frozen" not in f.filename
    ]
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
