"""A network and its training as scikit-learn estimators: for pipelines, cross-validation and grid searches.

It imports scikit-learn at its top, because a class needs its base class; so nothing in mlp imports this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from mlp.arrays import Array
from mlp.bridges.training import Training, make_config, samples_that_count
from mlp.checks import InputError, check_unmasked
from mlp.data import Dataset
from mlp.functional import log_softmax, softmax
from mlp.layers import Linear
from mlp.network import Network
from mlp.solver.history import History

FLOATS = [np.float64, np.float32]  # float32 stays, everything else becomes float64


class NetworkEstimator(BaseEstimator):  # type: ignore[misc]
    """What ``MLPClassifier`` and ``MLPRegressor`` have in common: a multilayer perceptron, trained by mini-batches.

    Parameters, with the names and meanings of configs/default.yaml unless said otherwise:
        hidden: widths of the hidden layers; () for none.
        activation, normalization, dropout, init: of every hidden layer; init="auto" suits the activation.
        optimizer, learning_rate, weight_decay: how gradients become updates.
        batch_size, epochs: samples in a mini-batch (None: all), passes over the training set.
        early_stopping: None, or the epochs without progress of the validation loss after which training ends, with
            the best weights. ``validation_fraction`` of the samples, of every class alike, is then held out.
        settings: further settings of configs/default.yaml by name, {"schedule": "cosine", "clip_norm": 1.0}.
        random_state: as everywhere in scikit-learn. With an integer ``fit`` is a function of its arguments.
        warm_start: ``fit`` begins with the weights of the last fit, not with new ones.

    Attributes after ``fit``: ``network_`` and ``history_``, one row an epoch; as in scikit-learn ``coefs_``,
    ``intercepts_``, ``loss_curve_``, ``n_features_in_``, and ``feature_names_in_`` if the columns of X have names.

    X (n, features) in float32 is computed with in float32, anything else in float64. A sample of weight 2 counts
    twice, one of weight 0 not at all. Features should be of about one scale: put a ``StandardScaler`` in front.

    ``fit`` starts anew. ``partial_fit`` goes through its samples once, and goes on from the last call of either.
    Raises ``InputError`` for parameters or data that cannot be right, and ``NotFinite`` if training diverges.
    """

    losses: tuple[str, ...] = ()  # that make sense for it, the default first

    def __init__(
        self,
        hidden: tuple[int, ...] = (128,),
        activation: str = "ReLU",
        normalization: str = "none",
        dropout: float = 0.0,
        init: str = "auto",
        optimizer: str = "Adam",
        learning_rate: float = 0.001,
        weight_decay: float = 0.0,
        batch_size: int | None = 100,
        epochs: int = 100,
        early_stopping: int | None = None,
        validation_fraction: float = 0.1,
        settings: Mapping[str, Any] | None = None,
        random_state: Any = None,
        warm_start: bool = False,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.normalization = normalization
        self.dropout = dropout
        self.init = init
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.epochs = epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.settings = settings
        self.random_state = random_state
        self.warm_start = warm_start

    @property
    def network_(self) -> Network:
        """The trained network."""
        check_is_fitted(self, "_training")
        return self._training.network

    @property
    def history_(self) -> History:
        """Loss and, for classes, accuracy by epoch."""
        check_is_fitted(self, "_training")
        return self._training.history

    @property
    def coefs_(self) -> list[Array]:
        """The weight matrices, (in_features, out_features) each, from the first layer to the last: copies."""
        return [layer.weight.data.copy() for layer in self._linears]

    @property
    def intercepts_(self) -> list[Array]:
        """The biases, (out_features,) each: copies."""
        return [layer.bias.data.copy() for layer in self._linears if layer.bias is not None]

    @property
    def loss_curve_(self) -> list[float]:
        """The mean loss of each epoch on the training set."""
        return [float(loss) for loss in self.history_["train_loss"]]

    @property
    def _linears(self) -> list[Linear]:
        return [layer for layer in self.network_.body.walk() if isinstance(layer, Linear)]

    def _begin(self, X: Array, out_features: int, again: bool = False) -> Training:
        """A network that has learned nothing or, for ``fit`` with ``warm_start``, what it has learned before."""
        config = make_config(self.get_params(deep=False), self.losses, X.dtype)
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        training = Training(config, X.shape[1], out_features, seed)
        if again and self.warm_start and hasattr(self, "_training"):
            try:
                training.network.load_state_dict(self._training.network.state_dict())
            except InputError as error:
                raise InputError(f"warm_start: {error}; warm_start=False starts anew") from None
        return training

    def _read(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, going_on: bool, **options: bool
    ) -> tuple[Array, Array, Array | None]:
        """The data as arrays, without samples of weight 0."""
        dtype = self.network_.dtype if going_on else FLOATS
        check_unmasked("X", X)
        check_unmasked("y", y)
        inputs, targets = validate_data(self, X, y, dtype=dtype, reset=not going_on, **options)
        if sample_weight is None:
            return inputs, targets, None
        w = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
        kept = samples_that_count(w, len(inputs))
        return inputs[kept], targets[kept], w[kept]

    def _scores(self, X: ArrayLike) -> Array:
        check_unmasked("X", X)
        return self.network_.scores(validate_data(self, X, dtype=self.network_.dtype, reset=False))


class MLPClassifier(ClassifierMixin, NetworkEstimator):  # type: ignore[misc]
    """A classifier for scikit-learn: softmax over the scores of a network, trained with cross-entropy.

        model = make_pipeline(StandardScaler(), MLPClassifier(hidden=(64,), epochs=50, random_state=0))
        model.fit(X, y).score(X_test, y_test)

    y (n,) are labels of any kind; ``classes_`` are the different ones, sorted.
    """

    losses = ("CE",)
    classes_: Array

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train from the beginning. Returns the estimator."""
        X, y, weight = self._read(X, y, sample_weight, going_on=False)
        check_classification_targets(y)
        self._set_classes("warm_start", np.unique(y), going_on=self.warm_start and hasattr(self, "_training"))
        self._training = self._begin(X, len(self.classes_), again=True).fit(self._dataset(X, y, weight))
        return self

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """One epoch over these samples. The first call has to name all ``classes``. Returns the estimator."""
        going_on = hasattr(self, "_training")
        if classes is None and not going_on:
            raise InputError("partial_fit: classes must be given in the first call")
        X, y, weight = self._read(X, y, sample_weight, going_on)
        check_classification_targets(y)
        named = self.classes_ if classes is None else np.unique(np.asarray(classes))
        self._set_classes("partial_fit", named, going_on)
        unknown = np.setdiff1d(y, named)
        if unknown.size:
            raise InputError(f"partial_fit: label {unknown[0]!r} is none of the classes {named}")
        training = self._training if going_on else self._begin(X, len(named))
        self._training = training.fit_once(self._dataset(X, y, weight))
        return self

    def _set_classes(self, where: str, classes: Array, going_on: bool) -> None:
        if going_on and not np.array_equal(classes, self.classes_):
            raise InputError(f"{where}: classes were {self.classes_} before, got {classes}")
        self.classes_ = classes

    def _dataset(self, X: Array, y: Array, weight: Array | None) -> Dataset:
        labels = np.searchsorted(self.classes_, y)
        return Dataset(X, labels, num_classes=len(self.classes_), sample_weight=weight)

    def predict(self, X: ArrayLike) -> Array:
        """The class of the largest score: (n, features) -> (n,)."""
        scores = self._scores(X)
        return self.classes_[scores.argmax(axis=1)]

    def predict_proba(self, X: ArrayLike) -> Array:
        """softmax of the scores: (n, features) -> (n, classes), in the order of ``classes_``."""
        return softmax(self._scores(X))

    def predict_log_proba(self, X: ArrayLike) -> Array:
        """The logarithm of that; finite where the probability is too small for a number."""
        return log_softmax(self._scores(X))


