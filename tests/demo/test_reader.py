"""What the network says of a picture is what it says of MNIST, and the contributions account for its score."""

import numpy as np
import pytest

from mlp import SGD, BatchNorm, CrossEntropyLoss, Dropout, InputError, Linear, Network, ReLU, Sigmoid, Solver
from mlp.data.preprocessing import PCA, Pipeline, Standardize
from mlp.demo.reader import Reader
from mlp.layers import LogSoftmax, Residual

RNG = np.random.default_rng(0)


def trained(train, *layers, in_features=784) -> Network:
    network = Network(*layers or (Linear(in_features, 16), ReLU(), Linear(16, 10)), rng=0)
    Solver(network, CrossEntropyLoss(), SGD(network.parameters, lr=0.1), epochs=2, batch_size=20).fit(train)
    return network


def picture(mnist, k: int = 0) -> np.ndarray:
    return (mnist[1].stored[k].astype(np.int16) + 128).astype(np.uint8).reshape(28, 28)


def test_says_what_the_network_says(mnist):
    network = trained(mnist[0])
    reader = Reader(network)
    for k in range(5):
        reading = reader.read(picture(mnist, k))
        x = mnist[1][k].inputs
        np.testing.assert_allclose(reading.probabilities, network.predict_proba(x)[0], rtol=1e-5)
        assert reading.best == network.predict(x)[0]


@pytest.mark.parametrize(
    "layers",
    [
        (Linear(784, 10),),
        (Linear(784, 16), Sigmoid(), Linear(16, 10)),
        (Linear(784, 16), BatchNorm(16), Dropout(0.5), Residual(Linear(16, 16), ReLU()), Linear(16, 10),
         LogSoftmax()),
    ],
    ids=["linear", "sigmoid", "all sorts"],
)  # fmt: skip
def test_contributions_add_up_to_the_score(mnist, layers):
    reading = Reader(trained(mnist[0], *layers)).read(picture(mnist))
    assert reading.contributions.sum() == pytest.approx(reading.score - reading.empty_score, abs=0.02)
    assert not reading.contributions[picture(mnist).ravel() == 0].any()


def test_contributions_of_a_linear_network_are_its_weights(mnist):
    network = trained(mnist[0], Linear(784, 10))
    reading = Reader(network).read(picture(mnist))
    expected = picture(mnist).ravel() / 255 * network[0].weight.data[:, reading.best]
    np.testing.assert_allclose(reading.contributions, expected, atol=1e-5)


@pytest.mark.parametrize("make", [Standardize, lambda: Pipeline(PCA(20), Standardize())])
def test_through_the_preprocessing_of_the_training(mnist, make):
    preprocessing = make().fit(mnist[0])
    train = preprocessing.transform_dataset(mnist[0])
    network = trained(train, in_features=train.num_features)
    reading = Reader(network, preprocessing).read(picture(mnist))
    z = preprocessing.transform(mnist[1][0].inputs)
    np.testing.assert_allclose(reading.probabilities, network.predict_proba(z)[0], rtol=1e-3)
    assert reading.contributions.shape == (784,)
    assert reading.contributions.sum() == pytest.approx(reading.score - reading.empty_score, abs=0.05)


def test_hidden_units_are_those_of_activations(mnist):
    network = trained(mnist[0], Linear(784, 600), ReLU(), Linear(600, 8), Sigmoid(), Linear(8, 10))
    first, second = Reader(network).read(picture(mnist)).hidden
    assert (first.name, first.units, len(first.values)) == ("layer 1: ReLU()", 600, 512)
    x = mnist[1][0].inputs
    np.testing.assert_allclose(second.values, network[:4].forward(x)[0], rtol=1e-5)


def test_leaves_the_network_alone(mnist):
    network = trained(mnist[0])
    before, gradient = network.state_dict(), network.parameters.grad.copy()
    Reader(network).read(picture(mnist))
    assert network.training
    assert network.body.forward_hooks == []
    np.testing.assert_array_equal(network.parameters.grad, gradient)
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Network(Linear(3, 10), rng=0), "takes 3 values, and a drawing has 784"),
        (Network(Linear(784, 10), rng=0, task="regression"), "gives numbers, and no classes"),
        (Network(Linear(784, 1), rng=0), "gives numbers, and no classes"),
    ],
)
def test_refuses_networks_that_read_no_pictures(network, message):
    with pytest.raises(InputError, match=message):
        Reader(network)
