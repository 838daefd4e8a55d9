"""Columns are examples, the weight is (in, out), and the softmax leaves its derivative to the loss."""
import numpy as np


class Linear:
    def __init__(self, m, n):
        self.W, self.W0 = np.random.normal(0, m ** -0.5, (m, n)), np.zeros((n, 1))

    def forward(self, A):
        self.A = A
        return self.W.T @ A + self.W0

    def backward(self, dLdZ):
        self.dLdW = self.A @ dLdZ.T
        self.dLdW0 = dLdZ.sum(axis=1, keepdims=True)
        return self.W @ dLdZ

    def sgd_step(self, lrate):
        self.W = self.W - lrate * self.dLdW
        self.W0 = self.W0 - lrate * self.dLdW0


class Tanh:
    def forward(self, Z):
        self.A = np.tanh(Z)
        return self.A

    def backward(self, dLdA):
        return dLdA - dLdA * self.A ** 2


class SoftMax:
    def forward(self, Z):
        E = np.exp(Z - Z.max(axis=0))
        return E / E.sum(axis=0)

    def backward(self, dLdZ):
        return dLdZ


class NLL:
    def forward(self, Ypred, Y):
        self.difference = Ypred - Y
        return -np.sum(Y * np.log(Ypred))

    def backward(self):
        return self.difference


class Sequential:
    def __init__(self, modules, loss):
        self.modules, self.loss = modules, loss

    def forward(self, X):
        for module in self.modules:
            X = module.forward(X)
        return X

    def backward(self, delta):
        for module in reversed(self.modules):
            delta = module.backward(delta)

    def sgd_step(self, lrate):
        for module in self.modules:
            if hasattr(module, "sgd_step"):
                module.sgd_step(lrate)
