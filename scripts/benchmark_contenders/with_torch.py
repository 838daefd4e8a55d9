"""PyTorch: eager, with its fused optimizer, and compiled."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any

import torch
from torch.nn import functional as F

from benchmark_contenders import Step
from benchmark_contenders.problem import Problem

ACTIVATIONS: dict[str, Any] = {
    "GeLU": lambda: torch.nn.GELU(approximate="tanh"),
    "ReLU": torch.nn.ReLU,
    "Sigmoid": torch.nn.Sigmoid,
}


def build_eager(problem: Problem) -> Step:
    return _build(problem, fused=False, compiled=False)


def build_fused(problem: Problem) -> Step:
    return _build(problem, fused=True, compiled=False)


def build_compiled(problem: Problem) -> Step:
    return _build(problem, fused=True, compiled=True)


def _build(problem: Problem, fused: bool, compiled: bool) -> Step:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    s = problem.setting
    network = make_network(problem)
    options: dict[str, Any] = {"lr": s.lr, "weight_decay": s.weight_decay}
    if fused:  # else left to PyTorch, which then takes what it considers best for many parameters
        options["fused"] = True
    if s.optimizer == "SGD":
        options["momentum"] = s.momentum
    optimizer = getattr(torch.optim, s.optimizer)(network.parameters(), **options)
    inputs, labels = torch.from_numpy(problem.inputs), torch.from_numpy(problem.labels)
    loss = make_loss(problem)
    batch = problem.index_batches(torch.from_numpy)

    def forward(indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = inputs.index_select(0, indices), labels.index_select(0, indices)
        scores = network(x)
        return loss(scores, y), (scores.argmax(1) == y).sum()

    if compiled:
        forward = torch.compile(forward)

    def step() -> tuple[float, float]:
        indices = next(batch)
        optimizer.zero_grad()
        value, correct = forward(indices)
        value.backward()
        optimizer.step()
        return value.item(), correct.item() / len(indices)

    @torch.no_grad()
    def classify(images: Any) -> Any:
        return network(torch.from_numpy(images)).argmax(1).numpy()

    step.classify = classify
    return step


def make_network(problem: Problem) -> torch.nn.Sequential:
    s = problem.setting
    layers: list[Any] = []
    norm = {"none": [], "BatchNorm": [torch.nn.BatchNorm1d], "LayerNorm": [torch.nn.LayerNorm]}[s.normalization]
    torch.manual_seed(s.seed)
    for i, ((inputs, outputs), (weight, bias)) in enumerate(
        zip(pairwise(s.sizes), problem.initial_weights, strict=True), start=2
    ):
        linear = torch.nn.Linear(inputs, outputs)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight).T)  # PyTorch stores (out, in)
            linear.bias.copy_(torch.from_numpy(bias))
        layers.append(linear)
        if i < len(s.sizes):
            layers += [*(kind(outputs) for kind in norm), ACTIVATIONS[s.activation]()]
            layers += [torch.nn.Dropout(s.dropout)] if s.dropout else []
    return torch.nn.Sequential(*layers)


def make_loss(problem: Problem) -> Any:
    s = problem.setting
    classes = s.sizes[-1]
    one_hot = torch.eye(classes)

    def hinge(scores: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return classes * F.multi_margin_loss(scores, y, margin=s.margin)  # PyTorch divides by the classes

    def squared(scores: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (0.5 / len(y)) * F.mse_loss(scores, one_hot.index_select(0, y), reduction="sum")

    return {"CE": F.cross_entropy, "Hinge": hinge, "MSE": squared}[s.loss]
