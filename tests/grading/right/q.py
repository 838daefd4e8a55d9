import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def sigmoid_derivative(x):
    return x * (1 - x)


class NeuralNet:
    def __init__(self, n_input, n_hidden, n_output):
        self.W1 = np.random.randn(n_input, n_hidden)
        self.b1 = np.zeros(n_hidden)
        self.W2 = np.random.randn(n_hidden, n_output)
        self.b2 = np.zeros(n_output)

    def forward(self, X):
        self.hidden = sigmoid(X @ self.W1 + self.b1)
        self.output = sigmoid(self.hidden @ self.W2 + self.b2)
        return self.output

    def backward(self, X, y, output):
        error = output - y
        d_out = error * sigmoid_derivative(output)
        d_hidden = d_out @ self.W2.T * sigmoid_derivative(self.hidden)
        self.dW2 = self.hidden.T @ d_out
        self.db2 = d_out.sum(axis=0)
        self.dW1 = X.T @ d_hidden
        self.db1 = d_hidden.sum(axis=0)
        return self.dW1, self.db1, self.dW2, self.db2

    def update(self, lr):
        self.W1 -= lr * self.dW1
        self.b1 -= lr * self.db1
        self.W2 -= lr * self.dW2
        self.b2 -= lr * self.db2

    def train(self, X, y, lr=0.1, epochs=1000):
        for _ in range(epochs):
            out = self.forward(X)
            self.backward(X, y, out)
            self.update(lr)
