"""The container: what it refuses, what it computes, whose memory it uses, and how it starts."""

import copy
import gc
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mlp import (
    SGD,
    BatchNorm,
    BinaryCrossEntropyLoss,
    CrossEntropyLoss,
    Dropout,
    GeLU,
    HingeLoss,
    InputError,
    Layer,
    Linear,
    MSELoss,
    Network,
    ReLU,
    Sigmoid,
    Solver,
)
from mlp.gradcheck import check_network
from mlp.initializers import normal
from mlp.layers import Residual
from mlp.layers.summary import Text
from mlp.parameter import Parameter

DTYPES = [np.float32, np.float64]
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)


def make_network(dtype=np.float64, rng=0, activation=ReLU) -> Network:
    init = normal(0.5)
    return Network(
        Linear(6, 5, weight_init=init), activation(), Linear(5, 4, weight_init=init), rng=rng, dtype=dtype
    )


def batch(dtype=np.float64, size: int = 7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(size, 6)).astype(dtype), rng.integers(0, 4, size)


class Scale(Layer):
    """A layer from outside the library, written as its base class says: y = a x."""

    def __init__(self):
        super().__init__()
        self.a = Parameter(np.array([2.0]), "a")

    def forward(self, x):
        self.saved = x
        return x * self.a.data

    def backward(self, grad_y):
        self.a.grad[...] += np.vdot(self.recall(), grad_y)
        return grad_y * self.a.data


class TestConstruction:
    @pytest.mark.parametrize(
        ("layers", "message"),
        [
            ([], "at least one layer"),
            ([ReLU(), GeLU()], "at least one layer with weights"),
            ([Linear(6, 5), "nothing"], "unknown activation 'nothing'"),
            ([Linear(6, 5), Linear], "argument 1 must be a layer, such as .*, got <class"),
            ([[Linear(6, 5)], ReLU()], r"argument 0 must be a layer, such as .*, got \[Linear\(6, 5\)\]"),
            ([Linear(6, 5), Linear(4, 3)], r"layer 1 Linear\(4, 3\) expects 4 features, but receives 5"),
            ([Linear(6, 5), ReLU(), Sigmoid(), Linear(6, 3)], "layer 3 .* expects 6 features, but receives 5"),
            ([Linear(6, 5), Linear(5, 4, dtype=np.float64)], "differ in dtype: float32, float64"),
        ],
        ids=repr,
    )
    def test_refuses_layers(self, layers, message):
        with pytest.raises(InputError, match=message):
            Network(*layers)

    def test_refuses_one_layer_in_two_containers(self):
        layer = Linear(6, 6)
        with pytest.raises(InputError, match=r"layer 1\.body\.0 .* is layer 0 .* as well; .* layer.tied\(\)"):
            Network(layer, Residual(layer))

    def test_refuses_a_dtype(self):
        with pytest.raises(InputError, match="dtype must be float32 or float64, got int64"):
            Network(Linear(6, 5), dtype=np.int64)

    def test_refuses_a_layer_of_another_network_and_leaves_that_one_as_it_was(self):
        network = make_network()
        x, labels = batch()
        expected = network.training_step(x, labels, CrossEntropyLoss())[0]
        names = list(network.state_dict()), [layer.name for layer in network]
        with pytest.raises(InputError, match="belongs to another network"):
            Network(network[2])
        assert (list(network.state_dict()), [layer.name for layer in network]) == names
        assert network.training_step(x, labels, CrossEntropyLoss())[0] == expected

    def test_names_and_widths(self):
        network = make_network()
        assert [p.name for p in network.parameters] == ["0.weight", "0.bias", "2.weight", "2.bias"]
        assert (network.in_features, network.out_features, len(network)) == (6, 4, 3)
        assert network[1] is list(network)[1] is network.layers[1]
        assert network.parameters.size == 6 * 5 + 5 + 5 * 4 + 4 == 59

    def test_may_begin_and_end_with_activations(self):
        network = Network(Sigmoid(), Linear(3, 2, dtype=np.float64), ReLU(), rng=0)
        assert (network.in_features, network.out_features) == (3, 2)
        check_network(network, np.random.default_rng(0).normal(size=(4, 3))).assert_ok()

    def test_takes_layers_from_outside_the_library(self):
        network = Network(Linear(6, 5, dtype=np.float64), Scale(), rng=0)
        assert [p.name for p in network.parameters] == ["0.weight", "0.bias", "1.a"]
        check_network(network, *batch(), CrossEntropyLoss()).assert_ok()


