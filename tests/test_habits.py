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
        with pytest.raises(InputError, match="load: a network and a path are needed"):
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


class TestLayersAsPeopleWriteThem:
    @pytest.mark.parametrize(
        "make",
        [
            lambda: Network([Linear(3, 4), ReLU(), Linear(4, 2)], rng=5),
            lambda: Network(Linear(3, 4), ReLU, Linear(4, 2), rng=5),
            lambda: Network(Linear(3, 4), "relu", Linear(4, 2), rng=5),
        ],
    )
    def test_a_list_a_class_and_a_name(self, make):
        expected = network(rng=5)
        np.testing.assert_array_equal(make().scores(X), expected.scores(X))

    @pytest.mark.parametrize("wrong", [Linear, np.tanh, 3, None])
    def test_what_could_be_anything_is_refused(self, wrong):
        with pytest.raises(InputError, match=r"argument 1 must be a layer, such as ReLU\(\)"):
            Network(Linear(3, 4), wrong, Linear(4, 2))

    def test_an_unknown_name_is_refused_with_the_nearest(self):
        with pytest.raises(InputError, match="unknown activation 'rleu'; did you mean ReLU"):
            Network(Linear(3, 4), "rleu", Linear(4, 2))


@pytest.mark.parametrize(
    "make",
    [
        lambda value: Linear(3, 4, bias=value),
        lambda value: SGD(network().parameters, momentum=0.9, nesterov=value),
        lambda value: Adam(network().parameters, amsgrad=value),
        lambda value: mlp.optim.RMSProp(network().parameters, centered=value),
        lambda value: mlp.BatchNorm(3, affine=value),
        lambda value: mlp.LayerNorm(3, bias=value),
        lambda value: mlp.Mlp(3, return_residual=value),
        lambda value: mlp.GatedMlp(3, bias1=value),
        lambda value: mlp.HingeLoss(squared=value),
        lambda value: mlp.Dataset(X, Y, soft_labels=value),
    ],
)
@pytest.mark.parametrize("value", ["False", None, 2, []])
def test_only_true_and_false_are_true_or_false(make, value):
    with pytest.raises(InputError, match=r"must be True or False, got "):
        make(value)


@pytest.mark.parametrize("seed", [-1, 1.5, "0", np.random])
@pytest.mark.parametrize(
    "make",
    [
        lambda seed: network(rng=seed),
        lambda seed: Linear(3, 4, rng=seed),
        lambda seed: mlp.Dropout(0.5, rng=seed),
        lambda seed: Solver(network(), "CE", "SGD", rng=seed),
    ],
)
def test_what_is_no_seed(make, seed):
    with pytest.raises(InputError, match="rng must be a seed"):
        make(seed)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("cross_entropy", CrossEntropyLoss),
        ("CrossEntropyLoss", CrossEntropyLoss),
        ("sparse_categorical_crossentropy", CrossEntropyLoss),
        ("mean_squared_error", mlp.MSELoss),
        ("BinaryCrossEntropyLoss", mlp.BinaryCrossEntropyLoss),
    ],
)
def test_losses_by_the_names_of_other_libraries(name, meant):
    assert type(mlp.losses.make_loss(name)) is meant


def test_initializers_by_the_names_of_other_libraries():
    for theirs, ours in (("glorot_uniform", "xavier_uniform"), ("kaiming_normal", "he_normal")):
        np.testing.assert_array_equal(
            network(rng=1, init=theirs).parameters.data, network(rng=1, init=ours).parameters.data
        )


def test_an_optimizer_of_a_network_or_of_a_layer():
    net = network()
    assert SGD(net).parameters is net.parameters
    layer = Linear(3, 4)
    optimizer = SGD(layer.parameters(), lr=1.0)
    before = layer.bias.data.copy()
    layer.forward(X.astype(np.float32))
    layer.backward(np.ones((len(X), 4), np.float32))
    optimizer.step()
    np.testing.assert_allclose(layer.bias.data, before - len(X))  # the gradient is the number of rows


def test_a_rate_in_an_array_without_axes_is_a_number():
    assert SGD(network().parameters, lr=np.array(0.25)).lr == 0.25
    with pytest.raises(InputError, match="lr must be a finite number"):
        SGD(network().parameters, lr=np.array([0.25]))


