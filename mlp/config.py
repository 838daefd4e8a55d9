"""A run's settings: one frozen record, filled from YAML files and the command line, and what it builds."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mlp.checks import find_name
from mlp.config_files import check_keys, read_mapping
from mlp.data import Dataset
from mlp.errors import InputError
from mlp.initializers import normal
from mlp.layers import ACTIVATIONS, Linear, make_activation
from mlp.losses import LOSSES, Loss, make_loss
from mlp.network import Network
from mlp.optim import SGD

TRACKING = ("auto", "online", "offline", "none")


def _setting(default: Any, accepted: str, check: Callable[[Any], bool], help: str) -> Any:
    factory = {"default_factory": lambda: list(default)} if isinstance(default, list) else {"default": default}
    return field(**factory, metadata={"accepted": accepted, "check": check, "help": help})


def _integer(default: int | None, low: int, help: str) -> Any:
    optional = default is None
    return _setting(
        default,
        f"an integer of at least {low}" + (", or null" if optional else ""),
        lambda v: (optional and v is None) or (isinstance(v, int) and not isinstance(v, bool) and v >= low),
        help,
    )


def _number(default: float, accepted: str, check: Callable[[float], bool], help: str) -> Any:
    def is_accepted(v: Any) -> bool:
        # Compared before it is converted: a huge integer has no float.
        is_number = isinstance(v, int | float) and not isinstance(v, bool)
        return is_number and abs(v) <= sys.float_info.max and check(v)

    return _setting(default, accepted, is_accepted, help)


def _choice(default: str, choices: Callable[[], Sequence[str]], help: str) -> Any:
    return _setting(
        default,
        "one of " + ", ".join(choices()),
        lambda v: v in choices(),
        help,
    )


def _text(help: str) -> Any:
    return _setting(None, "a text, or null", lambda v: v is None or isinstance(v, str), help)


def shorten(value: Any, length: int = 60) -> str:
    """``repr(value)``, cut where it gets long."""
    text = repr(value)
    return text if len(text) <= length else f"{text[:length]}..."


def _is_hidden(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in value)


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run depends on besides the data. The values here are those of configs/default.yaml.

    Raises ``InputError`` for a value that is not accepted, naming the key, the value and what is.
    """

    hidden: list[int] = _setting(
        [512], "a list of integers of at least 1, such as [256, 128], or []", _is_hidden,
        "widths of the hidden layers; [] for none",
    )  # fmt: skip
    activation: str = _choice("ReLU", lambda: sorted(ACTIVATIONS), "the nonlinearity after each hidden layer")
    loss: str = _choice("CE", lambda: sorted(LOSSES), "the loss")
    margin: float = _number(0.1, "a number > 0", lambda v: v > 0, "margin of the hinge loss")
    init_std: float = _number(0.01, "a number >= 0", lambda v: v >= 0, "standard deviation of initial weights")
    learning_rate: float = _number(0.05, "a number >= 0", lambda v: v >= 0, "step size of SGD")
    momentum: float = _number(0.9, "a number from 0 to 1", lambda v: 0 <= v <= 1, "momentum of SGD")
    dampening: float = _number(0.0, "a number from 0 to 1", lambda v: 0 <= v <= 1, "dampening of the gradient")
    nesterov: bool = _setting(
        False, "true or false", lambda v: isinstance(v, bool), "look ahead along the momentum"
    )
    weight_decay: float = _number(1e-5, "a number >= 0", lambda v: v >= 0, "coupled weight decay (L2)")
    batch_size: int = _integer(100, 1, "samples in a mini-batch")
    epochs: int = _integer(10, 0, "passes over the training set")
    seed: int = _integer(2022, 0, "seed of the initial weights and of the order of the samples")
    dtype: str = _choice("float32", lambda: ("float32", "float64"), "precision of all arithmetic")
    data: str | None = _text("folder with four IDX files to use instead of MNIST")
    train_samples: int | None = _integer(None, 1, "use only the first so many training samples")
    test_samples: int | None = _integer(None, 1, "use only the first so many test samples")
    output: str | None = _text("folder of this run (default: a new one under runs/)")
    tracking: str = _choice("auto", lambda: TRACKING, "Weights & Biases; auto: online if logged in, else offline")
    project: str = _setting("mlp", "a text", lambda v: isinstance(v, str) and bool(v), "project name in wandb")
    group: str | None = _text("group of this run in wandb")
    log_every: int = _integer(100, 1, "steps between two records of the training loss")
    inspect: bool = _setting(
        False,
        "true or false",
        lambda v: isinstance(v, bool),
        "record how active the hidden neurons are and how large gradients and updates",
    )
    checkpoint_seconds: float = _number(10.0, "a number >= 0", lambda v: v >= 0, "least time between checkpoints")

    def __post_init__(self) -> None:
        for name, choices in (("activation", ACTIVATIONS), ("loss", LOSSES)):
            value = getattr(self, name)
            if isinstance(value, str):
                object.__setattr__(self, name, find_name(value, choices) or value)
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if not f.metadata["check"](value):
                raise InputError(f"{f.name}: got {shorten(value)}; accepted: {f.metadata['accepted']}")
            if f.type == "float":
                # One spelling for each value: 1 and 1.0, 0 and -0 are the same setting.
                object.__setattr__(self, f.name, float(value) + 0.0)
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise InputError(
                f"nesterov: got true with momentum {self.momentum:g} and dampening {self.dampening:g}; "
                f"accepted: true only with momentum > 0 and dampening 0"
            )

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values."""
        return dataclasses.asdict(self)

    def changes(self, other: RunConfig) -> dict[str, tuple[Any, Any]]:
        """The settings in which ``other`` differs: {name: (here, there)}."""
        mine, others = self.as_dict(), other.as_dict()
        return {name: (mine[name], others[name]) for name in mine if mine[name] != others[name]}


SETTINGS = tuple(f.name for f in dataclasses.fields(RunConfig))


def make_network(config: RunConfig, in_features: int, out_features: int, rng: np.random.Generator) -> Network:
    """Linear layers of the configured widths with the activation between them."""
    widths = [in_features, *config.hidden, out_features]
    layers: list[Any] = []
    try:
        # A standard deviation that is too large for the dtype shows up as a loss that is not finite.
        with np.errstate(over="ignore"):
            for a, b in pairwise(widths):
                layers += [Linear(a, b, weight_init=normal(config.init_std)), make_activation(config.activation)]
            return Network(*layers[:-1], rng=rng, dtype=config.dtype)
    except (MemoryError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"hidden: got {shorten(config.hidden)}; accepted: what fits into memory") from None


def make_configured_loss(config: RunConfig) -> Loss:
    """The configured loss, averaged over the batch."""
    return make_loss(config.loss, **({"margin": config.margin} if config.loss == "Hinge" else {}))


def make_optimizer(config: RunConfig, network: Network) -> SGD:
    """SGD with the configured settings over all parameters of the network."""
    return SGD(
        network.parameters,
        lr=config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        dampening=config.dampening,
        nesterov=config.nesterov,
    )


def take_samples(config: RunConfig, train: Dataset, test: Dataset) -> tuple[Dataset, Dataset]:
    """The configured numbers of samples. Raises ``InputError`` for more than there are."""
    parts = []
    for name, dataset in (("train_samples", train), ("test_samples", test)):
        count = getattr(config, name)
        if count is not None and count > len(dataset):
            raise InputError(f"{name}: got {count}; accepted: an integer from 1 to {len(dataset)}, or null")
        parts.append(dataset[:count])
    if config.batch_size > len(parts[0]):
        raise InputError(f"batch_size: got {config.batch_size}; accepted: an integer from 1 to {len(parts[0])}")
    return parts[0], parts[1]


def read_config(path: Path, base: RunConfig | None = None) -> RunConfig:
    """``base`` (the defaults) with what a YAML file changes. Raises ``InputError`` naming file, key and value."""
    values = read_mapping(path)
    check_keys(values, SETTINGS, str(path))
    try:
        return dataclasses.replace(base or RunConfig(), **values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