class TestText:
    def test_repr_shows_the_architecture_as_one_would_write_it(self):
        network = Network(Linear(784, 128), GeLU("none"), Linear(128, 10, bias=False))
        text = "Network(\n    Linear(784, 128),\n    GeLU(approximate='none'),\n    Linear(128, 10, bias=False),\n)"
        assert repr(network) == text
        assert repr(eval(text)) == text

    def test_summary(self):
        # 784·128 + 128 = 100,480; 128·10 + 10 = 1,290; four bytes each.
        expected = """\
layer                output shape  parameters
---------------------------------------------
0  Linear(784, 128)  (N, 128)         100,480
1  ReLU()            (N, 128)               0
2  Linear(128, 10)   (N, 10)            1,290
---------------------------------------------
total                                 101,770
float32, 407,080 bytes"""
        network = Network(Linear(784, 128), ReLU(), Linear(128, 10))
        assert network.summary() == expected
        assert isinstance(network.summary(), Text)
        assert repr(network.summary()) == expected
        assert "(100, 128)" in network.summary(batch_size=100)
        assert network.astype(np.float64).summary().endswith("float64, 814,160 bytes")


class TestStart:
    def test_the_same_seed_draws_the_same(self):
        values = [make_network(rng=r).parameters.data.tolist() for r in (3, np.random.default_rng(3), 4)]
        assert values[0] == values[1] != values[2]

    def test_float32_and_float64_start_from_the_same_draw(self):
        single, double = (make_network(dtype, rng=2022) for dtype in DTYPES)
        np.testing.assert_array_equal(
            single.parameters.data, double.parameters.data.astype(np.float32), strict=True
        )

    @each_dtype
    def test_without_rng_the_layers_keep_their_values(self, dtype):
        layers = Linear(6, 5, rng=8), ReLU(), Linear(5, 4, rng=9)
        before = [layers[i].weight.data.copy() for i in (0, 2)]
        network = Network(*layers, dtype=dtype)
        assert network.dtype == network.parameters.dtype == dtype
        for i, kept in zip((0, 2), before, strict=True):
            np.testing.assert_array_equal(network[i].weight.data, kept.astype(dtype), strict=True)

    def test_rng_draws_anew_in_the_order_of_the_layers(self):
        layers = Linear(6, 5, rng=8), Linear(5, 4, rng=9)
        layers[0].bias.data[...] = 7
        Network(layers[0], ReLU(), layers[1], rng=0)
        rng = np.random.default_rng(0)
        # He's variance 2 / fan_in before the ReLU, Xavier's 2 / (fan_in + fan_out) before the scores.
        for layer, variance in zip(layers, (2 / 6, 2 / 9), strict=True):
            drawn = rng.normal(0, variance**0.5, layer.weight.shape)
            np.testing.assert_allclose(layer.weight.data, drawn, rtol=1e-6)
            assert not layer.bias.data.any()


