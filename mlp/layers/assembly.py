"""What becomes of layers in a network: names, initial weights, and the folding away of normalisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.initializers import Initializer, as_initializer, for_activation
from mlp.layers.activations import ACTIVATIONS
from mlp.layers.base import Layer
from mlp.layers.batch_norm import BatchNorm
from mlp.layers.containers import Sequential
from mlp.layers.linear import Linear
from mlp.parameter import Parameter


def check_places(body: Layer) -> None:
    """Raise ``InputError`` if a layer stands in two places, or is in another network already."""
    seen: dict[int, str] = {}
    for path, layer in body.descendants():
        where = f"layer {path} {layer!r}"
        if any(p.owner is not None for p in layer.parameters().values()):
            raise InputError(f"Network: {where} belongs to another network; copy it with astype")
        if getattr(layer, "return_residual", False):
            raise InputError(
                f"{layer!r} gives a pair (y, x), which the next layer of a network cannot take: "
                f"use return_residual=False; x + f(x) is Residual(f)"
            )
        _check_arrays(layer, where)
        if id(layer) in seen:
            raise InputError(
                f"Network: {where} is {seen[id(layer)]} as well; give its second place a copy with the same "
                f"parameters, layer.tied()"
            )
        seen[id(layer)] = where


def _check_arrays(layer: Layer, where: str) -> None:
    """Raise ``InputError`` for an array of numbers that looks as if it were to be learned, and never would be."""
    if type(layer).__module__.startswith("mlp.") or layer.name.startswith("layer "):  # looked at before
        return
    constant = {"saved", *layer.statistic_names, *layer.constant_names}
    for name, value in vars(layer).items():
        is_array = isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size
        if is_array and name not in constant and not name.startswith("_"):
            raise InputError(
                f"Network: {where} has a bare array {name}, which no optimizer would train: write self.{name} = "
                f"Parameter(array); of what is to stay as it is, in the class, constant_names = ({name!r},); what "
                "forward remembers belongs into self.saved"
            )


def check_parameters(body: Layer, own: Sequence[Parameter]) -> None:
    """Raise ``InputError`` if a parameter of a network was replaced since it was made: nothing would train it."""
    now, known = body.parameters(), set(map(id, own))
    strange = [name for name, p in now.items() if id(p) not in known]
    lost = sorted({p.name for p in own} - {p.name for p in now.values()})
    for name in [*strange, *lost]:
        raise InputError(
            f"Network: {name} is not the parameter that it was made with, so that no optimizer moves it; to change "
            f"values, write network.parameters[{name!r}].data[...] = values, or make a new Network of the layers"
        )


def find_widths(body: Sequential, dtype: np.dtype[Any]) -> None:
    """Find out the widths that layers from outside this library do not tell, by a row of zeros through them.

    Sets ``in_features`` and ``out_features`` of ``body`` where they can be found out.
    """
    if all(type(layer).__module__.startswith("mlp.") for layer in body.walk()):
        return
    shapes = [p.shape[0] for p in body.parameters().values() if p.data.ndim == 2]
    for width in [body.in_features] if body.in_features else shapes:
        try:
            with np.errstate(all="ignore"):
                y = body.astype(dtype).eval().forward(np.zeros((1, width), dtype))
        except Exception:
            continue
        body.in_features, body.out_features = width, int(np.shape(y)[-1])
        return


def name_places(body: Layer) -> list[Parameter]:
    """Give every layer and every parameter its name, where it stands; returns the parameters, each once."""
    for path, layer in body.descendants():
        layer.name = f"layer {path} {layer!r}"
    named: dict[int, Parameter] = {}
    for name, p in body.parameters().items():
        if id(p) not in named:  # a shared one is called after its first place
            p.name = name
            named[id(p)] = p
    return list(named.values())


def convert_statistics(body: Layer, dtype: np.dtype[Any]) -> None:
    """Bring all running statistics to ``dtype``, but for integers; those that are shared stay so."""
    converted: dict[int, Array] = {}
    for layer in body.walk():
        for name in layer.statistic_names:
            array = getattr(layer, name)
            if array.dtype.kind == "f":
                setattr(layer, name, converted.setdefault(id(array), array.astype(dtype, copy=False)))


def choose_initializers(body: Layer, init: str | Initializer | None) -> None:
    """Let every Linear in ``body`` draw its weights from ``init``, an initializer or the name of one.

    "auto" gives each the one that suits the activation which its output goes into: He for the family of ReLU,
    Xavier for sigmoids and for the last layer. None does so for those that were given no ``weight_init``. Raises
    ``InputError`` for an unknown name.
    """
    leaves = [layer for layer in body.walk() if isinstance(layer, Linear) or not layer.children()]
    is_auto = isinstance(init, str) and init.lower() == "auto"
    for i, layer in enumerate(leaves):
        if not isinstance(layer, Linear) or (init is None and layer.weight_init is not None):
            continue
        if init is None or is_auto:
            layer.weight_init = for_activation(_following(leaves[i + 1 :]))
        else:
            layer.weight_init = as_initializer(init)


def _following(leaves: list[Layer]) -> str:
    """The name of the activation that comes before the next Linear, or "Identity"."""
    names = {kind: name for name, kind in ACTIVATIONS.items()}
    for layer in leaves:
        if isinstance(layer, Linear) or type(layer) in names:
            return names.get(type(layer), "Identity")
    return "Identity"


def fold_batch_norm(body: Sequential) -> Sequential:
    """``body`` with every BatchNorm after a Linear folded into it, also inside its layers, which this changes."""
    folded: list[Layer] = []
    for layer in body:
        layer = _fold_inside(layer)
        if isinstance(layer, BatchNorm) and folded and isinstance(folded[-1], Linear):
            folded[-1] = layer.folded_into(folded[-1])
        else:
            folded.append(layer)
    return Sequential(*folded)


def _fold_inside(layer: Layer) -> Layer:
    if isinstance(layer, Sequential):
        return fold_batch_norm(layer)
    for name, child in list(vars(layer).items()):
        if isinstance(child, Layer):
            setattr(layer, name, _fold_inside(child))
    return layer


def replace_leaves(layer: Layer, replace: Callable[[Layer], Layer]) -> Layer:
    """``layer`` with ``replace(leaf)`` in the place of every layer that has none inside; containers are changed."""
    if not layer.children():
        return replace(layer)
    for name, value in list(vars(layer).items()):
        if isinstance(value, Layer):
            setattr(layer, name, replace_leaves(value, replace))
        elif isinstance(value, tuple) and value and all(isinstance(item, Layer) for item in value):
            setattr(layer, name, tuple(replace_leaves(item, replace) for item in value))
    return layer
