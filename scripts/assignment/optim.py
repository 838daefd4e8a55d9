"""The update rule: how gradients change the weights."""

import numpy as np


class SGD:
    """Gradient descent with momentum and weight decay, for every W and b of the layers that have them.

    With learning rate η, momentum μ, weight decay λ and a velocity v that starts at 0, each step computes

        v = μ v + (gradient + λ weight),        weight = weight - η v.
    """

    def __init__(self, layers, lr=0.1, momentum=0.0, weight_decay=0.0):
        self.layers = [layer for layer in layers if hasattr(layer, "W")]
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.velocities = [{"W": np.zeros_like(layer.W), "b": np.zeros_like(layer.b)} for layer in self.layers]

    def step(self):
        """Change all weights and biases once."""
        # Task: for each layer and its velocities, update W by grad_W and b by grad_b, as above.
        ### BEGIN SOLUTION
        for layer, velocity in zip(self.layers, self.velocities, strict=True):
            velocity["W"] = self.momentum * velocity["W"] + layer.grad_W + self.weight_decay * layer.W
            velocity["b"] = self.momentum * velocity["b"] + layer.grad_b + self.weight_decay * layer.b
            layer.W = layer.W - self.lr * velocity["W"]
            layer.b = layer.b - self.lr * velocity["b"]
        ### END SOLUTION