class TestMemory:
    @each_dtype
    def test_parameters_are_views_of_the_flat_vectors(self, dtype):
        network = make_network(dtype)
        vector = network.parameters
        for layer in network:
            for p in layer.parameters().values():
                assert np.shares_memory(p.data, vector.data)
                assert np.shares_memory(p.grad, vector.grad)
        vector.data[...] = 3
        vector.grad[...] = 4
        assert (network[2].weight.data == 3).all()
        assert (network[2].bias.grad == 4).all()
        network[0].weight.data[0, 0] = 5
        assert vector.data[0] == 5

    def test_what_forward_returned_survives_training(self):
        network, (x, labels) = make_network(), batch()
        owned = network.forward(x), network.scores(x), network.predict_proba(x)
        kept = [a.copy() for a in owned]
        optimizer = SGD(network.parameters, lr=1)
        for _ in range(2):
            network.training_step(-x, labels, CrossEntropyLoss())
            network.evaluation_step(2 * x)
            optimizer.step()
        for a, b in zip(owned, kept, strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize(
        "duplicate",
        [copy.deepcopy, lambda n: n.astype(n.dtype), lambda n: pickle.loads(pickle.dumps(n))],
        ids=["deepcopy", "astype", "pickle"],
    )
    def test_a_copy_learns_like_the_original_and_apart_from_it(self, duplicate):
        network, (x, labels) = make_network(), batch()
        twin = duplicate(network)
        start = network.parameters.data.copy()
        losses = []
        for net in (twin, network):
            np.testing.assert_array_equal(net.parameters.data, start)
            optimizer = SGD(net.parameters, lr=0.5)
            losses.append([])
            for _ in range(3):
                losses[-1].append(net.training_step(x, labels, CrossEntropyLoss())[0])
                optimizer.step()
        assert losses[0] == losses[1]
        assert losses[0][2] < losses[0][0]


LOSSES = [CrossEntropyLoss(), HingeLoss(), MSELoss(), MSELoss("element_mean"), CrossEntropyLoss("sum")]


class TestGradients:
    @pytest.mark.parametrize("loss", LOSSES, ids=repr)
    @pytest.mark.parametrize("activation", [ReLU, GeLU, Sigmoid])
    def test_gradients_are_derivatives_of_the_loss(self, activation, loss):
        check_network(make_network(activation=activation), *batch(), loss).assert_ok()

    @each_dtype
    @pytest.mark.parametrize("loss", LOSSES, ids=repr)
    @pytest.mark.parametrize("activation", [ReLU, GeLU, Sigmoid, lambda: GeLU("none")])
    def test_a_training_step_is_its_four_parts_bit_for_bit(self, activation, loss, dtype):
        x, labels = batch(dtype, size=33)
        whole, parts = make_network(dtype, activation=activation), make_network(dtype, activation=activation)
        for _ in range(2):  # the second step has memory lent by the first
            value, scores = whole.training_step(x, labels, loss)
            parts.zero_grad()
            expected = parts.forward(x)
            assert loss.forward(expected, labels) == value
            parts.backward(loss.backward())
            np.testing.assert_array_equal(scores, expected, strict=True)
            np.testing.assert_array_equal(whole.parameters.grad, parts.parameters.grad, strict=True)

    def test_batches_of_changing_size(self):
        """The last batch of an epoch is shorter: its step is what a new network would do."""
        network, loss = make_network(), CrossEntropyLoss()
        for size in (7, 3, 7, 1, 0, 7):
            x, labels = batch(size=size)
            value, _ = network.training_step(x, labels, loss)
            fresh = make_network()
            assert fresh.training_step(x, labels, CrossEntropyLoss())[0] == value
            np.testing.assert_array_equal(network.parameters.grad, fresh.parameters.grad)

    def test_backward_accumulates_and_a_training_step_does_not(self):
        network, loss, (x, labels) = make_network(), CrossEntropyLoss(), batch()
        network.training_step(x, labels, loss)
        once = network.parameters.grad.copy()
        network.training_step(x, labels, loss)
        np.testing.assert_array_equal(network.parameters.grad, once)
        loss.forward(network.forward(x), labels)
        network.backward(loss.backward())
        np.testing.assert_array_equal(network.parameters.grad, 2 * once)
        network.zero_grad()
        assert not network.parameters.grad.any()

    def test_the_input_gradient_is_given_on_request(self):
        # W = (1, 2)ᵀ, V = (3): y = 3 relu(x₁ + 2 x₂). At (1, 1) dy/dx = (3, 6), at (-1, 0) it is 0.
        network = Network(Linear(2, 1, bias=False), ReLU(), Linear(1, 1, bias=False))
        network.parameters.data[...] = [1, 2, 3]
        x = np.array([[1.0, 1], [-1, 0]])
        for upstream in (1, 10):
            network.forward(x)
            assert network.backward(np.full((2, 1), upstream, np.float32)) is None
            dx = network.backward(np.full((2, 1), upstream, np.float32), input_gradient=True)
            assert dx.tolist() == [[3 * upstream, 6 * upstream], [0, 0]]
        assert network.forward(x).tolist() == [[9], [0]]

    def test_both_kinds_of_backward_leave_the_same_gradients(self):
        grads = []
        for wanted in (False, True):
            network = Network(Sigmoid(), Linear(6, 4), GeLU(), Linear(4, 2), rng=0, dtype=np.float64)
            network.forward(batch()[0])
            network.backward(np.ones((7, 2)), input_gradient=wanted)
            grads.append(network.parameters.grad.tolist())
        assert grads[0] == grads[1]

    def test_backward_needs_a_forward_pass_and_the_shape_of_its_output(self):
        network = make_network()
        with pytest.raises(InputError, match=r"layer 2 Linear\(5, 4\): backward needs a forward pass first"):
            network.backward(np.ones((7, 4)))
        network.forward(batch()[0])
        with pytest.raises(InputError, match=r"shape \(7, 3\), but the output had \(7, 4\)"):
            network.backward(np.ones((7, 3)))


class TestHooks:
    def test_a_hook_sees_every_layer_and_its_output_and_changes_nothing(self):
        network, (x, labels) = make_network(), batch()
        expected = network.training_step(x, labels, CrossEntropyLoss())[0]
        seen = []

        def watch(layer, y):
            seen.append((layer, y.copy()))

        network.add_hook(watch)
        scores = network.forward(x)
        assert [layer for layer, _ in seen] == list(network)
        np.testing.assert_array_equal(seen[1][1], np.maximum(seen[0][1], 0))
        np.testing.assert_array_equal(seen[2][1], scores)
        assert network.training_step(x, labels, CrossEntropyLoss())[0] == expected
        network.remove_hook(watch)
        network.forward(x)
        assert len(seen) == 6


class TestPrediction:
    @each_dtype
    def test_scores_in_batches_equal_forward(self, dtype):
        network, (x, _) = make_network(dtype), batch(dtype, size=25)
        for batch_size in (1, 4, 25, 1000):
            scores = network.scores(x, batch_size=batch_size)
            np.testing.assert_allclose(scores, network.forward(x), rtol=1e-5, atol=1e-6)
            assert scores.dtype == dtype
        assert network.scores(x[:0]).shape == (0, 4)

    @pytest.mark.parametrize("shape", [(6,), (3, 6), (0, 6), (2, 3, 6)])
    def test_classes_and_probabilities(self, shape):
        network, x = make_network(), np.random.default_rng(3).normal(size=shape)
        p, classes = network.predict_proba(x), network.predict(x)
        assert p.shape == (*shape[:-1], 4)
        np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-14)
        np.testing.assert_array_equal(classes, p.argmax(axis=-1))
        assert np.shape(classes) == shape[:-1]

    def test_probabilities_worked_numbers(self):
        # Without weights the scores are the biases: ln 1, ln 2, ln 5.
        network = Network(Linear(2, 3, dtype=np.float64))
        network.parameters.data[...] = [0] * 6 + np.log([1.0, 2, 5]).tolist()
        assert network.predict_proba(np.ones((1, 2)))[0].tolist() == pytest.approx([1 / 8, 2 / 8, 5 / 8], rel=1e-15)
        assert network.predict(np.ones((3, 2))).tolist() == [2, 2, 2]


