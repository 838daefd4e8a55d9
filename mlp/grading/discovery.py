"""Which classes and functions of a submission are components: read from the source, before anything is run."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from mlp.grading import names
from mlp.grading.candidates import Candidate, Definitions, is_empty, parameters, required
from mlp.grading.functions import candidates_of_functions
from mlp.grading.submission import Source, Submission

# Files that start training, draw or grade when they are imported; only looked into if nothing else is there.
ASIDE = (
    r"(test\w*|\w*_test|\w*tests?|run_?\w*|main\w*|\w*autograder\w*|\w*grader\w*|debug\w*|plot\w*|draw\w*|setup|"
    r"conftest|train\w*|load_?data|dataset\w*|gradient_check|grad_check|\w*_check|solve_?net|demo\w*|example\w*)"
)
OTHER_LIBRARIES = r"(torch|tensorflow|keras|theano|jax)\b"


def discover(submission: Submission) -> tuple[list[Candidate], Definitions]:
    """The candidates, one for a name and component, from the folder that has most of them."""
    sources = [s for s in submission.sources if submission.only in (None, s.path)]
    usual = [s for s in sources if not names.matches(ASIDE, PurePosixPath(s.path).stem)]
    definitions = defined(submission)
    for group in (usual, sources):
        candidates = [c for source in group for c in candidates_of(source, definitions)]
        if any(c.component for c in candidates):
            break
    return chosen(candidates), definitions


def defined(submission: Submission) -> Definitions:
    """All classes and functions."""
    definitions = Definitions()
    for source in submission.sources:
        for node in ast.walk(source.tree) if source.tree else ():
            if isinstance(node, ast.ClassDef):
                definitions.classes.setdefault(node.name, node)
            elif isinstance(node, ast.FunctionDef):
                definitions.functions.add(node.name)
                definitions.clears |= clears_gradients(node)
    return definitions


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
        yield from candidates_of_text(source)
        return
    if any(re.match(OTHER_LIBRARIES, module) for n in source.tree.body for module in imported(n)):
        return
    for node in source.tree.body:
        if isinstance(node, ast.ClassDef) and not names.is_base(node.name):
            yield from candidates_of_class(node, source, definitions)
    yield from candidates_of_functions(source)


def candidates_of_text(source: Source) -> Iterator[Candidate]:
    """What a file that Python cannot read seems to define."""
    for name in re.findall(r"^class\s+(\w+)", source.text, re.MULTILINE):
        if component := names.component_of(name):
            yield Candidate(component, "class", source, name)
    for name in re.findall(r"^def\s+(\w+)_(?:forward|loss)\b", source.text, re.MULTILINE):
        if component := names.component_of(name + ("loss" if name in ("softmax", "svm") else "")):
            yield Candidate(component, "function", source, name)


def imported(node: ast.stmt) -> list[str]:
    """The modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def candidates_of_class(node: ast.ClassDef, source: Source, definitions: Definitions) -> Iterator[Candidate]:
    """The component that a class may be, and the update rule that it may contain."""
    methods = definitions.methods(node)
    signatures = {name: parameters(method) for name, method in methods.items()}
    component = names.component_of(node.name)
    forward = names.method_of(names.FORWARD, methods)
    backward = names.method_of(names.BACKWARD, methods, forward)
    if component is None and (definitions.has_children(node.name) or not (forward and backward)):
        return
    if component == "SGD" and not names.method_of(names.UPDATE, methods):
        return
    candidate = Candidate(component, "class", source, node.name, methods=signatures)
    candidate.empty = component not in ("SGD", "Network") and unfinished(methods, [forward, backward])
    yield candidate
    if component == "Linear" and "update" in methods and len(required(signatures["update"])) == 1:
        # Steps with the gradients that the layer holds; update(config) or update(learning_rate).
        yield Candidate("SGD", "update", source, node.name, methods=signatures, empty=is_empty(methods["update"]))


def unfinished(methods: dict[str, ast.FunctionDef], working: list[str]) -> bool:
    """Is there nothing that computes, of its own or inherited?"""
    return all(is_empty(methods[m]) for m in working if m)


def chosen(candidates: list[Candidate]) -> list[Candidate]:
    """One set: the folder with most finished components; functions only where no class of that component is."""
    kept = distinct(candidates)
    classes = {
        c.component: c.empty for c in sorted(kept, key=lambda c: not c.empty) if c.form in ("class", "update")
    }
    finished = {c.component for c in kept if not c.empty}
    result = []
    for c in kept:
        replaced = c.form not in ("class", "update") and classes.get(c.component) is False
        if not replaced and not (c.empty and c.component in classes and c.component in finished):
            result.append(c)
    order = [*names.COMPONENTS, None]
    return sorted(result, key=lambda c: (order.index(c.component), c.source.path, c.name))


def distinct(candidates: list[Candidate]) -> list[Candidate]:
    """Of those with the same name the finished one, from the folder that has most."""
    weight = Counter(home(c) for c in candidates if c.component and not c.empty)
    ordered = sorted(candidates, key=lambda c: (c.empty, -weight[home(c)], c.source.path.count("/")))
    kept: dict[tuple[str | None, str], Candidate] = {}
    for c in ordered:
        kept.setdefault((c.component, c.name.lower() + c.form), c)
    return list(kept.values())


def home(candidate: Candidate) -> str:
    """The top folder that a candidate's file lies in."""
    return str(PurePosixPath(candidate.source.path).parent).split("/")[0]
