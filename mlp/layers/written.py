"""Layers from how they are written: what ``repr`` of a network says, read back without running it as code."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from mlp.checks import InputError
from mlp.layers.activations import ACTIVATIONS
from mlp.layers.base import Layer

# An expression of more characters than this is no network that anybody wrote.
LONGEST = 100_000


def read_layers(text: str, known: Mapping[str, Callable[..., Any]]) -> list[Layer]:
    """The layers in "Network(Linear(784, 128), ReLU(), ...)", new ones.

    ``known`` are the classes that may be named, besides registered activations. Arguments are numbers, texts,
    lists, mappings and layers. Raises ``InputError`` for anything else.
    """
    classes = {kind.__name__: kind for kind in ACTIVATIONS.values() if isinstance(kind, type)} | dict(known)
    try:
        tree = ast.parse(text[: LONGEST + 1].strip(), mode="eval").body
        if len(text) > LONGEST or not isinstance(tree, ast.Call) or tree.keywords:
            raise ValueError("a network is needed")
        return [_read(node, classes) for node in tree.args]
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise InputError(f"cannot build a network from {text[:60]!r}: {error}") from None


def _read(node: ast.expr, classes: Mapping[str, Callable[..., Any]]) -> Any:
    if not isinstance(node, ast.Call):
        if isinstance(node, ast.Dict):
            keys = [ast.literal_eval(key) for key in node.keys if key is not None]
            return dict(zip(keys, (_read(value, classes) for value in node.values), strict=True))
        return ast.literal_eval(node)
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name not in classes:
        raise InputError(f"cannot build a layer {name or ast.unparse(node.func)!r}: it is none that mlp knows")
    options = {keyword.arg: _read(keyword.value, classes) for keyword in node.keywords if keyword.arg}
    return classes[name](*(_read(argument, classes) for argument in node.args), **options)
