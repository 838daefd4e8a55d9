"""What the grader gives to a submission in place of its own parts: layers that take notes, models, optimizers.

Runs in the child process and therefore imports NumPy and the standard library alone.
"""

from __future__ import annotations

import types
from typing import Any

import numpy as np

ARRAYS = ("W", "b", "grad_W", "grad_b", "dW", "db", "dLdW", "dLdb", "diff_W", "diff_b")
HALF = 0.5  # the learning rate of our own optimizer


class Probe:
    """A layer of our own, y = a x + c forward and a g + c/2 backward, that notes what a network does with it.

    names: what the submission calls forward, backward and update, and the arrays that its own Linear has.
    """

    def __init__(self, a: float, c: float, trainable: bool, names: dict[str, Any]) -> None:
        self.a, self.c, self.trainable, self.name = a, c, trainable, "probe"
        self.updates = 0
        self.received: Any = None
        for usual in ("forward", "backward", "update"):
            if own := names.get(usual):
                setattr(self, own, getattr(self, usual))
        self.params, self.grads = Arrays(), Arrays()
        if not trainable and names.get("arrays"):
            return  # such as hasattr(layer, "W") asks for
        for name in names.get("arrays") or ARRAYS:
            setattr(self, name, np.ones((1, 1)))
        for held in self.params, self.grads:
            held.update(W=np.ones((1, 1)), b=np.ones((1, 1)))

    def forward(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """y = a x + c."""
        self.input = np.asarray(x)
        return self.input * self.a + self.c

    __call__ = forward

    def backward(self, *args: Any, **kwargs: Any) -> Any:
        """Not quite the derivative: the constant tells the order. An input that is given besides is no gradient."""
        arrays = [a for a in (*args, *kwargs.values()) if isinstance(a, np.ndarray)]
        others = [a for a in arrays if not np.array_equal(a, self.input)] if len(arrays) > 1 else arrays
        self.received = np.array((others or arrays)[0], dtype=float)
        return self.received * self.a + self.c / 2

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Noted."""
        self.updates += 1

    step = update

    def parameters(self, *args: Any) -> list[Any]:
        """None of its own; nothing to clear and nothing to switch either."""
        return []

    zero_grad = train = eval = parameters

    def moved(self) -> int:
        """How often it was updated; once if the network itself changed an array."""
        arrays = [v for v in vars(self).values() if isinstance(v, np.ndarray) and v.shape == (1, 1)]
        arrays += [v for v in vars(self).get("params", {}).values() if isinstance(v, np.ndarray)]
        return self.updates + any(bool(np.any(a != 1)) for a in arrays if a is not self.received)


class Arrays(dict[str, Any]):
    """A dict of arrays that is empty where a method is expected."""

    def __call__(self) -> dict[str, Any]:
        """params() instead of params."""
        return {}


class Model(types.SimpleNamespace):
    """Something with layers and parameters, for optimizers that want one."""

    def parameters(self) -> Any:
        """What an optimizer moves."""
        return self.everything

    params = get_parameters = parameters

    def params_and_grads(self) -> Any:
        """Pairs of arrays."""
        yield from self.pairs

    get_params_and_grads = parameters_and_gradients = params_and_grads


class Rule:
    """An optimizer of our own for layers that keep one: w - g/2."""

    def update(self, w: Any, gradient: Any, *args: Any) -> Any:
        """One step."""
        return w - HALF * gradient

    __call__ = step = apply = update


class Initial:
    """A weight initializer of our own: called with sizes or a shape, it gives normal numbers."""

    def __call__(self, *sizes: Any, **named: Any) -> Any:
        """An array of the shape."""
        shape = [int(n) for size in sizes for n in np.atleast_1d(size)]
        return np.random.default_rng(0).normal(size=shape)
