"""Layers of a multilayer perceptron: each is a function y = f(x) with its derivative written by hand.

``forward(x)`` returns y and remembers what ``backward`` will need. ``backward(grad_y)`` is given dL/dy, the
derivative of the loss L with respect to y, and returns dL/dx. Rows are examples: x has the shape (N, features).
"""

import numpy as np


class Linear:
    """y = x W + b, with W of shape (n_in, n_out) and b of shape (n_out,).

    After ``backward``, ``grad_W`` and ``grad_b`` hold dL/dW and dL/db. A second ``backward`` replaces them.
    """

    def __init__(self, n_in, n_out, rng=None):
        rng = np.random.default_rng(0) if rng is None else rng
        self.W = rng.normal(0.0, np.sqrt(2.0 / n_in), size=(n_in, n_out))
        self.b = np.zeros(n_out)
        self.grad_W = np.zeros_like(self.W)
        self.grad_b = np.zeros_like(self.b)

    def forward(self, x):
        # Task: keep x, and return x W + b.
        ### BEGIN SOLUTION
        self.x = x
        return x @ self.W + self.b
        ### END SOLUTION

    def backward(self, grad_y):
        # Task: set grad_W and grad_b, sums over the rows, and return dL/dx. Which products have the right shapes?
        ### BEGIN SOLUTION
        self.grad_W = self.x.T @ grad_y
        self.grad_b = grad_y.sum(axis=0)
        return grad_y @ self.W.T
        ### END SOLUTION


class ReLU:
    """y = max(0, x). The derivative is 1 where x > 0, and 0 elsewhere."""

    def forward(self, x):
        # Task: remember where x is positive, and return y.
        ### BEGIN SOLUTION
        self.positive = x > 0
        return np.maximum(x, 0.0)
        ### END SOLUTION

    def backward(self, grad_y):
        # Task: return dL/dx. The mask comes from x, not from grad_y.
        ### BEGIN SOLUTION
        return grad_y * self.positive
        ### END SOLUTION


class Sigmoid:
    """y = 1 / (1 + exp(-x)). The derivative is y (1 - y)."""

    def forward(self, x):
        # Task: return y. No overflow, please: for large negative x, exp(-x) is infinite and exp(x) is not.
        ### BEGIN SOLUTION
        small = np.exp(-np.abs(x))
        self.y = np.where(x >= 0, 1.0, small) / (1.0 + small)
        return self.y.copy()
        ### END SOLUTION

    def backward(self, grad_y):
        # Task: return dL/dx, by the output y.
        ### BEGIN SOLUTION
        return grad_y * self.y * (1.0 - self.y)
        ### END SOLUTION


class Tanh:
    """y = tanh(x). The derivative is 1 - y²."""

    def forward(self, x):
        # Task: return y; NumPy knows the function.
        ### BEGIN SOLUTION
        self.y = np.tanh(x)
        return self.y.copy()
        ### END SOLUTION

    def backward(self, grad_y):
        # Task: return dL/dx, by the output y.
        ### BEGIN SOLUTION
        return grad_y * (1.0 - self.y**2)
        ### END SOLUTION
