"""Which functions of a file are components: pairs, functions with two results, flags for the derivative, rules."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlp.grading import names
from mlp.grading.candidates import Candidate, is_empty, parameters
from mlp.grading.submission import Source

AFTER = "backward bwd bprop grad gradient derivative deriv prime backprop der back delta d diff"
BEFORE = "d grad gradient derivative backward deriv der diff delta back dcost dloss"
JOINED = "Backward Grad Prime Gradient Derivative backward prime deriv derivative"
FLAG = r"deriv\w*|grad\w*|prime|derive|diff|backward|is_?deriv\w*"
MODEL = (
    r"(L_?)?(model|nn|net|network|mlp|two_layer|full|deep)?_?"
    r"(forward|fwd|feed_?forward)_?(pass|prop\w*|model|step|full|all|net\w*)?"
)
MODEL_BACK = (
    r"(L_?)?(model|nn|net|network|mlp|two_layer|full|deep)?_?"
    r"(backward|backprop|bwd|back)_?(pass|prop\w*|model|step|full|all|net\w*)?|compute_grad\w*"
)


def candidates_of_functions(source: Source) -> Iterator[Candidate]:
    """The components that functions may be."""
    assert source.tree
    functions = {n.name: n for n in source.tree.body if isinstance(n, ast.FunctionDef)}
    for name, node in functions.items():
        if not node.args.args:
            continue
        if is_rule(node):
            yield Candidate("SGD", "function", source, name, None, {"forward": parameters(node)})
            continue
        stem = re.sub(r"_?(forward|fwd|fprop)$", "", name, flags=re.IGNORECASE)
        component = names.component_of(stem) if stem else None
        if component not in (None, "Network"):
            yield from pair(source, functions, name, stem, component)
    yield from model_of(source, functions)


def pair(
    source: Source, functions: dict[str, ast.FunctionDef], name: str, stem: str, component: str | None
) -> Iterator[Candidate]:
    """A function with its partner, its flag or its two results."""
    node = functions[name]
    signatures, empty = {"forward": parameters(node)}, is_empty(node)
    partner = next((p for p in partners(name, stem) if p in functions), None)
    if partner and not dispatches(functions[partner]):
        signatures["backward"] = parameters(functions[partner])
        yield Candidate(component, "functions", source, name, partner, signatures, empty=empty)
    elif component in names.ACTIVATIONS and flag_of(node):
        yield Candidate(component, "flag", source, name, None, signatures, empty=empty)
    elif (component in names.LOSSES and returns_pair(node)) or (component == "SGD" and len(node.args.args) >= 2):
        yield Candidate(component, "function", source, name, None, signatures, empty=empty)


def model_of(source: Source, functions: dict[str, ast.FunctionDef]) -> Iterator[Candidate]:
    """A whole network as functions: forward takes the dict of parameters, backward gives the dict of gradients."""
    words = r"param\w*|weights|theta|model|net\w*"
    forward = next((n for n, f in functions.items() if names.matches(MODEL, n) and takes(f, words)), None)
    backward = next(
        (n for n, f in functions.items() if names.matches(MODEL_BACK, n) and takes(f, names.TARGET)), None
    )
    if forward and backward:
        cost = next((n for n in functions if names.matches(r"(compute|calc\w*)?_?(cost|loss)\w*", n)), None)
        signatures = {"forward": parameters(functions[forward]), "backward": parameters(functions[backward])}
        if cost:
            signatures[cost] = parameters(functions[cost])
        yield Candidate("Network", "model", source, forward, backward, signatures)


def takes(node: ast.FunctionDef, words: str) -> bool:
    """Is one of its arguments called so?"""
    return any(names.matches(words, p.name) for p in parameters(node))


def dispatches(node: ast.FunctionDef) -> bool:
    """Does an argument say which activation is meant? Then it is a part of a network and judged with it."""
    return takes(node, r"activation\w*|act_?\w*|kind|type")


def is_rule(node: ast.FunctionDef) -> bool:
    """update_parameters(parameters, grads, learning_rate): is it a step for a whole dict of parameters?"""
    known = names.matches(names.RULES, node.name) and takes(node, names.RATE)
    return known and takes(node, r"param\w*|weights") and takes(node, r"d?grads?|gradients?|d_?param\w*")


def flag_of(node: ast.FunctionDef) -> str:
    """The argument that asks for the derivative: sigmoid(x, derivative=False)."""
    defaults = [a.arg for a in node.args.args[len(node.args.args) - len(node.args.defaults) :]]
    return next((name for name in defaults if names.matches(FLAG, name)), "")


def partners(name: str, stem: str) -> list[str]:
    """What the derivative of a function may be called."""
    pairs = [f"{s}_{a}" for s in (stem, name) for a in AFTER.split()]
    pairs += [f"{b}_{s}" for s in (stem, name) for b in BEFORE.split()]
    pairs += [f"{s}{a}" for s in (stem, name) for a in JOINED.split()]
    return pairs + [f"{before}{s}" for before in ("d", "grad") for s in (stem, name)]


def returns_pair(node: ast.FunctionDef) -> bool:
    """Does it return (value, gradient)?"""
    returns = [n.value for n in ast.walk(node) if isinstance(n, ast.Return)]
    return any(isinstance(value, ast.Tuple) and len(value.elts) == 2 for value in returns)
