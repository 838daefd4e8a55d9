"""A run's settings: one frozen record, filled from YAML files and the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlp.checks import InputError, find_name
from mlp.initializers import INITIALIZERS
from mlp.layers import ACTIVATIONS
from mlp.losses import LOSSES
from mlp.optim import OPTIMIZERS
from mlp.run.settings import (
    below_one,
    choice,
    integer,
    is_widths,
    not_negative,
    number,
    positive_or_null,
    setting,
    share,
    shorten,
    switch,
    text,
)
from mlp.run.yaml_files import check_keys, read_mapping

TRACKING = ("auto", "online", "offline", "none")
NORMALIZATIONS = ("none", "BatchNorm", "LayerNorm", "RMSNorm")
SCHEDULES = ("constant", "step_decay", "exponential", "linear", "cosine", "one_cycle")
PREPROCESSINGS = ("none", "center", "standardize", "decorrelate", "whiten_pca", "whiten_zca")
PIPELINES = ("model-parallel", "GPipe", "1F1B", "interleaved")
# Settings for which the whole network has to be in one place, or every sample to be seen by one process.
ONE_PROCESS = ("inspect", "adversarial", "mask_salient")
WHOLE_WEIGHTS = ("weight_average", "max_norm", "l1", "l2", "mixed_precision")
WHOLE_LAYERS = ("dropout", "residual", "recompute")
# The one initializer left out needs a value, and is no way to start a network.
INITS = tuple(sorted(set(INITIALIZERS) - {"constant"}))
# Settings of augmentation that move pixels: they need images.
MOVING = ("rotation", "shift", "scaling", "shear", "elastic")


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run depends on besides the data. The values here are those of configs/default.yaml.

    Raises ``InputError`` for a value that is not accepted, naming the key, the value and what is.
    """

    # The network
    hidden: list[int] = setting(
        [512], "a list of integers of at least 1, such as [256, 128], or []", is_widths,
        "widths of the hidden layers; [] for none",
    )  # fmt: skip
    activation: str = choice("ReLU", lambda: sorted(ACTIVATIONS), "the nonlinearity after each hidden layer")
    normalization: str = choice("none", lambda: NORMALIZATIONS, "normalisation before each activation")
    dropout: float = below_one(0.0, "probability of dropping a hidden neuron")
    residual: bool = switch("a way around each hidden layer that keeps the width")
    init: str = choice("normal", lambda: INITS, "how weights start; auto: as the activation needs")
    init_std: float = not_negative(0.01, "standard deviation of initial weights, for init normal")
    init_bias: float = number(0.0, "a number", lambda v: True, "what the hidden biases start with")
    dtype: str = choice("float32", lambda: ("float32", "float64"), "precision of all arithmetic")
    mixed_precision: bool = switch(
        "round weights, activations and gradients to float16, with float32 master weights"
    )
    recompute: bool = switch("remember only the input of each hidden layer, and compute the rest again")

    # The loss
    loss: str = choice("CE", lambda: sorted(LOSSES), "the loss")
    margin: float = number(0.1, "a number > 0", lambda v: v > 0, "margin of the hinge losses")
    label_smoothing: float = below_one(0.0, "share of each target that is spread over all classes (CE)")
    class_weights: bool = switch("let every class count the same, however many samples it has (CE, NLL)")
    l1: float = not_negative(0.0, "penalty on the absolute values of the weights")
    l2: float = not_negative(0.0, "penalty on half the squares of the weights, not on biases")
    max_norm: float | None = positive_or_null("longest that the weights into a neuron may be, as a vector")

    # The optimizer
    optimizer: str = choice("SGD", lambda: sorted(OPTIMIZERS), "how gradients become updates")
    learning_rate: float = not_negative(0.05, "step size")
    momentum: float = share(0.9, "momentum of SGD and RMSProp")
    dampening: float = share(0.0, "dampening of the gradient (SGD)")
    nesterov: bool = switch("look ahead along the momentum (SGD)")
    beta1: float = below_one(0.9, "memory of the gradients' mean (Adam, AdamW)")
    beta2: float = below_one(0.999, "memory of the gradients' squares (Adam, AdamW)")
    weight_decay: float = not_negative(1e-5, "coupled weight decay (L2), decoupled for AdamW")
    schedule: str = choice("constant", lambda: SCHEDULES, "the learning rate over the epochs")
    warmup_epochs: float = not_negative(0.0, "epochs in which the learning rate rises from 0")
    decay_epochs: float = number(
        10.0, "a number > 0", lambda v: v > 0, "epochs between two decays (step_decay, exponential)"
    )
    decay_factor: float = share(0.1, "factor of a decay of the learning rate")
    plateau_patience: int | None = integer(
        None, 0, "epochs without progress of the validation loss until the rate decays"
    )
    clip_norm: float | None = positive_or_null("longest that the gradient may be, as a vector")
    clip_value: float | None = positive_or_null("largest that an entry of the gradient may be")
    accumulate: int = integer(1, 1, "parts of a batch that are computed one after another")
    weight_average: float = below_one(0.0, "decay of the moving average of the weights that is evaluated; 0: none")
    batch_size: int | None = integer(100, 1, "samples in a mini-batch; null: all", optional=True)
    epochs: int = integer(10, 0, "passes over the training set")
    early_stopping: int | None = integer(
        None, 1, "epochs without progress of the validation loss until training ends"
    )
    seed: int = integer(2022, 0, "seed of the initial weights and of the order of the samples")

    # The data
    data: str | None = text("folder with four IDX files to use instead of MNIST")
    train_samples: int | None = integer(None, 1, "use only the first so many training samples")
    test_samples: int | None = integer(None, 1, "use only the first so many test samples")
    validation: float = below_one(0.0, "share of the training samples that is held out to choose by")
    upsample: bool = switch("repeat samples of small classes until all are of one size")
    preprocessing: str = choice("none", lambda: PREPROCESSINGS, "a map of the inputs, fitted on the training set")
    pca: int | None = integer(None, 1, "number of principal components to keep")
    rotation: float = number(0.0, "a number from 0 to 360", lambda v: 0 <= v <= 360, "most degrees of rotation")
    shift: float = not_negative(0.0, "most pixels of shift")
    scaling: float = below_one(0.0, "most change of scale; 0.1: from 0.9 to 1.1")
    shear: float = number(0.0, "a number from 0 to 80", lambda v: 0 <= v <= 80, "most degrees of shear")
    elastic: float = not_negative(0.0, "strength of elastic distortion; 34 is usual")
    elastic_sigma: float = number(
        4.0, "a number > 0", lambda v: v > 0, "smoothness of elastic distortion, in pixels"
    )
    noise: float = not_negative(0.0, "standard deviation of noise added to the inputs")
    mixup: float = not_negative(0.0, "strength of mixup; 0.2 is usual")
    adversarial: float = not_negative(0.0, "step of adversarial training samples (FGSM)")
    mask_salient: float = below_one(0.0, "share of pixels to hide, those that matter most to the network")

    # The processes
    data_parallel: int = integer(1, 1, "processes that divide every batch")
    tensor_parallel: int = integer(1, 1, "processes that divide the neurons of every other layer")
    pipeline_stages: int = integer(1, 1, "processes that divide the layers")
    microbatches: int = integer(4, 1, "parts of a batch that go through a pipeline one after another")
    pipeline_schedule: str = choice("1F1B", lambda: PIPELINES, "the order in which they do")
    shard: int = setting(
        0, "0, 1, 2 or 3", lambda v: v in (0, 1, 2, 3) and not isinstance(v, bool),
        "what data-parallel processes divide besides: optimizer (1), gradients (2), weights (3)",
    )  # fmt: skip

    # The record
    output: str | None = text("folder of this run (default: a new one under runs/)")
    tracking: str = choice("auto", lambda: TRACKING, "Weights & Biases; auto: online if logged in, else offline")
    project: str = setting("mlp", "a text", lambda v: isinstance(v, str) and bool(v), "project name in wandb")
    group: str | None = text("group of this run in wandb")
    log_every: int = integer(100, 1, "steps between two records of the training loss")
    inspect: bool = switch("record how active the hidden neurons are and how large gradients and updates")
    checkpoint_seconds: float = not_negative(10.0, "least time between checkpoints")

    def __post_init__(self) -> None:
        choices: dict[str, Iterable[str]] = {
            "activation": ACTIVATIONS,
            "loss": LOSSES,
            "optimizer": OPTIMIZERS,
            "init": INITS,
            "schedule": SCHEDULES,
            "normalization": NORMALIZATIONS,
            "preprocessing": PREPROCESSINGS,
            "pipeline_schedule": PIPELINES,
        }
        for name, known in choices.items():
            value = getattr(self, name)
            if isinstance(value, str):
                object.__setattr__(self, name, find_name(value, known) or value)
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if not f.metadata["check"](value):
                raise InputError(f"{f.name}: got {shorten(value)}; accepted: {f.metadata['accepted']}")
            if f.type in ("float", "float | None") and value is not None:
                # One spelling for each value: 1 and 1.0, 0 and -0 are the same setting.
                object.__setattr__(self, f.name, float(value) + 0.0)
        self._check_together()

    def _check_together(self) -> None:
        """Settings that are right by themselves, but have no meaning beside others."""
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise InputError(
                f"nesterov: got true with momentum {self.momentum:g} and dampening {self.dampening:g}; "
                f"accepted: true only with momentum > 0 and dampening 0"
            )
        moving = [name for name in MOVING if getattr(self, name)]
        maps_inputs = self.preprocessing != "none" or self.pca is not None
        needs = (
            ("nesterov", self.nesterov, self.optimizer == "SGD", "true only with optimizer SGD"),
            ("dampening", self.dampening, self.optimizer == "SGD", "0 unless the optimizer is SGD"),
            ("label_smoothing", self.label_smoothing, self.loss == "CE", "0 unless the loss is CE"),
            ("class_weights", self.class_weights, self.loss in ("CE", "NLL"), "true only with loss CE or NLL"),
            (
                "mixup",
                self.mixup,
                self.loss in ("CE", "MSE", "MAE", "Huber", "BCE"),
                "0 unless the loss takes soft labels",
            ),
            ("early_stopping", self.early_stopping, self.validation > 0, "null unless validation is above 0"),
            (
                "plateau_patience",
                self.plateau_patience is not None,
                self.validation > 0,
                "null unless validation is above 0",
            ),
            ("mixed_precision", self.mixed_precision, self.dtype == "float32", "true only with dtype float32"),
            (moving[0] if moving else "", moving, not maps_inputs, "0 unless preprocessing is none and pca null"),
        )
        for name, given, is_fine, accepted in (*needs, *self._needs_of_processes()):
            if given and not is_fine:
                raise InputError(f"{name}: got {getattr(self, name)!r}; accepted: {accepted}")

    def _needs_of_processes(self) -> list[tuple[str, Any, bool, str]]:
        """(setting, whether it is on, whether it may be, what is accepted): what several processes cannot do."""
        whole_layers = self.tensor_parallel == 1
        whole_network = whole_layers and self.pipeline_stages == 1
        one = whole_network and self.data_parallel == 1
        needs = [(name, getattr(self, name), one, "off with several processes") for name in ONE_PROCESS]
        undivided = "unless tensor_parallel and pipeline_stages are 1"
        needs += [(name, getattr(self, name), whole_network, f"off {undivided}") for name in WHOLE_WEIGHTS]
        for name in WHOLE_LAYERS:
            needs.append((name, getattr(self, name), whole_layers, "off unless tensor_parallel is 1"))
        normalized, cut = self.normalization != "none", self.pipeline_stages > 1
        others = self.data_parallel * self.tensor_parallel
        return [
            *needs,
            ("normalization", normalized, whole_layers, "none unless tensor_parallel is 1"),
            ("accumulate", self.accumulate > 1, not cut, "1 in a pipeline, which has microbatches"),
            ("shard", self.shard, whole_network, f"0 {undivided}"),
            ("early_stopping", self.early_stopping, not self.shard, "null unless shard is 0"),
            ("max_norm", self.max_norm, not self.shard, "null unless shard is 0"),
            ("pipeline_stages", cut, others == 1, "1 unless data_parallel and tensor_parallel are 1"),
        ]

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values."""
        return dataclasses.asdict(self)

    def changes(self, other: RunConfig) -> dict[str, tuple[Any, Any]]:
        """The settings in which ``other`` differs: {name: (here, there)}."""
        mine, others = self.as_dict(), other.as_dict()
        return {name: (mine[name], others[name]) for name in mine if mine[name] != others[name]}


SETTINGS = tuple(f.name for f in dataclasses.fields(RunConfig))


def read_config(path: Path, base: RunConfig | None = None) -> RunConfig:
    """``base`` (the defaults) with what a YAML file changes. Raises ``InputError`` naming file, key and value."""
    values = read_mapping(path)
    check_keys(values, SETTINGS, str(path))
    try:
        return dataclasses.replace(base or RunConfig(), **values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