class TestInput:
    @pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool, np.float16, np.float32, np.float64])
    def test_numbers_of_every_kind_are_converted(self, dtype):
        network, x = make_network(), np.array([[1, 0, 1, 1, 0, 0]])
        expected = network.forward(x.astype(np.float64))
        np.testing.assert_array_equal(network.forward(x.astype(dtype)), expected, strict=True)
        np.testing.assert_array_equal(network.forward(x.astype(dtype).tolist()), expected, strict=True)
        np.testing.assert_array_equal(network(x), expected)

    @pytest.mark.parametrize(
        ("x", "message"),
        [
            ([["a"] * 6], "must be an array of real numbers, got <U1"),
            ("abcdef", "must be an array of real numbers, got <U6"),
            (np.zeros((2, 6), complex), "must be an array of real numbers, got complex128"),
            (np.array([[None] * 6]), "must be an array of real numbers, got object"),
            (np.zeros((2, 5)), r"layer 0 Linear\(6, 5\) expects 6 features in the last axis, got shape \(2, 5\)"),
            (np.zeros((6, 2)), r"expects 6 features in the last axis, got shape \(6, 2\)"),
            (np.zeros(()), r"expects 6 features in the last axis, got shape \(\)"),
        ],
        ids=repr,
    )
    @pytest.mark.parametrize("method", ["forward", "scores", "predict", "predict_proba", "evaluation_step"])
    def test_refuses_input(self, method, x, message):
        with pytest.raises(InputError, match=message):
            getattr(make_network(), method)(x)

    def test_input_is_not_changed(self):
        network, (x, labels) = make_network(), batch()
        kept = x.copy(), labels.copy()
        network.training_step(x, labels, CrossEntropyLoss())
        network.predict(x)
        for a, b in zip((x, labels), kept, strict=True):
            np.testing.assert_array_equal(a, b)


