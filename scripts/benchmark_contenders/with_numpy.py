"""This library, and the bare matrix products that no implementation on NumPy can do without."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from benchmark_contenders import Step
from benchmark_contenders.problem import Problem, Setting
from mlp import SGD, Adam, AdamW, CrossEntropyLoss, GeLU, HingeLoss, Linear, MSELoss, Network, ReLU, Sigmoid
from mlp.arrays import aligned_empty
from mlp.data import Batches
from mlp.layers import BatchNorm, Dropout, LayerNorm
from mlp.losses import Loss
from mlp.metrics import count_correct
from mlp.optim import Optimizer

ACTIVATIONS = {"GeLU": GeLU, "ReLU": ReLU, "Sigmoid": Sigmoid}


def make_network(problem: Problem) -> Network:
    """The setting's network with the initial weights that all contenders start from."""
    layers: list[Any] = []
    for inputs, outputs in pairwise(problem.setting.sizes):
        layers += [Linear(inputs, outputs), *hidden_part(problem.setting, outputs)]
    without_end = layers[: len(layers) - len(hidden_part(problem.setting, 1))]  # nothing after the last Linear
    network = Network(*without_end, rng=problem.setting.seed)
    linear = [layer for layer in network if isinstance(layer, Linear)]
    for layer, (weight, bias) in zip(linear, problem.initial_weights, strict=True):
        layer.weight.data, layer.bias.data = weight, bias
    return network


def hidden_part(setting: Setting, width: int) -> list[Any]:
    """What follows each hidden Linear."""
    norm = {"none": [], "BatchNorm": [BatchNorm], "LayerNorm": [LayerNorm]}[setting.normalization]
    dropout = [Dropout(setting.dropout)] if setting.dropout else []
    return [*(kind(width) for kind in norm), ACTIVATIONS[setting.activation](), *dropout]


def make_loss(problem: Problem) -> Loss:
    losses = {"CE": CrossEntropyLoss, "Hinge": lambda: HingeLoss(problem.setting.margin), "MSE": MSELoss}
    return losses[problem.setting.loss]()


def make_optimizer(problem: Problem, network: Network) -> Optimizer:
    s = problem.setting
    if s.optimizer != "SGD":
        return {"Adam": Adam, "AdamW": AdamW}[s.optimizer](network.parameters, lr=s.lr, weight_decay=s.weight_decay)
    return SGD(network.parameters, lr=s.lr, momentum=s.momentum, weight_decay=s.weight_decay)


def build_mlp(problem: Problem) -> Step:
    network, loss = make_network(problem), make_loss(problem)
    optimizer = make_optimizer(problem, network)
    batches, rng = Batches(problem.dataset, problem.setting.batch_size), problem.order_rng()

    def endless() -> Iterator[Any]:
        while True:
            yield from batches.epoch(rng)

    batch = endless()

    def step() -> tuple[float, float]:
        x, y = next(batch)
        value, scores = network.training_step(x, y, loss)
        correct = count_correct(y, scores)
        optimizer.step()
        return value, correct / len(y)

    step.classify = network.predict
    return step


def build_bare(problem: Problem) -> Step:
    # The weights and their gradients where the library has them: views into the network's flat vectors.
    layers = [layer for layer in make_network(problem) if isinstance(layer, Linear)]
    rng, rows = np.random.default_rng(problem.setting.seed), problem.setting.batch_size

    def buffer(columns: int) -> Any:
        array = aligned_empty((rows, columns), np.float32)
        array[...] = rng.normal(size=array.shape)
        return array

    forward, backward = [], []
    for layer in layers:
        W, dW = layer.weight.data, layer.weight.grad
        x, dx = buffer(layer.in_features), buffer(layer.in_features)
        y, dy = buffer(layer.out_features), buffer(layer.out_features)
        forward.append((x, W, y))
        if layer is layers[0]:  # dL/dx of the first layer is not needed
            backward.append([(x.T, dy, dW)])
        else:
            backward.append([(x.T, dy, dW), (dy, W.T, dx)])
    products = forward + [product for of_layer in reversed(backward) for product in of_layer]

    def step() -> tuple[None, None]:
        for a, b, out in products:
            np.matmul(a, b, out=out)
        return None, None

    return step
