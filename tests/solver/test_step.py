"""What may stand between gradient and update: each option against the same thing done by hand."""

import numpy as np
import pytest

from mlp import SGD, CrossEntropyLoss, Dataset, HingeLoss, InputError, Linear, MSELoss, Network, Sigmoid, Solver
from mlp.initializers import normal
from mlp.layers import BatchNorm, Dropout
from mlp.optim import Adam, WeightAverage, cosine
from mlp.optim.regularizers import L1, L2, MaxNorm
from mlp.solver.callbacks import Callback, EarlyStopping
from mlp.solver.checkpoint import load, save_arrays
from mlp.solver.step import Step

SAMPLES, FEATURES, CLASSES = 22, 4, 3


def samples(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(SAMPLES, FEATURES))
    return x, (x[:, :CLASSES] + rng.normal(size=(SAMPLES, CLASSES))).argmax(1)


def make_network(*extra) -> Network:
    wide = normal(0.6)
    layers = [Linear(FEATURES, 6, weight_init=wide), *extra, Sigmoid(), Linear(6, CLASSES, weight_init=wide)]
    return Network(*layers, rng=1, dtype=np.float64)


def make_solver(network=None, loss=None, optimizer=None, **options) -> Solver:
    network = network or make_network()
    optimizer = optimizer or SGD(network.parameters, lr=0.3, momentum=0.5)
    return Solver(network, loss or CrossEntropyLoss(), optimizer, **{"epochs": 3, "batch_size": 5} | options)


def weights_after(**options) -> np.ndarray:
    solver = make_solver(**options)
    solver.fit(samples())
    return solver.network.parameters.data.copy()


class TestAccumulation:
    @pytest.mark.parametrize(
        "loss",
        [CrossEntropyLoss, HingeLoss, MSELoss, lambda: MSELoss("element_mean"), lambda: CrossEntropyLoss("sum")],
    )
    @pytest.mark.parametrize("parts", [2, 3, 5, 100])
    def test_the_parts_have_the_gradient_of_the_whole(self, loss, parts):
        """Also if the parts are of different sizes, and if there are more parts than samples."""
        whole = make_solver(loss=loss(), optimizer=None)
        cut = make_solver(loss=loss(), accumulate=parts)
        for solver in (whole, cut):
            solver.optimizer.lr = 0.01
        a, b = whole.fit(samples(), samples(1)), cut.fit(samples(), samples(1))
        np.testing.assert_allclose(cut.network.parameters.data, whole.network.parameters.data, rtol=1e-12)
        for column in a.columns:
            np.testing.assert_allclose(b[column], a[column], rtol=1e-12)

    def test_with_weights_the_mean_is_over_all_parts(self):
        x, y = samples()
        data = Dataset(x, y, sample_weight=np.random.default_rng(0).uniform(0.1, 5, SAMPLES))
        results = []
        for parts in (1, 4):
            solver = make_solver(accumulate=parts, batch_size=11)
            history = solver.fit(data, data)
            results.append((solver.network.parameters.data.copy(), history["train_loss"], history["test_loss"]))
        for one, other in zip(*results, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-12)


class TestPenalty:
    def test_l2_is_what_weight_decay_is(self):
        network = make_network()
        decayed = SGD(network.parameters, lr=0.3, momentum=0.5, weight_decay=0.02)
        expected = weights_after(network=network, optimizer=decayed)
        np.testing.assert_allclose(weights_after(regularizer=L2(0.02, biases=True)), expected, rtol=1e-12)

    def test_it_is_reported_beside_the_loss_and_not_in_it(self):
        solver = make_solver(regularizer=L1(0.5), epochs=1, batch_size=None)
        start = make_network()
        x, y = samples()
        row = solver.fit((x, y), (x, y))[0]
        # The batch is measured before its update: at the weights of the start.
        assert row["train_loss"] == pytest.approx(CrossEntropyLoss().forward(start.scores(x), y))
        absolute = sum(np.abs(p.data).sum() for p in start.parameters if p.data.ndim == 2)
        assert row["train_penalty"] == pytest.approx(0.5 * absolute)
        assert row["test_loss"] == pytest.approx(CrossEntropyLoss().forward(solver.network.scores(x), y))

    def test_without_one_there_is_no_column(self):
        assert "train_penalty" not in make_solver().fit(samples()).columns


