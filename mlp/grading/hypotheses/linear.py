"""y = x W + b with its gradients dx = g Wᵀ, dW = xᵀ g, db = Σₙ g, for an upstream gradient g; and the mistakes."""

from __future__ import annotations

import numpy as np

from mlp.grading.hypotheses.component import Array, Case, Component, Values, fresh, hypothesis, scenarios
from mlp.grading.hypotheses.linear_gradients import BIAS, INPUT, N_HINT, WEIGHT


def truth(c: Case) -> Values:
    """Right outputs. W has shape (in, out), b (out,)."""
    return {"y": c.x @ c.W + c.b, "dx": c.g @ c.W.T, "dW": c.x.T @ c.g, "db": c.g.sum(axis=0)}


def draw(rng: np.random.Generator) -> list[Case]:
    """Ordinary, another batch size, batch 1, square, large and tiny inputs, then the three scenarios."""

    def case(n: int, n_in: int = 4, n_out: int = 3, size: float = 1.0) -> Case:
        return fresh(
            x=rng.normal(size=(n, n_in)) * size, g=rng.normal(size=(n, n_out)),
            W=rng.normal(size=(n_in, n_out)), b=rng.normal(size=n_out),
        )  # fmt: skip

    sizes = [
        case(5),
        case(7),
        case(1),
        case(6, 4, 4),
        case(4, 4, 3),
        case(5, size=1e3),
        case(5, size=1e-3),
        case(2, 2, 5),
    ]
    return [*sizes, *scenarios(lambda: case(5), rng), *scenarios(lambda: case(6, 4, 4), rng)]


def settle(c: Case, output: str, value: Array) -> Array:
    """A bias gradient that differs by axes of length 1 only counts as a vector."""
    if output != "db" or value.ndim < 2 or max(value.shape) != value.size:
        return value
    return value.reshape(-1) if value.ndim == 2 or len(c.x) == 1 else value


