"""Imports of a submission in the child: what is not installed becomes a stub, plots do nothing, scripts do not run.

Runs in the child process and therefore imports NumPy and the standard library alone.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import types
from typing import Any


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
