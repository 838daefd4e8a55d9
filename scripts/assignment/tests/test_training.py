"""Do all parts work together?"""

import numpy as np
from layers import Linear, Tanh
from loss import MSELoss
from network import Network
from numeric import check_backward
from optim import SGD


class Times:
    """Multiplies by a number, and so shows in which order layers are called."""

    def __init__(self, factor, calls):
        self.factor, self.calls = factor, calls

    def forward(self, x):
        self.calls.append(self.factor)
        return self.factor * x

    def backward(self, grad_y):
        self.calls.append(-self.factor)
        return self.factor * grad_y


def test_network_calls_all_layers_in_order():
    calls = []
    network = Network()
    for factor in (2.0, 3.0, 5.0):
        network.add(Times(factor, calls))
    assert network.forward(1.0) == 30.0
    assert network.backward(1.0) == 30.0
    assert calls == [2.0, 3.0, 5.0, -5.0, -3.0, -2.0]


def test_one_step_of_sgd():
    layer = Linear(1, 1)
    layer.W[...], layer.b[...] = 2.0, 1.0
    optimizer = SGD([layer], lr=0.5)
    layer.grad_W, layer.grad_b = np.array([[1.0]]), np.array([-2.0])
    optimizer.step()
    assert np.isclose(layer.W[0, 0], 1.5)
    assert np.isclose(layer.b[0], 2.0)


def test_training_lowers_the_loss():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 2))
    targets = np.eye(2)[(x[:, 0] * x[:, 1] > 0).astype(int)]
    network = Network()
    for layer in (Linear(2, 8, rng), Tanh(), Linear(8, 2, rng)):
        network.add(layer)
    loss, optimizer = MSELoss(), SGD(network.layer_list, lr=0.1, momentum=0.9)
    first = loss.forward(network.forward(x), targets)
    for _ in range(100):
        loss.forward(network.forward(x), targets)
        network.backward(loss.backward())
        optimizer.step()
    assert loss.forward(network.forward(x), targets) < 0.5 * first
    check_backward(network, x[:3])