class TestClipping:
    def test_no_step_is_longer_than_its_limit(self):
        network = make_network()
        before = network.parameters.data.copy()
        solver = make_solver(
            network, optimizer=SGD(network.parameters, lr=2.0), clip_norm=0.01, batch_size=None, epochs=1
        )
        solver.fit(samples())
        assert solver.update.gradient_norm > 0.01
        assert np.linalg.norm(network.parameters.data - before) == pytest.approx(2 * 0.01)

    def test_no_entry_moves_further_than_its_limit(self):
        network = make_network()
        before = network.parameters.data.copy()
        optimizer = SGD(network.parameters, lr=2.0)
        make_solver(network, optimizer=optimizer, clip_value=0.001, batch_size=None, epochs=1).fit(samples())
        assert np.abs(network.parameters.data - before).max() == pytest.approx(2 * 0.001)


class TestSchedule:
    def test_the_rate_is_that_of_the_step(self):
        schedule = cosine(0.4, steps=15)
        history = make_solver(schedule=schedule).fit(samples())
        # 5 steps an epoch; the row shows the rate of the epoch's last step.
        np.testing.assert_allclose(history["learning_rate"], [schedule(4), schedule(9), schedule(14)])

    def test_a_constant_one_changes_nothing(self):
        np.testing.assert_array_equal(weights_after(schedule=lambda step: 0.3), weights_after())


def test_the_constraint_holds_after_every_step():
    solver = make_solver(constraint=MaxNorm(0.3))
    solver.fit(samples())
    for layer in (solver.network[0], solver.network[2]):
        norms = np.linalg.norm(layer.weight.data, axis=0)
        assert norms.max() <= 0.3 * (1 + 1e-12)


def test_evaluation_uses_the_average():
    network = make_network()
    average = WeightAverage(network.parameters, decay=0.9)
    solver = make_solver(network, average=average)
    x, y = samples(1)
    last = solver.fit(samples(), (x, y), validation=(x, y))[-1]
    raw = CrossEntropyLoss().forward(network.scores(x), y)
    with average.swapped():
        assert last["test_loss"] == pytest.approx(CrossEntropyLoss().forward(network.scores(x), y))
    assert last["test_loss"] == last["validation_loss"] != pytest.approx(raw)


class TestBatches:
    def test_a_full_batch_is_gradient_descent(self):
        x, y = samples()
        network, loss = make_network(), CrossEntropyLoss()
        for _ in range(3):
            network.training_step(x, y, loss)
            network.parameters.data[...] -= 0.3 * network.parameters.grad
        twin = make_network()
        optimizer = SGD(twin.parameters, lr=0.3)
        # The order of the samples differs, and with it the last bits.
        np.testing.assert_allclose(
            weights_after(network=twin, optimizer=optimizer, batch_size=None), network.parameters.data, rtol=1e-12
        )

    def test_one_sample_at_a_time(self):
        solver = make_solver(batch_size=1, epochs=1)
        solver.fit(samples())
        assert solver.step == SAMPLES


class TestTransform:
    def noise(self, x, targets, rng):
        return x + rng.normal(0, 0.5, x.shape), targets

    def test_it_is_drawn_anew_and_only_from_its_generator(self):
        seen = []

        def watch(x, targets, rng):
            seen.append(rng.random())
            return x, targets

        plain = weights_after()
        np.testing.assert_array_equal(weights_after(transform=watch), plain)
        assert len(set(seen)) == len(seen) == 15
        assert not np.array_equal(weights_after(transform=self.noise), plain)
        np.testing.assert_array_equal(weights_after(transform=self.noise), weights_after(transform=self.noise))

    def test_targets_may_become_distributions(self):
        def soften(x, targets, rng):
            return x, 0.9 * np.eye(CLASSES)[targets] + 0.1 / CLASSES

        history = make_solver(transform=soften).fit(samples(), samples(1))
        assert 0 < history[-1]["train_accuracy"] <= 1
        assert history["train_loss"][-1] < history["train_loss"][0]


