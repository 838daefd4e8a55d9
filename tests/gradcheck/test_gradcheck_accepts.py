"""Correct layers, losses, networks and functions must pass, with room to spare and nobody's array changed."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp.checks import InputError
from mlp.gradcheck import check_function, check_layer, check_loss, check_network


class Parameter:
    def __init__(self, data):
        self.data, self.grad = data, np.zeros_like(data)


class Linear:
    def __init__(self, n_in, n_out, dtype=np.float64, seed=0):
        rng = np.random.default_rng(seed)
        self.weight = Parameter((rng.normal(size=(n_in, n_out)) / np.sqrt(n_in)).astype(dtype))
        self.bias = Parameter(rng.normal(size=n_out).astype(dtype))

    def parameters(self):
        return {"weight": self.weight, "bias": self.bias}

    def zero_grad(self):
        for parameter in self.parameters().values():
            parameter.grad[...] = 0

    def forward(self, x):
        self.x = x
        return x @ self.weight.data + self.bias.data

    def backward(self, grad_y):
        x, g = (a.reshape(-1, a.shape[-1]) for a in (self.x, grad_y))
        self.weight.grad += x.T @ g
        self.bias.grad += g.sum(axis=0)
        return grad_y @ self.weight.data.T


class ReLU:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, grad_y):
        return grad_y * self.mask


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, grad_y):
        return grad_y * (1 - self.y**2)


class Softmax:
    def forward(self, x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        self.y = e / e.sum(axis=-1, keepdims=True)
        return self.y.copy()

    def backward(self, grad_y):
        return self.y * (grad_y - (grad_y * self.y).sum(axis=-1, keepdims=True))


class LayerNorm:
    def __init__(self, n):
        rng = np.random.default_rng(1)
        self.scale, self.shift = Parameter(rng.normal(size=n)), Parameter(rng.normal(size=n))

    def parameters(self):
        return {"scale": self.scale, "shift": self.shift}

    def forward(self, x):
        self.deviation = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
        self.z = (x - x.mean(axis=-1, keepdims=True)) / self.deviation
        return self.z * self.scale.data + self.shift.data

    def backward(self, grad_y):
        leading = tuple(range(grad_y.ndim - 1))
        self.scale.grad += (grad_y * self.z).sum(axis=leading)
        self.shift.grad += grad_y.sum(axis=leading)
        g = grad_y * self.scale.data
        projected = g.mean(axis=-1, keepdims=True) + self.z * (g * self.z).mean(axis=-1, keepdims=True)
        return (g - projected) / self.deviation


class CrossEntropy:
    def forward(self, scores, targets):
        self.targets, shifted = targets, scores - scores.max(axis=1, keepdims=True)
        self.log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return -self.log_p[np.arange(len(targets)), targets].mean()

    def backward(self):
        grad = np.exp(self.log_p)
        grad[np.arange(len(self.targets)), self.targets] -= 1
        return grad / len(self.targets)


class Hinge:
    def forward(self, scores, targets):
        self.signs = targets
        self.active = scores * targets < 1
        return np.maximum(0, 1 - scores * targets).sum() / len(scores)

    def backward(self):
        return -self.signs * self.active / len(self.signs)


class Network:
    """``parameters`` is a property here, and the input gradient comes on request only."""

    def __init__(self, *layers):
        self.layers = layers

    @property
    def parameters(self):
        found = []
        for i, layer in enumerate(self.layers):
            for name, parameter in getattr(layer, "parameters", dict)().items():
                parameter.name = f"{i}.{name}"
                found.append(parameter)
        return tuple(found)

    def zero_grad(self):
        for parameter in self.parameters:
            parameter.grad[...] = 0

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, grad_y, input_gradient=False):
        for layer in reversed(self.layers):
            grad_y = layer.backward(grad_y)
        return grad_y if input_gradient else None


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def worst(result):
    return max(c.relative_error for c in result.comparisons if c.index is not None)


@pytest.mark.parametrize("shape", [(5, 4), (1, 4), (2, 3, 4)], ids=["batch", "batch of one", "extra axes"])
@pytest.mark.parametrize(
    "layer", [Linear(4, 3), ReLU(), Tanh(), Softmax(), LayerNorm(4)], ids=lambda v: type(v).__name__
)
def test_correct_layers_pass_with_room_to_spare(layer, shape, rng):
    result = check_layer(layer, rng.normal(size=shape))
    result.assert_ok()
    assert bool(result) is True
    assert result.mistakes == ()
    assert worst(result) < 2e-8
    assert all(c.checked == c.total == np.prod(c.shape) for c in result.comparisons)


def test_the_result_has_the_numbers_of_each_array(rng):
    result = check_layer(Linear(4, 3), rng.normal(size=(5, 4)))
    assert [(c.name, c.shape) for c in result.comparisons] == [("x", (5, 4)), ("weight", (4, 3)), ("bias", (3,))]
    for c in result.comparisons:
        assert len(c.index) == len(c.shape)
        assert c.absolute_error == pytest.approx(abs(c.analytic - c.numeric), abs=1e-15)
        assert 0 < c.noise < 1e-7
        assert (c.failed, c.kinks) == (0, 0)
    assert repr(result) == str(result)
    assert str(result).startswith("gradient check of Linear: passed\n  x (5, 4): ok, worst at [")


@given(seed=st.integers(0, 10_000), rows=st.integers(1, 6), columns=st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_a_network_passes_anywhere_and_for_any_upstream(seed, rows, columns):
    x = np.random.default_rng(seed).normal(size=(rows, columns)) * 3
    network = Network(
        Linear(columns, 5), ReLU(), LayerNorm(5), Linear(5, 4, seed=1), Tanh(), Linear(4, 3), Softmax()
    )
    check_network(network, x, rng=seed).assert_ok()


def test_a_network_with_its_loss(rng):
    network = Network(Linear(4, 6), ReLU(), Linear(6, 3, seed=1))
    x, targets = rng.normal(size=(5, 4)), np.array([0, 2, 1, 1, 0])
    result = check_network(network, x, targets, CrossEntropy())
    result.assert_ok()
    assert [c.name for c in result.comparisons] == ["x", "0.weight", "0.bias", "2.weight", "2.bias"]
    result = check_network(network, x, targets, CrossEntropy(), input_gradient=False)
    result.assert_ok()
    assert [c.name for c in result.comparisons] == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_a_gradient_that_is_zero_by_symmetry_passes(rng):
    # Softmax ignores a shift of all scores, so what moves all of them alike has no gradient.
    network = Network(Linear(4, 1), Linear(1, 3, seed=1), Softmax())
    network.layers[1].weight.data[...] = 1.0
    network.layers[1].bias.data[...] = 0.3
    result = check_network(network, rng.normal(size=(5, 4)))
    result.assert_ok()
    assert abs(result.comparisons[1].analytic) < 1e-12


def test_losses_pass(rng):
    result = check_loss(CrossEntropy(), rng.normal(size=(5, 3)), [0, 2, 1, 1, 0])
    result.assert_ok()
    assert result.comparisons[0].name == "scores"
    assert worst(result) < 2e-8
    check_loss(CrossEntropy(), 30 * rng.normal(size=(50, 10)), rng.integers(10, size=50)).assert_ok()


def test_a_hinge_at_its_kink_is_accepted_and_counted():
    result = check_loss(Hinge(), np.array([[1.0], [1.0 - 1e-7], [0.2], [3.0]]), np.array([[1.0], [1], [1], [1]]))
    result.assert_ok()
    assert result.comparisons[0].kinks == 2


def test_functions_with_array_and_scalar_values(rng):
    x = rng.normal(size=(3, 4))
    check_function(np.tanh, lambda x, g: g * (1 - np.tanh(x) ** 2), x).assert_ok()
    check_function(lambda x: (x**2).sum(), lambda x: 2 * x, x).assert_ok()
    check_function(lambda x: (x**2).sum(), lambda x, g: 2 * g * x, x).assert_ok()
    result = check_function(np.cumsum, lambda x, g: np.cumsum(g[::-1])[::-1], np.arange(5))
    result.assert_ok()
    assert str(result).startswith("gradient check of cumsum: passed")


@pytest.mark.parametrize(
    ("f", "derivative", "x"),
    [
        (np.log, lambda x: 1 / x, [1e-5, 1e-3, 1.0, 1e6]),
        (np.exp, np.exp, [-30.0, 0.0, 20.0]),
        (lambda x: np.sin(200 * x), lambda x: 200 * np.cos(200 * x), np.linspace(-1, 1, 101)),
        (lambda x: 1e9 + x, np.ones_like, [0.3, 5.0]),
        (lambda x: 1 / (1 + np.exp(-x)), lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2, [-30.0, 0.0, 36.0]),
        (lambda x: x**3, lambda x: 3 * x**2, [0.0, 1e-6, 1e3]),
        (np.cbrt, lambda x: np.abs(x) ** (-2 / 3) / 3, [1e-4, -0.01, 1.0]),
    ],
    ids=["log", "exp", "fast sine", "large offset", "saturation", "cube", "cube root"],
)
def test_hard_functions_pass_and_reject_a_factor(f, derivative, x):
    check_function(f, lambda x, g: g * derivative(x), x).assert_ok()
    assert not check_function(f, lambda x, g: 1.001 * g * derivative(x), x)


def test_kinks_of_relu_are_accepted_counted_and_reported(rng):
    x = rng.normal(size=(4, 5))
    x[0] = [0.0, 1e-7, -1e-7, 3e-6, 1e-12]
    result = check_layer(ReLU(), x)
    result.assert_ok()
    assert result.comparisons[0].kinks == 5
    assert "5 at a kink" in str(result)


@pytest.mark.parametrize("distance", 10.0 ** np.arange(-14.0, -3.0, 0.25))
def test_a_kink_at_any_distance(distance):
    check_layer(ReLU(), [[distance, -distance]]).assert_ok()


def test_units_that_bend_in_opposite_directions_at_once():
    layer = Linear(4, 6)
    layer.weight.data[...] = 0
    layer.bias.data[...] = 0
    x = np.random.default_rng(0).normal(size=(7, 4))
    result = check_network(Network(layer, ReLU()), x)
    result.assert_ok()
    assert [c.kinks for c in result.comparisons] == [0, 24, 6]


def test_a_float32_layer_is_checked_in_float64_and_left_alone(rng):
    layer = Linear(4, 3, dtype=np.float32)
    layer.weight.grad[...] = 7
    before = copy.deepcopy(vars(layer))
    x = rng.normal(size=(5, 4)).astype(np.float32)
    x_before = x.copy()
    result = check_layer(layer, x)
    result.assert_ok()
    assert worst(result) < 2e-8
    assert vars(layer).keys() == before.keys()
    for name in ("weight", "bias"):
        np.testing.assert_array_equal(getattr(layer, name).data, before[name].data, strict=True)
        np.testing.assert_array_equal(getattr(layer, name).grad, before[name].grad, strict=True)
    np.testing.assert_array_equal(x, x_before, strict=True)


def test_astype_is_preferred_to_a_deep_copy(rng):
    class Views(Linear):
        def __deepcopy__(self, memo):
            raise AssertionError("a deep copy would tear views apart")

        def astype(self, dtype):
            twin = Views(4, 3)
            for name, parameter in self.parameters().items():
                twin.parameters()[name].data = parameter.data.astype(dtype)
            return twin

    check_layer(Views(4, 3, dtype=np.float32), rng.normal(size=(5, 4))).assert_ok()


def test_targets_and_upstream_of_the_caller_are_untouched(rng):
    scores, targets = rng.normal(size=(4, 3)), np.array([0, 1, 2, 0])
    scores.flags.writeable = targets.flags.writeable = False
    check_loss(CrossEntropy(), scores, targets).assert_ok()


def test_parameters_in_every_form(rng):
    class Attributes:  # no parameters() and no zero_grad()
        def __init__(self):
            inner = Linear(4, 3)
            self.weight, self.bias = inner.weight, inner.bias

        forward, backward = Linear.forward, Linear.backward

    class Pairs(Linear):
        def zero_grad(self):
            for _, parameter in self.pairs():
                parameter.grad[...] = 0

        def pairs(self):
            return [("kernel", self.weight), ("offset", self.bias)]

    class Unnamed(Attributes):
        def parameters(self):
            return [self.weight, self.bias]

    pairs = Pairs(4, 3)
    pairs.parameters = pairs.pairs()
    x = rng.normal(size=(5, 4))
    for layer, names in (
        (Attributes(), ["weight", "bias"]),
        (pairs, ["kernel", "offset"]),
        (Unnamed(), ["parameter 0", "parameter 1"]),
    ):
        result = check_layer(layer, x)
        result.assert_ok()
        assert [c.name for c in result.comparisons[1:]] == names


def test_an_empty_batch_passes(rng):
    result = check_layer(Linear(4, 3), np.zeros((0, 4)))
    result.assert_ok()
    assert "x (0, 4): nothing to compare, ok" in str(result)
    assert [c.analytic for c in result.comparisons[1:]] == [0.0, 0.0]


def test_strided_and_integer_inputs(rng):
    x = rng.normal(size=(8, 10))
    for view in (x[::2, ::-2], np.asfortranarray(x[:, :5]), x[:5].T[:5]):
        check_layer(Linear(5, 3), view).assert_ok()
    check_layer(Linear(3, 2), [[1, 2, 3], [4, 5, 6]]).assert_ok()


def test_integer_indices_without_an_input_gradient(rng):
    class Embedding:
        def __init__(self):
            self.weight = Parameter(rng.normal(size=(6, 2)))

        def forward(self, tokens):
            self.tokens = tokens
            return self.weight.data[tokens]

        def backward(self, grad_y):
            np.add.at(self.weight.grad, self.tokens, grad_y)

    result = check_layer(Embedding(), np.array([[0, 1, 1], [4, 5, 0]]), input_gradient=False)
    result.assert_ok()
    assert [c.name for c in result.comparisons] == ["weight"]


def test_large_arrays_are_sampled_and_the_text_says_so(rng):
    result = check_layer(Linear(20, 10), rng.normal(size=(3, 20)), max_entries=50)
    result.assert_ok()
    assert [(c.checked, c.total) for c in result.comparisons] == [(50, 60), (50, 200), (10, 10)]
    assert "a sample of 50 of 200 entries" in str(result)


def test_rng_is_an_argument_and_no_global_state_is_touched(rng):
    x = rng.normal(size=(5, 4))
    np.random.seed(1)  # noqa: NPY002 - the legacy state must stay where this put it
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert str(check_layer(Linear(4, 3), x, rng=5)) == str(
        check_layer(Linear(4, 3), x, rng=np.random.default_rng(5))
    )
    assert str(check_layer(Linear(4, 3), x, rng=5)) != str(check_layer(Linear(4, 3), x, rng=6))
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([["a", "b"]], "x must be an array of real numbers, got dtype <U1"),
        ([[1j]], "x must be an array of real numbers, got dtype complex128"),
        ([[1.0, 2.0], [3.0]], "x must be one rectangular array of numbers"),
        ([[1.0, np.nan]], r"x must be finite, got nan at index \(0, 1\)"),
        ([[np.inf]], r"x must be finite, got inf at index \(0, 0\)"),
    ],
)
def test_bad_inputs(x, message):
    with pytest.raises(InputError, match=message):
        check_layer(ReLU(), x)


def test_bad_arguments():
    x = np.ones((2, 3))
    with pytest.raises(InputError, match="rtol must lie between 0 and 1, got -1"):
        check_layer(ReLU(), x, rtol=-1)
    with pytest.raises(InputError, match="max_entries must be at least 1, got 0"):
        check_layer(ReLU(), x, max_entries=0)
    with pytest.raises(InputError, match="both targets and loss, or neither"):
        check_network(ReLU(), x, targets=[0, 1])
    with pytest.raises(InputError, match=r"its gradient needs a second argument: gradient\(x, upstream\)"):
        check_function(np.tanh, lambda x: 1 - np.tanh(x) ** 2, x)

    class PerSample(Hinge):
        def forward(self, scores, targets):
            return scores.sum(axis=1)

    with pytest.raises(InputError, match=r"a loss must return one number, PerSample gave shape \(2,\)"):
        check_loss(PerSample(), x, x)


def test_read_only_parameters_of_float32_are_refused_with_a_way_out(rng):
    class Frozen:
        def __init__(self):
            self._data = np.ones((4, 3), np.float32)
            self._grad = np.zeros((4, 3), np.float32)

        data = property(lambda self: self._data)
        grad = property(lambda self: self._grad)

    layer = Linear(4, 3)
    layer.weight = Frozen()
    with pytest.raises(InputError, match=r"'weight' is float32 and has a read-only `data`; build it in float64"):
        check_layer(layer, rng.normal(size=(5, 4)))