class MLPRegressor(RegressorMixin, NetworkEstimator):  # type: ignore[misc]
    """A regressor for scikit-learn: the outputs of a network, trained with squared error.

    y is (n,) or (n, targets), and predictions have its form. settings={"loss": "MAE"} or "Huber" measures errors
    otherwise. Targets should be of about the scale of 1: put a ``TransformedTargetRegressor`` around it.
    """

    losses = ("MSE", "MAE", "Huber")

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train from the beginning. Returns the estimator."""
        X, y, weight = self._read_targets(X, y, sample_weight, going_on=False)
        self._training = self._begin(X, y.shape[1], again=True).fit(Dataset(X, y, sample_weight=weight))
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """One epoch over these samples. Returns the estimator."""
        going_on = hasattr(self, "_training")
        X, y, weight = self._read_targets(X, y, sample_weight, going_on)
        training = self._training if going_on else self._begin(X, y.shape[1])
        self._training = training.fit_once(Dataset(X, y, sample_weight=weight))
        return self

    def predict(self, X: ArrayLike) -> Array:
        """The outputs of the network: (n, features) -> (n,) or (n, targets)."""
        return self._scores(X)[..., 0 if self._is_vector else slice(None)]

    def _read_targets(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, going_on: bool
    ) -> tuple[Array, Array, Array | None]:
        X, y, weight = self._read(X, y, sample_weight, going_on, multi_output=True, y_numeric=True)
        self._is_vector = y.ndim == 1
        return X, y.reshape(len(y), -1).astype(X.dtype), weight

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
