"""What the elementwise activations have in common: their backward pass is one product."""

from __future__ import annotations

from mlp.arrays import Array
from mlp.layers.base import Layer


class Elementwise(Layer):
    """y = f(x), where each y depends on the x in its own place alone. The chain rule is then a product of numbers:

        dL/dx = dL/dy · dy/dx,  elementwise

    ``forward`` computes y, and leaves the derivative dy/dx, beside which it stands, in ``saved``.
    """

    def backward(self, grad_y: Array) -> Array:
        slope = self.recall_for(grad_y)
        return grad_y * slope
