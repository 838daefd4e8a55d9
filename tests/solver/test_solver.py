"""The training loop against a loop written out by hand, and all that may go wrong around it."""

import contextlib
import os
import signal
import threading

import numpy as np
import pytest
from running import PATIENCE

from mlp import (
    SGD,
    BinaryCrossEntropyLoss,
    Callback,
    CrossEntropyLoss,
    Dataset,
    HingeLoss,
    InputError,
    Linear,
    MSELoss,
    Network,
    ReLU,
    Sigmoid,
    Solver,
    evaluate,
)
from mlp.metrics import accuracy
from mlp.solver.loop import Interrupted, NotFinite

FEATURES, CLASSES, SAMPLES = 4, 3, 23
BATCH = 5  # so the last batch of an epoch has 3 samples
STEPS = 5


def samples(count=SAMPLES, seed=0):
    """(x, labels) that can be told apart."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, FEATURES))
    return x, x[:, :CLASSES].argmax(axis=1)


def targets(count=SAMPLES, seed=0):
    """(x, targets) of a regression with CLASSES outputs."""
    x, _ = samples(count, seed)
    return x, np.tanh(x[:, :CLASSES])


def make_network(dtype=np.float32, rng=1):
    return Network(Linear(FEATURES, 8), ReLU(), Linear(8, CLASSES), rng=rng, dtype=dtype)


def make_solver(network=None, loss=None, lr=0.1, momentum=0.9, **options):
    network = network or make_network()
    optimizer = SGD(network.parameters, lr=lr, momentum=momentum)
    return Solver(network, loss or CrossEntropyLoss(), optimizer, **{"epochs": 2, "batch_size": BATCH} | options)


class Recorder(Callback):
    """Notes every call, with the step at which it came, and the rows."""

    def __init__(self):
        self.calls, self.rows = [], {"on_log": [], "on_epoch": []}

    def on_start(self, solver):
        self.calls.append(("on_start", solver.step))

    def on_iteration(self, solver, x, y):
        self.calls.append(("on_iteration", solver.step))

    def on_log(self, solver, row):
        self.calls.append(("on_log", solver.step))
        self.rows["on_log"].append(row)

    def on_epoch(self, solver, row):
        self.calls.append(("on_epoch", solver.step))
        self.rows["on_epoch"].append(row)

    def on_interrupt(self, solver):
        self.calls.append(("on_interrupt", solver.step))

    def on_end(self, solver):
        self.calls.append(("on_end", solver.step))


class AtStep(Callback):
    """Does something after a step."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def on_iteration(self, solver, x, y):
        if solver.step == self.step:
            self.action(solver)


def loop_by_hand(data, loss, dtype, epochs, log_every, rng):
    """(weights, rows of the logs, rows of the epochs) of plain training, with nothing of the Solver's."""
    network = make_network(dtype)
    optimizer = SGD(network.parameters, lr=0.1, momentum=0.9)
    rng = np.random.default_rng(rng)
    x_all, y_all = data
    y_all = y_all if y_all.dtype.kind in "iu" else y_all.astype(dtype)
    step, logs, rows, since_log = 0, [], [], []

    def means(prefix, seen):
        sizes, values, hits = np.array(seen).T
        row = {f"{prefix}_loss": (sizes * values).sum() / sizes.sum()}
        return row | ({f"{prefix}_accuracy": hits.sum() / sizes.sum()} if y_all.ndim == 1 else {})

    for epoch in range(1, epochs + 1):
        seen = []
        order = rng.permutation(len(x_all))
        for part in (order[i : i + BATCH] for i in range(0, len(order), BATCH)):
            x, y = x_all[part].astype(dtype), y_all[part]
            value, scores = network.training_step(x, y, loss)
            value /= 1 if loss.reduction == "mean" else len(part)
            hits = (scores.argmax(axis=1) == y).sum() if y.ndim == 1 else 0
            optimizer.step()
            step += 1
            seen.append((len(part), value, hits))
            since_log.append(seen[-1])
            if step % log_every == 0:
                logs.append({"step": step, "epoch": step / STEPS} | means("batch", since_log))
                since_log = []
        rows.append({"step": step, "epoch": epoch, "learning_rate": 0.1} | means("train", seen))
    return network.parameters.data, logs, rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("make_data", "loss"),
    [
        (samples, CrossEntropyLoss()),
        (samples, CrossEntropyLoss(reduction="sum")),
        (samples, HingeLoss(margin=0.5)),
        (samples, MSELoss()),
        (targets, MSELoss()),
    ],
    ids=["CE", "CE sum", "Hinge", "MSE of classes", "MSE of targets"],
)
def test_training_equals_the_loop_by_hand(make_data, loss, dtype):
    recorder = Recorder()
    solver = make_solver(make_network(dtype), loss, epochs=3, rng=7, log_every=4, callbacks=[recorder])
    history = solver.fit(make_data())
    weights, logs, rows = loop_by_hand(make_data(), loss, dtype, 3, 4, 7)
    assert solver.network.parameters.data.tobytes() == weights.tobytes()
    for found, expected in ((recorder.rows["on_log"], logs), (list(history), rows)):
        assert [list(row) for row in found] == [list(row) for row in expected]
        np.testing.assert_allclose(
            [list(row.values()) for row in found], [list(row.values()) for row in expected], rtol=1e-12
        )


