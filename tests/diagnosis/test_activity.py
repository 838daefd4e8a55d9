"""The callbacks that look inside: numbers known by hand, brute-force recomputation, and no trace left behind."""

import io
import json
import signal

import numpy as np
import pytest

from mlp import (
    SGD,
    Callback,
    CrossEntropyLoss,
    GeLU,
    InputError,
    Layer,
    Linear,
    MSELoss,
    Network,
    ReLU,
    Sigmoid,
    Solver,
)
from mlp.diagnosis.activity import GradientFlow, NeuronActivity
from mlp.initializers import normal
from mlp.layers import BatchNorm, Dropout, Residual
from mlp.parameter import Parameter
from mlp.solver.loop import Interrupted, NotFinite

SAMPLES, BATCH, STEPS = 22, 5, 5  # the last batch of an epoch has 2 samples
ACTIVITY = ("above_0.2", "active", "dead")


def make_data(samples: int = SAMPLES) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.normal(size=(samples, 6)), rng.integers(0, 3, samples)


def make_network(activation=ReLU, dtype=np.float64) -> Network:
    init = normal(0.7)
    layers = [Linear(6, 8, weight_init=init), activation(), Linear(8, 7, weight_init=init), activation()]
    return Network(*layers, Linear(7, 3, weight_init=init), rng=3, dtype=dtype)


def make_solver(network: Network, callbacks=(), batch_size: int = BATCH, epochs: int = 3, **sgd) -> Solver:
    optimizer = SGD(network.parameters, **({"lr": 0.3, "momentum": 0.9} | sgd))
    return Solver(
        network, CrossEntropyLoss(), optimizer, epochs=epochs, batch_size=batch_size, rng=7, callbacks=callbacks
    )


def single_layer(activation: Layer, weight, bias, dtype=np.float64) -> Network:
    """x (N, 1) -> neurons -> 2 scores, with a first layer set by hand."""
    network = Network(Linear(1, len(bias)), activation, Linear(len(bias), 2), rng=0, dtype=dtype)
    network.parameters["0.weight"].data = np.array([weight])
    network.parameters["0.bias"].data = np.array(bias)
    return network


def row_at_rest(network: Network, x, callback: NeuronActivity, batch_size: int = 2) -> dict[str, float]:
    """The row of an epoch in which nothing is learned."""
    solver = make_solver(network, [callback], batch_size=batch_size, epochs=1, lr=0)
    return solver.fit((np.array(x, float)[:, None], np.zeros(len(x), int)))[-1]


class Weights(Callback):
    """All parameters before the first step and after each step; and the gradients of each step."""

    def __init__(self):
        self.values, self.gradients = [], []

    def on_start(self, solver):
        self.values.append(solver.network.state_dict())

    def on_iteration(self, solver, x, targets):
        self.values.append(solver.network.state_dict())
        self.gradients.append({p.name: p.grad.copy() for p in solver.network.parameters})


class InterruptAfter(Callback):
    def __init__(self, step):
        self.step = step

    def on_iteration(self, solver, x, targets):
        if solver.step == self.step:
            signal.raise_signal(signal.SIGINT)


