import numpy as np


class Dense:
    def __init__(self, n_inputs, n_neurons, activation=None):
        self.weights = np.random.randn(n_inputs, n_neurons) * 0.1
        self.biases = np.zeros((1, n_neurons))
        self.activation = activation

    def forward(self, x):
        self.cache = {"x": x}
        z = x @ self.weights + self.biases
        self.cache["z"] = z
        return z

    def backward(self, grad):
        x = self.cache["x"]
        grads = {"weights": x.T @ grad, "biases": grad.sum(axis=0, keepdims=True)}
        dx = grad @ self.weights.T
        return dx, grads


class ReLU:
    def __call__(self, x):
        self._x = x
        return np.maximum(x, 0.0)

    def backward(self, grad):
        return grad * (self._x > 0.0)


class Sigmoid:
    def __call__(self, x):
        self._y = np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))
        return self._y

    def backward(self, grad):
        return grad * self._y * (1.0 - self._y)


class CategoricalCrossEntropy:
    """Softmax and negative log-likelihood in one."""

    def __call__(self, logits, y):
        z = logits - logits.max(-1, keepdims=True)
        self.p = np.exp(z)
        self.p /= self.p.sum(-1, keepdims=True)
        self.y = y
        return float(-(np.log(self.p) * y).sum(-1).mean())

    def backward(self):
        return (self.p - self.y) / len(self.y)


class MeanSquaredError:
    def __call__(self, pred, target):
        self.diff = pred - target
        return float(np.square(self.diff).mean())

    def backward(self):
        return 2.0 * self.diff / self.diff.size


class Model:
    def __init__(self, layers):
        self.layers = layers
        self.grads = []

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x) if hasattr(layer, "forward") else layer(x)
        return x

    def backward(self, grad):
        self.grads = []
        for layer in self.layers[::-1]:
            out = layer.backward(grad)
            if isinstance(out, tuple):
                grad, g = out
                self.grads.insert(0, g)
            else:
                grad = out
        return grad