def test_callbacks_come_in_order():
    recorder = Recorder()
    make_solver(epochs=2, log_every=4, callbacks=[recorder]).fit(samples())
    expected = [("on_start", 0)]
    for step in range(1, 2 * STEPS + 1):
        expected += [("on_iteration", step)]
        expected += [("on_log", step)] * (step % 4 == 0) + [("on_epoch", step)] * (step % STEPS == 0)
    assert recorder.calls == [*expected, ("on_end", 2 * STEPS)]


def test_callbacks_come_one_after_the_other_and_may_add_columns():
    class Add(Callback):
        def on_epoch(self, solver, row):
            row["extra"] = solver.epoch * 10

    recorder = Recorder()
    history = make_solver(epochs=2, callbacks=[Add(), recorder]).fit(samples())
    assert [row["extra"] for row in recorder.rows["on_epoch"]] == [10, 20]
    assert history["extra"].tolist() == [10, 20]


def test_the_batches_are_the_data():
    x, y = samples()
    seen = []

    class Look(Callback):
        def on_iteration(self, solver, x, y):
            seen.append((x.copy(), y.copy()))

    make_solver(epochs=1, callbacks=[Look()]).fit((x, y))
    assert [len(part) for part, _ in seen] == [5, 5, 5, 5, 3]
    order = np.lexsort(np.concatenate([part for part, _ in seen]).T)
    expected = np.lexsort(x.astype(np.float32).T)
    np.testing.assert_array_equal(np.concatenate([part for part, _ in seen])[order], x.astype(np.float32)[expected])
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in seen])[order], y[expected])


def test_history_columns():
    start = ["step", "epoch", "learning_rate", "train_loss"]
    for make_data, columns in {
        samples: [*start, "train_accuracy", "test_loss", "test_accuracy"],
        targets: [*start, "test_loss"],
    }.items():
        history = make_solver(loss=MSELoss()).fit(make_data(), make_data(seed=1))
        assert history.columns == columns
        assert history["step"].tolist() == [STEPS, 2 * STEPS]
        assert history["epoch"].tolist() == [1, 2]


def test_fit_again_goes_on():
    straight = make_solver(epochs=4)
    straight.fit(samples(), samples(seed=1))
    in_parts = make_solver(epochs=1)
    for epochs in (1, 3, 4):
        in_parts.epochs = epochs
        history = in_parts.fit(Dataset(*samples()), samples(seed=1))
        assert len(history) == epochs
    assert list(history) == list(straight.history)
    assert in_parts.network.parameters.data.tobytes() == straight.network.parameters.data.tobytes()


