"""Activations over the whole last axis, where every output depends on every input: softmax and its logarithm.

The losses take raw scores, so neither belongs in front of a loss; they are for what looks at probabilities.
"""

from __future__ import annotations

import numpy as np

from mlp.arrays import Array
from mlp.functional import softmax
from mlp.layers.activations.registry import register_activation
from mlp.layers.base import Layer, check_upstream


@register_activation("Softmax", initializer="xavier_normal")
class Softmax(Layer):
    """p_k = e^(x_k) / sum_j e^(x_j), along the last axis: (..., K) -> (..., K).

    The Jacobian is dp_k/dx_j = p_k ([k = j] - p_j), so with g = dL/dp

        dL/dx_j = sum_k g_k p_k ([k = j] - p_j) = p_j (g_j - g·p)

    and the K x K matrix is never written down.

    Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
    """

    def forward(self, x: Array) -> Array:
        p = softmax(x, out=self.empty("p", x.shape, x.dtype))
        self.saved = self.keep_output(p)
        return p

    def backward(self, grad_y: Array) -> Array:
        p = self.recall()
        check_upstream(self, grad_y, p.shape)
        total = np.vecdot(grad_y, p)[..., np.newaxis]  # g·p, one number a row
        grad_x = np.subtract(grad_y, total, out=self.empty("grad_x", p.shape, p.dtype))
        grad_x *= p
        return grad_x


@register_activation("LogSoftmax", initializer="xavier_normal")
class LogSoftmax(Layer):
    """y_k = log p_k = x_k - log sum_j e^(x_j), along the last axis: (..., K) -> (..., K), with p = softmax(x).

    The Jacobian is dy_k/dx_j = [k = j] - p_j, so with g = dL/dy

        dL/dx_j = g_j - p_j sum_k g_k
    """

    def forward(self, x: Array) -> Array:
        y = np.subtract(x, x.max(axis=-1, keepdims=True), out=self.empty("y", x.shape, x.dtype))
        e = np.exp(y, out=self.empty("e", x.shape, x.dtype))
        total = e.sum(axis=-1, keepdims=True)
        y -= np.log(total)
        self.saved = (e, total)  # p = e / total
        return y

    def backward(self, grad_y: Array) -> Array:
        e, total = self.recall()
        check_upstream(self, grad_y, e.shape)
        share = grad_y.sum(axis=-1, keepdims=True) / total
        grad_x = np.multiply(e, share, out=self.empty("grad_x", e.shape, e.dtype))
        return np.subtract(grad_y, grad_x, out=grad_x)
