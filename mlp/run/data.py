"""The data of a run: loaded, cut, held out and mapped as configured, with a checksum to know them by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from mlp.checks import InputError
from mlp.data import Dataset, load_mnist
from mlp.data.preprocessing import Preprocessing
from mlp.run.building import hold_out, make_preprocessing, take_samples
from mlp.run.config import RunConfig


@dataclass(frozen=True)
class RunData:
    """What a run trains and is measured on. ``checksums`` are of the data before they were divided and mapped."""

    train: Dataset
    test: Dataset
    validation: Dataset | None
    preprocessing: Preprocessing | None
    checksums: dict[str, str]


def make_data(config: RunConfig, rng: np.random.Generator) -> RunData:
    """The data as configured. ``rng`` chooses what is held out. Raises ``InputError`` naming the setting."""
    train, test = take_samples(config, *load_data(config))
    checksums = {"training": checksum(train), "test": checksum(test)}
    train, validation = hold_out(config, train, rng)
    preprocessing = make_preprocessing(config)
    if preprocessing is not None:
        train, test, validation = preprocess(preprocessing, train, test, validation)
    return RunData(train, test, validation, preprocessing, checksums)


def load_data(config: RunConfig) -> tuple[Dataset, Dataset]:
    """The configured training and test data. Raises ``InputError`` naming the setting if they cannot be had."""
    try:
        return load_mnist(config.data)
    except InputError as error:
        raise InputError(f"data: got {config.data!r}; accepted: a folder with four IDX files: {error}") from None


def preprocess(
    preprocessing: Preprocessing, train: Dataset, test: Dataset, validation: Dataset | None
) -> tuple[Dataset, Dataset, Dataset | None]:
    """Fit on the training set alone, and map all three. Raises ``InputError`` naming the setting if that fails."""
    try:
        preprocessing.fit(train)
    except InputError as error:
        raise InputError(f"preprocessing: {error}") from None
    transform = preprocessing.transform_dataset
    return transform(train), transform(test), None if validation is None else transform(validation)


def checksum(data: Dataset) -> str:
    """Of inputs and labels: equal for equal data, and different for any others."""
    digest = hashlib.blake2b(digest_size=16)
    for array in (data.inputs, data.labels):
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()
