"""What a run's settings stand for: data, network, loss, optimizer, and the options of a step."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from mlp.checks import InputError
from mlp.data import Dataset, class_weights, upsample
from mlp.data.augmentation import Affine, AffineElastic, Compose, GaussianNoise, Mixup
from mlp.data.preprocessing import PCA, PREPROCESSINGS, Pipeline, Preprocessing
from mlp.efficiency.mixed_precision import MixedPrecision
from mlp.initializers import INITIALIZERS, Initializer, constant
from mlp.layers import Dropout, Layer, Linear, LogSoftmax, Recompute, Residual, make_activation
from mlp.losses import LOSSES, Loss
from mlp.network import Network
from mlp.optim import OPTIMIZERS, SCHEDULES, Optimizer, ReduceOnPlateau, WeightAverage, make_schedule
from mlp.optim.regularizers import ElasticNet, MaxNorm
from mlp.parameter import ParameterVector
from mlp.registry import Registry
from mlp.run.kinds import shorten
from mlp.run.settings import MOVING, NORMALIZATIONS, RunConfig
from mlp.solver.adversarial import FGSM, MaskSalient
from mlp.solver.callbacks import Callback, EarlyStopping, LowerOnPlateau


def take_samples(config: RunConfig, train: Dataset, test: Dataset) -> tuple[Dataset, Dataset]:
    """The configured numbers of samples. Raises ``InputError`` for more than there are."""
    parts = []
    for name, dataset in (("train_samples", train), ("test_samples", test)):
        count = getattr(config, name)
        if count is not None and count > len(dataset):
            raise InputError(f"{name}: got {count}; accepted: an integer from 1 to {len(dataset)}, or null")
        parts.append(dataset[:count])
    if config.batch_size is not None and config.batch_size > len(parts[0]):
        raise InputError(f"batch_size: got {config.batch_size}; accepted: an integer from 1 to {len(parts[0])}")
    return parts[0], parts[1]


def hold_out(config: RunConfig, train: Dataset, rng: np.random.Generator) -> tuple[Dataset, Dataset | None]:
    """(training set, validation set or None), with the classes of the training set brought to one size if asked."""
    validation = None
    if config.validation:
        try:
            train, validation = train.split(config.validation, rng)
        except InputError as error:
            raise InputError(f"validation: got {config.validation:g}: {error}") from None
        if config.batch_size is not None and config.batch_size > len(train):
            raise InputError(
                f"batch_size: got {config.batch_size}; accepted: an integer from 1 to {len(train)}, the training "
                f"samples that validation {config.validation:g} leaves"
            )
    return (upsample(train, rng) if config.upsample else train), validation


def make_preprocessing(config: RunConfig) -> Preprocessing | None:
    """The configured map of the inputs, yet to be fitted on the training set; None for none."""
    steps: list[Preprocessing] = []
    if config.pca is not None:
        steps.append(PCA(config.pca))
    if config.preprocessing != "none":
        steps.append(PREPROCESSINGS.make(config.preprocessing))
    return Pipeline(*steps) if steps else None


def make_network(config: RunConfig, in_features: int, out_features: int, rng: np.random.Generator) -> Network:
    """The hidden layers of the configured widths, and a last Linear."""
    widths = [in_features, *config.hidden]
    if config.residual and all(a != b for a, b in pairwise(widths)):
        raise InputError(
            f"residual: got True; accepted: false unless a hidden layer keeps its width, here "
            f"{shorten('-'.join(map(str, widths)))}"
        )
    try:
        # A standard deviation that is too large for the dtype shows up as a loss that is not finite.
        with np.errstate(over="ignore"):
            layers = [layer for a, b in pairwise(widths) for layer in _make_hidden(config, a, b)]
            layers.append(Linear(widths[-1], out_features))
            if config.loss == "NLL":
                layers.append(LogSoftmax())
            return Network(*layers, rng=rng, init=_make_init(config), dtype=config.dtype)
    except (MemoryError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"hidden: got {shorten(config.hidden)}; accepted: what fits into memory") from None


def _make_hidden(config: RunConfig, a: int, b: int) -> list[Layer]:
    """One hidden layer, of width b: Linear, normalisation, activation, dropout, and what is put around them."""
    hidden: list[Layer] = [Linear(a, b, bias_init=constant(config.init_bias))]
    if config.normalization != "none":
        hidden.append(NORMALIZATIONS.make(config.normalization, b))
    hidden.append(make_activation(config.activation))
    if config.dropout:
        hidden.append(Dropout(config.dropout))
    if config.recompute:
        hidden = [Recompute(*hidden)]
    return [Residual(*hidden)] if config.residual and a == b else hidden


def _make_init(config: RunConfig) -> str | Initializer:
    """What draws the weights of every Linear, or "auto", for which the network looks at what follows each."""
    if config.init == "auto":
        return config.init
    options = {"std": config.init_std} if "std" in INITIALIZERS.options(config.init) else {}
    return INITIALIZERS.make(config.init, **options)


def make_configured_loss(config: RunConfig, train: Dataset | None = None) -> Loss:
    """The configured loss, averaged over the batch. Class weights come from the training set."""
    options = _options_for(LOSSES, config.loss, config)
    if config.class_weights and train is not None:
        options["class_weight"] = class_weights(train.labels, train.num_classes)
    return LOSSES.make(config.loss, **options)


def make_configured_optimizer(config: RunConfig, parameters: ParameterVector) -> Optimizer:
    """The configured optimizer over these parameters."""
    options = _options_for(OPTIMIZERS, config.optimizer, config) | {"lr": config.lr}
    if "betas" in OPTIMIZERS.options(config.optimizer):
        options["betas"] = (config.beta1, config.beta2)
    return OPTIMIZERS.make(config.optimizer, parameters, **options)


def _options_for(registry: Registry[Any], name: str, config: RunConfig) -> dict[str, Any]:
    """The settings that the part of this name takes, as its constructor says."""
    settings = config.as_dict()
    return {option: settings[option] for option in registry.options(name) if option in settings}


def make_step_options(config: RunConfig, network: Network, loss: Loss, train: Dataset) -> dict[str, Any]:
    """The options of ``mlp.solver.step.Step`` that the settings ask for, and none that they do not."""
    options: dict[str, Any] = {"accumulate": config.accumulate}
    if config.l1 or config.l2:
        options["regularizer"] = ElasticNet(config.l1, config.l2)
    if config.max_norm is not None:
        options["constraint"] = MaxNorm(config.max_norm)
    options |= {"clip_norm": config.clip_norm, "clip_value": config.clip_value}
    if config.weight_average:
        options["average"] = WeightAverage(network.parameters, config.weight_average)
    if config.mixed_precision:
        options["precision"] = MixedPrecision(network)
    if config.schedule != "constant" or config.warmup_epochs:
        options["schedule"] = _make_schedule(config, len(train))
    transforms = _make_transforms(config, network, loss, train)
    if transforms:
        options["transform"] = Compose(transforms)
    return options


def _make_schedule(config: RunConfig, samples: int) -> Any:
    steps_per_epoch = -(-samples // (config.batch_size or samples))
    decay_steps = max(round(config.decay_epochs * steps_per_epoch), 1)
    takes = SCHEDULES.options(config.schedule)
    options: dict[str, Any] = {}
    if "every" in takes:
        options = {"every": decay_steps, "factor": config.decay_factor}
    elif "milestones" in takes:
        if not config.milestones or config.milestones != sorted(set(config.milestones)):
            raise InputError(f"milestones: got {config.milestones}; accepted: epochs in order, such as [5, 8]")
        options = {"milestones": [e * steps_per_epoch for e in config.milestones], "factor": config.decay_factor}
    elif "factor" in takes:
        options = {"factor": config.decay_factor ** (1 / decay_steps)}
    elif "period" in takes:
        options = {"period": decay_steps}
    warmup_steps = round(config.warmup_epochs * steps_per_epoch)
    total = config.epochs * steps_per_epoch
    if warmup_steps >= max(total, 1):
        raise InputError(
            f"warmup_epochs: got {config.warmup_epochs:g}; accepted: less than the {config.epochs} epochs"
        )
    return make_schedule(config.schedule, config.lr, total, warmup_steps=warmup_steps, **options)


def _make_transforms(config: RunConfig, network: Network, loss: Loss, train: Dataset) -> list[Any]:
    # The background of images is their smallest value, in the unit that the network sees.
    low, high = ((float(v) - train.offset) * train.scale for v in (train.stored.min(), train.stored.max()))
    transforms: list[Any] = []
    if any(getattr(config, name) for name in MOVING):
        if train.image_shape is None or len(train.image_shape) != 2:
            raise InputError(f"{_first_moving(config)}; accepted: 0 unless the data are images")
        options: dict[str, Any] = {
            "degrees": config.rotation, "shift": config.shift, "scale": config.scaling, "shear": config.shear,
            "fill": low, "image_shape": train.image_shape,
        }  # fmt: skip
        if config.elastic:
            transforms.append(AffineElastic(alpha=config.elastic, sigma=config.elastic_sigma, **options))
        else:
            transforms.append(Affine(**options))
    if config.noise:
        transforms.append(GaussianNoise(config.noise))
    if config.adversarial:
        transforms.append(FGSM(network, loss, config.adversarial, low, high))
    if config.mask_salient:
        transforms.append(MaskSalient(network, loss, config.mask_salient, low))
    if config.mixup:
        transforms.append(Mixup(config.mixup, train.num_classes))
    return transforms


def make_prefetch(config: RunConfig, transform: Compose | None) -> int:
    """How many batches are prepared in advance: none where nothing is done to them, or not before their step."""
    return 0 if transform is None or transform.uses_network else config.prefetch


def _first_moving(config: RunConfig) -> str:
    name = next(name for name in MOVING if getattr(config, name))
    return f"{name}: got {getattr(config, name)!r}"


def make_callbacks(config: RunConfig) -> tuple[Callback, ...]:
    """The callbacks that act on the validation loss, in the order in which they belong before any that record."""
    callbacks: list[Callback] = []
    if config.plateau_patience is not None:
        plateau = ReduceOnPlateau(factor=config.decay_factor, patience=config.plateau_patience)
        callbacks.append(LowerOnPlateau(plateau))
    if config.early_stopping is not None:
        callbacks.append(EarlyStopping(patience=config.early_stopping))
    return tuple(callbacks)
