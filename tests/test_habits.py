"""What people bring from other libraries: it works if it can mean one thing, else a line says what to write."""

import numpy as np
import pytest

import mlp
from mlp import SGD, Adam, CrossEntropyLoss, InputError, Layer, Linear, Network, Parameter, ReLU, Solver
from mlp.gradcheck import check_layer
from mlp.layers import Residual
from mlp.layers.written import read_layers

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 3)), RNG.integers(0, 2, 40)


def network(**options) -> Network:
    return Network(Linear(3, 4), ReLU(), Linear(4, 2), **options)


def test_parameters_may_be_called_and_optimizers_forget_gradients():
    net = network(rng=0)
    optimizer = SGD(net.parameters(), lr=0.1)
    net.training_step(X, Y, CrossEntropyLoss())
    assert net.parameters.grad.any()
    optimizer.zero_grad()
    assert not net.parameters.grad.any()


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_learning_rate_is_lr(kind):
    assert kind(network().parameters, learning_rate=0.25).lr == 0.25


def test_seed_and_random_state_are_rng():
    expected = network(rng=7).parameters.data
    for name in ("seed", "random_state"):
        np.testing.assert_array_equal(network(**{name: 7}).parameters.data, expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: network(inti="auto"), "Network has no option 'inti'; did you mean init?"),
        (lambda: SGD(network().parameters, momentm=0.9), "SGD has no option 'momentm'; did you mean momentum?"),
    ],
)
def test_what_means_nothing_is_refused_with_the_nearest_name(call, message):
    with pytest.raises(InputError) as error:
        call()
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "meant"), [("GELU", "GeLU"), ("Adagrad", "AdaGrad"), ("RMSprop", "RMSProp"), ("Relu", "ReLU")]
)
def test_names_in_the_case_of_other_libraries(name, meant):
    assert getattr(mlp, name) is getattr(mlp, meant)


def test_lower_case_names_are_modules_or_nothing():
    with pytest.raises(AttributeError, match="has no attribute 'relu'"):
        mlp.relu  # noqa: B018


def test_a_shortcut_around_an_activation():
    layer = Residual(ReLU(), shortcut=Linear(3, 3, rng=0, dtype=np.float64))
    check_layer(layer, X[:5]).assert_ok()


class Scaled(Layer):
    """y = x W, without telling its widths."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = Parameter(np.random.default_rng(1).normal(size=(3, width)).astype(np.float32), "weight")

    def forward(self, x):
        self.saved = x
        return x @ self.weight.data

    def backward(self, grad_y):
        self.weight.add_product(self.recall().T, grad_y)
        return grad_y @ self.weight.data.T


def test_a_layer_of_ones_own_need_not_tell_its_widths():
    net = Network(Scaled(2))
    assert (net.in_features, net.out_features) == (3, 2)
    history = Solver(net, CrossEntropyLoss(), SGD(net.parameters, lr=0.5), epochs=20, batch_size=10).fit((X, Y))
    assert history[-1]["train_loss"] < history[0]["train_loss"]


def test_a_bare_array_is_refused_and_a_constant_is_named():
    class Bare(Layer):
        def __init__(self):
            super().__init__()
            self.weight = np.ones(3)

        def forward(self, x):
            return x * self.weight

    with pytest.raises(InputError, match="bare array weight, which no optimizer would train") as error:
        Network(Bare(), Linear(3, 2))
    assert "self.weight = Parameter(array)" in str(error.value)
    Bare.constant_names = ("weight",)
    assert len(Network(Bare(), Linear(3, 2)).parameters) == 2


class TestLoad:
    def make(self) -> Network:
        return Network(
            Linear(3, 8, bias=False), mlp.BatchNorm(8, eps=1e-3), mlp.LeakyReLU(0.123456789), mlp.Dropout(0.25),
            Residual(Linear(8, 8), mlp.GeLU("none")), mlp.Mlp(8, 6, 5), Linear(5, 2), rng=3, dtype=np.float64,
        )  # fmt: skip

    def test_builds_the_network_that_was_saved(self, tmp_path):
        net = self.make()
        net.training_step(X, Y, CrossEntropyLoss())
        mlp.save(net, tmp_path / "n.npz")
        twin = mlp.load(tmp_path / "n.npz")
        assert repr(twin) == repr(net)
        assert twin.dtype == np.float64
        np.testing.assert_array_equal(twin.scores(X), net.scores(X))

    def test_takes_network_and_path_in_either_order(self, tmp_path):
        net = network(rng=0)
        mlp.save(net, tmp_path / "n.npz")
        for arguments in ((network(rng=1), tmp_path / "n.npz"), (str(tmp_path / "n.npz"), network(rng=1))):
            np.testing.assert_array_equal(mlp.load(*arguments).parameters.data, net.parameters.data)
        with pytest.raises(InputError, match="load: a path, or a network and a path, are needed"):
            mlp.load(3)

    @pytest.mark.parametrize(
        "text",
        [
            "Network(__import__('os').system('true'))",
            "Network(open('x'))",
            "Linear(3, 2",
            "3",
            "Network(" * 3000,
            "",
        ],
        ids=range(6),
    )
    def test_runs_nothing_that_a_file_says(self, text):
        with pytest.raises(InputError, match="cannot build"):
            read_layers(text, {"Linear": Linear})

    def test_layers_of_ones_own_are_named(self, tmp_path):
        net = Network(Scaled(2))
        mlp.save(net, tmp_path / "n.npz")
        with pytest.raises(InputError, match="cannot build a layer 'Scaled'"):
            mlp.load(tmp_path / "n.npz")
        assert mlp.load(Network(Scaled(2)), tmp_path / "n.npz").out_features == 2


class TestOwnCaches:
    """Layers that remember under names of their own, as students write them."""

    def test_a_network_that_has_learned_can_be_copied(self):
        class Doubled(Layer):
            def forward(self, x):
                self.x = x
                return 2 * x

            def backward(self, grad_y):
                return 2 * grad_y

        net = Network(Linear(3, 2), Doubled(), rng=0)
        net.training_step(X, Y, CrossEntropyLoss())
        assert net.astype(np.float64).dtype == np.float64

    def test_a_loss_for_each_sample_cannot_be_trained_with(self):
        net = network(rng=0)
        with pytest.raises(InputError, match="gives a loss for each sample; to train, one of them all"):
            Solver(net, CrossEntropyLoss(reduction="none"), SGD(net.parameters, lr=0.1))
        values, _ = net.training_step(X, Y, CrossEntropyLoss(reduction="none"), summed=True)
        gradient = net.parameters.grad.copy()
        total, _ = net.training_step(X, Y, CrossEntropyLoss(reduction="sum"))
        assert values.sum() == pytest.approx(total)
        np.testing.assert_allclose(gradient, net.parameters.grad, rtol=1e-6)
