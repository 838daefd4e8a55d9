"""Layers that step in backward, with a rate of their own; weights come from functions, and arrays have optimizers."""
import numpy as np


class Dense:
    def __init__(self, in_feature, out_feature, weight_init_fn, bias_init_fn, learning_rate=0.1):
        self.weights = weight_init_fn(in_feature, out_feature)
        self.biases = bias_init_fn(out_feature)
        self.learning_rate = learning_rate

    def forward(self, input):
        return input @ self.weights + self.biases

    def backward(self, input, grad_output):
        grad_input = grad_output @ self.weights.T
        self.weights = self.weights - self.learning_rate * (input.T @ grad_output)
        self.biases = self.biases - self.learning_rate * grad_output.sum(axis=0)
        return grad_input


class ReLU:
    def forward(self, input):
        return np.maximum(input, 0)

    def backward(self, input, grad_output):
        return grad_output * (input > 0)


class BatchNorm:
    def __init__(self, width, alpha=0.9):
        self.alpha, self.eps = alpha, 1e-8
        self.gamma, self.beta = np.ones((1, width)), np.zeros((1, width))
        self.running_mean, self.running_var = np.zeros((1, width)), np.ones((1, width))

    def __call__(self, x, eval=False):
        if eval:
            z = (x - self.running_mean) / np.sqrt(self.running_var + self.eps)
            return self.gamma * z + self.beta
        mean, var = x.mean(0, keepdims=True), x.var(0, keepdims=True)
        self.std = np.sqrt(var + self.eps)
        self.z = (x - mean) / self.std
        self.running_mean = self.alpha * self.running_mean + (1 - self.alpha) * mean
        self.running_var = self.alpha * self.running_var + (1 - self.alpha) * var
        return self.gamma * self.z + self.beta

    def backward(self, delta):
        self.dgamma = (delta * self.z).sum(0, keepdims=True)
        self.dbeta = delta.sum(0, keepdims=True)
        h = delta * self.gamma
        return (h - h.mean(0) - self.z * (h * self.z).mean(0)) / self.std


class MomentumSGD:
    def __init__(self, momentum=0.9):
        self.momentum, self.velocity = momentum, 0

    def update(self, w, d_w, learning_rate):
        self.velocity = self.momentum * self.velocity - learning_rate * d_w
        return w + self.velocity


def sigmoid(x, derivative=False):
    s = 1 / (1 + np.exp(-x))
    return s * (1 - s) if derivative else s


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy(y_true, y_pred):
    return -np.mean(np.sum(y_true * np.log(y_pred), axis=1))


def cross_entropy_derivative(y_true, y_pred):
    return (y_pred - y_true) / len(y_true)
