from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Iterator, Optional

import numpy as np


@dataclass
class Parameter:
    data: np.ndarray
    grad: Optional[np.ndarray] = None


class Module:
    def parameters(self) -> Iterator[Parameter]:
        for v in self.__dict__.values():
            if isinstance(v, Parameter):
                yield v
            elif isinstance(v, Module):
                yield from v.parameters()
            elif isinstance(v, (list, tuple)):
                for m in v:
                    if isinstance(m, Module):
                        yield from m.parameters()

    def zero_grad(self):
        for p in self.parameters():
            p.grad = None

    def __call__(self, *a):
        return self.forward(*a)


class Linear(Module):
    def __init__(self, in_features: int, out_features: int, bias: bool = True, rng: Optional[np.random.Generator] = None):
        rng = rng or np.random.default_rng()
        k = 1 / math.sqrt(in_features)
        self.weight = Parameter(rng.uniform(-k, k, (out_features, in_features)))
        self.bias = Parameter(rng.uniform(-k, k, out_features)) if bias else None
        self._ctx = None

    def forward(self, x):
        self._ctx = x
        y = np.einsum("ni,oi->no", x, self.weight.data)
        if self.bias is not None:
            y += self.bias.data
        return y

    def backward(self, grad_out):
        x = self._ctx
        gw = np.einsum("no,ni->oi", grad_out, x)
        self.weight.grad = gw if self.weight.grad is None else self.weight.grad + gw
        if self.bias is not None:
            gb = grad_out.sum(0)
            self.bias.grad = gb if self.bias.grad is None else self.bias.grad + gb
        return np.einsum("no,oi->ni", grad_out, self.weight.data)


class GELU(Module):
    def forward(self, x):
        self._x = x
        self._t = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3))
        return 0.5 * x * (1 + self._t)

    def backward(self, grad_out):
        x, t = self._x, self._t
        du = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x ** 2)
        return grad_out * (0.5 * (1 + t) + 0.5 * x * (1 - t ** 2) * du)


class LogSoftmax(Module):
    def forward(self, x):
        s = x - x.max(1, keepdims=True)
        self._out = s - np.log(np.exp(s).sum(1, keepdims=True))
        return self._out

    def backward(self, g):
        return g - np.exp(self._out) * g.sum(1, keepdims=True)


class CrossEntropyLoss(Module):
    def __init__(self, reduction: str = "mean"):
        self.reduction = reduction

    def forward(self, logits, target):
        s = logits - logits.max(1, keepdims=True)
        logp = s - np.log(np.exp(s).sum(1, keepdims=True))
        self._p, self._t = np.exp(logp), target
        losses = -logp[np.arange(len(target)), target]
        return losses.mean() if self.reduction == "mean" else losses.sum()

    def backward(self):
        g = self._p.copy()
        g[np.arange(len(self._t)), self._t] -= 1
        return g / len(self._t) if self.reduction == "mean" else g


class Sequential(Module):
    def __init__(self, *layers: Module):
        self.layers = list(layers)

    def forward(self, x):
        for l in self.layers:
            x = l(x)
        return x

    def backward(self, g):
        for l in reversed(self.layers):
            g = l.backward(g)
        return g


class SGD:
    def __init__(self, params, lr: float = 1e-2, momentum: float = 0.0, weight_decay: float = 0.0):
        self.params = list(params)
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.state = {}

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    def step(self):
        for p in self.params:
            if p.grad is None:
                continue
            g = p.grad + self.weight_decay * p.data
            if self.momentum:
                buf = self.state.get(id(p))
                buf = g.copy() if buf is None else self.momentum * buf + g
                self.state[id(p)] = buf
                g = buf
            p.data = p.data - self.lr * g


class Adam:
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        self.params = list(params)
        self.lr, self.betas, self.eps = lr, betas, eps
        self.t = 0
        self.m = [np.zeros_like(p.data) for p in self.params]
        self.v = [np.zeros_like(p.data) for p in self.params]

    def step(self):
        self.t += 1
        b1, b2 = self.betas
        for i, p in enumerate(self.params):
            self.m[i] = b1 * self.m[i] + (1 - b1) * p.grad
            self.v[i] = b2 * self.v[i] + (1 - b2) * p.grad ** 2
            mh = self.m[i] / (1 - b1 ** self.t)
            vh = self.v[i] / (1 - b2 ** self.t)
            p.data -= self.lr * mh / (np.sqrt(vh) + self.eps)