@pytest.mark.parametrize("count", [5, 12, 20, 60])
def test_fit_on_other_data_sees_each_sample_once(count):
    recorder = Recorder()
    solver = make_solver(epochs=1)
    solver.fit(samples())
    solver.epochs, solver.callbacks = 2, [recorder]
    solver.fit(samples(count))
    assert [kind for kind, _ in recorder.calls].count("on_iteration") == -(-count // BATCH)


def test_the_seed_decides():
    weights = []
    for rng in (3, np.random.default_rng(3), 4):
        solver = make_solver(rng=rng)
        solver.fit(samples())
        weights.append(solver.network.parameters.data.tobytes())
    assert weights[0] == weights[1] != weights[2]


def test_no_epochs_train_nothing():
    solver = make_solver(epochs=0)
    before = solver.network.parameters.data.copy()
    assert len(solver.fit(samples())) == 0
    np.testing.assert_array_equal(solver.network.parameters.data, before)


@pytest.mark.parametrize("count", [1, 5, 999, 1000, 1001, 2500])
def test_evaluate_is_loss_and_accuracy_of_all_samples(count):
    network, (x, y) = make_network(np.float64), samples(count)
    for loss in (CrossEntropyLoss(), CrossEntropyLoss(reduction="sum")):
        result = evaluate(network, loss, Dataset(x, y), "test")
        assert list(result) == ["test_loss", "test_accuracy"]
        assert result["test_accuracy"] == accuracy(y, network.scores(x)) == np.mean(network.predict(x) == y)
        assert result["test_loss"] == pytest.approx(CrossEntropyLoss()(network.scores(x), y), rel=1e-12)
    assert list(evaluate(network, loss, Dataset(x, y))) == ["loss", "accuracy"]
    assert list(evaluate(network, MSELoss(), Dataset(*targets(count)))) == ["loss"]


def test_evaluation_changes_nothing():
    with_test, without = make_solver(), make_solver()
    with_test.fit(samples(), samples(700, seed=5))
    without.fit(samples())
    assert with_test.network.parameters.data.tobytes() == without.network.parameters.data.tobytes()


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ((np.zeros((9, 5)), np.zeros(9, int)), None, "train data have 5 features, the network expects 4"),
        (samples(), (np.zeros((9, 5)), np.zeros(9, int)), "test data have 5 features, the network expects 4"),
        ((np.zeros((9, 4)), np.full(9, 3)), None, "train data have 4 classes, the network 3 outputs"),
        ((np.zeros((9, 4)), np.zeros((9, 2))), None, "train data have 2 targets, the network 3 outputs"),
        ((np.zeros((9, 4)), np.zeros(8, int)), None, "9 inputs but labels of shape"),
        ((np.zeros((4, 4)), np.zeros(4, int)), None, "batch_size 5 is larger than the 4 samples of train"),
        ((np.zeros((0, 4)), np.zeros(0, int)), None, "empty"),
        ((np.full((9, 4), np.nan), np.zeros(9, int)), None, "must be finite"),
        (targets(), None, "distributions"),  # cross-entropy has no meaning for other real targets
    ],
    ids=["features", "test features", "classes", "targets", "lengths", "batch", "empty", "nan", "loss"],
)
def test_data_that_do_not_fit(train, test, message):
    solver = make_solver()
    before = solver.network.parameters.data.copy()
    with pytest.raises(InputError, match=message):
        solver.fit(train, test)
    np.testing.assert_array_equal(solver.network.parameters.data, before)


@pytest.mark.parametrize(
    ("name", "value"), [("epochs", -1), ("epochs", 1.5), ("batch_size", 0), ("log_every", 0), ("log_every", None)]
)
def test_options_out_of_range(name, value):
    with pytest.raises(InputError, match=f"{name} must be an integer of at least .*, got {value}"):
        make_solver(**{name: value})


def test_a_diverging_run_names_step_and_layer():
    solver = make_solver(lr=1e6, momentum=0.99, epochs=100)
    with pytest.raises(
        NotFinite, match=r"at step \d+ \(epoch \d+\): the .* of layer \d.*smaller learning rate"
    ) as e:
        solver.fit(samples())
    assert e.value.step == solver.step + 1
    assert f"step {e.value.step} " in str(e.value)


@pytest.mark.parametrize(("layer", "name"), [(0, "weight"), (0, "bias"), (2, "weight"), (2, "bias")])
def test_nan_in_the_weights_is_found(layer, name):
    def spoil(solver):
        solver.network[layer].parameters()[name].data[..., -1] = np.nan

    solver = make_solver(callbacks=[AtStep(3, spoil)])
    with pytest.raises(NotFinite, match=rf"at step 4 \(epoch 1\): the {name} of layer {layer} Linear.* not finite"):
        solver.fit(samples())


def test_divergence_in_the_last_step_is_found_too():
    # One step makes the weights infinite; the loss that would tell is that of the test set.
    solver = make_solver(lr=1e39, epochs=1, batch_size=SAMPLES)
    with pytest.raises(NotFinite):
        solver.fit(samples(), samples(seed=1))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [1, 3, STEPS, STEPS + 1, 2 * STEPS])
def test_an_interrupt_waits_for_the_step_and_fit_goes_on(number, step):
    straight = make_solver()
    straight.fit(samples(), samples(seed=1))
    recorder = Recorder()
    solver = make_solver(callbacks=[AtStep(step, lambda solver: os.kill(os.getpid(), number)), recorder])
    with pytest.raises(Interrupted, match=f"after step {step}$"):
        solver.fit(samples(), samples(seed=1))
    assert solver.step == step
    assert recorder.calls[-1] == ("on_interrupt", step)
    history = solver.fit(samples(), samples(seed=1))
    assert list(history) == list(straight.history)
    assert solver.network.parameters.data.tobytes() == straight.network.parameters.data.tobytes()


