import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def sigmoid_prime(x):
    return sigmoid(x) * (1 - sigmoid(x))


def tanh(x):
    return np.tanh(x)


def tanh_derivative(y):
    return 1 - y ** 2


def relu(z):
    return z * (z > 0)


def relu_grad(z):
    return np.heaviside(z, 0)


def mse(y_true, y_pred):
    return np.mean(np.power(y_true - y_pred, 2))


def mse_prime(y_true, y_pred):
    return 2 * (y_pred - y_true) / np.size(y_true)


def cross_entropy(y_pred, y_true):
    return -np.mean(np.sum(y_true * np.log(y_pred), axis=1))


def cross_entropy_grad(y_pred, y_true):
    return -y_true / y_pred / y_pred.shape[0]
