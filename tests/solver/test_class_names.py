"""What people do with data around a network: names of classes, pairs, images, masks, one output, labels from 1."""

import numpy as np
import pytest

import mlp
from mlp import InputError, Linear, Network, Solver
from mlp.data import Dataset
from mlp.losses import BinaryCrossEntropyLoss, CrossEntropyLoss, MSELoss
from mlp.optim import SGD
from mlp.solver.ensemble import Ensemble

RNG = np.random.default_rng(0)
CENTRES = np.array([[4.0, 0.0], [0.0, 4.0], [-4.0, -4.0]])
NAMES = np.array(["emu", "ant", "dog"])
Y = RNG.integers(0, 3, 150)
X = CENTRES[Y] + RNG.normal(size=(150, 2))
DOGS_AND_ANTS = Y > 0


def solver_of(network, loss=None, epochs=5, **options):
    return Solver(network, loss or CrossEntropyLoss(), SGD(network.parameters, lr=0.1), epochs=epochs, **options)


@pytest.fixture
def trained():
    network = Network(Linear(2, 3), rng=0)
    solver_of(network, batch_size=10).fit((X, NAMES[Y]))
    return network


class TestNamesOfClasses:
    def test_a_test_set_without_some_classes_is_numbered_as_the_training_set(self):
        network = Network(Linear(2, 3), rng=0)
        history = solver_of(network, batch_size=10).fit(
            (X, NAMES[Y]), (X[DOGS_AND_ANTS], NAMES[Y][DOGS_AND_ANTS]), Dataset(X[Y == 2], NAMES[Y[Y == 2]])
        )
        assert network.classes == ("ant", "dog", "emu")
        assert history["test_accuracy"][-1] > 0.95
        assert history["validation_accuracy"][-1] > 0.95

    def test_predict_answers_with_names(self, trained):
        predicted = trained.predict(X)
        assert predicted.dtype.kind == "U"
        assert np.mean(predicted == NAMES[Y]) > 0.95
        assert mlp.metrics.accuracy(NAMES[Y], predicted) == np.mean(predicted == NAMES[Y])

    def test_evaluate_takes_pairs_and_data_sets_with_some_of_the_names(self, trained):
        whole = mlp.evaluate(trained, CrossEntropyLoss(), (X, NAMES[Y]))
        assert whole["accuracy"] > 0.95
        assert mlp.evaluate(trained, CrossEntropyLoss(), Dataset(X, NAMES[Y])) == whole
        numbered = Dataset(X, np.searchsorted(np.sort(NAMES), NAMES[Y]), classes=trained.classes)
        assert mlp.evaluate(trained, CrossEntropyLoss(), numbered) == whole
        part = mlp.evaluate(trained, CrossEntropyLoss(), (X[DOGS_AND_ANTS], NAMES[Y][DOGS_AND_ANTS]))
        assert part["accuracy"] > 0.95

    def test_other_names_are_refused_by_name(self, trained):
        with pytest.raises(InputError, match="label 'cat' is none of the classes ant, dog, emu"):
            mlp.evaluate(trained, CrossEntropyLoss(), (X[:2], ["cat", "dog"]))
        with pytest.raises(InputError, match="label 'cat' is none of the classes ant, dog, emu"):
            solver_of(trained).fit((X[:2], ["cat", "dog"]))
        network = Network(Linear(2, 3), rng=0)
        with pytest.raises(InputError, match=r"test data name the classes .*, the training data number them"):
            solver_of(network).fit((X, Y), (X, NAMES[Y]))

    def test_names_are_saved_and_copied_with_the_network(self, trained, tmp_path):
        mlp.save(trained, tmp_path / "n.npz")
        again = mlp.load(Network(Linear(2, 3)), tmp_path / "n.npz")
        for twin in (again, trained.astype(np.float64), trained.with_folded_batch_norm()):
            np.testing.assert_array_equal(twin.predict(X), trained.predict(X))

    def test_a_resumed_solver_knows_them(self, trained):
        solver = solver_of(trained)
        arrays, rest = solver.state_dict()
        network = Network(Linear(2, 3))
        solver_of(network).load_state_dict(arrays, rest)
        assert network.classes == trained.classes

    def test_more_names_than_outputs_are_refused(self):
        with pytest.raises(InputError, match="4 names of classes, but 3 outputs"):
            Network(Linear(2, 3), classes=list("abcd"))


