"""What may be a component: a class, a function or a pair of functions, with the arguments it takes."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlp.grading.submission import Source


@dataclass(frozen=True)
class Parameter:
    """One argument of a function: its name, and whether a call must give it."""

    name: str
    required: bool


@dataclass
class Candidate:
    """A class, a pair of functions, or a function, that may be a component.

    form: "class"; "update", the update of a layer's class; "functions", a function and its partner; "function", one
        that gives two results; "flag", one whose last argument asks for the derivative; "model", functions that
        share a dict of parameters.
    """

    component: str | None  # None: only its behaviour can tell
    form: str
    source: Source
    name: str
    partner: str | None = None  # the backward function
    methods: dict[str, list[Parameter]] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)  # what an adapter says
    empty: bool = False  # the body says NotImplementedError or nothing

    @property
    def found(self) -> str:
        """As a person would point at it."""
        partner = f" and {self.partner}" if self.partner else ""
        word = "class" if self.form in ("class", "update") else "function"
        return f"{self.source.path}: {word} {self.name}{partner}" + (".update" if self.form == "update" else "")

    @property
    def text(self) -> str:
        """The source of the class or function."""
        for node in ast.walk(self.source.tree) if self.source.tree else ():
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == self.name:
                return ast.unparse(node)
        return ""


@dataclass
class Definitions:
    """All classes and functions of a submission by name; the first one wins where names are repeated."""

    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    clears: bool = False  # some function sets gradients back to zero

    def methods(self, node: ast.ClassDef, seen: frozenset[str] = frozenset()) -> dict[str, ast.FunctionDef]:
        """Own and inherited methods."""
        found: dict[str, ast.FunctionDef] = {}
        for base in map(base_name, reversed(node.bases)):
            if base in self.classes and base not in seen and self.classes[base] is not node:
                found |= self.methods(self.classes[base], seen | {base})
        return found | own_methods(node)

    def has_children(self, name: str) -> bool:
        """Does another class derive from this one?"""
        return any(base_name(b) == name for c in self.classes.values() for b in c.bases)


def own_methods(node: ast.ClassDef) -> dict[str, ast.FunctionDef]:
    """Those that the class itself defines, under all names that it gives them."""
    own = {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}
    for item in node.body:  # __call__ = forward
        if isinstance(item, ast.Assign) and isinstance(item.value, ast.Name) and item.value.id in own:
            own |= {t.id: own[item.value.id] for t in item.targets if isinstance(t, ast.Name)}
    return own


def base_name(node: ast.expr) -> str:
    """Base, or module.Base, as Base."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def parameters(node: ast.FunctionDef) -> list[Parameter]:
    """The arguments without self."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    first_default = len(arguments) - len(node.args.defaults)
    found = [Parameter(a.arg, i < first_default) for i, a in enumerate(arguments)]
    static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
    if found and found[0].name in ("self", "cls") and not static:
        found = found[1:]
    keyword = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    if node.args.vararg:
        found.append(Parameter("*" + node.args.vararg.arg, False))
    return found + [Parameter(a.arg, True) for a, default in keyword if default is None]


def required(signature: list[Parameter]) -> list[Parameter]:
    """The arguments that a call must give."""
    return [p for p in signature if p.required]


def is_empty(node: ast.FunctionDef) -> bool:
    """Nothing but a docstring, pass, return None, or NotImplementedError?"""
    return all(is_nothing(statement) for statement in node.body)


def is_nothing(statement: ast.stmt) -> bool:
    """A statement that says that the work is still to be done; raise NotImplemented is a common slip."""
    match statement:
        case ast.Pass() | ast.Expr(value=ast.Constant()) | ast.Return(value=None | ast.Constant(value=None)):
            return True
        case ast.Raise(exc=ast.Name(id=name) | ast.Call(func=ast.Name(id=name))):
            return name.startswith("NotImplemented")
    return False
