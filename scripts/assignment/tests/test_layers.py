"""Some of the tests by which your layers are graded. Run them with: python -m pytest"""

import numpy as np
from layers import Linear, ReLU, Sigmoid, Tanh
from numeric import check_backward

X = np.random.default_rng(1).normal(size=(5, 4))


def test_linear_forward():
    layer = Linear(2, 3)
    layer.W[...] = [[1, 2, 3], [4, 5, 6]]
    layer.b[...] = [10, 20, 30]
    np.testing.assert_allclose(layer.forward(np.array([[1.0, 1.0], [0.0, 2.0]])), [[15, 27, 39], [18, 30, 42]])


def test_linear_backward():
    check_backward(Linear(4, 3), X)


def test_relu():
    np.testing.assert_allclose(ReLU().forward(np.array([[-2.0, 0.0, 3.0]])), [[0, 0, 3]])
    check_backward(ReLU(), X)


def test_sigmoid():
    np.testing.assert_allclose(Sigmoid().forward(np.array([[0.0, np.log(3.0)]])), [[0.5, 0.75]])
    check_backward(Sigmoid(), X)


def test_tanh():
    np.testing.assert_allclose(Tanh().forward(np.array([[0.0, np.log(2.0)]])), [[0, 0.6]])
    check_backward(Tanh(), X)
