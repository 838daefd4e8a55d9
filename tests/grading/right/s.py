import numpy as np


class Linear:
    """Z = W A + b; every column is one example."""

    def __init__(self, n_in, n_out, seed=0):
        rng = np.random.RandomState(seed)
        self.params = {"W": rng.randn(n_out, n_in) * 0.01, "b": np.zeros((n_out, 1))}
        self.grads = {}

    def forward(self, A):
        self.A = A
        return self.params["W"] @ A + self.params["b"]

    def backward(self, dZ):
        self.grads["dW"] = dZ @ self.A.T
        self.grads["db"] = np.sum(dZ, axis=1, keepdims=True)
        return self.params["W"].T @ dZ


class ReLU:
    def forward(self, Z):
        self.Z = Z
        return np.maximum(0, Z)

    def backward(self, dA):
        dZ = dA.copy()
        dZ[self.Z <= 0] = 0
        return dZ


class Softmax:
    def forward(self, Z):
        E = np.exp(Z - Z.max(axis=0, keepdims=True))
        self.S = E / E.sum(axis=0, keepdims=True)
        return self.S

    def backward(self, dA):
        return self.S * (dA - np.sum(dA * self.S, axis=0, keepdims=True))


class MSE:
    def forward(self, A, Y):
        self.A, self.Y = A, Y
        return np.sum((A - Y) ** 2) / (2 * Y.shape[1])

    def backward(self):
        return (self.A - self.Y) / self.Y.shape[1]


class CrossEntropy:
    """Softmax cross entropy on logits."""

    def forward(self, Z, Y):
        E = np.exp(Z - Z.max(axis=0, keepdims=True))
        self.P = E / E.sum(axis=0, keepdims=True)
        self.Y = Y
        return -np.sum(Y * np.log(self.P)) / Y.shape[1]

    def backward(self):
        return (self.P - self.Y) / self.Y.shape[1]