H = hypothesis
FORWARD = [
    H("bias-not-added", "the bias is not added", "Which of the parameters does the output depend on?",
      y=lambda c: c.x @ c.W),
    H("bias-subtracted", "the bias is subtracted", "Look at the sign of the bias.", y=lambda c: c.x @ c.W - c.b),
    H("bias-added-twice", "the bias is added twice", "How often does the bias enter?",
      y=lambda c: c.x @ c.W + 2 * c.b),
    H("bias-first-entry", "only the first entry of the bias is added", "Which entries of the bias are used?",
      y=lambda c: c.x @ c.W + c.b[0]),
    H("bias-sum", "the sum of the bias is added to every output", "Write down the shapes.",
      y=lambda c: c.x @ c.W + c.b.sum()),
    H("bias-times-n", "the bias is added once for every example", "How often does the bias enter?",
      y=lambda c: c.x @ c.W + len(c.x) * c.b),
    H("bias-before-weight", "the bias is added to the input, before the product",
      "In which order do product and bias come?", y=lambda c: (c.x + c.b) @ c.W),
    H("bias-multiplied", "the output is multiplied by the bias", "How does the bias enter?",
      y=lambda c: c.x @ c.W * c.b),
    H("weight-transposed", "the weight is transposed", "Write the shapes beside the product.",
      y=lambda c: c.x @ c.W.T + c.b),
    H("weight-absolute", "the absolute values of the weight are used", "What happens to negative weights?",
      y=lambda c: c.x @ np.abs(c.W) + c.b),
    H("output-negated", "the output has the wrong sign", "Look at the signs.", y=lambda c: -(c.x @ c.W + c.b)),
    H("product-negated", "the product x W has the wrong sign", "Look at the signs.",
      y=lambda c: -(c.x @ c.W) + c.b),
    H("output-over-n", "the output is divided by the batch size",
      "Should one example's output depend on how many others there are?", y=lambda c: (c.x @ c.W + c.b) / len(c.x)),
    H("output-over-width", "the output is divided by the number of inputs",
      "Compare with the definition: is there a mean?", y=lambda c: (c.x @ c.W + c.b) / c.W.shape[0]),
    H("output-clipped-at-0", "negative outputs are set to 0", "Is there an activation inside?",
      y=lambda c: np.maximum(c.x @ c.W + c.b, 0)),
    H("output-doubled", "the output is twice too large", "Is something added twice?",
      y=lambda c: 2 * (c.x @ c.W + c.b)),
    H("output-tanh", "a tanh is applied to the output", "Is there an activation inside?",
      y=lambda c: np.tanh(c.x @ c.W + c.b)),
    H("output-sigmoid", "a sigmoid is applied to the output", "Is there an activation inside?",
      y=lambda c: 1 / (1 + np.exp(-(c.x @ c.W + c.b)))),
    H("last-input-ignored", "the last input feature is ignored", "Check the slices.",
      y=lambda c: c.x[:, :-1] @ c.W[:-1] + c.b),
    H("first-input-ignored", "the first input feature is ignored", "Check the slices.",
      y=lambda c: c.x[:, 1:] @ c.W[1:] + c.b),
    H("first-example-for-all", "every row is the output of the first example", "Check the indices.",
      y=lambda c: np.repeat(c.x[:1] @ c.W + c.b, len(c.x), 0)),
    H("output-float16", "the output is rounded to float16", "Look for a narrow dtype.",
      y=lambda c: (c.x @ c.W + c.b).astype(np.float16)),
    H("output-integer", "the output is cut to integers", "Look for an integer dtype.",
      y=lambda c: np.trunc(c.x @ c.W + c.b)),
    H("input-integer", "the input is cut to integers", "Look for an integer dtype.",
      y=lambda c: np.trunc(c.x) @ c.W + c.b),
    H("weight-integer", "the weight is cut to integers", "Look for an integer dtype.",
      y=lambda c: c.x @ np.trunc(c.W) + c.b),
]  # fmt: skip
JOINT = [
    H("last-example-left-out", "the last example is left out of all gradients", "Check the loop's bounds.",
      dW=lambda c: c.x[:-1].T @ c.g[:-1], db=lambda c: c.g[:-1].sum(0),
      dx=lambda c: np.concatenate([c.g[:-1] @ c.W.T, 0 * c.x[-1:]])),
    H("first-example-left-out", "the first example is left out of all gradients", "Check the loop's bounds.",
      dW=lambda c: c.x[1:].T @ c.g[1:], db=lambda c: c.g[1:].sum(0),
      dx=lambda c: np.concatenate([0 * c.x[:1], c.g[1:] @ c.W.T])),
    H("gradients-over-n", "weight and bias gradient are divided by the batch size", N_HINT,
      dW=lambda c: c.x.T @ c.g / len(c.x), db=lambda c: c.g.mean(0)),
    H("gradients-times-n", "weight and bias gradient are multiplied by the batch size", N_HINT,
      dW=lambda c: c.x.T @ c.g * len(c.x), db=lambda c: c.g.sum(0) * len(c.x)),
    H("all-gradients-over-n", "all three gradients are divided by the batch size", N_HINT,
      dW=lambda c: c.x.T @ c.g / len(c.x), db=lambda c: c.g.mean(0), dx=lambda c: c.g @ c.W.T / len(c.x)),
    H("gradients-negated", "weight and bias gradient have the wrong sign",
      "Who applies the minus: the layer or the update?", dW=lambda c: -c.x.T @ c.g, db=lambda c: -c.g.sum(0)),
    H("all-gradients-negated", "all three gradients have the wrong sign",
      "Who applies the minus: the layer or the update?", dW=lambda c: -c.x.T @ c.g, db=lambda c: -c.g.sum(0),
      dx=lambda c: -c.g @ c.W.T),
    H("all-gradients-masked", "the upstream gradient is masked by the sign of the output",
      "Is there an activation inside?", dW=lambda c: c.x.T @ (c.g * (c.x @ c.W + c.b > 0)),
      db=lambda c: (c.g * (c.x @ c.W + c.b > 0)).sum(0), dx=lambda c: c.g * (c.x @ c.W + c.b > 0) @ c.W.T),
    H("gradients-of-input-gradient",
      "the upstream gradient is overwritten by the input gradient before the others are computed",
      "Is a name used twice?", dW=lambda c: c.x.T @ (c.g @ c.W.T), db=lambda c: (c.g @ c.W.T).sum(0)),
]  # fmt: skip
STATE = [
    H("input-of-first-call", "backward still uses the input of the first call", "When is the cache written?",
      dW=lambda c: c.first.x.T @ c.g),
    H("input-shared", "the cached input is shared between layers",
      "Does the cache belong to the object or to the class?", dW=lambda c: c.other.x.T @ c.g),
    H("gradients-never-cleared", "the gradients of all calls add up, and nothing clears them",
      "= or +=, and who sets them back to 0?",
      dW=lambda c: c.x.T @ c.g + (c.first.x.T @ c.first.g if c.kind == "again" else 0),
        db=lambda c: c.g.sum(0) + (c.first.g.sum(0) if c.kind == "again" else 0)),
    H("weight-gradient-never-cleared", "the weight gradients of all calls add up, the bias gradients do not",
      "= or +=, and the same for both?",
      dW=lambda c: c.x.T @ c.g + (c.first.x.T @ c.first.g if c.kind == "again" else 0)),
    H("bias-gradient-never-cleared", "the bias gradients of all calls add up, the weight gradients do not",
      "= or +=, and the same for both?",
      db=lambda c: c.g.sum(0) + (c.first.g.sum(0) if c.kind == "again" else 0)),
    H("gradients-of-first-call", "the gradients of the first call are kept for ever",
      "When are the gradients written?",
      dW=lambda c: c.first.x.T @ c.first.g, db=lambda c: c.first.g.sum(0)),
    H("output-of-first-call", "the output of the first call is given back again",
      "Is the output computed in every call?", y=lambda c: c.first.x @ c.first.W + c.first.b),
    H("parameters-shared", "all layers share one weight and bias",
      "Do weight and bias belong to the object or to the class?",
      y=lambda c: c.x @ c.other.W + c.other.b, dx=lambda c: c.g @ c.other.W.T),
    H("weight-shared", "all layers share one weight", "Does the weight belong to the object or to the class?",
      y=lambda c: c.x @ c.other.W + c.b, dx=lambda c: c.g @ c.other.W.T),
]  # fmt: skip
LINEAR = Component("Linear", draw, truth, [*FORWARD, *WEIGHT, *BIAS, *INPUT, *JOINT, *STATE], settle=settle)