class TestState:
    def test_round_trip(self):
        network, other = make_network(rng=0), make_network(rng=1)
        state = network.state_dict()
        assert {name: v.shape for name, v in state.items()} == {
            "0.weight": (6, 5),
            "0.bias": (5,),
            "2.weight": (5, 4),
            "2.bias": (4,),
        }
        other.load_state_dict(state)
        np.testing.assert_array_equal(other.parameters.data, network.parameters.data)
        for v in state.values():
            v[...] = 9
        np.testing.assert_array_equal(other.parameters.data, network.parameters.data)

    def test_the_order_of_the_names_does_not_matter(self):
        network, other = make_network(rng=0), make_network(rng=1)
        other.load_state_dict(dict(reversed(network.state_dict().items())))
        np.testing.assert_array_equal(other.parameters.data, network.parameters.data)

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("2.bias", None, "missing 2.bias"),
            ("4.bias", np.zeros(4), "not in this network: 4.bias"),
            ("2.bias", np.zeros(5), r"2.bias has shape \(5,\), this network needs \(4,\)"),
            ("2.weight", np.zeros((4, 5)), r"2.weight has shape \(4, 5\), this network needs \(5, 4\)"),
            ("2.bias", np.array(list("abcd")), "2.bias"),
            ("2.bias", np.full(4, 1j), "2.bias"),
        ],
    )
    def test_a_state_that_does_not_fit_changes_nothing(self, name, value, message):
        network = make_network()
        before = network.parameters.data.copy()
        changed = {n: v + 1 for n, v in network.state_dict().items()} | {name: value}
        with pytest.raises(InputError, match=message):
            network.load_state_dict({n: v for n, v in changed.items() if v is not None})
        np.testing.assert_array_equal(network.parameters.data, before)


class TestAstype:
    def test_computes_in_the_other_dtype_from_the_same_values(self):
        network, (x, labels) = make_network(np.float32), batch()
        double = network.astype(np.float64)
        assert (network.dtype, double.dtype) == (np.float32, np.float64)
        np.testing.assert_array_equal(double.parameters.data, network.parameters.data.astype(np.float64))
        assert double.forward(x).dtype == np.float64
        np.testing.assert_allclose(double.forward(x), network.forward(x), atol=1e-5)
        assert repr(double) == repr(network)
        back = double.astype(np.float32)
        assert (
            back.training_step(x, labels, CrossEntropyLoss())[0]
            == (network.training_step(x, labels, CrossEntropyLoss())[0])
        )

    def test_shares_no_memory(self):
        network = make_network()
        twin = network.astype(np.float64)
        before = network.forward(batch()[0])
        assert not np.shares_memory(twin.parameters.rows, network.parameters.rows)
        assert not set(map(id, twin)) & set(map(id, network))
        twin.parameters.data[...] = 0
        np.testing.assert_array_equal(network.forward(batch()[0]), before)

    def test_refuses_other_dtypes(self):
        with pytest.raises(InputError, match="dtype must be float32 or float64, got float16"):
            make_network().astype(np.float16)


class TestExplainNonFinite:
    @pytest.fixture
    def network(self):
        return make_network(np.float32)

    def test_says_nothing_if_all_is_well(self, network):
        assert network.explain_non_finite(batch()[0]) is None

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_names_the_input(self, network, value):
        x, _ = batch()
        x[3, 2] = value
        assert network.explain_non_finite(x) == "the input is not finite"

    @pytest.mark.parametrize(("name", "layer"), [("weight", 0), ("bias", 0), ("weight", 2), ("bias", 2)])
    def test_names_the_parameter(self, network, name, layer):
        network.parameters[f"{layer}.{name}"].data.flat[-1] = np.nan
        said = network.explain_non_finite(batch()[0])
        assert said == f"the {name} of layer {layer} {network[layer]!r} is not finite"

    def test_names_the_layer_that_overflows(self, network):
        """1e30 · 1e30 is beyond float32, though both are finite."""
        network[2].weight.data[...] = 1e30
        network[0].bias.data[...] = 1e30
        said = network.explain_non_finite(batch()[0])
        assert said == "the output of layer 2 Linear(5, 4) is not finite, though its input is"

    def test_an_input_beyond_the_dtype_of_the_network_is_not_finite(self, network):
        assert network.explain_non_finite(np.full((1, 6), 1e300)) == "the input is not finite"


