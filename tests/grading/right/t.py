"""Binary classification with one hidden layer; every column of an array is one example."""
import numpy as np


def sigma(z):
    return 1 / (1 + np.exp(-z))


def forward_propagation(X, parameters):
    Z1 = parameters["W1"] @ X + parameters["b1"]
    H = np.tanh(Z1)
    Z2 = parameters["W2"] @ H + parameters["b2"]
    Y_hat = sigma(Z2)
    return Y_hat, {"H": H, "Y_hat": Y_hat}


def compute_cost(Y_hat, Y):
    m = Y.shape[1]
    total = np.sum(Y * np.log(Y_hat)) + np.sum((1 - Y) * np.log(1 - Y_hat))
    return float(-total / m)


def backward_propagation(parameters, cache, X, Y):
    m = X.shape[1]
    H, Y_hat = cache["H"], cache["Y_hat"]
    dZ2 = Y_hat - Y
    dZ1 = (parameters["W2"].T @ dZ2) * (1 - H * H)
    return {
        "dW2": dZ2 @ H.T / m,
        "db2": dZ2.sum(axis=1, keepdims=True) / m,
        "dW1": dZ1 @ X.T / m,
        "db1": dZ1.sum(axis=1, keepdims=True) / m,
    }


def update_parameters(parameters, grads, learning_rate=1.2):
    return {key: value - learning_rate * grads["d" + key] for key, value in parameters.items()}
