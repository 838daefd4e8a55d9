"""The nonlinearities: known values, what happens far out and at the kinks, and how they are made by name."""

import re
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import mlp
from mlp import (
    ELU,
    GeLU,
    Identity,
    InputError,
    Layer,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from mlp.initializers import for_activation
from mlp.layers import ACTIVATIONS, SELU, Hardswish, Mish, make_activation, register_activation
from mlp.registry import Registry

# Every elementwise activation, and what it tends to far to the left and far to the right: value and slope.
# A value "x" is x itself, "x/2" a multiple of it.
LIMITS = {
    "ReLU": (ReLU, (0, 0), ("x", 1)),
    "LeakyReLU": (lambda: LeakyReLU(0.5), ("x/2", 0.5), ("x", 1)),
    "ReLU6": (ReLU6, (0, 0), (6, 0)),
    "ELU": (lambda: ELU(0.25), (-0.25, 0), ("x", 1)),
    "Identity": (Identity, ("x", 1), ("x", 1)),
    "Sigmoid": (Sigmoid, (0, 0), (1, 0)),
    "Tanh": (Tanh, (-1, 0), (1, 0)),
    "SiLU": (SiLU, (0, 0), ("x", 1)),
    "Softplus": (Softplus, (0, 0), ("x", 1)),
    "sharp Softplus": (lambda: Softplus(1e6), (0, 0), ("x", 1)),
    "Mish": (Mish, (0, 0), ("x", 1)),
    "Hardswish": (Hardswish, (0, 0), ("x", 1)),
    "GeLU": (GeLU, (0, 0), ("x", 1)),
    "exact GeLU": (lambda: GeLU(approximate="none"), (0, 0), ("x", 1)),
}
MAKERS = {name: make for name, (make, _, _) in LIMITS.items()}

each_activation = pytest.mark.parametrize("name", MAKERS)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def value_and_slope(layer: Layer, x) -> tuple[np.ndarray, np.ndarray]:
    x = np.asarray(x, np.float64) if not isinstance(x, np.ndarray) else x
    return layer.forward(x), layer.backward(np.ones_like(x))


def test_every_elementwise_activation_is_in_the_table():
    kinds = {type(make()) for make in MAKERS.values()}
    assert {type(make()) for make in ACTIVATIONS.values()} == kinds | {
        Softmax,
        LogSoftmax,
        SELU,
    }  # SELU is a multiple of ELU


def test_selu_is_a_multiple_of_elu():
    x = np.array([-800.0, -2, -1e-9, 1e-9, 3])
    of_elu, of_selu = ELU(1.6732632423543772), SELU()
    np.testing.assert_allclose(of_selu(x), 1.0507009873554805 * of_elu(x), rtol=1e-15)
    g = np.ones_like(x)
    np.testing.assert_allclose(of_selu.backward(g), 1.0507009873554805 * of_elu.backward(g), rtol=1e-15)


class TestWorkedNumbers:
    def test_relu_and_its_slope_of_zero_at_zero(self):
        y, slope = value_and_slope(ReLU(), [-2, -0.0, 0, 1e-300, 3])
        assert y.tolist() == [0, 0, 0, 1e-300, 3]
        assert slope.tolist() == [0, 0, 0, 1, 1]

    def test_leaky_relu_and_its_left_slope_at_zero(self):
        y, slope = value_and_slope(LeakyReLU(0.25), [-2, -0.0, 0, 1e-300, 3])
        assert y.tolist() == [-0.5, 0, 0, 1e-300, 3]
        assert slope.tolist() == [0.25, 0.25, 0.25, 1, 1]
        assert LeakyReLU()(np.array([-100.0])).tolist() == [-1]

    def test_leaky_relu_between_relu_and_identity(self):
        x = np.linspace(-3, 3, 13)
        for slope, other in ((0, ReLU()), (1, Identity())):
            for ours, theirs in zip(value_and_slope(LeakyReLU(slope), x), value_and_slope(other, x), strict=True):
                np.testing.assert_array_equal(ours, theirs)

    def test_relu6_and_its_slope_of_zero_at_both_kinks(self):
        y, slope = value_and_slope(ReLU6(), [-1, 0, 1e-300, 5.5, 6, 7])
        assert y.tolist() == [0, 0, 1e-300, 5.5, 6, 6]
        assert slope.tolist() == [0, 0, 1, 1, 0, 0]

    def test_elu_and_its_left_slope_at_zero(self):
        # Left: 2 (e^x - 1), at -ln 2 it is 2 (1/2 - 1) = -1 with slope 2 · 1/2 = 1; at 0 it is 0 with slope 2.
        y, slope = value_and_slope(ELU(2), [-np.log(2), 0, 1e-300, 3])
        np.testing.assert_allclose(y, [-1, 0, 1e-300, 3], rtol=1e-15)
        np.testing.assert_allclose(slope, [1, 2, 1, 1], rtol=1e-15)

    def test_elu_keeps_its_digits_near_zero(self):
        # e^x - 1 = x + x²/2 + ..., which for x = -1e-20 is x to the last digit.
        assert ELU()(np.array([-1e-20])).tolist() == [-1e-20]

    def test_sigmoid(self):
        # s(0) = 1/2, s(ln 3) = 3/4, s(-ln 3) = 1/4; the slopes s (1 - s) are 1/4, 3/16, 3/16.
        y, slope = value_and_slope(Sigmoid(), [0, np.log(3), -np.log(3)])
        np.testing.assert_allclose(y, [1 / 2, 3 / 4, 1 / 4], rtol=1e-15)
        np.testing.assert_allclose(slope, [1 / 4, 3 / 16, 3 / 16], rtol=1e-15)

    def test_tanh(self):
        # tanh(ln 2) = (2 - 1/2) / (2 + 1/2) = 3/5, with slope 1 - 9/25 = 16/25.
        y, slope = value_and_slope(Tanh(), [0, np.log(2), -np.log(2)])
        np.testing.assert_allclose(y, [0, 3 / 5, -3 / 5], rtol=1e-15)
        np.testing.assert_allclose(slope, [1, 16 / 25, 16 / 25], rtol=1e-15)

    def test_silu(self):
        # At x = ln 3: s = 3/4, y = 3/4 ln 3, slope s + x s (1 - s) = 3/4 + 3/16 ln 3.
        y, slope = value_and_slope(SiLU(), [0, np.log(3)])
        np.testing.assert_allclose(y, [0, 0.75 * 1.0986122886681098], rtol=1e-15)
        np.testing.assert_allclose(slope, [0.5, 0.75 + 3 / 16 * 1.0986122886681098], rtol=1e-15)

    def test_softplus(self):
        # At x = ln 3: log(1 + 3) = 2 ln 2, slope 3/4; with beta = 2: log(1 + 9) / 2 and 9/10.
        x = [0, np.log(3)]
        y, slope = value_and_slope(Softplus(), x)
        np.testing.assert_allclose(y, [0.6931471805599453, 2 * 0.6931471805599453], rtol=1e-15)
        np.testing.assert_allclose(slope, [1 / 2, 3 / 4], rtol=1e-15)
        y, slope = value_and_slope(Softplus(2), x)
        np.testing.assert_allclose(y, [0.6931471805599453 / 2, 2.302585092994046 / 2], rtol=1e-15)
        np.testing.assert_allclose(slope, [1 / 2, 9 / 10], rtol=1e-15)

    def test_softplus_keeps_its_digits_on_the_left(self):
        # e^x and nothing else to 16 digits: log(1 + t) = t - t²/2 + ... with t = e^-40 = 4.248354255291589e-18.
        y, slope = value_and_slope(Softplus(), [-40])
        assert y[0] == pytest.approx(4.248354255291589e-18, rel=1e-14, abs=0)
        assert slope[0] == pytest.approx(4.248354255291589e-18, rel=1e-14, abs=0)

    def test_softmax_and_its_logarithm(self):
        # x = ln 1, ln 2, ln 5: p = 1/8, 2/8, 5/8. With g = (1, 0, 0), g·p = 1/8, so for the softmax
        # dL/dx = p (g - 1/8) = (7/64, -2/64, -5/64), and for its logarithm g - p = (7/8, -2/8, -5/8).
        x, g = np.log([[1.0, 2, 5]]), np.array([[1.0, 0, 0]])
        layer = Softmax()
        np.testing.assert_allclose(layer(x), [[1 / 8, 2 / 8, 5 / 8]], rtol=1e-15)
        np.testing.assert_allclose(layer.backward(g), [[7 / 64, -2 / 64, -5 / 64]], rtol=1e-14)
        layer = LogSoftmax()
        np.testing.assert_allclose(layer(x), np.log([[1 / 8, 2 / 8, 5 / 8]]), rtol=1e-15)
        np.testing.assert_allclose(layer.backward(g), [[7 / 8, -2 / 8, -5 / 8]], rtol=1e-14)

    def test_gelu(self):
        assert GeLU("none")(np.array([1.0]))[0] == pytest.approx(0.8413447460685429, rel=1e-15, abs=0)
        assert GeLU("tanh")(np.array([1.0]))[0] == pytest.approx(0.8411919906082768, rel=1e-15, abs=0)
        assert GeLU()(np.array([0.0]))[0] == GeLU("none")(np.array([0.0]))[0] == 0


class TestGeLU:
    def test_exact_agrees_with_the_standard_library(self):
        x = np.linspace(-8, 8, 1601)
        normal = NormalDist()
        y, slope = value_and_slope(GeLU("none"), x)
        np.testing.assert_allclose(y, [v * normal.cdf(v) for v in x], rtol=0, atol=2e-15)
        np.testing.assert_allclose(slope, [normal.cdf(v) + v * normal.pdf(v) for v in x], rtol=0, atol=2e-15)

    def test_exact_in_float32(self):
        x = np.linspace(-8, 8, 1601, dtype=np.float32)
        normal = NormalDist()
        y, slope = value_and_slope(GeLU("none"), x)
        np.testing.assert_allclose(y, [v * normal.cdf(v) for v in x.tolist()], rtol=2e-7, atol=2e-7)
        np.testing.assert_allclose(
            slope, [normal.cdf(v) + v * normal.pdf(v) for v in x.tolist()], rtol=2e-7, atol=2e-7
        )

    @pytest.mark.parametrize(("dtype", "rel"), [(np.float64, 1e-13), (np.float32, 1e-5)])
    def test_exact_keeps_its_digits_in_the_left_tail(self, dtype, rel):
        """Phi(-7) = 1.279812543885835e-12 (W. Cody's erfc to 16 digits); 1 - erf would keep four of them."""
        y = GeLU("none")(np.array([-7.0], dtype))
        assert y[0] == pytest.approx(-7 * 1.279812543885835e-12, rel=rel, abs=0)

    @pytest.mark.parametrize(("part", "largest", "at"), [(0, 4.73e-4, 2.70), (1, 8.68e-4, 2.02)])
    def test_the_two_forms_differ_by_a_known_amount(self, part, largest, at):
        x = np.linspace(-12, 12, 240_001)
        difference = np.abs(value_and_slope(GeLU("tanh"), x)[part] - value_and_slope(GeLU("none"), x)[part])
        assert difference.max() == pytest.approx(largest, abs=0.005e-4)
        assert abs(x[difference.argmax()]) == pytest.approx(at, abs=0.005)


@pytest.mark.parametrize("name", ["ReLU", "SiLU", "Softplus", "sharp Softplus", "GeLU", "exact GeLU", "Identity"])
def test_gates_differ_from_their_mirror_image_by_x(name):
    """f(x) - f(-x) = x for the gates x·P(x) with P(x) + P(-x) = 1, and for Softplus; for Identity it is 2x."""
    x = np.linspace(-6, 6, 401)
    f = MAKERS[name]()
    np.testing.assert_allclose(f(x) - f(-x), 2 * x if name == "Identity" else x, rtol=0, atol=2e-15)


def test_sigmoid_and_tanh_are_one_curve():
    """s(x) + s(-x) = 1 and tanh(x) = 2 s(2x) - 1."""
    x = np.linspace(-6, 6, 401)
    s = Sigmoid()
    np.testing.assert_allclose(s(x) + s(-x), 1, rtol=0, atol=1e-15)
    np.testing.assert_allclose(Tanh()(x), 2 * s(2 * x) - 1, rtol=0, atol=1e-15)


@each_activation
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e4), (np.float32, 1e37), (np.float64, 1e300)])
def test_huge_arguments_reach_the_limits_without_a_warning(name, dtype, size):
    x = np.array([[-size, size, -1, 1, 0]], dtype)
    y, slope = value_and_slope(MAKERS[name](), x)
    _, *limits = LIMITS[name]
    for column, (value, at_limit) in enumerate(limits):
        far = x[0, column]
        assert y[0, column] == {"x": far, "x/2": far / 2}.get(value, value)
        assert slope[0, column] == at_limit
    # The others do not notice their neighbours.
    near_y, near_slope = value_and_slope(MAKERS[name](), x[:, 2:])
    np.testing.assert_array_equal(y[:, 2:], near_y)
    np.testing.assert_array_equal(slope[:, 2:], near_slope)


