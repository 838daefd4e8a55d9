"""The nonlinearities: known values, what happens far out, and how the two forms of GeLU differ."""

from statistics import NormalDist

import numpy as np
import pytest

from mlp import GeLU, InputError, Layer, ReLU, Sigmoid
from mlp.layers import ACTIVATIONS, make_activation, register_activation

MAKERS = {"ReLU": ReLU, "Sigmoid": Sigmoid, "GeLU": GeLU, "exact GeLU": lambda: GeLU(approximate="none")}

each_activation = pytest.mark.parametrize("name", MAKERS)


def value_and_slope(layer: Layer, x) -> tuple[np.ndarray, np.ndarray]:
    x = np.asarray(x, np.float64) if not isinstance(x, np.ndarray) else x
    return layer.forward(x), layer.backward(np.ones_like(x))


def test_relu_worked_numbers_and_its_slope_of_zero_at_zero():
    y, slope = value_and_slope(ReLU(), [-2, -0.0, 0, 1e-300, 3])
    assert y.tolist() == [0, 0, 0, 1e-300, 3]
    assert slope.tolist() == [0, 0, 0, 1, 1]


def test_sigmoid_worked_numbers():
    # s(0) = 1/2, s(ln 3) = 3/4, s(-ln 3) = 1/4; the slopes s (1 - s) are 1/4, 3/16, 3/16.
    y, slope = value_and_slope(Sigmoid(), [0, np.log(3), -np.log(3)])
    np.testing.assert_allclose(y, [1 / 2, 3 / 4, 1 / 4], rtol=1e-15)
    np.testing.assert_allclose(slope, [1 / 4, 3 / 16, 3 / 16], rtol=1e-15)


def test_gelu_known_values():
    assert GeLU("none")(np.array([1.0]))[0] == pytest.approx(0.8413447460685429, rel=1e-15, abs=0)
    assert GeLU("tanh")(np.array([1.0]))[0] == pytest.approx(0.8411919906082768, rel=1e-15, abs=0)
    assert GeLU()(np.array([0.0]))[0] == GeLU("none")(np.array([0.0]))[0] == 0


def test_exact_gelu_agrees_with_the_standard_library():
    x = np.linspace(-8, 8, 1601)
    normal = NormalDist()
    y, slope = value_and_slope(GeLU("none"), x)
    np.testing.assert_allclose(y, [v * normal.cdf(v) for v in x], rtol=0, atol=2e-15)
    np.testing.assert_allclose(slope, [normal.cdf(v) + v * normal.pdf(v) for v in x], rtol=0, atol=2e-15)


def test_gelu_keeps_its_digits_in_the_left_tail():
    """Phi(-7) = 1.279812543885835e-12 (W. Cody's erfc to 16 digits); 1 - erf would keep four of them."""
    y = GeLU("none")(np.array([-7.0]))
    assert y[0] == pytest.approx(-7 * 1.279812543885835e-12, rel=1e-13, abs=0)


@pytest.mark.parametrize(("part", "largest", "at"), [(0, 4.73e-4, 2.70), (1, 8.68e-4, 2.02)])
def test_the_two_forms_of_gelu_differ_by_a_known_amount(part, largest, at):
    x = np.linspace(-12, 12, 240_001)
    difference = np.abs(value_and_slope(GeLU("tanh"), x)[part] - value_and_slope(GeLU("none"), x)[part])
    assert difference.max() == pytest.approx(largest, abs=0.005e-4)
    assert abs(x[difference.argmax()]) == pytest.approx(at, abs=0.005)


@each_activation
def test_gelu_and_relu_differ_from_their_mirror_image_by_x_and_sigmoid_by_one(name):
    """f(x) - f(-x) = x for the gates x·P(x) with P(x) + P(-x) = 1; s(x) + s(-x) = 1."""
    x = np.linspace(-6, 6, 401)
    f = MAKERS[name]()
    y, mirrored = f(x), f(-x)
    actual, expected = (y + mirrored, np.ones_like(x)) if name == "Sigmoid" else (y - mirrored, x)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-15)


# Far to the left and far to the right: value (the gates': times x) and slope.
LIMITS = {"ReLU": (0, 1), "GeLU": (0, 1), "exact GeLU": (0, 1), "Sigmoid": (0, 0)}


@each_activation
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e4), (np.float64, 1e300)])
def test_huge_arguments_reach_the_limits_without_a_warning(name, dtype, size):
    x = np.array([[-size, size, -1, 1, 0]], dtype)
    y, slope = value_and_slope(MAKERS[name](), x)
    assert y[0, :2].tolist() == [0, 1 if name == "Sigmoid" else x[0, 1]]
    assert slope[0, :2].tolist() == list(LIMITS[name])
    # The others do not notice their neighbours.
    near_y, near_slope = value_and_slope(MAKERS[name](), x[:, 2:])
    np.testing.assert_array_equal(y[:, 2:], near_y)
    np.testing.assert_array_equal(slope[:, 2:], near_slope)


@each_activation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_size_in_between_stays_finite_and_in_order(name, dtype):
    x = np.geomspace(1e-30, 1e30, 601).astype(dtype)
    for part in (x, -x):
        y, slope = value_and_slope(MAKERS[name](), part)
        assert np.isfinite(y).all()
        assert ((slope > -0.14) & (slope < 1.14)).all()  # GeLU's slope has its extremes, ±0.13 beyond 0 and 1


@each_activation
def test_a_nan_is_not_hidden(name):
    y = MAKERS[name]()(np.array([np.nan, 1.0]))
    assert np.isnan(y[0])
    assert np.isfinite(y[1])


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (ReLU(), "ReLU()"),
        (Sigmoid(), "Sigmoid()"),
        (GeLU(), "GeLU()"),
        (GeLU("none"), "GeLU(approximate='none')"),
    ],
)
def test_repr(layer, text):
    assert repr(layer) == text


def test_gelu_refuses_another_form():
    with pytest.raises(InputError, match="approximate must be 'tanh' or 'none', got 'erf'"):
        GeLU("erf")


def test_activations_are_made_by_name(monkeypatch):
    for name, layer in {"relu": ReLU, "ReLU": ReLU, "gelu": GeLU, "SIGMOID": Sigmoid}.items():
        assert type(make_activation(name)) is layer
    assert make_activation("gelu") is not make_activation("gelu")
    with pytest.raises(InputError, match=r"unknown activation 'swoosh'; there are: GeLU, .*ReLU"):
        make_activation("swoosh")

    monkeypatch.setattr("mlp.layers.activations.ACTIVATIONS", dict(ACTIVATIONS))

    @register_activation("Twice")
    class Twice(Layer):
        pass

    assert isinstance(make_activation("tWICE"), Twice)
