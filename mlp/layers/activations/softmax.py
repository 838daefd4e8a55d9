"""Activations over the whole last axis, where every output depends on every input: softmax and its logarithm.

The losses take raw scores, so neither belongs in front of a loss; they are for what looks at probabilities.
"""

from __future__ import annotations

import numpy as np

from mlp.arrays import Array
from mlp.functional import log_softmax, softmax
from mlp.layers.activations.registry import register_activation
from mlp.layers.base import Layer


@register_activation("Softmax", initializer="xavier_normal")
class Softmax(Layer):
    """p_k = e^(x_k) / sum_j e^(x_j), along the last axis: (..., K) -> (..., K).

    The Jacobian is dp_k/dx_j = p_k ([k = j] - p_j), so with g = dL/dp

        dL/dx_j = sum_k g_k p_k ([k = j] - p_j) = p_j (g_j - g·p)

    and the K x K matrix is never written down.

    Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
    """

    def forward(self, x: Array) -> Array:
        p = softmax(x)
        self.saved = p.copy()
        return p

    def backward(self, grad_y: Array) -> Array:
        p = self.recall_for(grad_y)
        total = np.vecdot(grad_y, p)[..., np.newaxis]  # g·p, one number a row
        return p * (grad_y - total)


@register_activation("LogSoftmax", initializer="xavier_normal")
class LogSoftmax(Layer):
    """y_k = log p_k = x_k - log sum_j e^(x_j), along the last axis: (..., K) -> (..., K), with p = softmax(x).

    The Jacobian is dy_k/dx_j = [k = j] - p_j, so with g = dL/dy

        dL/dx_j = g_j - p_j sum_k g_k
    """

    def forward(self, x: Array) -> Array:
        y = log_softmax(x)
        self.saved = np.exp(y)  # p
        return y

    def backward(self, grad_y: Array) -> Array:
        p = self.recall_for(grad_y)
        return grad_y - p * grad_y.sum(axis=-1, keepdims=True)
