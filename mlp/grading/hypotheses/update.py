"""Gradient descent with momentum, v = m v + g + λ p, p = p - η v (heavy ball), followed over several steps.

Two layers of the same shape are updated side by side, weights and biases apart, so that what is shared shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlp.grading.hypotheses.component import Array, Case, Component, Hypothesis, Values, copy, fresh

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
    for m, wd in ((0.0, 0.0), (0.9, 0.0), (0.0, 0.2), (0.9, 0.2), (0.5, 0.1)):
        shapes = {"W1": (4, 3), "b1": (3,), "W2": (4, 3), "b2": (3,)}
        cases.append(fresh(
            lr=0.1, m=m, wd=wd, x=np.zeros((1, 1)), start={k: rng.normal(size=s) for k, s in shapes.items()},
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


V = "Follow the velocity by hand for three steps with gradient 1."
RATE = "Where does the learning rate enter, and how often?"
DECAY = "What does the decay add to the gradient, and for which arrays?"
WHO = "Is every array reached, with its own velocity?"
SGD = Component("SGD", draw, lambda c: follow(c), [
    mistake("step-uphill", "the step has the wrong sign: it goes uphill", "Which sign lowers the loss?",
      momentum(ball, lambda v, g, old, c: -c.lr * v)),
    mistake("momentum-ignored", "the momentum has no effect: the velocity is lost or reset at every step", V,
      momentum(lambda v, g, c: g)),
    mistake("gradient-only", "momentum and decay are ignored: the step uses the gradient as it is", V,
            lambda p, g, memory, c, name: p - c.lr * g),
    mistake("velocity-of-previous-step", "the step uses the velocity from before this gradient", V,
      momentum(ball, lambda v, g, old, c: c.lr * old)),
    mistake("velocity-averaged", "the velocity is an average, m v + (1 - m) g", V,
      momentum(lambda v, g, c: c.m * v + (1 - c.m) * g)),
    mistake("velocity-averaged-from-first",
      "the velocity is an average, m v + (1 - m) g, that starts at the first gradient", V,
            first_step_of(lambda g, c: g, lambda v, g, c: c.m * v + (1 - c.m) * g)),
    mistake("velocity-roles-exchanged", "m and 1 - m are exchanged: (1 - m) v + m g", V,
      momentum(lambda v, g, c: (1 - c.m) * v + c.m * g)),
    mistake("velocity-decays-by-complement", "the velocity is multiplied by 1 - m", V,
      momentum(lambda v, g, c: (1 - c.m) * v + g)),
    mistake("velocity-never-decays", "the velocity is never multiplied by m", V, momentum(lambda v, g, c: v + g)),
    mistake("velocity-sign", "the old velocity enters with the wrong sign", V,
      momentum(lambda v, g, c: g - c.m * v)),
    mistake("momentum-on-both", "m multiplies the gradient too: m (v + g)", V,
      momentum(lambda v, g, c: c.m * (v + g))),
    mistake("momentum-on-gradient", "m multiplies the gradient instead of the velocity", V,
      momentum(lambda v, g, c: v + c.m * g)),
    mistake("momentum-squared", "the velocity is multiplied by m twice", V,
      momentum(lambda v, g, c: c.m**2 * v + g)),
    mistake("nesterov", "the step looks ahead: this is Nesterov's momentum", V,
      momentum(ball, lambda v, g, old, c: c.lr * (g + c.m * v))),
    mistake("velocity-added-to-gradient-step", "gradient and velocity are both subtracted", V,
      momentum(ball, lambda v, g, old, c: c.lr * (g + v))),
    mistake("velocity-starts-scaled", "the first velocity is (1 - m) g", V,
      first_step_of(lambda g, c: (1 - c.m) * g, ball)),
    mistake("velocity-starts-doubled", "the first velocity counts the gradient twice", V,
      first_step_of(lambda g, c: (1 + c.m) * g, ball)),
    mistake("velocity-shared-by-layers", "all layers share one velocity", WHO, heavy_ball, lambda name: name[0]),
    mistake("velocity-shared-by-all", "all arrays share one velocity", WHO, heavy_ball, lambda name: "one"),
    mistake("velocity-shared-in-layer", "weight and bias of a layer share one velocity", WHO, heavy_ball,
      lambda name: name[1]),
    mistake("rate-missing", "the learning rate is missing", RATE, momentum(ball, lambda v, g, old, c: v)),
    mistake("rate-squared", "the learning rate enters twice", RATE,
      momentum(ball, lambda v, g, old, c: c.lr**2 * v)),
    mistake("rate-doubled", "the step is twice too large: the update is applied twice, or the rate doubled", RATE,
      momentum(ball, lambda v, g, old, c: 2 * c.lr * v)),
    mistake("rate-halved", "the step is half of what it should be", RATE,
      momentum(ball, lambda v, g, old, c: c.lr * v / 2)),
    mistake("rate-divided", "the step is divided by the learning rate", RATE,
      momentum(ball, lambda v, g, old, c: v / c.lr)),
    mistake("rate-only-on-velocity", "the learning rate multiplies the old velocity instead of the gradient", RATE,
      momentum(lambda v, g, c: c.m * c.lr * v + g, lambda v, g, old, c: v)),
    mistake("rate-on-old-velocity-too", "the learning rate multiplies the old velocity again at every step", RATE,
      momentum(lambda v, g, c: c.lr * (c.m * v + g), lambda v, g, old, c: v)),
    mistake("rate-falls", "the learning rate is divided by the number of the step", RATE,
      scaled(lambda g, memory, c: g / count(memory))),
    mistake("decay-missing", "the weight decay has no effect", DECAY,
      decayed(lambda p, g, v, c, n, _: p - c.lr * v)),
    mistake("decay-decoupled", "the decay does not pass through the velocity: p - lr (v + λ p)", DECAY,
      decayed(lambda p, g, v, c, n, _: p - c.lr * v - c.lr * c.wd * p)),
    mistake("decay-without-rate", "the decay is not multiplied by the learning rate: (1 - λ) p - lr v", DECAY,
      decayed(lambda p, g, v, c, n, _: (1 - c.wd) * p - c.lr * v)),
    mistake("decay-after-step", "the decay is applied to the new value, after the step", DECAY,
      decayed(lambda p, g, v, c, n, _: (p - c.lr * v) * (1 - c.lr * c.wd))),
    mistake("decay-after-step-without-rate",
      "the decay is applied after the step and not multiplied by the learning rate", DECAY,
      decayed(lambda p, g, v, c, n, _: (p - c.lr * v) * (1 - c.wd))),
    mistake("decay-is-all", "the value is multiplied by λ", DECAY,
      decayed(lambda p, g, v, c, n, _: (c.wd if c.wd else 1) * p - c.lr * v)),
    mistake("decay-of-start", "the decay uses the values of the beginning", DECAY, lambda p, g, memory, c,
      name: heavy_ball(p, g + c.wd * (memory.setdefault("start", p) - p), memory, c, name)),
    mistake("decay-sign", "the decay has the wrong sign: the weights grow", DECAY, momentum(ball, decay=-1)),
    mistake("decay-twice", "the decay is applied twice", DECAY, momentum(ball, decay=2)),
    mistake("decay-halved", "the decay is half of what it should be", DECAY, momentum(ball, decay=0.5)),
    mistake("decay-with-rate", "the decay is multiplied by the learning rate before it is added to the gradient",
      DECAY, momentum(ball, decay=0.1)),
    mistake("decay-twice-once-decoupled", "the decay is applied both in the gradient and in the step", DECAY,
      lambda p, g, memory, c, name: heavy_ball(p, g, memory, c, name) - c.lr * c.wd * p),
    mistake("decay-of-signs", "the decay uses the signs of the weights (L1)", DECAY, lambda p, g, memory, c,
      name: heavy_ball(p, g + c.wd * (np.sign(p) - p), memory, c, name)),
    mistake("decay-of-squares", "the decay uses the squared weights", DECAY, lambda p, g, memory, c,
      name: heavy_ball(p, g + c.wd * (p**2 - p), memory, c, name)),
    mistake("decay-of-gradient", "the decay multiplies the gradient instead of the weights", DECAY, lambda p, g,
      memory, c, name: heavy_ball(p, (1 + c.wd) * g - c.wd * p, memory, c, name)),
    mistake("decay-on-biases-only", "the decay acts on the biases only", DECAY, decay_on("b")),
    mistake("decay-on-weights-only", "the decay acts on the weights only", DECAY, decay_on("W")),
    mistake("weights-not-updated", "the weights are not updated", WHO, on("b")),
    mistake("biases-not-updated", "the biases are not updated", WHO, on("W")),
    mistake("first-layer-not-updated", "the first layer is not updated", WHO, on("W2 b2")),
    mistake("last-layer-not-updated", "the last layer is not updated", WHO, on("W1 b1")),
    mistake("nothing-updated", "nothing is updated", "Is the result stored where the layer reads it?", on("none")),
    mistake("first-step-skipped", "the first step does nothing", V, later),
    mistake("gradients-added-up", "the gradients of all steps add up", "Who clears the gradients?", scaled(summed)),
    mistake("gradient-signs", "only the signs of the gradient are used", "Compare with the definition.",
      scaled(lambda g, memory, c: np.sign(g))),
    mistake("gradient-squared", "the gradient is squared", "Compare with the definition.",
      scaled(lambda g, memory, c: g**2)),
    mistake("gradient-absolute", "the absolute gradient is used", "Compare with the definition.",
      scaled(lambda g, memory, c: np.abs(g))),
    mistake("gradient-normalised", "the gradient is divided by its norm", "Compare with the definition.",
      scaled(lambda g, memory, c: g / np.sqrt((g**2).sum()))),
    mistake("gradient-averaged", "the gradient is averaged over its first axis", "Compare with the definition.",
      scaled(lambda g, memory, c: g.mean(0) * np.ones_like(g))),
    mistake("gradient-clipped-at-1", "the gradient is clipped at 1", "Compare with the definition.",
      scaled(lambda g, memory, c: np.clip(g, -1, 1))),
    mistake("value-forgotten", "the new value is only the step: the old one is lost", "Is the old value kept?",
      lambda p, g, memory, c, name: heavy_ball(p, g, memory, c, name) - p),
    mistake("value-times-momentum", "the old value is multiplied by the momentum", "What does m multiply?",
      lambda p, g, memory, c, name: heavy_ball(p, g, memory, c, name) - p + (c.m or 1) * p),
])  # fmt: skip
