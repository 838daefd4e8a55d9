"""The activations by name, so that a configuration, or a student's own file, can add to them and choose one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mlp.initializers import FOR_ACTIVATION
from mlp.layers.base import Layer
from mlp.registry import Registry

Maker = TypeVar("Maker", bound=Callable[..., Layer])

ACTIVATIONS: Registry[Layer] = Registry("activation")


def register_activation(*names: str, initializer: str = "xavier_normal") -> Callable[[Maker], Maker]:
    """Class decorator that lets a configuration name this activation (upper and lower case are one).

    ``initializer`` names how the weights of the Linear before it should start: see ``mlp.initializers``.
    """
    FOR_ACTIVATION.update(dict.fromkeys(names, initializer))
    return ACTIVATIONS.register(*names)


def make_activation(name: str, **options: Any) -> Layer:
    """A new layer of the activation registered under ``name``, such as ``make_activation("ELU", alpha=0.5)``.

    Raises ``InputError`` for an unknown activation, and for an option that it does not have.
    """
    return ACTIVATIONS.make(name, **options)
