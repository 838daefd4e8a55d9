import math

import numpy as np


class FullyConnected:
    """Loops, as in the lecture."""

    def __init__(self, n_in, n_out, scale=0.1):
        self.weights = scale * np.random.standard_normal((n_in, n_out))
        self.biases = np.zeros(n_out)
        self.d_weights = None
        self.d_biases = None

    def forward(self, x):
        self.x = x.copy()
        y = np.empty((x.shape[0], self.weights.shape[1]))
        for n in range(x.shape[0]):
            for j in range(self.weights.shape[1]):
                y[n, j] = self.biases[j]
                for i in range(x.shape[1]):
                    y[n, j] += x[n, i] * self.weights[i, j]
        return y

    def backward(self, dy):
        self.d_weights = np.zeros_like(self.weights)
        self.d_biases = np.zeros_like(self.biases)
        dx = np.zeros_like(self.x)
        for n in range(len(dy)):
            self.d_weights += np.outer(self.x[n], dy[n])
            self.d_biases += dy[n]
            dx[n] = self.weights.dot(dy[n])
        return dx


class ReluLayer:
    def forward(self, x):
        self.x = x
        out = np.zeros(x.shape)
        for n in range(x.shape[0]):
            for j in range(x.shape[1]):
                if x[n, j] > 0:
                    out[n, j] = x[n, j]
        return out

    def backward(self, dy):
        dx = np.zeros(dy.shape)
        for n in range(dy.shape[0]):
            for j in range(dy.shape[1]):
                if self.x[n, j] > 0:
                    dx[n, j] = dy[n, j]
        return dx


class SigmoidLayer:
    def forward(self, x):
        self.s = np.array([[1.0 / (1.0 + math.exp(-v)) for v in row] for row in x])
        return self.s

    def backward(self, dy):
        dx = np.empty_like(dy)
        for n, row in enumerate(dy):
            for j, g in enumerate(row):
                s = self.s[n, j]
                dx[n, j] = g * s * (1 - s)
        return dx


class TanhLayer:
    def forward(self, x):
        self.t = 2.0 / (1.0 + np.exp(-2.0 * x)) - 1.0
        return self.t

    def backward(self, dy):
        return dy * (1.0 + self.t) * (1.0 - self.t)


class SquaredLoss:
    def forward(self, y, target):
        total = 0.0
        for n in range(len(y)):
            for k in range(len(y[n])):
                total += 0.5 * (y[n, k] - target[n, k]) ** 2
        return total / len(y)

    def backward(self, y, target):
        grad = np.zeros_like(y)
        for n in range(len(y)):
            grad[n] = (y[n] - target[n]) / len(y)
        return grad


class SoftmaxCrossEntropy:
    def forward(self, scores, labels):
        self.labels = labels
        self.p = np.zeros_like(scores)
        loss = 0.0
        for n in range(len(scores)):
            top = scores[n].max()
            e = np.exp(scores[n] - top)
            self.p[n] = e / e.sum()
            loss += math.log(e.sum()) + top - scores[n, labels[n]]
        return loss / len(scores)

    def backward(self, scores, labels):
        grad = np.array(self.p)
        for n in range(len(labels)):
            grad[n, labels[n]] -= 1
        return grad / len(labels)