class TestNeuronActivityByHand:
    # The neurons see x, -x and x - 2.5 for x = 1, 2, 3, 4, 5, so they are active 5, 0 and 3 times of 5.
    WEIGHT, BIAS, X = [1, -1, 1], [0, 0, -2.5], [1, 2, 3, 4, 5]

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("batch_size", [1, 2, 5])
    @pytest.mark.parametrize("activation", [ReLU, GeLU])
    def test_shares(self, activation, batch_size, dtype):
        callback = NeuronActivity()
        row = row_at_rest(single_layer(activation(), self.WEIGHT, self.BIAS, dtype), self.X, callback, batch_size)
        assert list(callback.probabilities) == ["hidden1"]
        assert callback.probabilities["hidden1"][-1].tolist() == [1, 0, 0.6]
        assert row["hidden1_above_0.2"] == pytest.approx(2 / 3)
        assert row["hidden1_active"] == pytest.approx(1.6 / 3)
        assert row["hidden1_dead"] == pytest.approx(1 / 3)
        assert "hidden1_saturated" not in row
        assert json.loads(json.dumps(row)) == row

    @pytest.mark.parametrize(
        ("threshold", "name", "share"),
        [(0, "above_0", 2 / 3), (0.6, "above_0.6", 1 / 3), (0.59, "above_0.59", 2 / 3)],
    )
    def test_threshold_names_the_column_and_is_exceeded_strictly(self, threshold, name, share):
        callback = NeuronActivity(threshold)
        row = row_at_rest(single_layer(ReLU(), self.WEIGHT, self.BIAS), self.X, callback)
        assert [column for column in row if "above" in column] == [f"hidden1_{name}"]
        assert row[f"hidden1_{name}"] == pytest.approx(share)

    @pytest.mark.parametrize("threshold", [-0.1, 1, 1.0, 2, np.nan, "0.2", None, True])
    def test_impossible_thresholds(self, threshold):
        with pytest.raises(InputError, match=r"NeuronActivity: threshold"):
            NeuronActivity(threshold)

    def test_dead_layer(self):
        row = row_at_rest(single_layer(ReLU(), [1, 2], [-100, -100]), self.X, NeuronActivity())
        assert [row[f"hidden1_{kind}"] for kind in ACTIVITY] == [0, 0, 1]

    def test_saturation(self):
        # 1 / (1 + e^-10x) for x = -1, 0, 1, 2 is about 0, 0.5, 1, 1; the other neurons are constant.
        constants = [0.04, 0.06, 0.5, 0.94, 0.96]
        bias = [0, *(np.log(y / (1 - y)) for y in constants)]
        callback = NeuronActivity()
        row = row_at_rest(single_layer(Sigmoid(), [10, 0, 0, 0, 0, 0], bias), [-1, 0, 1, 2], callback, 3)
        assert row["hidden1_saturated"] == pytest.approx((3 + 4 + 4) / (4 * 6))
        assert [row[f"hidden1_{kind}"] for kind in ACTIVITY] == [1, 1, 0]


