"""JAX: the whole iteration, from gathering the batch to the update, as one compiled function."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmark_contenders import Step, Unsupported
from benchmark_contenders.problem import Problem

ACTIVATIONS: dict[str, Any] = {
    "GeLU": partial(jax.nn.gelu, approximate=True),
    "ReLU": jax.nn.relu,
    "Sigmoid": jax.nn.sigmoid,
}


def build(problem: Problem) -> Step:
    s = problem.setting
    if not s.is_plain:
        raise Unsupported("written here for plain layers with SGD")
    weights = [(jnp.asarray(weight), jnp.asarray(bias)) for weight, bias in problem.initial_weights]
    velocity = jax.tree.map(jnp.zeros_like, weights)
    inputs, labels = jnp.asarray(problem.inputs), jnp.asarray(problem.labels.astype(np.int32))
    activation, loss = ACTIVATIONS[s.activation], make_loss(problem)
    batch = problem.index_batches(lambda order: order.astype(np.int32))

    def forward(weights: Any, x: jax.Array) -> jax.Array:
        *hidden, last = weights
        for W, b in hidden:
            x = activation(x @ W + b)
        return x @ last[0] + last[1]

    def loss_and_accuracy(weights: Any, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        scores = forward(weights, x)
        return loss(scores, y), (scores.argmax(1) == y).mean()

    # Donated: the new weights and velocity take the memory of the old ones.
    @partial(jax.jit, donate_argnums=(0, 1))
    def train(weights: Any, velocity: Any, indices: Any, inputs: jax.Array, labels: jax.Array) -> Any:
        x, y = inputs[indices], labels[indices]
        (value, accuracy), gradient = jax.value_and_grad(loss_and_accuracy, has_aux=True)(weights, x, y)
        velocity = jax.tree.map(
            lambda v, g, w: s.momentum * v + g + s.weight_decay * w, velocity, gradient, weights
        )
        weights = jax.tree.map(lambda w, v: w - s.lr * v, weights, velocity)
        return weights, velocity, jnp.stack([value, accuracy])  # one array: one transfer

    def step() -> tuple[float, float]:
        nonlocal weights, velocity
        weights, velocity, numbers = train(weights, velocity, next(batch), inputs, labels)
        value, accuracy = numbers.tolist()
        return value, accuracy

    step.classify = lambda images: np.asarray(forward(weights, jnp.asarray(images)).argmax(1))
    return step


def make_loss(problem: Problem) -> Any:
    s = problem.setting

    def picked(scores: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.take_along_axis(scores, y[:, None], 1)

    def cross_entropy(scores: jax.Array, y: jax.Array) -> jax.Array:
        return -picked(jax.nn.log_softmax(scores), y).mean()

    def hinge(scores: jax.Array, y: jax.Array) -> jax.Array:
        violation = jnp.maximum(0, s.margin - picked(scores, y) + scores)
        return violation.sum(1).mean() - s.margin  # the sum leaves out k = y, whose term is the margin

    def squared(scores: jax.Array, y: jax.Array) -> jax.Array:
        return 0.5 * ((scores - jax.nn.one_hot(y, s.sizes[-1])) ** 2).sum(1).mean()

    return {"CE": cross_entropy, "Hinge": hinge, "MSE": squared}[s.loss]
