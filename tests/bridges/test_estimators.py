"""scikit-learn's own checks of estimators, its own perceptron as an oracle, and what a user of it expects."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

from mlp import InputError, Network

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is the oracle of these tests and is not installed")

from sklearn.base import clone, is_classifier, is_regressor  # noqa: E402
from sklearn.compose import TransformedTargetRegressor  # noqa: E402
from sklearn.datasets import load_iris, make_regression  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.neural_network import MLPClassifier as TheirClassifier  # noqa: E402
from sklearn.neural_network import MLPRegressor as TheirRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from mlp.bridges.estimators import MLPClassifier, MLPRegressor  # noqa: E402
from mlp.bridges.training import OF_TRAINING  # noqa: E402
from mlp.run.config import SETTINGS  # noqa: E402

QUICK = {"hidden": (16,), "epochs": 30, "learning_rate": 0.01}
SKILLED = {"hidden": (16,), "epochs": 100, "learning_rate": 0.02, "random_state": 0}
# With everything that a network remembers besides its weights.
DROPPING = {"hidden": (5,), "dropout": 0.2, "normalization": "BatchNorm", "batch_size": 16, "random_state": 0}


@parametrize_with_checks(
    [MLPClassifier(**QUICK), MLPRegressor(**QUICK), MLPClassifier(), MLPRegressor(settings={"loss": "Huber"})]
)
def test_scikit_learn_has_nothing_against_it(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.fixture(scope="module")
def line():
    X, y = make_regression(60, 5, n_informative=4, noise=1.0, random_state=0)
    return X, y / y.std()


def weights(estimator) -> np.ndarray:
    return estimator.network_.parameters.data.copy()


def assert_same(a, b) -> None:
    """The same weights and the same history, to the last bit."""
    np.testing.assert_array_equal(weights(a), weights(b), strict=True)
    assert list(a.history_) == list(b.history_)


class TestAgainstTheirPerceptron:
    """From the same weights, steps of gradient descent over all samples lead to the same weights."""

    STEPS = 20

    def compare(self, ours, theirs, X, y, **first) -> None:
        ours.set_params(hidden=(7,), activation="Tanh", optimizer="SGD", learning_rate=0.1, batch_size=None)
        ours.set_params(settings={"momentum": 0.0}, random_state=0)
        theirs.set_params(hidden_layer_sizes=(7,), activation="tanh", solver="sgd", learning_rate_init=0.1, alpha=0)
        theirs.set_params(batch_size=len(X), momentum=0.0, nesterovs_momentum=False, random_state=0)
        # After one step both exist, and are brought to one point.
        ours.partial_fit(X, y, **first)
        theirs.partial_fit(X, y, **first)
        linears = [layer for layer in ours.network_ if hasattr(layer, "weight")]
        for layer, W, b in zip(linears, theirs.coefs_, theirs.intercepts_, strict=True):
            W[...], b[...] = layer.weight.data, layer.bias.data
        for _ in range(self.STEPS):
            ours.partial_fit(X, y)
            theirs.partial_fit(X, y)
        for layer, W, b in zip(linears, theirs.coefs_, theirs.intercepts_, strict=True):
            np.testing.assert_allclose(layer.weight.data, W, rtol=1e-10, atol=1e-10)
            np.testing.assert_allclose(layer.bias.data, b, rtol=1e-10, atol=1e-10)
        np.testing.assert_array_equal(ours.predict(X).shape, theirs.predict(X).shape)

    def test_classifier(self, iris):
        ours, theirs = MLPClassifier(), TheirClassifier()
        self.compare(ours, theirs, *iris, classes=[0, 1, 2])
        X, _ = iris
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=1e-9)

    def test_regressor(self, line):
        ours, theirs = MLPRegressor(), TheirRegressor()
        self.compare(ours, theirs, *line)
        np.testing.assert_allclose(ours.predict(line[0]), theirs.predict(line[0]), rtol=1e-9, atol=1e-10)


class TestInScikitLearn:
    def test_pipeline_search_and_cross_validation(self, iris):
        X, y = iris
        names = np.array(["setosa", "versicolor", "virginica"])[y]
        model = make_pipeline(StandardScaler(), MLPClassifier(**SKILLED))
        assert cross_val_score(model, X, names, cv=3).mean() > 0.9
        grid = {"mlpclassifier__hidden": [(), (8,)], "mlpclassifier__activation": ["ReLU", "Tanh"]}
        search = GridSearchCV(model, grid, cv=2).fit(X, names)
        assert search.best_params_.keys() == grid.keys()
        assert list(search.classes_) == ["setosa", "versicolor", "virginica"]
        assert set(search.predict(X)) <= set(names)
        assert search.score(X, names) > 0.9

    def test_targets_of_any_scale(self, line):
        X, y = line
        model = TransformedTargetRegressor(MLPRegressor(**SKILLED), transformer=StandardScaler()).fit(
            X, 1000 + 50 * y
        )
        assert model.score(X, 1000 + 50 * y) > 0.9

    def test_kinds(self):
        assert is_classifier(MLPClassifier())
        assert is_regressor(MLPRegressor())
        assert MLPRegressor().__sklearn_tags__().target_tags.multi_output

    def test_repr_shows_what_is_not_default(self):
        assert repr(MLPClassifier(hidden=(8, 4), dropout=0.1)) == "MLPClassifier(dropout=0.1, hidden=(8, 4))"

    def test_clone_takes_the_parameters_and_nothing_else(self, iris):
        fitted = MLPClassifier(hidden=(3,), epochs=1, settings={"clip_norm": 1.0}).fit(*iris)
        twin = clone(fitted)
        assert twin.get_params() == fitted.get_params()
        assert vars(twin).keys() == fitted.get_params().keys()
        with pytest.raises(NotFittedError):
            twin.predict(iris[0])
        with pytest.raises(NotFittedError):
            _ = twin.network_

    def test_names_of_columns(self, iris):
        pandas = pytest.importorskip("pandas", reason="only data frames have names of columns")
        X, y = iris
        frame = pandas.DataFrame(X, columns=list("abcd"))
        model = MLPClassifier(hidden=(3,), epochs=1).fit(frame, y)
        assert list(model.feature_names_in_) == list("abcd")
        with pytest.raises(ValueError, match="feature names"):
            model.predict(frame[list("dcba")])

    def test_scikit_learn_is_loaded_by_the_estimators_alone(self):
        program = (
            "import sys, mlp, mlp.bridges, mlp.bridges.pytorch, mlp.bridges.onnx_export\n"
            "assert 'sklearn' not in sys.modules\n"
            "from mlp.bridges.estimators import MLPClassifier\n"
            "assert 'sklearn' in sys.modules\n"
        )
        subprocess.run([sys.executable, "-c", program], check=True)


class TestFit:
    def test_it_makes_the_network_that_was_asked_for(self, iris):
        parameters = {"hidden": [4, 4], "activation": "gelu", "normalization": "BatchNorm", "dropout": 0.25}
        model = MLPClassifier(**parameters, epochs=1, settings={"residual": True}).fit(*iris)
        assert isinstance(model.network_, Network)
        hidden = "Residual(Linear(4, 4), BatchNorm(4), GeLU(), Dropout(0.25))"
        assert [repr(layer) for layer in model.network_] == [hidden, hidden, "Linear(4, 3)"]
        assert model.n_features_in_ == 4

    def test_history(self, iris):
        model = MLPClassifier(**QUICK, random_state=0).fit(*iris)
        assert len(model.history_) == 30
        assert model.history_["train_loss"][-1] < 0.2 < model.history_["train_loss"][0]
        assert model.history_["train_accuracy"][-1] > 0.9

    @pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
    def test_random_state_decides_everything_that_is_drawn(self, estimator, iris):
        def fit(random_state):
            return estimator(hidden=(5,), epochs=3, dropout=0.2, batch_size=16, random_state=random_state).fit(
                *iris
            )

        assert_same(fit(3), fit(3))
        assert_same(fit(3), fit(np.random.RandomState(3)))
        assert (weights(fit(3)) != weights(fit(4))).any()
        assert (weights(fit(None)) != weights(fit(None))).any()

    def test_fit_starts_anew(self, iris):
        model = MLPClassifier(**QUICK, random_state=0)
        first = weights(model.fit(*iris))
        np.testing.assert_array_equal(weights(model.fit(*iris)), first)

    @pytest.mark.parametrize(
        ("kind", "dtype"), [(np.float32, "float32"), (np.float64, "float64"), (np.int32, "float64")]
    )
    def test_the_dtype_of_x_is_that_of_the_network(self, kind, dtype, iris):
        X, y = iris
        classifier = MLPClassifier(hidden=(3,), epochs=1).fit((10 * X).astype(kind), y)
        regressor = MLPRegressor(hidden=(3,), epochs=1).fit((10 * X).astype(kind), y)
        assert classifier.network_.dtype == regressor.network_.dtype == dtype
        assert classifier.predict_proba(X).dtype == regressor.predict(X).dtype == dtype

    def test_arguments_are_not_changed(self, iris):
        X, y = iris[0].copy(), iris[1].copy()
        weight = np.linspace(0, 1, len(y))
        kept = X.copy(), y.copy(), weight.copy()
        MLPClassifier(hidden=(3,), epochs=2).fit(X, y, weight).predict_proba(X)
        for after, before in zip((X, y, weight), kept, strict=True):
            np.testing.assert_array_equal(after, before)

    def test_a_logarithm_where_a_probability_is_too_small(self, iris):
        X, y = iris
        model = MLPClassifier(hidden=(), epochs=1).fit(X, y)
        model.network_[0].bias.data = [0, 1000, 0]
        assert model.predict_proba(X)[0, 0] == 0
        assert -1100 < model.predict_log_proba(X)[0, 0] < -900

    @pytest.mark.parametrize("shape", [(60,), (60, 1), (60, 2)])
    def test_predictions_have_the_form_of_the_targets(self, shape, line):
        X, y = line
        model = MLPRegressor(hidden=(3,), epochs=1).fit(X, np.resize(y, shape))
        assert model.predict(X).shape == shape

    @pytest.mark.parametrize("loss", ["MAE", "Huber"])
    def test_other_losses_forgive_outliers(self, loss, line):
        # A constant is fitted: the mean of the targets is 10, their median 0.
        X = np.zeros((10, 1))
        y = np.array([0.0] * 9 + [100.0])
        options = {"hidden": (), "epochs": 600, "learning_rate": 0.05, "random_state": 0}
        assert MLPRegressor(**options).fit(X, y).predict(X)[0] == pytest.approx(10, abs=0.5)
        robust = MLPRegressor(**options, settings={"loss": loss}).fit(X, y)
        assert abs(robust.predict(X)[0]) < 0.2

    def test_numbers_of_numpy_are_taken(self, iris):
        model = MLPClassifier(
            hidden=np.array([3, 4]), epochs=np.int64(2), dropout=np.float32(0.5), batch_size=np.int32(20)
        )
        assert [layer.out_features for layer in model.fit(*iris).network_ if hasattr(layer, "weight")] == [3, 4, 3]

    def test_more_settings(self, iris):
        rising = MLPClassifier(hidden=(3,), epochs=4, settings={"schedule": "linear", "warmup_epochs": 1})
        rates = rising.fit(*iris).history_["learning_rate"]
        assert len(set(rates)) == 4
        assert rates[-1] < rates[0]

    @pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
    @pytest.mark.parametrize(
        "settings",
        [
            {"residual": True}, {"l1": 0.1}, {"l2": 0.1}, {"max_norm": 0.5}, {"clip_norm": 0.01},
            {"clip_value": 0.001}, {"noise": 0.5}, {"mixup": 0.5}, {"adversarial": 0.5}, {"mask_salient": 0.5},
            {"init_bias": 0.5}, {"beta1": 0.5}, {"schedule": "cosine"},
        ],
        ids=lambda settings: next(iter(settings)),
    )  # fmt: skip
    def test_every_setting_changes_what_is_learned(self, estimator, settings, iris):
        options = {"hidden": (4, 4), "epochs": 3, "random_state": 0}
        plain, other = estimator(**options), estimator(**options, settings=settings)
        assert (weights(plain.fit(*iris)) != weights(other.fit(*iris))).any()


@pytest.fixture(scope="module")
def noisy(iris):
    """Labels of which many are wrong, so that there is noise to fit."""
    X, y = iris
    return X, np.where(np.random.default_rng(0).random(len(y)) < 0.3, 0, y)


@pytest.fixture(scope="module")
def stopped(noisy):
    model = MLPClassifier(hidden=(64,), epochs=500, learning_rate=0.03, batch_size=20, random_state=1)
    return model.set_params(early_stopping=5, validation_fraction=0.2).fit(*noisy)


class TestEarlyStopping:
    def test_it_ends_after_so_many_epochs_without_progress(self, stopped):
        losses = stopped.history_["validation_loss"]
        assert len(losses) == losses.argmin() + 1 + 5 < 500

    def test_samples_are_held_out(self, stopped):
        # 150 samples, of which 0.2 · 150 = 30 are held out: 120 make 6 batches of 20.
        assert stopped.history_["step"][0] == 6

    def test_the_best_weights_are_back(self, stopped, noisy):
        best_epoch = int(stopped.history_["validation_loss"].argmin()) + 1
        twin = clone(stopped).set_params(epochs=best_epoch).fit(*noisy)
        np.testing.assert_array_equal(weights(twin), weights(stopped))

    def test_regression(self, line):
        model = MLPRegressor(hidden=(4,), epochs=5, early_stopping=2, random_state=0).fit(*line)
        assert "validation_loss" in model.history_.columns

    def test_a_class_that_cannot_be_split(self):
        X, y = np.eye(6), [0, 0, 0, 0, 0, 1]
        with pytest.raises(InputError, match=r"validation_fraction: .*class 1 has one sample"):
            MLPClassifier(early_stopping=2, validation_fraction=0.5).fit(X, y)


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
class TestPartialFit:
    def step(self, model, data):
        first = {"classes": [0, 1, 2]} if isinstance(model, MLPClassifier) else {}
        return model.partial_fit(*data, **first)

    def test_it_is_an_epoch_of_fit(self, estimator, iris):
        model = estimator(**DROPPING)
        for _ in range(4):
            self.step(model, iris)
        assert_same(model, estimator(**DROPPING, epochs=4).fit(*iris))

    def test_it_goes_on_after_fit(self, estimator, iris):
        model = estimator(**DROPPING, epochs=3).fit(*iris)
        assert_same(self.step(model, iris), estimator(**DROPPING, epochs=4).fit(*iris))

    @pytest.mark.parametrize("store", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
    def test_storing_it_in_between_changes_nothing(self, estimator, store, iris):
        model = estimator(**DROPPING)
        for _ in range(2):
            self.step(model, iris)
        stored = store(model)
        assert_same(stored, model)
        np.testing.assert_array_equal(stored.predict(iris[0]), model.predict(iris[0]))
        for _ in range(2):
            self.step(model, iris)
            self.step(stored, iris)
        assert_same(stored, model)

    def test_other_samples_in_every_call(self, estimator, iris):
        X, y = iris
        order = np.random.default_rng(0).permutation(len(X))
        model = estimator(hidden=(16,), learning_rate=0.02, random_state=0)
        for _ in range(30):
            for part in np.array_split(order, 4):
                self.step(model, (X[part], y[part]))
        assert model.score(X, y) > 0.9

    def test_weights_count_twice_and_not_at_all(self, estimator, iris):
        X, y = iris
        count = np.random.default_rng(0).integers(0, 3, len(y))
        options = {"hidden": (4,), "batch_size": None, "random_state": 0}
        weighted, repeated = estimator(**options), estimator(**options)
        first = {"classes": [0, 1, 2]} if estimator is MLPClassifier else {}
        for _ in range(5):
            weighted.partial_fit(X, y, **first, sample_weight=count)
            repeated.partial_fit(X.repeat(count, axis=0), y.repeat(count), **first)
        np.testing.assert_allclose(weights(weighted), weights(repeated), rtol=1e-9, atol=1e-12)

    def test_early_stopping_is_refused(self, estimator, iris):
        with pytest.raises(InputError, match="partial_fit holds no samples out"):
            self.step(estimator(early_stopping=3), iris)


class TestPartialFitOfClasses:
    def test_the_first_call_names_them(self, iris):
        with pytest.raises(InputError, match="classes must be given in the first call"):
            MLPClassifier().partial_fit(*iris)

    def test_a_class_may_come_later(self, iris):
        X, y = iris
        model = MLPClassifier(hidden=(4,)).partial_fit(X[y < 2], y[y < 2], classes=[2, 1, 0])
        assert list(model.classes_) == [0, 1, 2]
        assert model.partial_fit(X, y).predict_proba(X).shape == (len(X), 3)

    def test_others_later_are_refused(self, iris):
        model = MLPClassifier(hidden=(4,)).partial_fit(*iris, classes=[0, 1, 2])
        with pytest.raises(InputError, match=r"classes were \[0 1 2\] before, got \[0 1\]"):
            model.partial_fit(*iris, classes=[0, 1])

    def test_an_unknown_label_is_refused(self, iris):
        with pytest.raises(InputError, match=r"label .*2.* is none of the classes"):
            MLPClassifier(hidden=(4,)).partial_fit(*iris, classes=[0, 1])


class TestStored:
    def test_only_plain_values_and_arrays_are_stored(self, iris):
        model = MLPClassifier(hidden=(4,), dropout=0.1, epochs=2).fit(*iris)

        def kinds(value):
            if isinstance(value, dict):
                return {kind for item in value.values() for kind in kinds(item)}
            if isinstance(value, list | tuple):
                return {kind for item in value for kind in kinds(item)}
            return {type(value)}

        assert kinds(model._training.__getstate__()) <= {np.ndarray, int, float, str, bool, type(None)}

    def test_weights_that_were_changed_by_hand_stay_so(self, iris):
        model = MLPClassifier(hidden=(4,), epochs=1, random_state=0).fit(*iris)
        model.network_.parameters.data[...] = 0.5
        for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            assert (weights(twin) == 0.5).all()
            assert (weights(twin.partial_fit(*iris)) != 0.5).any()

    def test_parameters_set_after_fit_do_not_change_what_was_fitted(self, iris):
        model = MLPClassifier(hidden=(4,), epochs=1, random_state=0).fit(*iris)
        expected = model.predict_proba(iris[0])
        twin = pickle.loads(pickle.dumps(model.set_params(hidden=(9, 9), activation="Tanh")))
        np.testing.assert_array_equal(twin.predict_proba(iris[0]), expected)

    def test_what_is_not_fitted_can_be_stored(self):
        model = pickle.loads(pickle.dumps(MLPRegressor(hidden=(4,))))
        assert model.hidden == (4,)
        assert not hasattr(model, "network_")


class TestRefusals:
    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"hidden": 5}, "hidden: got 5; accepted: a list of integers"),
            ({"hidden": (4, 0)}, r"hidden: got \[4, 0\]"),
            ({"activation": "Relu7"}, "activation: got 'Relu7'; accepted: one of .*ReLU"),
            ({"normalization": None}, "normalization: got None"),
            ({"dropout": 1.0}, "dropout: got 1.0"),
            ({"init": "constant"}, "init: got 'constant'"),
            ({"optimizer": "Newton"}, "optimizer: got 'Newton'"),
            ({"learning_rate": -1}, "learning_rate: got -1"),
            ({"weight_decay": float("nan")}, "weight_decay: got nan"),
            ({"batch_size": 0}, "batch_size: got 0"),
            ({"epochs": 2.5}, "epochs: got 2.5"),
            ({"early_stopping": True}, "early_stopping: got True"),
            ({"validation_fraction": 2}, "validation_fraction must be a finite number from 0 to 1"),
            ({"early_stopping": 2, "validation_fraction": 0}, "early_stopping: got 2"),
            ({"settings": {"batch_size": 3}}, "settings: got .*batch_size.*accepted: a dict with any of residual"),
            ({"settings": {"output": "x"}}, "settings: got .*output"),
            ({"settings": [1]}, r"settings: got \[1\]"),
            ({"settings": {"loss": "Hinge"}}, "settings: got loss 'Hinge'; accepted: CE"),
            ({"settings": {"clip_norm": -1}}, "clip_norm: got -1"),
        ],
    )
    def test_parameters(self, parameters, message, iris):
        with pytest.raises(InputError, match=message):
            MLPClassifier(**parameters).fit(*iris)

    @pytest.mark.parametrize(
        ("weight", "message"),
        [
            (np.ones(3), r"sample_weight must have shape \(150,\), got \(3,\)"),
            (-np.ones(150), "sample_weight must be >= 0.*got -1 to -1"),
            (np.zeros(150), "not zero everywhere, got 0 to 0"),
            (np.full(150, np.nan), "sample_weight contains NaN"),
        ],
    )
    def test_sample_weights(self, weight, message, iris):
        with pytest.raises(ValueError, match=message):
            MLPClassifier().fit(*iris, sample_weight=weight)

    def test_what_an_estimator_takes_are_settings_of_a_run(self):
        assert set(OF_TRAINING) <= set(SETTINGS)
        own = set(MLPClassifier().get_params())
        assert own - set(OF_TRAINING) == {"settings", "random_state", "validation_fraction", "warm_start"}


class TestWhatUsersOfScikitLearnLookFor:
    X = np.random.default_rng(0).normal(size=(60, 3))

    def test_coefs_and_intercepts_compute_the_predictions(self):
        y = self.X @ [1.0, -2.0, 0.5]
        model = MLPRegressor(hidden=(5,), activation="Tanh", epochs=2, random_state=0).fit(self.X, y)
        assert [W.shape for W in model.coefs_] == [(3, 5), (5, 1)]
        (W1, W2), (b1, b2) = model.coefs_, model.intercepts_
        np.testing.assert_allclose(model.predict(self.X), (np.tanh(self.X @ W1 + b1) @ W2 + b2)[:, 0], rtol=1e-12)

    def test_loss_curve_has_a_number_for_each_epoch(self):
        model = MLPClassifier(hidden=(), epochs=4, random_state=0).fit(self.X, self.X[:, 0] > 0)
        assert len(model.loss_curve_) == 4
        assert model.loss_curve_[-1] < model.loss_curve_[0]

    def test_warm_start_begins_where_the_last_fit_ended(self):
        y = self.X[:, 0] > 0
        model = MLPClassifier(hidden=(4,), epochs=5, random_state=0, warm_start=True).fit(self.X, y)
        kept = [W.copy() for W in model.coefs_]
        model.set_params(learning_rate=0.0).fit(self.X, y)
        for before, after in zip(kept, model.coefs_, strict=True):
            np.testing.assert_array_equal(before, after)
        model.set_params(warm_start=False).fit(self.X, y)
        assert not np.array_equal(kept[0], model.coefs_[0])

    def test_warm_start_of_another_problem_is_refused(self):
        y = self.X[:, 0] > 0
        model = MLPClassifier(hidden=(4,), epochs=1, random_state=0, warm_start=True).fit(self.X, y)
        with pytest.raises(InputError, match=r"warm_start: classes were .* before, got"):
            model.fit(self.X, np.arange(60) % 3)
        with pytest.raises(InputError, match="warm_start: the parameters are of another architecture"):
            model.set_params(hidden=(5,)).fit(self.X, y)

    def test_masked_values_are_refused(self):
        masked, y = np.ma.masked_less(self.X, -1), self.X[:, 0] > 0
        model = MLPClassifier(hidden=(), epochs=1, random_state=0)
        for use in (lambda: model.fit(masked, y), lambda: model.fit(self.X, y).predict(masked)):
            with pytest.raises(InputError, match=r"X has \d+ masked entries"):
                use()