class TestInputs:
    PIXELS = RNG.integers(0, 256, (40, 4, 4)).astype(np.uint8)
    DATA = Dataset(PIXELS, np.arange(40) % 3, offset=128, scale=1 / 255)
    NETWORK = Network(Linear(16, 3), rng=0)

    def test_inputs_of_a_data_set_are_scaled(self):
        expected = self.NETWORK.scores(self.DATA.arrays()[0])
        np.testing.assert_array_equal(self.NETWORK.scores(self.DATA.inputs), expected)
        np.testing.assert_array_equal(self.NETWORK.scores(self.DATA), expected)
        np.testing.assert_array_equal(self.NETWORK.predict(self.DATA), expected.argmax(axis=1))

    def test_images_are_taken_as_in_fit(self):
        images = self.DATA.inputs.reshape(-1, 4, 4)
        np.testing.assert_array_equal(self.NETWORK.scores(images), self.NETWORK.scores(self.DATA))

    def test_masked_inputs_are_refused(self):
        with pytest.raises(InputError, match=r"Network: the input has \d+ masked entries"):
            self.NETWORK.predict(np.ma.masked_less(self.DATA.inputs, 0))


class TestLabels:
    def test_labels_from_1_come_with_the_cure(self):
        with pytest.raises(InputError, match=r"have 4 classes, the network 3 outputs; .* give labels - 1"):
            solver_of(Network(Linear(2, 3))).fit((X, Y + 1))

    def test_targets_as_a_vector(self):
        network = Network(Linear(2, 1), rng=0)
        y = X @ [1.0, -2.0] + 0.5
        solver_of(network, MSELoss()).fit((X, y))
        assert network.task == "regression"
        assert network.predict(X).shape == (150, 1)
        # Of a network that is known to answer with numbers, whole numbers are targets.
        assert mlp.evaluate(network, MSELoss(), (X, np.ones(150))).keys() == {"loss"}


class TestOneOutput:
    def ensemble(self, *weights: float) -> Ensemble:
        networks = [Network(Linear(1, 1), rng=0, task="classification") for _ in weights]
        for network, w in zip(networks, weights, strict=True):
            network.load_state_dict({"0.weight": np.array([[w]]), "0.bias": np.zeros(1)})
        return Ensemble(networks)

    def test_an_ensemble_says_yes_where_its_mean_probability_is_above_a_half(self):
        ensemble = self.ensemble(1.0, -0.25)
        x = np.array([[4.0], [-4.0], [0.0]], np.float32)
        # sigmoid(4) = 0.982 and sigmoid(-1) = 0.269, mean 0.625.
        assert ensemble.predict(x).tolist() == [1, 0, 0]
        np.testing.assert_allclose(ensemble.predict_proba(x)[0, 0], (0.98201379 + 0.26894142) / 2, rtol=1e-6)
        p = ensemble.predict_proba(x)
        np.testing.assert_allclose(1 / (1 + np.exp(-ensemble.log_proba(x))), p, rtol=1e-6)

    def test_metrics_agree_with_the_network(self):
        y = (X[:, 0] > 0).astype(int)
        network = Network(Linear(2, 1), rng=0)
        history = solver_of(network, BinaryCrossEntropyLoss()).fit((X, y), (X, y))
        accuracy = history["test_accuracy"][-1]
        assert np.mean(network.predict(X) == y) == accuracy
        assert mlp.metrics.accuracy(y, network.scores(X)) == accuracy
        assert mlp.metrics.accuracy(y, network.predict(X)) == accuracy
        assert mlp.metrics.roc_auc(y, network.predict_proba(X)) == mlp.metrics.roc_auc(y, network.scores(X))

    def test_an_ensemble_of_a_regression_gives_the_mean(self):
        networks = [Network(Linear(1, 1), rng=seed, task="regression") for seed in (0, 1)]
        x = np.array([[2.0]], np.float32)
        expected = (networks[0].scores(x) + networks[1].scores(x)) / 2
        np.testing.assert_array_equal(Ensemble(networks).predict(x), expected)
