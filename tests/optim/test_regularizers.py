"""Penalties and their gradients, the priors that they stand for, and the max-norm constraint."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import SGD, CrossEntropyLoss, InputError, Linear, Network
from mlp.gradcheck import check_function
from mlp.optim.regularizers import L1, L2, ElasticNet, MaxNorm, Regularizer
from mlp.parameter import Parameter, ParameterVector

CASES = [L2(0.3), L1(0.3), ElasticNet(0.2, 0.5), *(make(0.3, biases=True) for make in (L2, L1))]
CASES += [ElasticNet(0.2, 0.5, biases=True)]
each_case = pytest.mark.parametrize("regularizer", CASES, ids=repr)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
draws = st.integers(0, 2**32 - 1)


def make_vector(*arrays, dtype=np.float64) -> ParameterVector:
    return ParameterVector(Parameter(np.array(a, dtype), f"p{i}") for i, a in enumerate(arrays))


def draw_vector(seed: int = 0, shapes=((4, 3), (3,), (2, 3, 2))) -> ParameterVector:
    rng = np.random.default_rng(seed)
    return make_vector(*(rng.normal(size=shape) for shape in shapes))


# Σ w² = 1 + 4 + 9 = 14, Σ |w| = 6; with the bias, 4, it is 30 and 10.
@pytest.mark.parametrize(
    ("regularizer", "penalty", "weight", "bias"),
    [
        (L2(0.5), 3.5, [0.5, -1, 1.5, 0], [0]),
        (L2(0.5, biases=True), 7.5, [0.5, -1, 1.5, 0], [2]),
        (L1(0.5), 3, [0.5, -0.5, 0.5, 0], [0]),
        (L1(0.5, biases=True), 5, [0.5, -0.5, 0.5, 0], [0.5]),
        (ElasticNet(0.5, 0.25), 3 + 1.75, [0.75, -1, 1.25, 0], [0]),
        (ElasticNet(0.5, 0.25, biases=True), 5 + 3.75, [0.75, -1, 1.25, 0], [1.5]),
        (L2(0), 0, [0, 0, 0, 0], [0]),
    ],
)
def test_worked_numbers(regularizer, penalty, weight, bias):
    vector = make_vector([[1, -2, 3, 0]], [4])
    value = regularizer.penalty(vector)
    assert (type(value), value) == (float, pytest.approx(penalty, rel=1e-15))
    regularizer.add_gradient(vector)
    assert vector["p0"].grad.tolist() == [weight]
    assert vector["p1"].grad.tolist() == bias


@each_case
def test_the_gradient_is_the_derivative_of_the_penalty(regularizer):
    vector = draw_vector()

    def penalty(w):
        vector.data[...] = w
        return regularizer.penalty(vector)

    def gradient(w):
        vector.data[...] = w
        vector.zero_grad()
        regularizer.add_gradient(vector)
        return vector.grad.copy()

    check_function(penalty, gradient, vector.data.copy()).assert_ok()


@each_case
def test_the_gradient_is_added_to_what_is_there_and_no_value_is_changed(regularizer):
    vector, other = draw_vector(), draw_vector()
    regularizer.add_gradient(other)
    before = vector.data.copy()
    vector.grad[...] = 7
    regularizer.add_gradient(vector)
    np.testing.assert_allclose(vector.grad, 7 + other.grad, rtol=1e-15)
    regularizer.add_gradient(vector)
    np.testing.assert_allclose(vector.grad, 7 + 2 * other.grad, rtol=1e-14)
    np.testing.assert_array_equal(vector.data, before)
    assert (vector.rows[[0, 3]] == 0).all()


@each_case
@each_dtype
def test_dtype_stays_and_a_second_call_asks_for_no_memory(regularizer, dtype):
    vector = make_vector(np.ones((300, 200)), np.ones(300), np.ones((200, 30)), dtype=dtype)
    regularizer.add_gradient(vector)
    regularizer.penalty(vector)
    tracemalloc.start()
    try:
        regularizer.add_gradient(vector)
        regularizer.penalty(vector)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10_000 < vector["p2"].data.nbytes
    assert vector.grad.dtype == dtype


@pytest.mark.parametrize("samples", [1, 50])
@pytest.mark.parametrize("strength", [0.1, 2.0])
def test_penalties_are_log_priors_over_the_number_of_samples(samples, strength):
    """-1/N log p(w), up to a constant that drops out of the difference of two weights."""
    stats = pytest.importorskip("scipy.stats", reason="SciPy has the distributions and is not installed")
    variance = 1 / (strength * samples)
    priors = {
        L2(strength, biases=True): stats.norm(scale=np.sqrt(variance)),
        L1(strength, biases=True): stats.laplace(scale=1 / (strength * samples)),
    }
    for regularizer, prior in priors.items():
        a, b = draw_vector(0), draw_vector(1)
        expected = (prior.logpdf(b.data).sum() - prior.logpdf(a.data).sum()) / samples
        assert regularizer.penalty(a) - regularizer.penalty(b) == pytest.approx(expected, rel=1e-10)
    assert stats.laplace(scale=1 / (strength * samples)).var() == pytest.approx(2 / (strength * samples) ** 2)


@given(seed=draws, decay=st.floats(0, 2), momentum=st.sampled_from([0.0, 0.9]), nesterov=st.booleans())
@settings(deadline=None, max_examples=50, derandomize=True)
def test_l2_is_the_weight_decay_of_sgd(seed, decay, momentum, nesterov):
    options = {"lr": 0.1, "momentum": momentum, "nesterov": nesterov and momentum > 0}
    decaying, regularized = draw_vector(seed), draw_vector(seed)
    optimizers = [SGD(decaying, weight_decay=decay, **options), SGD(regularized, **options)]
    regularizer = L2(decay, biases=True)
    rng = np.random.default_rng(seed)
    for _ in range(5):
        decaying.grad[...] = regularized.grad[...] = rng.normal(size=decaying.size)
        regularizer.add_gradient(regularized)
        for optimizer in optimizers:
            optimizer.step()
    np.testing.assert_allclose(decaying.data, regularized.data, rtol=1e-10, atol=1e-12)


@given(seed=draws, l1=st.floats(0, 2), l2=st.floats(0, 2), biases=st.booleans())
@settings(deadline=None, max_examples=50, derandomize=True)
def test_the_elastic_net_is_the_sum_of_its_parts(seed, l1, l2, biases):
    whole, parts = draw_vector(seed), draw_vector(seed)
    net = ElasticNet(l1, l2, biases)
    net.add_gradient(whole)
    for part in (L1(l1, biases), L2(l2, biases)):
        part.add_gradient(parts)
    np.testing.assert_allclose(whole.grad, parts.grad, rtol=1e-14)
    expected = L1(l1, biases).penalty(parts) + L2(l2, biases).penalty(parts)
    assert net.penalty(whole) == pytest.approx(expected, rel=1e-14)


def test_a_network_learns_smaller_weights_and_leaves_its_biases_alone():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(20, 5)), rng.integers(0, 3, 20)
    sizes = []
    for strength in (0, 0.5):
        network = Network(Linear(5, 3), rng=0, dtype=np.float64)
        regularizer, optimizer = L2(strength), SGD(network.parameters, lr=0.5)
        for _ in range(50):
            network.training_step(x, labels, CrossEntropyLoss())
            bias = network.parameters["0.bias"].grad.copy()
            regularizer.add_gradient(network.parameters)
            np.testing.assert_array_equal(network.parameters["0.bias"].grad, bias)
            optimizer.step()
        sizes.append(np.linalg.norm(network.parameters["0.weight"].data))
    assert sizes[1] < sizes[0] / 2


def test_a_penalty_on_chosen_parameters():
    vector = make_vector([[1.0, 2]], [[3.0]])
    L2(1).add_gradient([vector["p1"]])
    assert vector.grad.tolist() == [0, 0, 3]
    assert L2(1).penalty([vector["p1"]]) == 4.5


class TestMaxNorm:
    def test_worked_numbers(self):
        # Columns of length 5, 1 and 0; rows of length √10, 4.
        vector = make_vector([[3, 1, 0], [4, 0, 0]], [9, 9, 9])
        MaxNorm(2).apply(vector)
        np.testing.assert_allclose(vector["p0"].data, [[1.2, 1, 0], [1.6, 0, 0]], rtol=1e-15)
        assert vector["p1"].data.tolist() == [9, 9, 9]
        vector = make_vector([[3, 1, 0], [4, 0, 0]])
        MaxNorm(2, axis=1).apply(vector)
        np.testing.assert_allclose(vector["p0"].data, [[0.6 * np.sqrt(10), 0.2 * np.sqrt(10), 0], [2, 0, 0]])

    @given(seed=draws, limit=st.floats(0.01, 5), axis=st.integers(0, 1))
    @settings(deadline=None, max_examples=50, derandomize=True)
    def test_what_is_too_long_is_shortened_to_the_limit_and_once_is_enough(self, seed, limit, axis):
        vector = draw_vector(seed)
        before = [p.data.copy() for p in vector]
        MaxNorm(limit, axis).apply(vector)
        for p, w in zip(vector, before, strict=True):
            if w.ndim < 2:
                np.testing.assert_array_equal(p.data, w)
                continue
            lengths = np.linalg.norm(w, axis=axis, keepdims=True)
            within = np.broadcast_to(lengths < limit, w.shape)
            np.testing.assert_array_equal(p.data[within], w[within])
            np.testing.assert_allclose(np.linalg.norm(p.data, axis=axis, keepdims=True), np.minimum(lengths, limit))
            np.testing.assert_allclose(p.data * lengths, w * np.minimum(lengths, limit))
        once = vector.data.copy()
        MaxNorm(limit, axis).apply(vector)
        np.testing.assert_allclose(vector.data, once, rtol=1e-15, atol=0)

    def test_it_is_the_nearest_vector_within_the_limit(self):
        rng = np.random.default_rng(0)
        vector = draw_vector(shapes=((5, 1),))
        w = 9 * vector.data.copy()
        vector.data[...] = w
        MaxNorm(1).apply(vector)
        others = rng.normal(size=(1000, 5))
        others /= np.maximum(1, np.linalg.norm(others, axis=1, keepdims=True))
        assert (np.linalg.norm(others - w, axis=1) > np.linalg.norm(vector.data - w)).all()

    @each_dtype
    def test_dtype_gradients_and_memory_stay(self, dtype):
        vector = make_vector(np.ones((4, 3)), dtype=dtype)
        vector.grad[...] = 5
        place = vector["p0"].data
        MaxNorm(1).apply(vector)
        assert vector["p0"].data is place
        assert (place.dtype, vector.grad.tolist()) == (dtype, [5] * 12)
        np.testing.assert_allclose(place, np.full((4, 3), 0.5), rtol=1e-6)

    def test_an_axis_that_is_not_there(self):
        with pytest.raises(InputError) as error:
            MaxNorm(1, axis=2).apply(draw_vector())
        assert str(error.value) == "MaxNorm: parameter 'p0' of shape (4, 3) has no axis 2"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L2(-1), "L2: strength must be a finite number >= 0, got -1"),
        (lambda: L1(np.nan), "L1: strength must be a finite number >= 0, got nan"),
        (lambda: ElasticNet(-1, 1), "ElasticNet: l1 must be a finite number >= 0, got -1"),
        (lambda: ElasticNet(1, "1"), "ElasticNet: l2 must be a finite number >= 0, got '1'"),
        (lambda: MaxNorm(0), "MaxNorm: limit must be a finite number above 0, got 0"),
        (lambda: MaxNorm(-1), "MaxNorm: limit must be a finite number above 0, got -1"),
        (lambda: MaxNorm("3"), "MaxNorm: limit must be a finite number above 0, got '3'"),
        (lambda: MaxNorm(1, axis=-1), "MaxNorm: axis must be an integer of at least 0, got -1"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message


@pytest.mark.parametrize("call", [L2(1).penalty, L1(1).add_gradient, ElasticNet(1, 1).penalty, MaxNorm(1).apply])
def test_refuses_what_are_no_parameters(call):
    with pytest.raises(
        InputError, match=r"parameters must be those of a network \(network.parameters\), got Linear"
    ):
        call(Network(Linear(2, 2), rng=0))


def test_a_regularizer_of_ones_own():
    class Quartic(Regularizer):
        """R = Σ w⁴."""

        def value(self, w):
            return float((w**4).sum())

        def derivative(self, w):
            return 4 * w**3

    vector = make_vector([[1, 2]], [3])
    Quartic().add_gradient(vector)
    assert (Quartic().penalty(vector), vector.grad.tolist()) == (17, [4, 32, 0])
    with pytest.raises(NotImplementedError, match="Regularizer needs a value method"):
        Regularizer().penalty(vector)
    with pytest.raises(NotImplementedError, match="Regularizer needs a derivative method"):
        Regularizer().add_gradient(vector)


def test_repr():
    assert repr([L2(0.3), L1(1e-5, biases=True)]) == "[L2(0.3), L1(1e-05, biases=True)]"
    assert repr(ElasticNet(1, 2)) == "ElasticNet(l1=1, l2=2)"
    assert repr([MaxNorm(3), MaxNorm(3, 1)]) == "[MaxNorm(3), MaxNorm(3, axis=1)]"
