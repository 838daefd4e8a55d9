"""Gradient descent with momentum step by step, and the parts that wrong steps are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlp.grading.hypotheses.component import Array, Case, Hypothesis, Values, copy, fresh

# One step of one array: its value, gradient, memory (a dict, empty at first), the case, and its name: new value.
Step = Callable[[Array, Array, dict[str, Any], Case, str], Array]
NAMES = ("W1", "b1", "W2", "b2")


def heavy_ball(p: Array, g: Array, memory: dict[str, Any], c: Case, name: str) -> Array:
    """The right step."""
    v = c.m * memory.get("v", 0) + g + c.wd * p
    memory["v"] = v
    return np.asarray(p - c.lr * v)


def follow(c: Case, step: Step = heavy_ball, memory_of: Callable[[str], str] = lambda name: name) -> Values:
    """The path of every array: shape (steps, *shape)."""
    values = {name: c.start[name] for name in NAMES}
    memories: dict[str, dict[str, Any]] = {}
    paths: dict[str, list[Array]] = {name: [] for name in NAMES}
    for gradients in c.gradients:
        for name in NAMES:
            values[name] = step(values[name], gradients[name], memories.setdefault(memory_of(name), {}), c, name)
            paths[name].append(values[name])
    return {name: np.stack(path) for name, path in paths.items()}


def draw(rng: np.random.Generator) -> list[Case]:
    """Plain, with momentum, with decay, with both."""
    cases = []
    for lr, m, wd in ((0.1, 0.0, 0.0), (0.05, 0.9, 0.0), (0.1, 0.0, 0.2), (0.05, 0.9, 0.2), (0.1, 0.5, 0.1)):
        shapes = {"W1": (4, 3), "b1": (3,), "W2": (4, 3), "b2": (3,)}
        cases.append(fresh(
            lr=lr, m=m, wd=wd, x=np.zeros((1, 1)), start={k: rng.normal(size=s) for k, s in shapes.items()},
            gradients=[{k: rng.normal(size=s) for k, s in shapes.items()} for _ in range(4)],
        ))  # fmt: skip
    return cases


def mistake(
    id: str, name: str, look: str, step: Step, memory_of: Callable[[str], str] = lambda name: name
) -> Hypothesis:
    """A hypothesis about all four paths."""

    def path_of(output: str) -> Callable[[Case], Array]:
        return lambda c: follow(c, step, memory_of)[output]

    return Hypothesis(id, name, look, {output: path_of(output) for output in NAMES})


def momentum(
    rule: Callable[[Any, Array, Case], Any],
    move: Callable[[Any, Array, Any, Case], Any] = lambda v, g, old, c: c.lr * v,
    decay: float = 1.0,
) -> Step:
    """A step with another velocity, ``rule(v, g, c)``, or move, ``move(v, g, old v, c)``; g contains the decay."""

    def step(p: Array, g: Array, memory: dict[str, Any], c: Case, name: str) -> Array:
        old = memory.get("v", 0 * p)
        g = g + decay * c.wd * p
        memory["v"] = rule(old, g, c)
        return np.asarray(p - move(memory["v"], g, old, c))

    return step


def ball(v: Any, g: Array, c: Case) -> Any:
    """m v + g."""
    return c.m * v + g


def decayed(change: Callable[[Array, Array, Any, Case, str, dict[str, Any]], Array]) -> Step:
    """A right velocity without decay; ``change(p, g, v, c, name, memory)`` is the new value."""

    def step(p: Array, g: Array, memory: dict[str, Any], c: Case, name: str) -> Array:
        memory.setdefault("start", p)
        memory["v"] = c.m * memory.get("v", 0 * p) + g
        return np.asarray(change(p, g, memory["v"], c, name, memory))

    return step


def on(names: str) -> Step:
    """Only arrays whose name begins so are moved."""
    return lambda p, g, memory, c, name: (
        heavy_ball(p, g, memory, c, name) if name.startswith(tuple(names.split())) else p
    )


def decay_on(first: str) -> Step:
    """Only arrays whose name begins so decay."""
    return lambda p, g, memory, c, name: heavy_ball(p, g, memory, c if name[0] == first else copy(c, wd=0.0), name)


def first_step_of(v0: Callable[[Array, Case], Array], rule: Callable[[Any, Array, Case], Any]) -> Step:
    """The first velocity is special."""

    def step(p: Array, g: Array, memory: dict[str, Any], c: Case, name: str) -> Array:
        g = g + c.wd * p
        memory["v"] = rule(memory["v"], g, c) if "v" in memory else v0(g, c)
        return np.asarray(p - c.lr * memory["v"])

    return step


def later(p: Array, g: Array, memory: dict[str, Any], c: Case, name: str) -> Array:
    """The first step only stores."""
    v = c.m * memory.get("v", 0) + g + c.wd * p
    moved = p - c.lr * v if "v" in memory else p
    memory["v"] = v
    return np.asarray(moved)


def scaled(by: Callable[[Array, dict[str, Any], Case], Any]) -> Step:
    """Another gradient in place of the right one."""
    return lambda p, g, memory, c, name: heavy_ball(p, by(g, memory, c), memory, c, name)


def count(memory: dict[str, Any]) -> int:
    """The number of this step, from 1."""
    memory["n"] = memory.get("n", 0) + 1
    return int(memory["n"])


def summed(g: Array, memory: dict[str, Any], c: Case) -> Array:
    """The sum of all gradients so far."""
    memory["sum"] = memory.get("sum", 0) + g
    return np.asarray(memory["sum"])