@each_activation
@each_dtype
def test_every_size_in_between_stays_finite_and_in_order(name, dtype):
    x = np.geomspace(1e-30, 1e30, 601).astype(dtype)
    for part in (x, -x):
        y, slope = value_and_slope(MAKERS[name](), part)
        assert np.isfinite(y).all()
        beyond = 0.51 if name == "Hardswish" else 0.14  # the slopes' extremes: GeLU's are ±0.13 beyond 0 and 1
    assert ((slope > -beyond) & (slope < 1 + beyond)).all()


@each_activation
def test_a_nan_is_not_hidden(name):
    y = MAKERS[name]()(np.array([np.nan, 1.0]))
    assert np.isnan(y[0])
    assert np.isfinite(y[1])


rows = arrays(np.float64, (3, 4), elements=st.floats(-1e300, 1e300))


class TestSoftmaxLayers:
    @settings(deadline=None, derandomize=True, max_examples=50)
    @given(rows)
    def test_rows_are_distributions_at_any_size(self, x):
        p, log_p = Softmax()(x), LogSoftmax()(x)
        np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-15)
        np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-12, atol=1e-300)

    @settings(deadline=None, derandomize=True, max_examples=50)
    @given(rows.map(lambda x: x / 1e300), rows.map(lambda g: g / 1e300))
    def test_gradients_add_up_to_zero_along_a_row(self, x, g):
        """Adding one number to a whole row changes no probability: the derivative in that direction is 0."""
        for layer in (Softmax(), LogSoftmax()):
            layer(x)
            np.testing.assert_allclose(layer.backward(g).sum(axis=-1), 0, atol=1e-14)

    @pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e37), (np.float64, 1e300)])
    def test_huge_scores(self, dtype, size):
        x = np.array([[size, -size, 0], [0, 0, -size]], dtype)
        assert Softmax()(x).tolist() == [[1, 0, 0], [0.5, 0.5, 0]]
        log_p = LogSoftmax()(x)
        assert log_p[0].tolist() == [0, -2 * x[0, 0], -x[0, 0]]
        assert log_p[1].tolist() == [-np.log(dtype(2)), -np.log(dtype(2)), x[1, 2]]

    def test_the_whole_jacobian(self):
        """A one-hot upstream gradient picks a row. J is symmetric with J 1 = 0, and p_k times row k of the
        logarithm's is row k of J, since d log p_k = dp_k / p_k."""
        x = np.random.default_rng(0).normal(size=5)
        rows = []
        for layer in (Softmax(), LogSoftmax()):
            layer(x)
            rows.append(np.array([layer.backward(e) for e in np.eye(5)]))
        jacobian, of_logarithm = rows
        np.testing.assert_allclose(jacobian, jacobian.T, atol=1e-16)
        np.testing.assert_allclose(jacobian @ np.ones(5), 0, atol=1e-16)
        np.testing.assert_allclose(of_logarithm * Softmax()(x)[:, np.newaxis], jacobian, atol=1e-16)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (ReLU(), "ReLU()"),
        (LeakyReLU(), "LeakyReLU()"),
        (LeakyReLU(0.2), "LeakyReLU(slope=0.2)"),
        (ReLU6(), "ReLU6()"),
        (ELU(), "ELU()"),
        (ELU(0.5), "ELU(alpha=0.5)"),
        (Identity(), "Identity()"),
        (Sigmoid(), "Sigmoid()"),
        (Tanh(), "Tanh()"),
        (SiLU(), "SiLU()"),
        (Softplus(), "Softplus()"),
        (Softplus(2), "Softplus(beta=2)"),
        (GeLU(), "GeLU()"),
        (GeLU("none"), "GeLU(approximate='none')"),
        (Softmax(), "Softmax()"),
        (LogSoftmax(), "LogSoftmax()"),
    ],
)
def test_repr(layer, text):
    assert repr(layer) == text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GeLU("erf"), "approximate must be 'tanh' or 'none', got 'erf'"),
        (lambda: LeakyReLU(-0.1), "LeakyReLU: slope must be a finite number from 0 to 1, got -0.1"),
        (lambda: LeakyReLU(2), "LeakyReLU: slope must be a finite number from 0 to 1, got 2"),
        (lambda: ELU(-1), "ELU: alpha must be a finite number >= 0, got -1"),
        (lambda: ELU(np.nan), "ELU: alpha must be a finite number >= 0, got nan"),
        (lambda: Softplus(0), "Softplus: beta must be a finite number from 1e-06 to 1e[+]06, got 0"),
    ],
)
def test_options_that_cannot_be(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.fixture
def own_registry(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr("mlp.layers.activations.registry.ACTIVATIONS", Registry("activation", ACTIVATIONS))
    recommended = dict(mlp.initializers.FOR_ACTIVATION)
    monkeypatch.setattr("mlp.layers.activations.registry.FOR_ACTIVATION", recommended)
    monkeypatch.setattr("mlp.initializers.FOR_ACTIVATION", recommended)


class TestNames:
    def test_activations_are_made_by_name(self):
        for name, layer in {"relu": ReLU, "ReLU": ReLU, "gelu": GeLU, "SIGMOID": Sigmoid, "swish": SiLU}.items():
            assert type(make_activation(name)) is layer
        assert make_activation("gelu") is not make_activation("gelu")
        assert make_activation("gelu").approximate == "tanh"
        assert make_activation("geluexact").approximate == "none"

    def test_every_activation_is_registered_under_its_own_name(self):
        for kind in {type(make()) for make in ACTIVATIONS.values()}:
            assert ACTIVATIONS[kind.__name__] is kind

    def test_options_go_to_the_layer(self):
        assert make_activation("leakyrelu", slope=0.2).slope == 0.2
        with pytest.raises(InputError, match=r"ReLU: got an unexpected keyword argument 'slope'; options: none"):
            make_activation("relu", slope=0.2)

    def test_an_unknown_name_is_answered_with_the_known_ones(self):
        with pytest.raises(InputError, match=r"'swoosh'; did you mean Swish.? There are: ELU, GeLU, .*ReLU"):
            make_activation("swoosh")

    def test_a_new_one_is_known_by_all_its_names(self, own_registry):
        @register_activation("Twice", "Double", initializer="lecun_normal")
        class Twice(Layer):
            pass

        assert isinstance(make_activation("tWICE"), Twice)
        assert isinstance(make_activation("double"), Twice)
        initializers = for_activation("double"), mlp.initializers.lecun_normal()
        drawn = [initialize((9, 4), np.random.default_rng(0)) for initialize in initializers]
        np.testing.assert_array_equal(*drawn)

    def test_the_recipe_for_a_new_one_works_as_the_readme_prints_it(self, own_registry):
        readme = (Path(mlp.__file__).parent.parent / "README.md").read_text(encoding="utf-8")
        section = readme.partition("## A layer of your own")[2].partition("\n## ")[0]
        recipe = "\n".join(re.findall(r"```python\n(.*?)```", section, re.DOTALL))
        names: dict = {}
        exec(recipe, names)
        network, x = names["network"], np.random.default_rng(0).normal(size=(5, 784))
        network.training_step(x, np.arange(5), mlp.CrossEntropyLoss())
        assert network.parameters["1.a"].grad.any()
        (name,) = re.findall(r"@register_activation\(\"(\w+)\"", recipe)
        layer = make_activation(name.lower())
        assert type(layer) is names[name]
        mlp.gradcheck.check_layer(layer, np.random.default_rng(0).normal(size=(5, 4))).assert_ok()
        assert for_activation(name)((3, 4), np.random.default_rng(0)).shape == (3, 4)