def test_class_weights_as_pytorch_calls_them():
    assert CrossEntropyLoss(weight=[1, 2]).class_weight == (1.0, 2.0)
    with pytest.raises(InputError, match="has no option 'ignore_index'"):
        CrossEntropyLoss(ignore_index=-100)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("fit", "mlp.Solver("), ("compile", "mlp.Solver("), ("to", "astype"), ("weights", "parameters")],
)
def test_what_a_network_of_another_library_has(name, hint):
    with pytest.raises(
        AttributeError, match=rf"Network has no attribute '{name}'; write .*{hint}".replace("(", r"\(")
    ):
        getattr(network(), name)
    assert not hasattr(network(), "nonsense")


def test_names_that_mlp_has_not_point_to_the_nearest():
    with pytest.raises(AttributeError, match="did you mean BatchNorm"):
        mlp.BatchNorm1d  # noqa: B018
    with pytest.raises(AttributeError, match="did you mean f1"):
        mlp.metrics.f1_score  # noqa: B018  - whose mean over the classes is another one there
    assert mlp.metrics.accuracy_score is mlp.metrics.accuracy
    assert mlp.metrics.calibration.ReliabilityBins


class TestFit:
    def test_validation_data_are_validation_data(self):
        solver = Solver(network(rng=0), "CE", "SGD", epochs=1, batch_size=10)
        history = solver.fit((X, Y), validation_data=(X, Y))
        assert "validation_accuracy" in history[-1]

    def test_epochs_belong_to_the_solver(self):
        with pytest.raises(InputError, match=r"Solver.fit has no option 'epochs'; there are: train, test"):
            Solver(network(), "CE", "SGD").fit((X, Y), epochs=3)

    def test_a_batch_larger_than_the_data_says_what_takes_them_all(self):
        with pytest.raises(
            InputError, match="batch_size 100 is larger than the 40 samples of train; batch_size=None: all"
        ):
            Solver(network(), "CE", "SGD").fit((X, Y))


class TestParametersThatWereReplaced:
    """Of a network's layer: nothing would train them, and the old ones would be saved."""

    @staticmethod
    def replaced(value) -> Network:
        net = network(rng=0)
        net[0].weight = value
        return net

    @pytest.mark.parametrize(
        "value", [np.ones((3, 4), np.float32), Parameter(np.ones((3, 4), np.float32), "weight")]
    )
    def test_are_refused_where_they_would_be_lost(self, value, tmp_path):
        net = self.replaced(value)
        for use in (
            lambda: Solver(net, "CE", "SGD", batch_size=10).fit((X, Y)),
            lambda: mlp.save(net, tmp_path / "network.npz"),
        ):
            with pytest.raises(InputError, match=r"0.weight is not the parameter that it was made with.*\.data\["):
                use()

    def test_values_may_be_set(self):
        net = network(rng=0)
        net[0].weight.data = np.ones((3, 4))
        Solver(net, "CE", SGD(net, lr=0.0), epochs=1, batch_size=10).fit((X, Y))
        assert net.state_dict()["0.weight"].sum() == 12


class TestNamesOfClasses:
    NAMES = np.array(["dog", "cat"])[Y]  # numbered 1 and 0, by the alphabet

    def trained(self) -> Solver:
        net = network(rng=0)
        solver = Solver(net, "CE", SGD(net), epochs=1, batch_size=10)
        solver.fit((X, self.NAMES))
        return solver

    @pytest.mark.parametrize("saved", [False, True])
    def test_numbers_say_nothing_of_classes_that_were_names(self, saved, tmp_path):
        net = self.trained().network
        if saved:
            mlp.save(net, tmp_path / "n.npz")
            net = mlp.load(tmp_path / "n.npz")
        with pytest.raises(InputError, match=r"number the classes, the training data named them \(cat, dog"):
            mlp.evaluate(net, CrossEntropyLoss(), (X, Y))
        named = mlp.evaluate(net, CrossEntropyLoss(), (X, self.NAMES))
        as_numbered = mlp.Dataset(X, 1 - Y, classes=net.classes)
        assert mlp.evaluate(net, CrossEntropyLoss(), as_numbered) == named

    def test_a_part_of_the_data_keeps_them(self):
        solver = self.trained()
        data = mlp.Dataset(X, self.NAMES)
        for part in data.split(0.5, np.random.default_rng(0)):
            mlp.evaluate(solver.network, CrossEntropyLoss(), part)

    def test_classes_that_the_network_was_told_number_its_labels(self):
        net = network(rng=0, classes=["zebra", "ant"])
        Solver(net, "CE", SGD(net), epochs=1, batch_size=10).fit((X, Y))
        assert set(net.predict(X)) <= {"zebra", "ant"}
        assert "accuracy" in mlp.evaluate(net, CrossEntropyLoss(), (X, Y))

    def test_bytes_are_names(self):
        net = network(rng=0)
        Solver(net, "CE", SGD(net), epochs=1, batch_size=10).fit((X, self.NAMES.astype("S")))
        assert net.classes == ("cat", "dog")


