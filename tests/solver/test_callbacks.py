"""Callbacks that end training or change its pace, on rows that are made up."""

import numpy as np
import pytest

from mlp import SGD, Callback, CrossEntropyLoss, InputError, Linear, Network, Solver
from mlp.optim import ReduceOnPlateau, WeightAverage
from mlp.solver.callbacks import EarlyStopping, LowerOnPlateau


class Script(Callback):
    """Puts a given number into the row of each epoch, and keeps the weights that belonged to it."""

    def __init__(self, name: str, *values: float) -> None:
        self.name, self.values, self.weights = name, values, []

    def on_epoch(self, solver, row):
        row[self.name] = self.values[solver.epoch - 1]
        self.weights.append(solver.network.parameters.data.copy())


def make_solver(*callbacks: Callback, epochs: int = 8, **options) -> Solver:
    network = Network(Linear(3, 2), rng=0)
    if options.pop("averaged", False):
        options["average"] = WeightAverage(network.parameters, 0.5)
    return Solver(
        network, CrossEntropyLoss(), SGD(network.parameters, lr=0.8), epochs=epochs, batch_size=2,
        callbacks=callbacks, **options,
    )  # fmt: skip


DATA = np.random.default_rng(0).normal(size=(6, 3)), np.array([0, 1, 0, 1, 1, 0])


class TestEarlyStopping:
    @pytest.mark.parametrize(
        ("monitor", "values", "patience", "min_delta", "last", "best"),
        [
            ("validation_loss", (5, 4, 3, 3, 3.5, 1, 0, 0), 2, 0, 5, 3),
            ("validation_loss", (5, 4, 3, 3, 3.5, 1, 0, 0), 3, 0, 8, 7),
            ("validation_loss", (5, 4.9, 4.8, 4.7, 3, 9, 9, 9), 2, 0.5, 3, 1),
            ("validation_accuracy", (0.1, 0.3, 0.2, 0.3, 0.9, 1, 1, 1), 2, 0, 4, 2),
            ("train_loss_of_mine", (np.nan, 1, np.nan, 2, 0, 0, 0, 0), 2, 0, 4, 2),
        ],
    )
    def test_when_it_stops_and_what_it_restores(self, monitor, values, patience, min_delta, last, best):
        script, stopping = Script(monitor, *values), EarlyStopping(monitor, patience, min_delta)
        solver = make_solver(script, stopping)
        history = solver.fit(DATA)
        assert len(history) == last
        assert stopping.best_epoch == best
        np.testing.assert_array_equal(solver.network.parameters.data, script.weights[best - 1])
        assert bool(solver.stopped) is (last < 8)

    def test_a_resumed_run_remembers_the_best(self):
        values = (5, 3, 4, 4, 4, 4, 4, 4)

        def make(epochs):
            return make_solver(Script("validation_loss", *values), EarlyStopping(patience=3), epochs=epochs)

        whole, first, second = make(8), make(3), make(8)
        whole.fit(DATA)
        # Interrupted after epoch 3, before its end: without on_end.
        first.callbacks[1].on_end = lambda solver: None
        first.fit(DATA)
        second.load_state_dict(*first.state_dict())
        second.fit(DATA)
        assert second.epoch == whole.epoch == 5
        np.testing.assert_array_equal(second.network.parameters.data, whole.network.parameters.data)

    def test_a_stopped_run_stays_stopped(self):
        solver = make_solver(Script("validation_loss", *8 * [1]), EarlyStopping(patience=2))
        solver.fit(DATA)
        again = make_solver(Script("validation_loss", *8 * [1]), EarlyStopping(patience=2))
        again.load_state_dict(*solver.state_dict())
        again.fit(DATA)
        assert again.epoch == solver.epoch == 3
        assert "has not improved since epoch 1" in again.stopped

    def test_with_an_average_the_average_is_restored(self):
        solver = make_solver(EarlyStopping("validation_loss", patience=8), averaged=True)
        solver.fit(DATA, validation=DATA)
        loss = CrossEntropyLoss().forward(solver.network.scores(DATA[0]), DATA[1])
        assert loss == pytest.approx(min(solver.history["validation_loss"]), rel=1e-6)
        with solver.update.averaged():
            assert CrossEntropyLoss().forward(solver.network.scores(DATA[0]), DATA[1]) == loss

    def test_bad_arguments(self):
        with pytest.raises(InputError, match="patience must be an integer of at least 1, got 0"):
            EarlyStopping(patience=0)
        with pytest.raises(InputError, match="min_delta must be a finite number >= 0, got -1"):
            EarlyStopping(min_delta=-1)
        with pytest.raises(InputError, match="no column 'validation_loss'; give fit validation data"):
            make_solver(EarlyStopping()).fit(DATA)


class TestLowerOnPlateau:
    VALUES = (5, 4, 4, 4, 3, 3, 3, 3)

    def make(self, epochs=8, **options):
        lower = LowerOnPlateau(ReduceOnPlateau(patience=1, factor=0.5))
        return make_solver(Script("validation_loss", *self.VALUES), lower, epochs=epochs, **options)

    def test_the_rate_falls_when_progress_stops(self):
        # Two epochs without progress after epoch 2, and again after epoch 5: the next epoch is slower.
        rates = self.make().fit(DATA)["learning_rate"]
        np.testing.assert_allclose(rates, [0.8, 0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2])

    def test_it_multiplies_a_schedule(self):
        # 3 steps an epoch: the row has the rate of steps 2, 5, 8, ...
        rates = self.make(schedule=lambda step: 1 + step).fit(DATA)["learning_rate"]
        np.testing.assert_allclose(rates[:4], [3, 6, 9, 12])
        np.testing.assert_allclose(rates[6], 21 / 2)

    def test_a_resumed_run_keeps_the_rate(self):
        whole, first, second = self.make(), self.make(5), self.make()
        whole.fit(DATA)
        first.fit(DATA)
        second.load_state_dict(*first.state_dict())
        assert list(second.fit(DATA)) == list(whole.history)