def test_a_resumed_run_ends_with_the_same_bits_whatever_is_random_or_remembered():
    """Dropout, augmentation, running statistics, an average, a schedule: stopped after every number of epochs."""

    def make(epochs: int) -> Solver:
        network = make_network(BatchNorm(6), Dropout(0.3))
        return make_solver(
            network, optimizer=Adam(network.parameters, lr=0.01), epochs=epochs, transform=TestTransform().noise,
            average=WeightAverage(network.parameters, 0.9), schedule=cosine(0.05, 20), clip_norm=1.0,
        )  # fmt: skip

    whole = make(4)
    history = whole.fit(samples(), samples(1))
    expected, rest = whole.state_dict()
    for epochs in (0, 1, 3):
        first, second = make(epochs), make(4)
        first.fit(samples(), samples(1))
        second.load_state_dict(*first.state_dict())
        assert list(second.fit(samples(), samples(1))) == list(history)
        arrays, other_rest = second.state_dict()
        assert other_rest == rest
        assert {name: a.tobytes() for name, a in arrays.items()} == {n: a.tobytes() for n, a in expected.items()}


def test_an_average_of_other_parameters_is_refused():
    network = make_network()
    with pytest.raises(InputError, match=r"WeightAverage\(.*\) is of other parameters"):
        Step(
            network, CrossEntropyLoss(), SGD(network.parameters),
            average=WeightAverage(make_network().parameters),
        )  # fmt: skip


def test_an_unknown_option_is_refused():
    with pytest.raises(InputError, match="there is no option 'shedule'; write schedule"):
        make_solver(shedule=cosine(0.1, 3))


class TestAverageWithBatchNorm:
    """The statistics that a network is evaluated with are of the weights that it is evaluated with."""

    def make(self) -> Solver:
        network = make_network(BatchNorm(6))
        return make_solver(network, average=WeightAverage(network.parameters, decay=0.8), epochs=4)

    def test_statistics_are_averaged_as_the_weights_are(self):
        solver, seen = self.make(), []
        statistics = solver.network[1].statistics()["running_mean"]
        solver.callbacks = [Watch(lambda: seen.append(statistics.copy()))]
        solver.fit(samples())
        n, mean = 0.0, 0.0
        for values in seen:
            n = 0.8 * n + 1
            mean = mean + (values - mean) / n
        with solver.update.averaged():
            np.testing.assert_allclose(statistics, mean, rtol=1e-12)
        np.testing.assert_array_equal(statistics, seen[-1])

    def test_a_checkpoint_loads_what_was_evaluated(self, tmp_path):
        solver = self.make()
        row = solver.fit(samples(), samples(1))[-1]
        arrays, rest = solver.state_dict()
        save_arrays(tmp_path / "checkpoint.npz", arrays, rest)
        network = load(make_network(BatchNorm(6)), tmp_path / "checkpoint.npz")
        loss = CrossEntropyLoss().forward(network.scores(samples(1)[0]), samples(1)[1])
        assert row["test_loss"] == pytest.approx(loss, rel=1e-12)

    def test_early_stopping_brings_it_back(self):
        solver = self.make()
        solver.callbacks = [EarlyStopping()]
        history = solver.fit(samples(), validation=samples(1))
        best = CrossEntropyLoss().forward(solver.network.scores(samples(1)[0]), samples(1)[1])
        assert min(history["validation_loss"]) == pytest.approx(best, rel=1e-12)

    def test_an_earlier_state_without_statistics_is_taken(self):
        solver = self.make()
        solver.fit(samples())
        arrays, rest = solver.state_dict()
        earlier = {name: a for name, a in arrays.items() if not name.startswith("average/statistics.")}
        assert len(earlier) < len(arrays)
        self.make().load_state_dict(earlier, rest)
        with pytest.raises(InputError, match="WeightAverage: a state with"):
            self.make().load_state_dict(earlier | {"average/x": np.zeros(3)}, rest)


class Watch(Callback):
    def __init__(self, call):
        self.call = call

    def on_iteration(self, solver, x, targets):
        self.call()
