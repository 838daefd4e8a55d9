"""The sanity check passes what is sound, and names what is not."""

import copy

import numpy as np
import pytest

from mlp import CrossEntropyLoss, HingeLoss, InputError, Linear, MSELoss, Network, ReLU
from mlp.diagnosis.sanity import sanity_check
from mlp.initializers import normal, zeros
from mlp.layers import Dropout
from mlp.optim.regularizers import L2


def make(std: float = 0.05, *extra) -> Network:
    init = normal(std)
    return Network(
        Linear(784, 30, weight_init=init), ReLU(), *extra, Linear(30, 10, weight_init=init), rng=0
    )  # fmt: skip


def answers(check) -> list[bool]:
    return [answer.ok for answer in check.answers]


@pytest.mark.parametrize("loss", [CrossEntropyLoss(), HingeLoss(), CrossEntropyLoss(label_smoothing=0.1)], ids=repr)
def test_a_sound_network_passes(mnist, loss):
    network = make(0.05, Dropout(0.1))
    before = network.state_dict(), network.snapshot()[1]
    check = sanity_check(network, loss, mnist[0], regularizer=L2(0.01))
    check.assert_ok()
    assert answers(check) == [True, True, True]
    assert all(np.array_equal(before[0][name], array) for name, array in network.state_dict().items())
    assert network.snapshot()[1] == before[1]
    assert "expected about" in str(check)
    assert "20 of 20 right" in repr(check)


def test_cross_entropy_of_ten_classes_starts_at_log_10(mnist):
    check = sanity_check(make(0.001), CrossEntropyLoss(), mnist[0], steps=1)
    assert check.answers[0].detail == "2.3026, expected about 2.3026"


def test_weights_that_are_too_large_are_noticed(mnist):
    check = sanity_check(make(1.0), CrossEntropyLoss(), mnist[0])
    assert answers(check)[0] is False
    with pytest.raises(AssertionError, match="NO  the first loss is that of guessing"):
        check.assert_ok()


def test_a_network_that_cannot_learn_is_noticed(mnist):
    """With all weights 0, no gradient reaches the first layer, and the last one can only learn its biases."""
    network = Network(Linear(784, 5, weight_init=zeros), ReLU(), Linear(5, 10, weight_init=zeros), rng=0)
    assert answers(sanity_check(network, CrossEntropyLoss(), mnist[0])) == [True, False]


def test_a_wrong_gradient_is_noticed(mnist):
    class Wrong(ReLU):
        def backward(self, grad_y):
            return -super().backward(grad_y)

        def __deepcopy__(self, memo):
            return copy.copy(self)

    network = Network(Linear(784, 30), Wrong(), Linear(30, 10, weight_init=normal(0.5)), rng=0)
    network[2].weight.data[...] *= 1
    check = sanity_check(network, CrossEntropyLoss(), mnist[0], steps=200, lr=0.1)
    assert not answers(check)[-1]


def test_regression():
    rng = np.random.default_rng(0)
    network = Network(Linear(3, 20, weight_init=normal(1.0)), ReLU(), Linear(20, 2), rng=0)
    check = sanity_check(network, MSELoss(), (rng.normal(size=(30, 3)), rng.normal(size=(30, 2))))
    check.assert_ok()
    assert check.answers[0].question == "the first loss is finite"


def test_refused(mnist):
    with pytest.raises(InputError, match="samples must be an integer of at least 1, got 0"):
        sanity_check(make(), CrossEntropyLoss(), mnist[0], samples=0)