def test_an_interrupt_in_the_last_evaluation_does_not_stop_the_next_fit():
    class Interrupt(Callback):
        def on_epoch(self, solver, row):
            if solver.epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)

    solver = make_solver(callbacks=[Interrupt()])
    with contextlib.suppress(Interrupted):  # as good as coming to the end
        solver.fit(samples())
    solver.epochs = 4
    try:
        assert len(solver.fit(samples())) == 4
    except Interrupted as error:
        pytest.fail(str(error))  # as it is, it would end pytest


def test_the_second_ctrl_c_ends_at_once():
    def twice(solver):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("still running")

    with pytest.raises(KeyboardInterrupt) as caught:
        make_solver(callbacks=[AtStep(2, twice)]).fit(samples())
    assert not isinstance(caught.value, Interrupted)


@pytest.mark.parametrize(
    ("action", "error"),
    [
        (lambda solver: None, None),
        (lambda solver: os.kill(os.getpid(), signal.SIGINT), Interrupted),
        (lambda solver: 1 / 0, ZeroDivisionError),
    ],
    ids=["end", "interrupt", "error"],
)
def test_handlers_are_as_they_were(action, error):
    def mine(number, frame):
        raise AssertionError

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, mine) for number in numbers]
    try:
        if error is None:
            make_solver(callbacks=[AtStep(2, action)]).fit(samples())
        else:
            with pytest.raises(error):
                make_solver(callbacks=[AtStep(2, action)]).fit(samples())
        assert [signal.getsignal(number) for number in numbers] == [mine, mine]
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def test_fit_in_a_thread():
    solver = make_solver()
    thread = threading.Thread(target=solver.fit, args=(samples(),))
    thread.start()
    thread.join(timeout=PATIENCE)
    assert len(solver.history) == 2


class Counter(Callback):
    """Counts steps, and keeps the count through a resume."""

    def __init__(self):
        self.count = 0

    def on_iteration(self, solver, x, y):
        self.count += 1

    def state_dict(self):
        return {"count": np.array(self.count)}

    def load_state_dict(self, state):
        self.count = int(state["count"])


def test_callbacks_keep_their_state():
    first = make_solver(epochs=1, callbacks=[early := Counter(), late := Counter()])
    late.count = 100
    first.fit(samples())
    second = make_solver(epochs=2, callbacks=[Counter(), Counter()])
    second.load_state_dict(*first.state_dict())
    assert [counter.count for counter in second.callbacks] == [early.count, late.count] == [STEPS, 100 + STEPS]


def test_xor_is_learned():
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.array([0, 1, 1, 0])
    network = Network(Linear(2, 8, rng=0), Sigmoid(), Linear(8, 2, rng=1))
    for p in network.parameters:
        p.data = np.random.default_rng(p.size).normal(size=p.shape)
    solver = make_solver(network, epochs=300, batch_size=4, lr=0.5)
    assert solver.fit((x, y))[-1]["train_accuracy"] == 1
    assert network.predict(x).tolist() == y.tolist()


def test_a_regression_is_learned():
    network = Network(Linear(FEATURES, 32), ReLU(), Linear(32, CLASSES), rng=1)
    history = make_solver(network, MSELoss(), epochs=60, lr=0.05).fit(targets(400), targets(200, seed=1))
    assert history[-1]["test_loss"] < 0.1 * history[0]["test_loss"]


def test_digits_are_learned(mnist):
    network = Network(Linear(784, 32), ReLU(), Linear(32, 10), rng=2022)
    solver = make_solver(network, epochs=10, batch_size=10, lr=0.02)
    history = solver.fit(*mnist)
    assert history[-1]["train_accuracy"] > 0.9
    assert history[-1]["test_accuracy"] > 0.6
    assert history["train_loss"][0] > history["train_loss"][-1]


def test_an_optimizer_of_another_network_is_refused():
    stranger = make_solver().optimizer
    with pytest.raises(InputError, match=r"SGD\(.*\) is of other parameters; make one for this network"):
        Solver(make_network(), CrossEntropyLoss(), stranger)


@pytest.mark.parametrize("data", [np.zeros((3, 4)), [1, 2], None], ids=["array", "list", "nothing"])
def test_what_is_no_data_is_refused(data):
    with pytest.raises(InputError, match="must be a Dataset or a pair"):
        make_solver().fit(data)


def test_one_output_tells_two_classes_apart():
    x, y = samples(60)
    y = (y == 0).astype(int)
    network = Network(Linear(FEATURES, 8), ReLU(), Linear(8, 1), rng=1, init="auto")
    history = make_solver(network, BinaryCrossEntropyLoss(), epochs=30).fit((x, y), (x, y))
    assert history[-1]["test_accuracy"] > 0.95
    np.testing.assert_array_equal(network.predict(x), network.predict_proba(x)[:, 0] > 0.5)
    assert (network.predict(x) == y).mean() == pytest.approx(history[-1]["test_accuracy"])