class TestPeople:
    """What users of other libraries expect."""

    def test_a_network_and_its_solver_are_freed_without_the_cyclic_collector(self):
        gc.disable()
        try:
            network, (x, labels) = make_network(), batch()
            optimizer = SGD(network.parameters, lr=0.1)
            solver = Solver(network, CrossEntropyLoss(), optimizer, epochs=1, batch_size=2)
            solver.fit((x, labels))
            network.scores(x)
            left = weakref.ref(network), weakref.ref(network.parameters), weakref.ref(solver)
            del network, optimizer, solver
            assert [ref() for ref in left] == [None, None, None]
        finally:
            gc.enable()

    @pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
    def test_a_copy_of_a_solver_trains_its_own_network(self, duplicate):
        network, (x, labels) = make_network(), batch()
        before = network.parameters.data.copy()
        solver = Solver(network, CrossEntropyLoss(), SGD(network.parameters, lr=0.5), epochs=5, batch_size=2)
        twin = duplicate(solver)
        history = twin.fit((x, labels))
        assert history[-1]["train_loss"] < history[0]["train_loss"]
        np.testing.assert_array_equal(network.parameters.data, before)
        np.testing.assert_array_equal(solver.fit((x, labels))["train_loss"], history["train_loss"])

    def test_threads_predict_what_one_does_and_statistics_stay(self):
        rng = np.random.default_rng(0)
        network = Network(Linear(6, 64), BatchNorm(64), ReLU(), Dropout(0.5), Linear(64, 4), rng=0)
        x = rng.normal(size=(200, 6)).astype(np.float32)
        expected, before = network.scores(x), network.state_dict()
        with ThreadPoolExecutor(4) as threads:
            for scores in threads.map(lambda _: network.scores(x), range(60)):
                np.testing.assert_array_equal(scores, expected)
        assert network.training
        assert all(layer.training for layer in network.body.walk())
        for name, value in network.state_dict().items():
            np.testing.assert_array_equal(value, before[name])

    def test_prediction_keeps_what_a_backward_pass_needs(self):
        network, (x, labels) = make_network(), batch()
        loss = CrossEntropyLoss()
        gradients = []
        for others in ((), (x[:2],)):
            network.zero_grad()
            loss(network.forward(x), labels)
            for other in others:
                network.predict(other)
            network.backward(loss.backward())
            gradients.append(network.parameters.grad.copy())
        np.testing.assert_array_equal(*gradients)

    def test_a_regression_predicts_numbers(self):
        x = np.linspace(-1, 1, 40)[:, None]
        y = 2 * x[:, 0] + 10
        network = Network(Linear(1, 8), ReLU(), Linear(8, 1), rng=0)
        with pytest.raises(InputError, match="one output may be a number or the score of a class"):
            network.predict(x)
        optimizer = SGD(network.parameters, lr=0.05)
        Solver(network, MSELoss(), optimizer, epochs=100, batch_size=10).fit((x, y))
        assert network.task == "regression"
        np.testing.assert_allclose(np.ravel(network.predict(x)), y, atol=0.3)

    def test_two_classes_with_one_output(self):
        x = np.array([[-2.0], [-1], [1], [2]])
        network = Network(Linear(1, 1), rng=0)
        network.training_step(x, np.array([0, 0, 1, 1]), BinaryCrossEntropyLoss())
        assert network.task == "classification"
        assert set(np.ravel(network.predict(x)).tolist()) <= {0, 1}

    def test_a_task_is_told(self):
        network = Network(Linear(2, 3), task="regression")
        assert network.predict(np.zeros((4, 2))).shape == (4, 3)
        with pytest.raises(InputError, match=r"task must be .* or None, got 'regresion'"):
            Network(Linear(2, 3), task="regresion")

    def test_more_layers_learn_from_the_defaults(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(300, 2))
        labels = (x[:, 0] * x[:, 1] > 0).astype(int)
        for given in ({}, {"rng": 0}):
            layers = [layer for n in (2, 16, 16, 16) for layer in (Linear(n, 16, rng=n), ReLU())]
            network = Network(*layers, Linear(16, 2, rng=1), **given)
            optimizer = SGD(network.parameters, lr=0.05, momentum=0.9)
            history = Solver(network, CrossEntropyLoss(), optimizer, epochs=80, batch_size=20).fit((x, labels))
            assert history[-1]["train_accuracy"] > 0.9

    def test_a_slice_is_made_of_the_same_layers(self):
        network, (x, _) = make_network(), batch()
        network.eval()
        hidden = network[:2].forward(x.astype(network.dtype))
        np.testing.assert_array_equal(network[2:].forward(hidden), network.scores(x))
        assert network[:2][0] is network[0]