class TestNeuronActivityRecomputed:
    @pytest.mark.parametrize("activation", [ReLU, GeLU, Sigmoid])
    def test_against_plain_forward_passes(self, activation):
        x, y = make_data()
        weights, activity = Weights(), NeuronActivity(0.3)
        history = make_solver(make_network(activation), [weights, activity]).fit((x, y), make_data(9))

        curve = {
            ReLU: lambda z: np.where(z > 0, z, 0),
            GeLU: lambda z: 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
            Sigmoid: lambda z: 1 / (1 + np.exp(-z)),
        }[activation]
        rng = np.random.default_rng(7)
        for epoch, row in enumerate(history):
            order = rng.permutation(SAMPLES)
            outputs = {"hidden1": [], "hidden2": []}
            for i in range(STEPS):
                w, h = weights.values[epoch * STEPS + i], x[order[i * BATCH : (i + 1) * BATCH]]
                for number, name in [(0, "hidden1"), (2, "hidden2")]:
                    h = curve(h @ w[f"{number}.weight"] + w[f"{number}.bias"])
                    outputs[name].append(h)
            for name, parts in outputs.items():
                h = np.concatenate(parts)
                assert len(h) == SAMPLES
                p = (h > 0).mean(axis=0)
                assert row[f"{name}_above_0.3"] == pytest.approx((p > 0.3).mean())
                assert row[f"{name}_active"] == pytest.approx((h > 0).mean())
                assert row[f"{name}_dead"] == pytest.approx((h <= 0).all(axis=0).mean())
                if activation is Sigmoid:
                    assert row[f"{name}_saturated"] == pytest.approx(((h < 0.05) | (h > 0.95)).mean())
        np.testing.assert_allclose(activity.probabilities["hidden2"][-1], p, rtol=1e-12)

    def test_only_training_passes_count(self):
        class Predict(Callback):
            def on_iteration(self, solver, x, targets):
                solver.network.predict(np.full((BATCH, 6), 9.0))

            on_log = on_epoch = lambda self, solver, row: solver.network.evaluation_step(np.full((3, 6), 9.0))

        plain, disturbed = (
            make_solver(make_network(), callbacks).fit(make_data(), test)
            for callbacks, test in [
                ([NeuronActivity()], None),
                ([Predict(), NeuronActivity(), Predict()], make_data(1)),
            ]
        )
        for column in plain.columns:
            np.testing.assert_array_equal(plain[column], disturbed[column])

    def test_more_axes_than_two(self):
        class Shaped(Layer):
            def __init__(self, in_features, out_features, shape):
                super().__init__()
                self.in_features, self.out_features, self.shape = in_features, out_features, shape

            def forward(self, x):
                self.saved = x.shape
                return x.reshape(-1, *self.shape).copy()

            def backward(self, grad_y):
                return grad_y.reshape(self.recall())

        init = normal(0.7)
        network = Network(
            Shaped(6, 3, (2, 3)), Linear(3, 4, weight_init=init), ReLU(), Shaped(4, 8, (8,)), Linear(8, 3), rng=0
        )
        activity = NeuronActivity()
        row = make_solver(network, [activity]).fit(make_data())[-1]
        p = {name: of_epochs[-1] for name, of_epochs in activity.probabilities.items()}
        assert [len(p[name]) for name in ("hidden1", "hidden2", "hidden3")] == [3, 4, 8]
        np.testing.assert_allclose(p["hidden2"], p["hidden3"].reshape(2, 4).mean(axis=0))
        assert row["hidden2_active"] == pytest.approx(row["hidden3_active"])

    def test_probabilities_belong_to_the_user(self):
        activity = NeuronActivity()
        solver = make_solver(make_network(), [activity], epochs=1)
        solver.fit(make_data())
        first = activity.probabilities["hidden1"]
        before = first.copy()
        solver.epochs = 2
        solver.fit(make_data())
        assert first.tolist() == before.tolist()
        assert activity.probabilities["hidden1"] is not first

    def test_probabilities_of_every_epoch(self):
        activity = NeuronActivity()
        history = make_solver(make_network(), [activity], epochs=3).fit(make_data())
        means = activity.probabilities["hidden1"].mean(axis=1)
        assert means.tolist() == pytest.approx(history["hidden1_active"].tolist())


