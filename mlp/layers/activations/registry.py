"""The activations by name, so that a configuration, or a student's own file, can add to them and choose one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mlp.checks import InputError, bind_arguments, find_name
from mlp.initializers import FOR_ACTIVATION
from mlp.layers.base import Layer

Maker = TypeVar("Maker", bound=Callable[..., Layer])

ACTIVATIONS: dict[str, Callable[..., Layer]] = {}


def register_activation(*names: str, initializer: str = "xavier_normal") -> Callable[[Maker], Maker]:
    """Class decorator that lets a configuration name this activation (upper and lower case are one).

    ``initializer`` names how the weights of the Linear before it should start: see ``mlp.initializers``.
    """

    def register(layer: Maker) -> Maker:
        ACTIVATIONS.update(dict.fromkeys(names, layer))
        FOR_ACTIVATION.update(dict.fromkeys(names, initializer))
        return layer

    return register


def make_activation(name: str, **options: Any) -> Layer:
    """A new layer of the activation registered under ``name``, such as ``make_activation("ELU", alpha=0.5)``.

    Raises ``InputError`` for an unknown activation, and for an option that it does not have.
    """
    known = find_name(name, ACTIVATIONS)
    if known is None:
        raise InputError(f"unknown activation {name!r}; there are: {', '.join(sorted(ACTIVATIONS))}")
    bind_arguments(known, ACTIVATIONS[known], **options)
    return ACTIVATIONS[known](**options)