def test_scores_that_are_not_numbers_choose_no_class():
    net = network(rng=0, task="classification")
    broken = X.copy()
    broken[7] = np.nan
    for model in (net, mlp.solver.ensemble.Ensemble([net])):
        with pytest.raises(InputError, match=r"scores of sample \[7\] are NaN"):
            model.predict(broken)


@pytest.mark.parametrize(
    ("labels", "cure"),
    [
        (np.where(Y > 0, 1, -1), r"\(labels \+ 1\) // 2"),
        (Y - 5, r"labels.astype\(float\)\[:, None\]"),
    ],
)
def test_labels_below_zero_come_with_a_cure(labels, cure):
    with pytest.raises(InputError, match=cure):
        mlp.Dataset(X, labels)


def test_whole_numbers_for_one_output_are_told_how_to_be_targets():
    net = Network(Linear(3, 1))
    with pytest.raises(
        InputError, match=r"3 classes, the network 1 outputs; the targets of a regression are floats"
    ):
        Solver(net, "MSE", SGD(net), batch_size=10).fit((X, Y + 1))


class TestInputsThatTrainingScaled:
    """Bytes as they are stored give plausible nonsense."""

    BYTES = np.random.default_rng(1).integers(0, 256, (40, 4), dtype=np.uint8)

    def trained(self) -> Network:
        net = Network(Linear(4, 2), rng=0)
        Solver(net, "CE", SGD(net), epochs=1, batch_size=10).fit(mlp.Dataset(self.BYTES, Y, scale=1 / 255))
        return net

    def test_are_taken_scaled_and_refused_as_bytes(self, tmp_path):
        net = self.trained()
        data = mlp.Dataset(self.BYTES, Y, scale=1 / 255)
        expected = net.predict(self.BYTES / 255)
        np.testing.assert_array_equal(net.predict(data), expected)
        mlp.save(net, tmp_path / "n.npz")
        for model in (net, net.astype(np.float64), mlp.load(tmp_path / "n.npz")):
            np.testing.assert_array_equal(model.predict(data.inputs), expected)
            for use in (
                lambda model=model: model.predict(self.BYTES),
                lambda model=model: model.predict_proba(data.stored),
                lambda model=model: mlp.evaluate(model, CrossEntropyLoss(), (self.BYTES, Y)),
                lambda model=model: mlp.evaluate(model, CrossEntropyLoss(), mlp.Dataset(self.BYTES, Y)),
            ):
                with pytest.raises(InputError, match=r"trained on scaled inputs, x = stored / 255, got uint8"):
                    use()

    def test_whole_numbers_are_inputs_like_others_where_training_saw_them(self):
        net = Network(Linear(4, 2), rng=0)
        whole = self.BYTES.astype(int) % 3
        Solver(net, "CE", SGD(net), epochs=1, batch_size=10).fit((whole, Y))
        np.testing.assert_array_equal(net.predict(whole), net.predict(whole.astype(float)))


def test_one_image_is_one_sample():
    net = Network(Linear(6, 3), rng=0, task="classification")
    image = RNG.normal(size=(2, 3))
    assert net.scores(image).shape == (3,)
    assert net.predict(image) == net.predict(image.reshape(1, 6))[0]


@pytest.mark.parametrize("seed", [0, np.random.default_rng(0)])
def test_data_are_divided_and_changed_by_a_seed(seed):
    data = mlp.Dataset(X, Y)
    train, held_out = data.split(0.25, seed)
    assert (len(train), len(held_out)) == (30, 10)
    assert len(data.bootstrap(seed)) == 40
    assert len(mlp.data.corrupt_labels(data, 0.5, seed)) == 40
    assert np.ptp(np.bincount(mlp.data.oversample(data, seed).labels)) == 0
    noisy = mlp.data.augmentation.GaussianNoise(0.1).images(X, seed)
    assert noisy.shape == X.shape
    for call in (data.bootstrap, lambda rng: data.split(0.25, rng)):
        with pytest.raises(InputError, match="rng must be a seed"):
            call("0")


def test_save_takes_network_and_path_in_either_order(tmp_path):
    net = network(rng=0)
    mlp.save(tmp_path / "n.npz", net)
    np.testing.assert_array_equal(mlp.load(tmp_path / "n.npz").scores(X), net.scores(X))
    with pytest.raises(InputError, match="save: a network and a path are needed"):
        mlp.save(Solver(net, "CE", "SGD"), tmp_path / "n.npz")
