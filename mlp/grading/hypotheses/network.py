"""A network hands the output of each layer to the next, and the gradient back; watched through layers of our own.

Layer i computes a_i x + c_i forward and a_i g + c_i / 2 backward, so that the order of calls shows in the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlp.grading.hypotheses.component import Array, Case, Component, Values, fresh
from mlp.grading.hypotheses.component import hypothesis as H


def forwards(c: Case, order: Sequence[int]) -> Array:
    """The output when the layers run in this order."""
    x = c.x
    for i in order:
        x = c.a[i] * x + c.c[i]
    return np.asarray(x)


def gradients(c: Case, order: Sequence[int]) -> Array:
    """What each layer receives in backward when they run in this order; NaN for those never called."""
    received, g = np.full((len(c.a), *c.g.shape), np.nan), c.g
    for i in order:
        received[i] = g
        g = c.a[i] * g + c.c[i] / 2
    return received


def truth(c: Case) -> Values:
    """The output, the gradient that each layer receives, and how often each trainable layer is updated."""
    count = len(c.a)
    return {
        "y": forwards(c, range(count)),
        "received": gradients(c, range(count)[::-1]),
        "updates": c.trainable * 1.0,
    }


def draw(rng: np.random.Generator) -> list[Case]:
    """Four and five layers, some of them without parameters."""
    return [
        fresh(x=rng.normal(size=(5, 3)), g=rng.normal(size=(5, 3)), a=rng.uniform(0.5, 2, n), c=rng.normal(size=n),
              trainable=np.arange(n) % 2 == 0)
        for n in (4, 5)
    ]  # fmt: skip


def n(c: Case) -> range:
    """The numbers of the layers."""
    return range(len(c.a))


ORDER = "In which order do the layers run?"
CHAIN = "What does each layer receive?"
NETWORK = Component("Network", draw, truth, [
    H("forward-reversed", "the layers run in reverse order", ORDER, y=lambda c: forwards(c, n(c)[::-1])),
    H("forward-skips-last", "the last layer is not run", ORDER, y=lambda c: forwards(c, n(c)[:-1])),
    H("forward-skips-first", "the first layer is not run", ORDER, y=lambda c: forwards(c, n(c)[1:])),
    H("forward-last-two-exchanged", "the last two layers are exchanged", ORDER,
      y=lambda c: forwards(c, [*n(c)[:-2], len(c.a) - 1, len(c.a) - 2])),
    H("forward-first-two-exchanged", "the first two layers are exchanged", ORDER,
      y=lambda c: forwards(c, [1, 0, *n(c)[2:]])),
    H("backward-last-two-exchanged", "the last two layers are exchanged in backward", ORDER,
      received=lambda c: gradients(c, [len(c.a) - 2, len(c.a) - 1, *n(c)[-3::-1]] if len(c.a) > 2 else [0, 1])),
    H("forward-only-last", "every layer receives the network's input: only the last one counts", CHAIN,
      y=lambda c: forwards(c, n(c)[-1:])),
    H("forward-only-first", "only the first layer is run", CHAIN, y=lambda c: forwards(c, n(c)[:1])),
    H("forward-nothing", "the input is returned as it came", CHAIN, y=lambda c: c.x),
    H("forward-every-second", "only every second layer is run", ORDER, y=lambda c: forwards(c, n(c)[::2])),
    H("forward-twice", "every layer is run twice", ORDER,
      y=lambda c: forwards(c, [i for i in n(c) for _ in range(2)])),
    H("forward-first-again", "the first layer is run again at the end", ORDER, y=lambda c: forwards(c, [*n(c), 0])),
    H("forward-skips-trainable", "layers with parameters are not run", ORDER,
      y=lambda c: forwards(c, [i for i in n(c) if not c.trainable[i]])),
    H("backward-not-reversed", "backward goes from the first layer to the last", ORDER,
      received=lambda c: gradients(c, n(c))),
    H("backward-skips-first", "backward does not reach the first layer", ORDER,
      received=lambda c: gradients(c, n(c)[:0:-1])),
    H("backward-skips-last", "backward leaves out the last layer", ORDER,
      received=lambda c: gradients(c, n(c)[-2::-1])),
    H("backward-only-last", "backward stops after the last layer", ORDER,
      received=lambda c: gradients(c, n(c)[-1:])),
    H("backward-not-chained", "every layer receives the loss's gradient", CHAIN,
      received=lambda c: np.stack([c.g] * len(c.a))),
    H("backward-nothing", "backward calls no layer", ORDER, received=lambda c: gradients(c, [])),
    H("backward-every-second", "only every second layer is reached", ORDER,
      received=lambda c: gradients(c, n(c)[::-2])),
    H("backward-only-trainable", "layers without parameters are left out", ORDER,
      received=lambda c: gradients(c, [i for i in n(c)[::-1] if c.trainable[i]])),
    H("backward-gradient-of-ones", "the loss's gradient is replaced by ones", CHAIN,
      received=lambda c: gradients(Case(**(vars(c) | {"g": np.ones_like(c.g)})), n(c)[::-1])),
    H("backward-gradient-negated", "the loss's gradient has its sign changed", CHAIN,
      received=lambda c: gradients(Case(**(vars(c) | {"g": -c.g})), n(c)[::-1])),
    H("backward-gradient-over-n", "the loss's gradient is divided by the batch size once more", CHAIN,
      received=lambda c: gradients(Case(**(vars(c) | {"g": c.g / len(c.g)})), n(c)[::-1])),
    H("update-skips-first", "the first layer is not updated", "Which layers are updated?",
      updates=lambda c: c.trainable * (np.arange(len(c.a)) > 0)),
    H("update-skips-last", "the last layer with parameters is not updated", "Which layers are updated?",
      updates=lambda c: c.trainable * (np.arange(len(c.a)) < np.flatnonzero(c.trainable)[-1])),
    H("update-nothing", "no layer is updated", "Which layers are updated?", updates=lambda c: 0 * c.a),
    H("update-twice", "every layer is updated twice", "How often is update called?",
      updates=lambda c: 2.0 * c.trainable),
    H("update-first-only", "only the first layer is updated", "Which layers are updated?",
      updates=lambda c: c.trainable * (np.arange(len(c.a)) == 0)),
    H("update-last-only", "only the last layer with parameters is updated", "Which layers are updated?",
      updates=lambda c: c.trainable * (np.arange(len(c.a)) == np.flatnonzero(c.trainable)[-1])),
])  # fmt: skip
