"""The settings of a run: one frozen record in which each says what it accepts, when it matters, and to whom."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from mlp.checks import InputError
from mlp.data.preprocessing import PREPROCESSINGS
from mlp.initializers import INITIALIZERS
from mlp.layers import ACTIVATIONS, BatchNorm, Layer, LayerNorm, RMSNorm
from mlp.losses import LOSSES
from mlp.optim import OPTIMIZERS, SCHEDULES
from mlp.registry import Registry
from mlp.run import conditions as only
from mlp.run.kinds import (
    Setting,
    below_one,
    between,
    choice,
    folder,
    integer,
    not_negative,
    number,
    plain,
    positive,
    switch,
    text,
    widths,
)

TRACKING = ("auto", "online", "offline", "none")
PIPELINES = ("model-parallel", "GPipe", "1F1B", "interleaved")
NORMALIZATIONS: Registry[Layer] = Registry(
    "normalization", {"BatchNorm": BatchNorm, "LayerNorm": LayerNorm, "RMSNorm": RMSNorm}
)


@dataclass(frozen=True, eq=False)
class RunConfig:
    """Everything that a run depends on besides the data. The values here are those of configs/default.yaml.

    A setting that the others leave without effect must stay at its default: a momentum for AdaGrad, which has none,
    was given by somebody who expects something of it, and is refused. So are settings that cannot go together. Each
    setting names these conditions itself. A default is never refused, since nobody gave it. Only the settings as
    they end up are judged, after all files and options: a file may hold the margin and an option the loss.

    The record that a run leaves in its folder names every setting, and an older version may have let pass what had
    no effect. So where a file names every setting of the record (``RECORD``), a value without effect is put back to
    its default, which is the same run, and a warning says so.

    Raises ``InputError`` for a value that is not accepted, naming the key, the value and what is.
    """

    # The network
    hidden: list[int] = widths([512], "widths of the hidden layers; [] for none")
    activation: str = choice("ReLU", lambda: sorted(ACTIVATIONS), "the nonlinearity after each hidden layer")
    normalization: str = choice(
        "none", lambda: ["none", *NORMALIZATIONS], "normalisation before each activation", only.WHOLE_LAYERS
    )
    dropout: float = below_one(0.0, "probability of dropping a hidden neuron", only.WHOLE_LAYERS)
    residual: bool = switch("a way around each hidden layer that keeps the width", only.WHOLE_LAYERS)
    init: str = choice(
        "normal", lambda: ["auto", *INITIALIZERS.made_with()], "how weights start; auto: as the activation needs"
    )
    init_std: float = not_negative(0.01, "standard deviation of initial weights", only.NORMAL_INIT)
    init_bias: float = number(0.0, "a number", lambda v: True, "what the hidden biases start with")
    dtype: str = choice("float32", lambda: ("float32", "float64"), "precision of all arithmetic")
    mixed_precision: bool = switch(
        "round weights, activations and gradients to float16, with float32 master weights",
        only.beside("dtype is float32", dtype="float32"),
        only.WHOLE_NETWORK,
    )
    recompute: bool = switch(
        "remember only the input of each hidden layer, and compute the rest again", only.WHOLE_LAYERS
    )

    # The loss
    loss: str = choice("CE", lambda: sorted(LOSSES), "the loss")
    margin: float = positive(0.1, "by how much the right class must lead", only.loss_takes("margin"))
    label_smoothing: float = below_one(
        0.0, "share of each target that is spread over all classes", only.loss_takes("label_smoothing")
    )
    class_weights: bool = switch(
        "let every class count the same, however many samples it has", only.loss_takes("class_weight")
    )
    l1: float = not_negative(0.0, "penalty on the absolute values of the weights", only.WHOLE_NETWORK)
    l2: float = not_negative(0.0, "penalty on half the squares of the weights, not on biases", only.WHOLE_NETWORK)
    max_norm: float | None = positive(
        None, "longest that the weights into a neuron may be, as a vector", only.WHOLE_NETWORK, only.UNSHARDED
    )

    # The optimizer
    optimizer: str = choice("SGD", lambda: sorted(OPTIMIZERS), "how gradients become updates")
    learning_rate: float | None = not_negative(None, "step size; null: the optimizer's own, 0.05 for SGD")
    momentum: float = between(0, 1, 0.9, "how much of the last step goes on", only.optimizer_takes("momentum"))
    dampening: float = between(0, 1, 0.0, "dampening of the gradient", only.optimizer_takes("dampening"))
    nesterov: bool = switch("look ahead along the momentum", only.optimizer_takes("nesterov"), only.LOOKS_AHEAD)
    beta1: float = below_one(0.9, "memory of the gradients' mean", only.optimizer_takes("beta1", "betas"))
    beta2: float = below_one(0.999, "memory of the gradients' squares", only.optimizer_takes("beta2", "betas"))
    weight_decay: float = not_negative(
        1e-5, "coupled weight decay (L2), decoupled for AdamW", only.optimizer_takes("weight_decay")
    )
    schedule: str = choice(
        "constant",
        lambda: SCHEDULES.made_with("lr", "steps", "every", "factor", "period", "milestones"),
        "the learning rate over the epochs",
    )
    warmup_epochs: float = between(0, 1e6, 0.0, "epochs in which the learning rate rises from 0")
    decay_epochs: float = number(
        10.0, "a number > 0, at most 1e6", lambda v: 0 < v <= 1e6, "epochs between two decays, or until a restart",
        only.schedule_takes("factor", "period"),
    )  # fmt: skip
    milestones: list[int] = widths(
        [], "epochs after which the learning rate decays", only.schedule_takes("milestones")
    )
    decay_factor: float = between(0, 1, 0.1, "factor of a decay of the learning rate", only.DECAYS)
    plateau_patience: int | None = integer(
        None, 0, "epochs without progress of the validation loss until the rate decays", only.HELD_OUT
    )
    clip_norm: float | None = positive(None, "longest that the gradient may be, as a vector")
    clip_value: float | None = positive(None, "largest that an entry of the gradient may be")
    accumulate: int = integer(1, 1, "parts of a batch that are computed one after another", only.WHOLE_BATCH)
    weight_average: float = below_one(
        0.0, "decay of the moving average of the weights that is evaluated; 0: none", only.WHOLE_NETWORK
    )
    batch_size: int | None = integer(100, 1, "samples in a mini-batch; null: all", optional=True)
    epochs: int = integer(10, 0, "passes over the training set", may_change=True)
    early_stopping: int | None = integer(
        None, 1, "epochs without progress of the validation loss until training ends", only.HELD_OUT, only.UNSHARDED
    )
    seed: int = integer(2022, 0, "seed of the initial weights and of the order of the samples")

    # The data
    data: str | None = folder("folder with four IDX files to use instead of MNIST")
    train_samples: int | None = integer(None, 1, "use only the first so many training samples")
    test_samples: int | None = integer(None, 1, "use only the first so many test samples")
    validation: float = below_one(0.0, "share of the training samples that is held out to choose by")
    upsample: bool = switch("repeat samples of small classes until all are of one size")
    preprocessing: str = choice(
        "none", lambda: ["none", *PREPROCESSINGS], "a map of the inputs, fitted on the training set"
    )
    pca: int | None = integer(None, 1, "number of principal components to keep")
    rotation: float = between(0, 360, 0.0, "most degrees of rotation", only.PIXELS)
    shift: float = between(0, 1000, 0.0, "most pixels of shift", only.PIXELS)
    scaling: float = below_one(0.0, "most change of scale; 0.1: from 0.9 to 1.1", only.PIXELS)
    shear: float = between(0, 80, 0.0, "most degrees of shear", only.PIXELS)
    elastic: float = between(0, 1e4, 0.0, "strength of elastic distortion; 34 is usual", only.PIXELS)
    elastic_sigma: float = number(
        4.0, "a number > 0, at most 1000", lambda v: 0 < v <= 1000, "smoothness of elastic distortion, in pixels",
        only.above("elastic"),
    )  # fmt: skip
    noise: float = between(0, 1e6, 0.0, "standard deviation of noise added to the inputs")
    mixup: float = between(0, 1e6, 0.0, "strength of mixup; 0.2 is usual", only.SOFT_LABELS)
    adversarial: float = between(0, 1e6, 0.0, "step of adversarial training samples (FGSM)", only.ONE_PROCESS)
    mask_salient: float = below_one(
        0.0, "share of pixels to hide, those that matter most to the network", only.ONE_PROCESS
    )
    prefetch: int = integer(
        2, 0, "batches whose distortion a thread prepares while another is computed", only.AUGMENTED,
        only.OTHER_WEIGHTS, may_change=True,
    )  # fmt: skip

    # The processes
    data_parallel: int = integer(1, 1, "processes that divide every batch", may_change=True)
    tensor_parallel: int = integer(1, 1, "processes that divide the neurons of every other layer", may_change=True)
    pipeline_stages: int = integer(1, 1, "processes that divide the layers", only.PIPELINE_ALONE, may_change=True)
    microbatches: int = integer(
        4, 1, "parts of a batch that go through a pipeline one after another", only.MICROBATCHES, may_change=True
    )
    pipeline_schedule: str = choice(
        "1F1B", lambda: PIPELINES, "the order in which they do", only.STAGES, may_change=True
    )
    shard: int = integer(
        0, 0, "what data-parallel processes divide besides: optimizer (1), gradients (2), weights (3)",
        only.WHOLE_NETWORK, only.above("data_parallel", 1), high=3, may_change=True,
    )  # fmt: skip
    threads: int | None = integer(
        None, 1, "threads of BLAS that share a matrix product; null: as OPENBLAS_NUM_THREADS says, else 1",
        may_change=True,
    )  # fmt: skip

    # The record
    output: str | None = folder("folder of this run (default: a new one under runs/)", in_key=False)
    tracking: str = choice(
        "auto", lambda: TRACKING, "Weights & Biases; auto: online if logged in, else offline",
        may_change=True, in_key=False,
    )  # fmt: skip
    project: str = text("mlp", "project name in wandb", may_change=True, in_key=False)
    group: str | None = text(None, "group of this run in wandb", may_change=True, in_key=False)
    log_every: int = integer(100, 1, "steps between two records of the training loss")
    inspect: bool = switch(
        "record how active the hidden neurons are and how large gradients and updates", only.ONE_PROCESS
    )
    checkpoint_seconds: float = not_negative(10.0, "least time between checkpoints", may_change=True, in_key=False)

    def __post_init__(self) -> None:
        for name, known in SETTINGS.items():
            object.__setattr__(self, name, known.check(name, getattr(self, name)))
        for name, known in SETTINGS.items():
            value = getattr(self, name)
            unmet = known.unmet(value, self)
            if unmet:
                raise InputError(f"{name}: got {value!r}; accepted: {plain(known.default)} unless {unmet.words()}")
        if self.lr is None:
            raise InputError(f"learning_rate: got None; accepted: a number >= 0, since {self.optimizer} names none")

    @property
    def lr(self) -> float:
        """The learning rate: the setting or, where that is null, what the optimizer names as its own."""
        return OPTIMIZERS.default(self.optimizer, "lr") if self.learning_rate is None else self.learning_rate

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values, with the learning rate that is meant."""
        return dataclasses.asdict(self) | {"learning_rate": self.lr}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunConfig) and self.as_dict() == other.as_dict()

    def changes(self, other: RunConfig) -> dict[str, tuple[Any, Any]]:
        """The settings in which ``other`` differs: {name: (here, there)}."""
        mine, others = self.as_dict(), other.as_dict()
        return {name: (mine[name], others[name]) for name in mine if mine[name] != others[name]}


SETTINGS: dict[str, Setting] = {f.name: f.metadata["setting"] for f in dataclasses.fields(RunConfig)}
# The first setting of each topic, as they are grouped above.
TOPICS = {
    "hidden": "the network",
    "loss": "the loss",
    "optimizer": "the optimizer",
    "data": "the data",
    "data_parallel": "the processes",
    "output": "the record",
}
# A resumed run may go on for longer and be watched differently; anything else would make it another run.
MAY_CHANGE = tuple(name for name, known in SETTINGS.items() if known.may_change)
# Settings that no result depends on. Only the record of a run names them all.
RECORD = frozenset(name for name, known in SETTINGS.items() if not known.in_key)
# Settings of augmentation that move pixels: they need images.
MOVING = tuple(name for name, known in SETTINGS.items() if only.PIXELS in known.needs)
