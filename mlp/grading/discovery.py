"""Which classes and functions of a submission are components: read from the source, before anything is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from mlp.grading import names
from mlp.grading.submission import Source, Submission

# Files that start training, draw or grade when they are imported; only looked into if nothing else is there.
ASIDE = (
    r"(test\w*|\w*_test|\w*tests?|run_?\w*|main\w*|\w*autograder\w*|\w*grader\w*|debug\w*|plot\w*|draw\w*|setup|"
    r"conftest|train\w*|load_?data|dataset\w*|gradient_check|grad_check|\w*_check|solve_?net|demo\w*|example\w*)"
)


@dataclass(frozen=True)
class Parameter:
    """One argument of a function: its name, and whether a call must give it."""

    name: str
    required: bool


@dataclass
class Candidate:
    """A class, a pair of functions, or a function, that may be a component."""

    component: str | None  # None: only its behaviour can tell
    form: str  # "class", "functions", "function", "update"
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


@dataclass
class Definitions:
    """All classes and functions of a submission by name; the first one wins where names are repeated."""

    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    clears: bool = False  # some function sets gradients back to zero

    def methods(self, node: ast.ClassDef, seen: frozenset[str] = frozenset()) -> dict[str, ast.FunctionDef]:
        """Own and inherited methods."""
        found: dict[str, ast.FunctionDef] = {}
        for base in reversed(node.bases):
            name = base.id if isinstance(base, ast.Name) else base.attr if isinstance(base, ast.Attribute) else ""
            if name in self.classes and name not in seen and self.classes[name] is not node:
                found |= self.methods(self.classes[name], seen | {name})
        own = {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}
        for item in node.body:  # __call__ = forward
            if isinstance(item, ast.Assign) and isinstance(item.value, ast.Name) and item.value.id in own:
                own |= {t.id: own[item.value.id] for t in item.targets if isinstance(t, ast.Name)}
        return found | own


def discover(submission: Submission) -> tuple[list[Candidate], Definitions]:
    """The candidates, one for a name and component, from the folder that has most of them."""
    sources = [s for s in submission.sources if submission.only in (None, s.path)]
    usual = [s for s in sources if not names.matches(ASIDE, PurePosixPath(s.path).stem)]
    definitions = Definitions()
    for source in submission.sources:
        for node in ast.walk(source.tree) if source.tree else ():
            if isinstance(node, ast.ClassDef):
                definitions.classes.setdefault(node.name, node)
            elif isinstance(node, ast.FunctionDef) and clears_gradients(node):
                definitions.clears = True
    for group in (usual, sources):
        candidates = [c for source in group for c in candidates_of(source, definitions)]
        if any(c.component for c in candidates):
            break
    return chosen(candidates), definitions


def clears_gradients(node: ast.FunctionDef) -> bool:
    """Is it called zero_grad or the like, or does it zero something called a gradient, outside of backward?"""
    if names.matches(rf"({names.CLEAR})(_\w+|grads?\w*)?|\w*_({names.CLEAR})", node.name):
        return True
    if node.name in ("__init__", *names.FORWARD, *names.BACKWARD):
        return False
    for inner in ast.walk(node):
        text = ast.unparse(inner) if isinstance(inner, ast.Assign | ast.AugAssign | ast.Expr) else ""
        if re.search(r"(grad|\bd[WwbB]\b|dLd)\w*[^=]*(\*?= *(0|None|np\.zeros)|\.fill\(0)", text):
            return True
    return False


def candidates_of(source: Source, definitions: Definitions) -> Iterator[Candidate]:
    """What one file defines."""
    if source.tree is None:
        for name in re.findall(r"^class\s+(\w+)", source.text, re.MULTILINE):
            if component := names.component_of(name):
                yield Candidate(component, "class", source, name)
        for name in re.findall(r"^def\s+(\w+)_(?:forward|loss)\b", source.text, re.MULTILINE):
            if component := names.component_of(name + ("loss" if name in ("softmax", "svm") else "")):
                yield Candidate(component, "function", source, name)
        return
    if any(
        isinstance(n, ast.Import | ast.ImportFrom) and re.match("torch|tensorflow|keras|theano|jax", imported(n))
        for n in source.tree.body
    ):
        return
    for node in source.tree.body:
        if isinstance(node, ast.ClassDef) and not names.is_base(node.name):
            yield from candidates_of_class(node, source, definitions)
    yield from candidates_of_functions(source)


def imported(node: ast.Import | ast.ImportFrom) -> str:
    """The first module that an import statement names."""
    return node.names[0].name if isinstance(node, ast.Import) else node.module or ""


def candidates_of_class(node: ast.ClassDef, source: Source, definitions: Definitions) -> Iterator[Candidate]:
    """The component that a class may be, and the update rule that it may contain."""
    methods = definitions.methods(node)
    signatures = {name: parameters(method) for name, method in methods.items()}
    component = names.component_of(node.name)
    candidate = Candidate(component, "class", source, node.name, methods=signatures)
    forward = next((m for m in names.FORWARD if m in methods), None)
    backward = next((m for m in names.BACKWARD if m in methods), None)
    own = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    has_children = any(
        isinstance(b, ast.Name) and b.id == node.name for c in definitions.classes.values() for b in c.bases
    )
    if component is None and (has_children or not (forward and backward)):
        return
    if component == "SGD" and not any(m in methods for m in names.UPDATE):
        return
    working = [m for m in (forward, backward) if m]
    candidate.empty = component not in ("SGD", "Network") and (
        not own & {*names.FORWARD, *names.BACKWARD, *names.UPDATE} or all(is_empty(methods[m]) for m in working)
    )
    yield candidate
    if component == "Linear" and "update" in methods and len(required(signatures["update"])) == 1:
        # Steps with the gradients that the layer holds; update(config) or update(learning_rate).
        yield Candidate("SGD", "update", source, node.name, methods=signatures, empty=is_empty(methods["update"]))


def candidates_of_functions(source: Source) -> Iterator[Candidate]:
    """The components that pairs of functions, or functions with two results, may be."""
    assert source.tree
    functions = {n.name: n for n in source.tree.body if isinstance(n, ast.FunctionDef)}
    for name, node in functions.items():
        stem = re.sub(r"_?(forward|fwd|fprop)$", "", name, flags=re.IGNORECASE)
        component = names.component_of(stem) if stem else None
        if component is None or component in ("Network",) or not node.args.args:
            continue
        partner = next((p for p in partners(name, stem) if p in functions), None)
        signatures = {"forward": parameters(node)}
        if partner:
            signatures["backward"] = parameters(functions[partner])
        if (
            partner
            or (component in names.LOSSES and returns_pair(node))
            or (component == "SGD" and len(node.args.args) >= 2)
        ):
            form = "functions" if partner else "function"
            yield Candidate(component, form, source, name, partner, signatures, empty=is_empty(node))


def partners(name: str, stem: str) -> list[str]:
    """What the derivative of a function may be called."""
    after = (
        "backward",
        "bwd",
        "bprop",
        "grad",
        "gradient",
        "derivative",
        "deriv",
        "prime",
        "backprop",
        "der",
        "back",
        "delta",
        "d",
        "diff",
    )
    before = (
        "d",
        "grad",
        "gradient",
        "derivative",
        "backward",
        "deriv",
        "der",
        "diff",
        "delta",
        "back",
        "dcost",
        "dloss",
    )
    pairs = [f"{s}_{a}" for s in (stem, name) for a in after] + [f"{b}_{s}" for s in (stem, name) for b in before]
    pairs += [
        f"{s}{a}"
        for s in (stem, name)
        for a in ("Backward", "Grad", "Prime", "Gradient", "Derivative", "backward", "prime")
    ]
    return pairs + [f"d{s}" for s in (stem, name)] + [f"grad{s}" for s in (stem, name)]


def returns_pair(node: ast.FunctionDef) -> bool:
    """Does it return (value, gradient)?"""
    returns = [n.value for n in ast.walk(node) if isinstance(n, ast.Return)]
    return any(isinstance(value, ast.Tuple) and len(value.elts) == 2 for value in returns)


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
    for statement in node.body:
        match statement:
            case ast.Pass() | ast.Expr(value=ast.Constant()) | ast.Return(value=None | ast.Constant(value=None)):
                continue
            case ast.Raise(
                exc=ast.Name(id="NotImplementedError") | ast.Call(func=ast.Name(id="NotImplementedError"))
            ):
                continue
        return False
    return True


def chosen(candidates: list[Candidate]) -> list[Candidate]:
    """One set: the folder with most finished components; functions only where no class of that component is."""
    weight: dict[str, int] = {}
    for c in candidates:
        weight[home(c)] = weight.get(home(c), 0) + (bool(c.component) and not c.empty)
    ordered = sorted(candidates, key=lambda c: (c.empty, -weight[home(c)], c.source.path.count("/")))
    kept: dict[tuple[str | None, str], Candidate] = {}
    for c in ordered:
        kept.setdefault((c.component, c.name.lower() + c.form), c)
    with_class = {c.component for c in kept.values() if c.form in ("class", "update") and not c.empty}
    names_of_classes = {c.component for c in kept.values() if c.form in ("class", "update")}
    result = [c for c in kept.values() if c.form in ("class", "update") or c.component not in with_class]
    finished = {c.component for c in result if not c.empty}
    result = [
        c for c in result if not c.empty or c.component not in finished or c.component not in names_of_classes
    ]
    order = [*names.COMPONENTS, None]
    return sorted(result, key=lambda c: (order.index(c.component), c.source.path, c.name))


def home(candidate: Candidate) -> str:
    """The top folder that a candidate's file lies in."""
    return str(PurePosixPath(candidate.source.path).parent).split("/")[0]
