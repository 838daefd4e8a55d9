"""What people give to a solver: taken where it can only mean one thing, else refused with what to write."""

import copy

import numpy as np
import pytest

from mlp import SGD, Adam, CrossEntropyLoss, EarlyStopping, InputError, Linear, Network, Progress, ReLU, Solver
from mlp.layers import BatchNorm
from mlp.optim import WeightAverage
from mlp.solver.step import Step


def samples(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(count, 4))
    return x, x[:, :3].argmax(1)


def make_network(*extra, init="auto") -> Network:
    return Network(Linear(4, 8), *extra, ReLU(), Linear(8, 3), rng=1, init=init)


def make_solver(network=None, **options) -> Solver:
    network = network or make_network()
    optimizer = SGD(network.parameters, lr=0.1, momentum=0.9)
    return Solver(network, CrossEntropyLoss(), optimizer, **{"epochs": 2, "batch_size": 20} | options)


class TestLossAndOptimizer:
    @pytest.mark.parametrize(
        "given",
        [
            lambda n: ("CE", "Adam"),
            lambda n: (CrossEntropyLoss, Adam),
            lambda n: (Adam(n.parameters), CrossEntropyLoss()),
            lambda n: (Adam, "ce"),
        ],
    )
    def test_names_classes_and_the_other_order(self, given):
        network, twin = make_network(), make_network()
        solver = Solver(network, *given(network), epochs=1)
        other = Solver(twin, CrossEntropyLoss(), Adam(twin.parameters), epochs=1)
        assert list(solver.fit(samples())) == list(other.fit(samples()))

    @pytest.mark.parametrize(
        ("loss", "optimizer", "message"),
        [
            (3, "SGD", "Solver: loss must be a loss such as CrossEntropyLoss.., got 3"),
            ("CE", None, r"Solver: optimizer must be one such as SGD\(network.parameters, lr=0.1\), got None"),
        ],
    )
    def test_nothing_else(self, loss, optimizer, message):
        with pytest.raises(InputError, match=message):
            Solver(make_network(), loss, optimizer)


class TestCallbacks:
    @pytest.mark.parametrize("given", [EarlyStopping, EarlyStopping(), [EarlyStopping], (EarlyStopping(),)])
    def test_one_or_several_objects_or_classes(self, given):
        (callback,) = make_solver(callbacks=given).callbacks
        assert isinstance(callback, EarlyStopping)

    def test_none(self):
        assert make_solver(callbacks=None).callbacks == []

    @pytest.mark.parametrize("given", ["progress", [3], [Progress, print]])
    def test_nothing_else(self, given):
        with pytest.raises(InputError, match="Solver: callbacks must be"):
            make_solver(callbacks=given)

    def test_a_number_for_early_stopping_is_its_patience(self):
        stopping = EarlyStopping(3)
        assert (stopping.patience, stopping.monitor) == (3, "validation_loss")


class TestOptions:
    @pytest.mark.parametrize(
        ("name", "cure"),
        [
            ("epoch", "write epochs"),
            ("verbose", r"write callbacks=\[mlp.Progress\(\)\]"),
            ("learning_rate", "write the optimizer's: SGD"),
            ("clipnorm", "write clip_norm"),
            ("zzz", "there are: epochs, batch_size"),
        ],
    )
    def test_that_there_are_not(self, name, cure):
        with pytest.raises(InputError, match=f"there is no option '{name}'; {cure}"):
            make_solver(**{name: 1})

    @pytest.mark.parametrize("other", ["network", "loss", "optimizer"])
    def test_a_step_of_something_else(self, other):
        network, loss = make_network(), CrossEntropyLoss()
        optimizer = SGD(network.parameters)
        step = Step(network, loss, optimizer)
        given = {"network": network, "loss": loss, "optimizer": optimizer}
        assert Solver(**given, step=step).update is step
        with pytest.raises(InputError, match=f"step is of another {other}"):
            Solver(**given | {other: copy.deepcopy(given[other])}, step=step)

    def test_a_step_and_its_option(self):
        network, loss = make_network(), CrossEntropyLoss()
        optimizer = SGD(network.parameters)
        with pytest.raises(InputError, match="clip_norm and step cannot both be given; give clip_norm to the Step"):
            Solver(network, loss, optimizer, step=Step(network, loss, optimizer), clip_norm=1.0)


def test_data_in_a_list_or_one_after_the_other():
    x, y = samples()
    expected = list(make_solver().fit((x, y)))
    assert list(make_solver().fit([x, y])) == list(make_solver().fit(x, y)) == expected
    with pytest.raises(InputError, match=r"write fit\(\(x, y\)\)"):
        make_solver().fit(x)


class TestFitAgain:
    def test_says_what_to_do(self):
        solver = make_solver()
        solver.fit(samples())
        with pytest.raises(InputError, match=r"all 2 epochs are done; to go on, raise solver.epochs"):
            solver.fit(samples())
        solver.epochs += 1
        assert len(solver.fit(samples())) == 3

    def test_after_it_was_stopped(self):
        solver = make_solver()
        solver.stop("enough")
        solver.fit(samples())
        with pytest.raises(InputError, match=r"stopped \(enough\); to go on all the same, set solver.stopped = ''"):
            solver.fit(samples())

    def test_a_resumed_one_that_is_complete_is_left_alone(self):
        first, second = make_solver(), make_solver()
        first.fit(samples())
        second.load_state_dict(*first.state_dict())
        assert list(second.fit(samples())) == list(first.history)


def test_a_copy_trains_as_the_original():
    """Network, optimizer, average and its statistics stay together."""

    def make() -> Solver:
        network = make_network(BatchNorm(8))
        return make_solver(network, average=WeightAverage(network.parameters, 0.9), epochs=3)

    original, expected = make(), make()
    original.epochs = 1
    original.fit(samples())
    twin = copy.deepcopy(original)
    twin.epochs = expected.epochs = 3
    expected.fit(samples(), samples(50))
    twin.fit(samples(), samples(50))
    assert original.epoch == 1
    np.testing.assert_array_equal(twin.network.parameters.data, expected.network.parameters.data)
    assert twin.history[-1] == expected.history[-1]


def test_chance_level_after_an_epoch_is_said_in_one_line():
    network = make_network(init="zeros")
    solver = Solver(network, CrossEntropyLoss(), SGD(network.parameters, lr=1e-9), epochs=2, batch_size=20)
    with pytest.warns(UserWarning, match="after an epoch the accuracy is .* mlp.diagnosis.diagnose") as said:
        solver.fit(samples(600))
    assert len(said) == 1
    assert "\n" not in str(said[0].message)
    make_solver(epochs=1).fit(samples(600))  # learns, and says nothing


def test_representations():
    solver = make_solver(callbacks=[EarlyStopping(3), Progress()])
    assert repr(solver) == (
        "Solver(Network of 67 parameters, CrossEntropyLoss(), SGD(lr=0.1, momentum=0.9), epochs=2, batch_size=20, "
        "callbacks=[EarlyStopping(monitor='validation_loss', patience=3), Progress()]; 0 epochs done)"
    )
    solver.callbacks = []
    solver.fit(samples())
    assert repr(solver).endswith("batch_size=20; 2 epochs done)")
