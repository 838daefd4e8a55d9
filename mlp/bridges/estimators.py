"""A network and its training as scikit-learn estimators: for pipelines, cross-validation and grid searches.

The one file that imports scikit-learn. It does so at its top, because a class needs its base class when it is
defined; so it is imported by those who use it, and by nothing in mlp.
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
from mlp.bridges.training import OF_TRAINING, Training
from mlp.checks import InputError, check_number
from mlp.data import Dataset
from mlp.functional import log_softmax, softmax
from mlp.network import Network
from mlp.run.config import RunConfig
from mlp.solver.history import History

# float32 stays float32, everything else becomes float64.
FLOATS = [np.float64, np.float32]


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

    Attributes after ``fit``: ``network_`` (a ``Network``), ``history_`` (a ``History``, one row an epoch),
    ``n_features_in_``, and ``feature_names_in_`` if the columns of X have names.

    X (n, features) in float32 is computed with in float32, anything else in float64. A sample of weight 2 counts
    twice, one of weight 0 not at all. Features should be of about one scale: put a ``StandardScaler`` in front.

    ``fit`` starts anew. ``partial_fit`` goes through its samples once, and goes on from the last call of either,
    with the parameters that this training began with.

    Raises ``InputError``, which is a ``ValueError``, for parameters or data that cannot be right, and
    ``mlp.solver.loop.NotFinite`` if training diverges.
    """

    # The losses that make sense for it, the default first.
    losses: tuple[str, ...] = ()

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

    def _begin(self, X: Array, out_features: int) -> Training:
        """A network that has learned nothing."""
        config = self._config(X.dtype)
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        return Training(config, X.shape[1], out_features, seed)

    def _config(self, dtype: np.dtype[Any]) -> RunConfig:
        """The parameters as settings of a run."""
        own = {name: value for name, value in self.get_params(deep=False).items() if name in OF_TRAINING}
        more = self.settings or {}
        accepted = [name for name in OF_TRAINING if name not in own]
        if not isinstance(more, Mapping) or not set(more) <= set(accepted):
            raise InputError(f"settings: got {more!r}; accepted: a dict with any of {', '.join(accepted)}, or None")
        fraction = check_number("validation_fraction", self.validation_fraction, 0, 1)
        validation = 0.0 if self.early_stopping is None else fraction
        values = {"loss": self.losses[0], "validation": validation, **own, **more}
        config = RunConfig(**{name: _plain(value) for name, value in values.items()}, dtype=str(dtype))
        if config.loss not in self.losses:
            raise InputError(f"settings: got loss {config.loss!r}; accepted: {', '.join(self.losses)}")
        return config

    def _read(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, going_on: bool, **options: bool
    ) -> tuple[Array, Array, Array | None]:
        """The data as arrays, without samples of weight 0."""
        dtype = self.network_.dtype if going_on else FLOATS
        inputs, targets = validate_data(self, X, y, dtype=dtype, reset=not going_on, **options)
        if sample_weight is None:
            return inputs, targets, None
        w = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
        if w.shape != (len(inputs),):
            raise InputError(f"sample_weight must have shape ({len(inputs)},), got {w.shape}")
        if w.min() < 0 or w.max() == 0:
            raise InputError(f"sample_weight must be >= 0, not zero everywhere, got {w.min():g} to {w.max():g}")
        kept = w > 0
        return inputs[kept], targets[kept], w[kept]

    def _scores(self, X: ArrayLike) -> Array:
        network = self.network_
        return network.scores(validate_data(self, X, dtype=network.dtype, reset=False))


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's and sequences as lists, which is what settings are."""
    if isinstance(value, tuple | list | np.ndarray):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


class MLPClassifier(ClassifierMixin, NetworkEstimator):  # type: ignore[misc]
    """A classifier for scikit-learn: softmax over the scores of a network, trained with cross-entropy.

        model = make_pipeline(StandardScaler(), MLPClassifier(hidden=(64,), epochs=50, random_state=0))
        model.fit(X, y).score(X_test, y_test)

    y (n,) are labels of any kind; ``classes_`` are the different ones, sorted. For the parameters see
    ``NetworkEstimator``.
    """

    losses = ("CE",)

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train from the beginning. Returns the estimator."""
        X, y, weight = self._read(X, y, sample_weight, going_on=False)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        training = self._begin(X, len(self.classes_))
        self._training = training.fit(self._dataset(X, y, weight))
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
        if going_on and not np.array_equal(named, self.classes_):
            raise InputError(f"partial_fit: classes were {self.classes_} before, got {named}")
        unknown = np.setdiff1d(y, named)
        if unknown.size:
            raise InputError(f"partial_fit: label {unknown[0]!r} is none of the classes {named}")
        self.classes_ = named
        training = self._training if going_on else self._begin(X, len(named))
        self._training = training.fit_once(self._dataset(X, y, weight))
        return self

    def _dataset(self, X: Array, y: Array, weight: Array | None) -> Dataset:
        labels = np.searchsorted(self.classes_, y)
        return Dataset(X, labels, num_classes=len(self.classes_), sample_weight=weight)

    def predict(self, X: ArrayLike) -> Array:
        """The class of the largest score: (n, features) -> (n,)."""
        largest = self._scores(X).argmax(axis=1)
        return self.classes_[largest]

    def predict_proba(self, X: ArrayLike) -> Array:
        """softmax of the scores: (n, features) -> (n, classes), in the order of ``classes_``."""
        return softmax(self._scores(X))

    def predict_log_proba(self, X: ArrayLike) -> Array:
        """The logarithm of that; finite where the probability is too small for a number."""
        return log_softmax(self._scores(X))


class MLPRegressor(RegressorMixin, NetworkEstimator):  # type: ignore[misc]
    """A regressor for scikit-learn: the outputs of a network, trained with squared error.

    y is (n,) or (n, targets), and predictions have its form. settings={"loss": "MAE"} or "Huber" measures errors
    otherwise. Targets should be of about the scale of 1: put a ``TransformedTargetRegressor`` with a
    ``StandardScaler`` around it. For the parameters see ``NetworkEstimator``.
    """

    losses = ("MSE", "MAE", "Huber")

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train from the beginning. Returns the estimator."""
        X, y, weight = self._read_targets(X, y, sample_weight, going_on=False)
        training = self._begin(X, y.shape[1])
        self._training = training.fit(Dataset(X, y, sample_weight=weight))
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
        y = self._scores(X)
        return y[:, 0] if self._is_vector else y

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