class TestGradientFlow:
    @pytest.mark.parametrize("batch_size", [BATCH, SAMPLES, SAMPLES // 2], ids=["many", "one_step", "two_steps"])
    @pytest.mark.parametrize(
        "sgd", [{"momentum": 0}, {}, {"nesterov": True, "weight_decay": 0.1}], ids=["plain", "momentum", "nesterov"]
    )
    def test_against_saved_weights(self, sgd, batch_size):
        weights = Weights()
        solver = make_solver(make_network(), [GradientFlow(), weights], batch_size, **sgd)
        for epoch, row in enumerate(solver.fit(make_data()), start=1):
            step = epoch * solver.steps_per_epoch
            for column, name in [("linear1", "0.weight"), ("linear2", "2.weight"), ("linear3", "4.weight")]:
                old, new = weights.values[step - 1][name], weights.values[step][name]
                gradient = np.sqrt(np.sum(weights.gradients[step - 1][name] ** 2))
                ratio = np.sqrt(np.sum((new - old) ** 2)) / np.sqrt(np.sum(old**2))
                assert row[f"{column}_gradient_norm"] == pytest.approx(gradient, rel=1e-12)
                assert row[f"{column}_weight_norm"] == pytest.approx(np.sqrt(np.sum(new**2)), rel=1e-12)
                assert row[f"{column}_update_ratio"] == pytest.approx(ratio, rel=1e-9)
                if sgd == {"momentum": 0}:
                    assert ratio == pytest.approx(0.3 * gradient / np.sqrt(np.sum(old**2)))
            assert json.loads(json.dumps(row)) == row
        assert len([column for column in row if column.startswith("linear")]) == 9

    def test_by_hand(self):
        # One sample x = 2 with target 1, L = (y - 1)² / 2: w = 3 gives y = 6, dL/dw = (y - 1) x = 10,
        # so a learning rate of 0.3 moves w by 3, to 0.
        network = Network(Linear(1, 1, bias=False), dtype=np.float64)
        network.parameters.data[:] = 3
        optimizer = SGD(network.parameters, lr=0.3)
        solver = Solver(network, MSELoss(), optimizer, epochs=1, batch_size=1, callbacks=[GradientFlow()])
        row = solver.fit((np.array([[2.0]]), np.array([[1.0]])))[-1]
        assert [row[f"linear1_{kind}"] for kind in ("gradient_norm", "weight_norm", "update_ratio")] == (
            pytest.approx([10, 0, 1], abs=1e-12)
        )

    @pytest.mark.parametrize(("lr", "ratio"), [(0.3, None), (0, 0)])
    def test_weights_of_zero(self, lr, ratio):
        network = make_network(Sigmoid)
        network.parameters["4.weight"].data[...] = 0
        row = make_solver(network, [GradientFlow()], SAMPLES, epochs=1, lr=lr).fit(make_data())[-1]
        assert row.get("linear3_update_ratio") == ratio

    def test_other_layers_are_named_by_their_class(self):
        class Scale(Layer):
            def __init__(self):
                super().__init__()
                self.a = Parameter(np.array([2.0]), "a")

            def forward(self, x):
                self.saved = x
                return x * self.a.data

            def backward(self, grad_y):
                self.a.grad[...] += np.vdot(self.recall(), grad_y)
                return grad_y * self.a.data

        network = Network(Linear(6, 4), Scale(), ReLU(), Linear(4, 3), rng=0, dtype=np.float64)
        row = make_solver(network, [GradientFlow(), NeuronActivity()], epochs=1).fit(make_data())[-1]
        names = [column.removesuffix("_weight_norm") for column in row if column.endswith("_weight_norm")]
        assert names == ["linear1", "scale1", "linear2"]
        assert row["scale1_weight_norm"] == abs(network.parameters["1.a"].data[0])
        assert "hidden1_active" in row
        assert "hidden2_active" not in row


class TestWatching:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_nothing_changes(self, dtype):
        networks = [make_network(dtype=dtype) for _ in range(2)]
        plain = make_solver(networks[0]).fit(make_data(), make_data(9))
        watched = make_solver(networks[1], [NeuronActivity(), GradientFlow()]).fit(make_data(), make_data(9))
        assert networks[0].parameters.data.tobytes() == networks[1].parameters.data.tobytes()
        assert watched.columns[: len(plain.columns)] == plain.columns
        for column in plain.columns:
            assert plain[column].tobytes() == watched[column].tobytes()

    @pytest.mark.parametrize(
        "network",
        [Network(Linear(6, 3), rng=0), Network(Linear(6, 3), Sigmoid(), rng=0)],
        ids=["linear", "sigmoid"],
    )
    def test_without_hidden_layers(self, network):
        activity = NeuronActivity()
        history = make_solver(network, [activity]).fit(make_data())
        assert not [column for column in history.columns if "hidden" in column]
        assert activity.probabilities == {}

    def test_hooks_are_removed(self):
        network = make_network()
        make_solver(network, [NeuronActivity(), NeuronActivity(0.5)]).fit(make_data())
        assert network.body.forward_hooks == []
        with pytest.raises(Interrupted):
            make_solver(network, [NeuronActivity(), InterruptAfter(2)]).fit(make_data())
        assert network.body.forward_hooks == []

    @pytest.mark.parametrize("step", [3, STEPS])
    def test_a_callback_is_used_again(self, step):
        callbacks = [NeuronActivity(), GradientFlow()]
        broken, (x, y) = make_network(), make_data()
        with pytest.raises(NotFinite):
            make_solver(broken, callbacks, lr=1e300).fit((x * 1e9, y))
        with pytest.raises(Interrupted):
            make_solver(make_network(), [*callbacks, InterruptAfter(step)]).fit((x, y))
        again, fresh = (
            make_solver(Network(Linear(6, 9), ReLU(), Linear(9, 3), rng=0), c).fit((x, y))
            for c in (callbacks, [NeuronActivity(), GradientFlow()])
        )
        assert list(again) == list(fresh)
        assert broken.body.forward_hooks == []


class TestResuming:
    @pytest.mark.parametrize("batch_size", [BATCH, SAMPLES], ids=["five_steps", "one_step"])
    @pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6, 9, 10, 14])
    def test_after_an_interruption(self, step, batch_size):
        def rebuild(*more):
            callbacks = [NeuronActivity(), GradientFlow(), *more]
            return make_solver(
                make_network(Sigmoid), callbacks, batch_size, epochs=3 if batch_size == BATCH else 16
            )

        whole = rebuild()
        expected = list(whole.fit(make_data(), make_data(9)))

        first = rebuild(InterruptAfter(step))
        with pytest.raises(Interrupted):
            first.fit(make_data(), make_data(9))
        arrays, rest = first.state_dict()
        file = io.BytesIO()
        np.savez(file, **arrays)
        file.seek(0)
        with np.load(file, allow_pickle=False) as saved:
            arrays = dict(saved)
        rest = json.loads(json.dumps(rest))

        second = rebuild()
        second.load_state_dict(arrays, rest)
        assert list(second.fit(make_data(), make_data(9))) == expected

        # The same objects simply go on, and what was saved is not touched by that.
        before = {name: array.tobytes() for name, array in first.state_dict()[0].items()}
        kept = first.state_dict()[0]
        first.callbacks.pop()
        assert list(first.fit(make_data(), make_data(9))) == expected
        assert {name: array.tobytes() for name, array in kept.items()} == before

    def test_a_finished_run_keeps_its_probabilities(self):
        solver = make_solver(make_network(), [NeuronActivity()])
        solver.fit(make_data())
        loaded = make_solver(make_network(), [NeuronActivity()])
        loaded.load_state_dict(*solver.state_dict())
        loaded.fit(make_data())
        for name, p in solver.callbacks[0].probabilities.items():
            assert loaded.callbacks[0].probabilities[name].tolist() == p.tolist()

    def test_callbacks_that_join_after_the_last_step_of_an_epoch(self):
        first = make_solver(make_network(), [InterruptAfter(STEPS)])
        with pytest.raises(Interrupted):
            first.fit(make_data())
        second = make_solver(make_network(), [NeuronActivity(), GradientFlow()])
        second.load_state_dict(*first.state_dict())
        rows = list(second.fit(make_data()))
        assert [len([c for c in row if c.startswith(("hidden", "linear"))]) for row in rows] == [0, 15, 15]


def test_dropout_is_no_hidden_layer_and_containers_are_looked_into():
    block = Residual(Linear(6, 6), BatchNorm(6, affine=False), ReLU())
    network = Network(Linear(6, 6), ReLU(), Dropout(0.5), block, Linear(6, 3), rng=0)
    row = make_solver(network, [NeuronActivity(), GradientFlow()]).fit(make_data())[-1]
    assert [name for name in row if name.endswith("_active")] == ["hidden1_active", "hidden2_active"]
    norms = [name for name in row if name.endswith("_gradient_norm")]
    assert norms == [f"linear{i}_gradient_norm" for i in (1, 2, 3)]
