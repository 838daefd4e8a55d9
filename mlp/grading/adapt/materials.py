"""Two layers in every disguise in which an optimizer may want them: objects, pairs, dicts, lists, a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlp.grading import names
from mlp.grading.adapt.remote import Array, Handle, Make, Remote
from mlp.grading.adapt.updates import config_of
from mlp.grading.hypotheses.component import Case
from mlp.grading.hypotheses.steps import NAMES


def materials(remote: Remote, case: Case, own: Mapping[str, str], attributes: Sequence[str]) -> dict[str, Handle]:
    """Everything that may be given. ``own``: what the source calls W, b and their gradients, gW and gb."""
    layers = [layer(remote, case, n, own) for n in "12"]
    parameters = [parameter(remote, case.start[name], attributes) for name in NAMES]
    things = {f"layer{i + 1}": made for i, made in enumerate(layers)}
    things |= {f"parameter{i}": made for i, made in enumerate(parameters)}
    plain = containers(case) | {"layers": layers, "parameters": parameters}
    things |= {key: remote.make(value) for key, value in plain.items()}
    held = {key: list(layers) for key in ("layers", "layer_list", "modules")}
    things["model"] = remote.make(
        Make({"$bare": held | {"everything": list(parameters), "pairs": things["pairs"]}})
    )
    return things


def containers(case: Case) -> dict[str, Any]:
    """Dicts and lists of arrays."""
    values = [case.start[name] * 1.0 for name in NAMES]
    blank = [value * 0.0 for value in values]
    named = dict(zip(NAMES, blank, strict=True))
    return {
        "params": dict(zip(NAMES, values, strict=True)), "grads": named,
        "d-grads": {"d" + k: v for k, v in named.items()},
        "memory": {d + k: v for k, v in named.items() for d in ("d", "")}, "state": {}, "config": config_of(case),
        "list": values, "gradients": blank, "pairs": list(zip(values, blank, strict=True)),
        "nested": [values[:2], values[2:]], "nested gradients": [blank[:2], blank[2:]],
    }  # fmt: skip


def layer(remote: Remote, case: Case, number: str, own: Mapping[str, str]) -> Handle:
    """An object with weight and bias under the names that the source uses."""
    w, b = case.start["W" + number] * 1.0, case.start["b" + number] * 1.0
    plain = {own["W"]: w, own["b"]: b, own["gW"]: w * 0, own["gb"]: b * 0}
    held = {"params": {"W": w, "b": b}, "grads": {"W": w * 0, "b": b * 0}}
    return remote.make(Make({"$bare": plain | held | {"trainable": True, "name": "layer" + number}}))


def parameter(remote: Remote, value: Array, attributes: Sequence[str]) -> Handle:
    """An object with a value and a gradient under all names that the source uses."""
    pattern = r"value|val|gradient|array|g|d|grads?|data"
    words = {"data", "grad"} | {a for a in attributes if names.matches(pattern, a)}
    return remote.make(Make({"$bare": {k: value * (0 if is_gradient(k) else 1) for k in words}}))


def set_gradients(
    remote: Remote, things: Mapping[str, Handle], gradients: Mapping[str, Array], own: Mapping[str, str]
) -> None:
    """Everywhere an optimizer may look."""
    for i, name in enumerate(NAMES):
        held, value = things[f"parameter{i}"], gradients[name]
        places: list[tuple[str, tuple[Any, ...]]] = [
            ("layer" + name[1], (own["g" + name[0]],)), ("layer" + name[1], ("grads", name[0])),
            ("grads", (name,)), ("d-grads", ("d" + name,)), ("gradients", (i,)), ("pairs", (i, 1)),
            ("nested gradients", (i // 2, i % 2)),
            *((f"parameter{i}", path) for path in remote.leaves(held) if is_gradient(path[0])),
        ]  # fmt: skip
        for key, path in places:
            remote.set(things[key], path, value)


def is_gradient(word: Any) -> bool:
    """grad, g, gradient, d."""
    return str(word).startswith("g") or word == "d"
