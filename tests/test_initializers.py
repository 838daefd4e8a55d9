"""Where weights begin: shapes, draws, their variances, and which activation asks for which."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import Linear
from mlp.checks import InputError
from mlp.initializers import (
    FOR_ACTIVATION,
    INITIALIZERS,
    constant,
    for_activation,
    he_normal,
    he_uniform,
    identity,
    lecun_normal,
    make_initializer,
    normal,
    orthogonal,
    small_positive,
    uniform,
    xavier_normal,
    xavier_uniform,
    zeros,
)
from mlp.layers import ACTIVATIONS, make_activation

SHAPE = (300, 200)
ALL = {
    "zeros": zeros,
    "small_positive": small_positive,
    "constant": constant(0.5),
    "normal": normal(0.01),
    "uniform": uniform(0.1),
    "xavier_normal": xavier_normal(),
    "xavier_uniform": xavier_uniform(),
    "he_normal": he_normal(),
    "he_uniform": he_uniform(),
    "lecun_normal": lecun_normal(),
    "orthogonal": orthogonal(),
    "identity": identity(),
    "auto": for_activation("ReLU"),
}
# Those that compute from fan_in and fan_out.
OF_FANS = ["xavier_normal", "xavier_uniform", "he_normal", "he_uniform", "lecun_normal", "orthogonal", "identity"]
WITHOUT_DRAWS = ["zeros", "small_positive", "constant", "identity"]


def draw(initializer, shape=SHAPE, seed=0) -> np.ndarray:
    return initializer(shape, np.random.default_rng(seed))


def test_every_initializer_is_in_the_table():
    assert ALL.keys() == INITIALIZERS.keys()


@pytest.mark.parametrize("name", ALL)
class TestEveryInitializer:
    @pytest.mark.parametrize("shape", [SHAPE, (1, 1), (1, 5), (5, 1)], ids=str)
    def test_gives_float64_of_the_shape(self, name, shape):
        values = draw(ALL[name], shape)
        assert values.shape == shape
        assert values.dtype == np.float64
        assert np.isfinite(values).all()

    def test_the_same_generator_state_draws_the_same_and_the_next_draw_differs(self, name):
        rng = np.random.default_rng(3)
        first, second = ALL[name](SHAPE, rng), ALL[name](SHAPE, rng)
        np.testing.assert_array_equal(first, draw(ALL[name], seed=3))
        if name in WITHOUT_DRAWS:
            np.testing.assert_array_equal(first, second)
            assert rng.random() == np.random.default_rng(3).random()
        else:
            assert not np.isin(first, second).any()

    def test_a_layer_takes_it(self, name):
        layer = Linear(4, 3, weight_init=ALL[name], rng=5)
        np.testing.assert_array_equal(layer.weight.data, draw(ALL[name], (4, 3), seed=5).astype(np.float32))

    @pytest.mark.parametrize("shape", [(3,), (), (2, 3, 4), (0, 3)], ids=str)
    def test_other_shapes_are_filled_or_refused(self, name, shape):
        if name in [*OF_FANS, "auto"]:
            with pytest.raises(InputError, match=r"a weight of shape \(fan_in, fan_out\), got shape") as error:
                draw(ALL[name], shape)
            assert str(shape) in str(error.value)
        else:
            assert draw(ALL[name], shape).shape == shape


def test_values_of_those_that_draw_nothing():
    assert not draw(zeros).any()
    assert (draw(constant(-0.5)) == -0.5).all()
    assert (draw(small_positive) == 0.01).all()
    assert draw(identity(), (2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert draw(identity(-2), (3, 2)).tolist() == [[-2, 0], [0, -2], [0, 0]]


def test_small_positive_biases_start_more_neurons():
    """With weights so small that the bias decides, all of them."""
    x = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)
    active = [
        np.mean(Linear(20, 100, weight_init=normal(1e-4), bias_init=bias_init, rng=0)(x) > 0)
        for bias_init in (zeros, small_positive)
    ]
    assert active[0] == pytest.approx(0.5, abs=0.05)
    assert active[1] == 1


# With fan_in = 300 and fan_out = 200, worked out: 2/500 = 0.004, 2/300 = 1/150, 1/300.
VARIANCES = {
    "normal(2)": (normal(2.0), 4.0, math.inf),
    "normal()": (normal(), 1e-4, math.inf),
    "uniform(3)": (uniform(3.0), 3.0, 3.0),
    "xavier_normal()": (xavier_normal(), 0.004, math.inf),
    "xavier_normal, the lecture's": (xavier_normal(gain=math.sqrt(1 / 2)), 1 / 500, math.inf),
    "xavier_uniform()": (xavier_uniform(), 0.004, math.sqrt(6 / 500)),
    "xavier_uniform(3)": (xavier_uniform(3.0), 0.036, 3 * math.sqrt(6 / 500)),
    "he_normal()": (he_normal(), 1 / 150, math.inf),
    "he_normal(1)": (he_normal(slope=1.0), 1 / 300, math.inf),
    "he_uniform()": (he_uniform(), 1 / 150, math.sqrt(6 / 300)),
    "lecun_normal()": (lecun_normal(), 1 / 300, math.inf),
    # Columns of length gain: of 300 entries each.
    "orthogonal(2)": (orthogonal(2.0), 4 / 300, math.inf),
}


@pytest.mark.parametrize("name", VARIANCES)
def test_mean_variance_and_range(name):
    initializer, variance, limit = VARIANCES[name]
    w = draw(initializer) / math.sqrt(variance)
    # 60,000 draws: the mean lies within 5 / sqrt(60000) = 0.02, the deviation within 5 / sqrt(120000) = 0.015.
    assert abs(w.mean()) < 0.02
    assert w.std() == pytest.approx(1, abs=0.015)
    largest = np.abs(w).max() * math.sqrt(variance)
    if limit < math.inf:
        # All within the limit, and of 60,000 the largest lies 1e-3 of it below at most (e^-60 for it not to).
        assert limit * 0.999 < largest <= limit
    else:
        # About 68.27 % of normal draws within one standard deviation.
        assert np.mean(np.abs(w) < 1) == pytest.approx(0.6827, abs=0.01)


class TestOrthogonal:
    @settings(deadline=None, derandomize=True, max_examples=50)
    @given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 100), st.sampled_from([1.0, 0.25, 2.0]))
    def test_the_shorter_side_is_orthonormal(self, n_in, n_out, seed, gain):
        W = draw(orthogonal(gain), (n_in, n_out), seed) / gain
        small = W.T @ W if n_in >= n_out else W @ W.T
        np.testing.assert_allclose(small, np.eye(min(n_in, n_out)), atol=1e-12)

    def test_it_keeps_lengths(self):
        x = np.random.default_rng(1).normal(size=(10, 30))
        y = x @ draw(orthogonal(), (30, 50))
        np.testing.assert_allclose((y**2).sum(axis=1), (x**2).sum(axis=1), rtol=1e-13)

    def test_no_sign_is_preferred(self):
        """The routine alone has a convention for the signs; a uniformly distributed matrix has none.

        Of 400 fair coins between 150 and 250 show heads, up to 5 standard deviations of 10.
        """
        rng = np.random.default_rng(0)
        corners = np.array([np.diag(orthogonal()((3, 3), rng)) for _ in range(400)])
        assert ((corners > 0).sum(axis=0) > 150).all()
        assert ((corners > 0).sum(axis=0) < 250).all()


class TestPyTorchAgrees:
    """On the ranges of 60,000 draws, which depend on the formula alone."""

    @pytest.fixture
    def init(self):
        torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests and is not installed")

        def draw_theirs(fill, **options) -> np.ndarray:
            weight = torch.empty(SHAPE[::-1], dtype=torch.float64)  # PyTorch stores (out, in)
            getattr(torch.nn.init, fill)(weight, generator=torch.Generator().manual_seed(0), **options)
            return weight.numpy()

        self.gain = torch.nn.init.calculate_gain
        return draw_theirs

    def test_xavier_uniform(self, init):
        theirs = init("xavier_uniform_", gain=self.gain("tanh"))
        ours = draw(xavier_uniform(gain=5 / 3))
        assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=1e-3)

    @pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
    def test_he_uniform(self, init, slope):
        theirs = init("kaiming_uniform_", a=slope, nonlinearity="leaky_relu")
        assert np.abs(draw(he_uniform(slope))).max() == pytest.approx(np.abs(theirs).max(), rel=1e-3)

    def test_normal_draws(self, init):
        pairs = [
            (xavier_normal(self.gain("sigmoid")), init("xavier_normal_", gain=self.gain("sigmoid"))),
            (he_normal(0.2), init("kaiming_normal_", a=0.2)),
            (lecun_normal(), init("kaiming_normal_", nonlinearity="linear")),
            (orthogonal(3.0), init("orthogonal_", gain=3.0)),
        ]
        for initializer, theirs in pairs:
            # Each deviation is known to 5 / sqrt(120000) = 0.015, so their ratio to about 0.02.
            assert draw(initializer).std() == pytest.approx(theirs.std(), rel=0.02)

    def test_gains(self, init):
        """He's variance is gain² / fan_in, with PyTorch's gain for a (leaky) ReLU."""
        for slope in (0.0, 0.01, 0.5):
            gain = self.gain("leaky_relu", slope)
            w = draw(he_normal(slope)) / draw(normal(1.0))
            np.testing.assert_allclose(w, gain / math.sqrt(300), rtol=1e-12)


def mean_square_slope(name: str) -> float:
    """E(f'(x)²) for a standard normal x, by the trapezoidal rule on a fine grid."""
    x = np.linspace(-12, 12, 240_001)
    layer = make_activation(name)
    layer.forward(x)
    slope = layer.backward(np.ones_like(x))
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    return float((slope**2 * density).sum() * (x[1] - x[0]))


class TestForActivation:
    def test_every_activation_has_an_initializer(self):
        assert FOR_ACTIVATION.keys() == ACTIVATIONS.keys()
        assert set(FOR_ACTIVATION.values()) <= INITIALIZERS.keys()

    @pytest.mark.parametrize(
        ("name", "expected"),
        [("relu", he_normal()), ("LeakyReLU", he_normal()), ("GeLUExact", he_normal()), ("swish", he_normal()),
         ("Tanh", xavier_normal()), ("sigmoid", xavier_normal()), ("Identity", xavier_normal())],
    )  # fmt: skip
    def test_which(self, name, expected):
        np.testing.assert_array_equal(draw(for_activation(name)), draw(expected))
        np.testing.assert_array_equal(draw(make_initializer("auto", activation=name)), draw(expected))

    def test_what_it_says_of_the_slopes(self):
        """The numbers that speak for He: 1/2 for ReLU by symmetry, and the rest as the module says."""
        stated = {"ReLU": 0.5, "GeLU": 0.46, "SiLU": 0.38, "Softplus": 0.29, "ELU": 0.67}
        for name, value in stated.items():
            assert mean_square_slope(name) == pytest.approx(value, abs=0.005)
        # E(f'²) · fan_in · Var(w) should be 1: twice the mean square is nearer to 1 than the mean square alone
        # (for ELU both are as near).
        for name, initializer in FOR_ACTIVATION.items():
            if initializer == "he_normal" and name != "ELU":
                assert abs(2 * mean_square_slope(name) - 1) < abs(mean_square_slope(name) - 1)

    def test_a_signal_passes_through_many_relu_layers(self):
        """Through 20 layers the mean square stays within a factor of 3 with He's variance; Xavier's halves it
        every time, which makes 1e-6 of it."""
        passed = {}
        for initializer in (for_activation("ReLU"), xavier_normal()):
            rng = np.random.default_rng(0)
            x = rng.normal(size=(100, 500))
            for _ in range(20):
                x = make_activation("ReLU")(x @ initializer((500, 500), rng))
            passed[initializer] = np.mean(x**2)
        he, xavier = passed.values()
        assert 1 / 3 < he < 3
        assert xavier == pytest.approx(he / 2**20, rel=1e-9)

    def test_an_unknown_activation(self):
        with pytest.raises(InputError, match=r"'swoosh'; did you mean Swish.? There are: ELU, .*Tanh"):
            for_activation("swoosh")


class TestNames:
    @pytest.mark.parametrize("name", ALL)
    def test_made_by_name(self, name):
        options = {"constant": {"value": 0.5}, "uniform": {"limit": 0.1}, "auto": {"activation": "ReLU"}}
        made = make_initializer(name.upper(), **options.get(name, {}))
        np.testing.assert_array_equal(draw(made), draw(ALL[name]))

    def test_options_are_passed_on(self):
        np.testing.assert_array_equal(draw(make_initializer("normal", std=3)), draw(normal(3)))
        np.testing.assert_array_equal(draw(make_initializer("orthogonal", gain=2)), draw(orthogonal(2)))

    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("glorot", {}, r"unknown initializer 'glorot'; there are: auto, constant, .*zeros"),
            ("constant", {}, r"constant: missing a required argument: 'value'; options: value"),
            ("he_normal", {"gain": 2}, r"he_normal: got an unexpected keyword argument 'gain'; options: slope"),
            ("zeros", {"value": 2}, r"zeros: got an unexpected keyword argument 'value'; options: none"),
            ("auto", {}, r"auto: missing a required argument: 'activation'"),
        ],
    )
    def test_what_cannot_be_made(self, name, options, message):
        with pytest.raises(InputError, match=message):
            make_initializer(name, **options)


@pytest.mark.parametrize("bad", [-1, np.nan, np.inf, "0.01", None, True])
@pytest.mark.parametrize(
    "make",
    [normal, uniform, xavier_normal, xavier_uniform, he_normal, he_uniform, orthogonal],
    ids=lambda f: f.__name__,
)
def test_options_that_cannot_be(make, bad):
    (option,) = inspect.signature(make).parameters
    with pytest.raises(InputError, match=rf"{make.__name__}: {option} must be a finite number >= 0, got"):
        make(bad)


@pytest.mark.parametrize("make", [constant, identity], ids=lambda f: f.__name__)
@pytest.mark.parametrize("bad", [np.nan, np.inf, "1"])
def test_signed_options_that_cannot_be(make, bad):
    with pytest.raises(InputError, match=rf"{make.__name__}: (value|gain) must be a finite number"):
        make(bad)


def test_an_initializer_of_the_wrong_shape_is_refused_with_both_shapes():
    with pytest.raises(InputError, match=r"weight has shape \(4, 3\), cannot take values of shape \(3, 4\)"):
        Linear(4, 3, weight_init=lambda shape, rng: np.zeros(shape[::-1]))
