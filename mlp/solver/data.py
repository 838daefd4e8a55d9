"""The data that a network is trained on and measured with: they fit it, and number its classes as it does."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.data.class_names import ClassNames
from mlp.data.dataset import Dataset

Data = Dataset | tuple[Array, Array]


def as_data(data: Any, what: str, model: Any) -> Dataset:
    """A data set that fits the network, from one or from a pair (inputs, labels).

    Names of classes are numbered as in ``network.classes``, which come from its training set. Raises ``InputError``
    for a name that is none of them.
    """
    is_pair = isinstance(data, tuple | list) and len(data) == 2 and not np.isscalar(data[0])
    if not isinstance(data, Dataset) and not is_pair:
        raise InputError(
            f"{what} data must be a Dataset or a pair (inputs, labels), got {type(data).__name__}; "
            "write fit((x, y)), or fit((x, y), (x_test, y_test))"
        )
    network = getattr(model, "network", model)
    classes = getattr(network, "classes", None)
    dataset = data if isinstance(data, Dataset) else _from_pair(data[0], data[1], what, network)
    if classes is not None:
        dataset = _numbered_as(classes, dataset, what)
    if (dataset.offset, dataset.scale) == (0, 1) and hasattr(network, "check_scaled"):
        network.check_scaled(dataset.stored.dtype)
    features = getattr(model, "in_features", None)
    if features not in (None, dataset.num_features):
        raise InputError(f"{what} data have {dataset.num_features} features, the network expects {features}")
    check_outputs(dataset, what, getattr(model, "out_features", None))
    return dataset


def _numbered_as(classes: tuple[str, ...], dataset: Dataset, what: str) -> Dataset:
    if isinstance(classes, ClassNames) and dataset.classes is None and dataset.is_classification:
        raise InputError(
            f"{what} data number the classes, the training data named them ({', '.join(classes[:5])}, ...): "
            "give names, or Dataset(x, labels, classes=network.classes) if the labels are numbered so"
        )
    return dataset.with_classes(classes)


def _from_pair(x: Any, y: Any, what: str, network: Any) -> Dataset:
    if getattr(network, "task", None) == "regression" and isinstance(y, np.ndarray) and y.ndim == 1:
        y = y[:, np.newaxis]  # whole numbers, too
    classes = getattr(network, "classes", None)
    if isinstance(classes, ClassNames) and np.asarray(y).dtype.kind in "biuf":
        classes = None  # numbers are not read as if they were its own
    return Dataset(x, y, name=what, classes=classes)


def as_watched_data(data: Any, what: str, model: Any) -> Dataset:
    """The same for data beside the training set: names that were not names there are refused."""
    dataset = as_data(data, what, model)
    if dataset.classes is not None and getattr(model, "network", model).classes is None:
        raise InputError(
            f"{what} data name the classes ({', '.join(dataset.classes[:5])}, ...), the training data number them; "
            "give Dataset(x, labels, classes=...) for both"
        )
    return dataset


def learn_meaning(train: Dataset, model: Any) -> None:
    """Keep with the network what its numbers mean: the names of the classes, and how its inputs were scaled."""
    network = getattr(model, "network", model)
    if network.classes is None:
        network.classes = train.classes
    if (train.offset, train.scale) != (0, 1):
        network.input_rule = train.rule()


def check_outputs(dataset: Dataset, what: str, outputs: int | None) -> None:
    """Raise ``InputError`` unless so many outputs can say what the data set asks for."""
    if outputs is None:
        return
    # One output is enough for two classes: yes or no.
    classes = 2 if outputs == 1 else outputs
    fits = dataset.num_classes <= classes if dataset.is_classification else dataset.num_classes == outputs
    if fits:
        return
    kind = "classes" if dataset.is_classification else "targets"
    hint = ""
    if dataset.is_classification and outputs > 1 and dataset.labels.ndim == 1 and dataset.labels.min() == 1:
        hint = "; the labels begin with 1, classes are counted from 0: give labels - 1"
    if dataset.is_classification and outputs == 1:
        hint += "; the targets of a regression are floats: labels.astype(float)[:, None]"
    raise InputError(f"{what} data have {dataset.num_classes} {kind}, the network {outputs} outputs{hint}")


def as_training_data(train: Any, test: Any) -> tuple[Any, Any]:
    """(train, test), where fit(x, y) was written for fit((x, y)): two arrays with as many rows."""
    if isinstance(train, np.ndarray) and isinstance(test, np.ndarray | list) and len(train) == len(test) != 2:
        return (train, test), None
    return train, test
