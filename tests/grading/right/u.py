"""Any number of layers as lists of weights and biases; the data go through one by one, as columns."""
import random
import numpy as np


class Network:
    def __init__(self, layer_sizes):
        pairs = list(zip(layer_sizes[:-1], layer_sizes[1:]))
        self.weights = [np.random.standard_normal((n_out, n_in)) for n_in, n_out in pairs]
        self.biases = [np.random.standard_normal((n_out, 1)) for _, n_out in pairs]

    def feedforward(self, a):
        for w, b in zip(self.weights, self.biases):
            a = squash(w @ a + b)
        return a

    def train(self, training_data, epochs, batch_size, eta):
        for _ in range(epochs):
            random.shuffle(training_data)
            for start in range(0, len(training_data), batch_size):
                self.learn(training_data[start:start + batch_size], eta)

    def learn(self, batch, eta):
        dw_sum = [0 * w for w in self.weights]
        db_sum = [0 * b for b in self.biases]
        for x, y in batch:
            dw, db = self.backprop(x, y)
            dw_sum = [s + d for s, d in zip(dw_sum, dw)]
            db_sum = [s + d for s, d in zip(db_sum, db)]
        self.weights = [w - eta / len(batch) * s for w, s in zip(self.weights, dw_sum)]
        self.biases = [b - eta / len(batch) * s for b, s in zip(self.biases, db_sum)]

    def backprop(self, x, y):
        outs, sums = [x], []
        for w, b in zip(self.weights, self.biases):
            sums.append(w @ outs[-1] + b)
            outs.append(squash(sums[-1]))
        error = (outs[-1] - y) * squash_prime(sums[-1])
        dw, db = [error @ outs[-2].T], [error]
        for k in range(len(sums) - 2, -1, -1):
            error = self.weights[k + 1].T @ error * squash_prime(sums[k])
            dw.insert(0, error @ outs[k].T)
            db.insert(0, error)
        return dw, db


def squash(z):
    return 1.0 / (1.0 + np.exp(-z))


def squash_prime(z):
    s = squash(z)
    return s * (1 - s)
