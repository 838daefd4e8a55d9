"""Older handouts: local derivatives, 1/N inside the layer, an update of one's own."""
import numpy as np


class Activation(object):
    def __init__(self):
        self.state = None

    def __call__(self, x):
        return self.forward(x)

    def forward(self, x):
        raise NotImplementedError

    def derivative(self):
        raise NotImplementedError


class Sigmoid(Activation):
    def forward(self, x):
        self.state = 1.0 / (1.0 + np.exp(-x))
        return self.state

    def derivative(self):
        return self.state * (1.0 - self.state)


class Tanh(Activation):
    def forward(self, x):
        self.state = np.tanh(x)
        return self.state

    def derivative(self):
        return 1.0 - self.state ** 2


class ReLU(Activation):
    def forward(self, x):
        self.state = np.maximum(x, 0.0)
        return self.state

    def derivative(self):
        return (self.state > 0).astype(float)


class Linear:
    def __init__(self, in_feature, out_feature):
        self.W = np.random.randn(in_feature, out_feature)
        self.b = np.zeros((1, out_feature))
        self.dW = np.zeros(self.W.shape)
        self.db = np.zeros(self.b.shape)

    def forward(self, x):
        self.x = x
        return np.matmul(x, self.W) + self.b

    def backward(self, delta):
        n = self.x.shape[0]
        self.dW = np.matmul(self.x.T, delta) / n
        self.db = np.sum(delta, axis=0, keepdims=True) / n
        return np.matmul(delta, self.W.T)


class SoftmaxCrossEntropy:
    def forward(self, x, y):
        self.y = y
        shift = x.max(axis=1, keepdims=True)
        lse = shift + np.log(np.exp(x - shift).sum(axis=1, keepdims=True))
        self.p = np.exp(x - lse)
        return -(y * (x - lse)).sum(axis=1)

    def derivative(self):
        return self.p - self.y
