"""When a setting has an effect, and what it cannot go with: conditions on the other settings of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from mlp.losses import LOSSES
from mlp.optim import OPTIMIZERS, SCHEDULES
from mlp.registry import Registry

Words = Callable[[], str]


class Condition(NamedTuple):
    """What must hold of the other settings for a setting to differ from its default; see ``RunConfig``."""

    words: Words
    holds: Callable[[Any], bool]
    # Whether the setting would merely be without effect otherwise; else it could not be done.
    idle: bool = True


def either(names: Iterable[str]) -> str:
    """ "a, b or c"."""
    *rest, last = sorted(names) or ["none there is"]
    return f"{', '.join(rest)} or {last}" if rest else last


def loss_takes(*options: str) -> Condition:
    """The loss must take one of these options: its constructor says so."""
    return _takes("loss", LOSSES, options)


def optimizer_takes(*options: str) -> Condition:
    """The same of the optimizer."""
    return _takes("optimizer", OPTIMIZERS, options)


def schedule_takes(*options: str) -> Condition:
    """The same of the schedule."""
    return _takes("schedule", SCHEDULES, options)


def _takes(name: str, registry: Registry[Any], options: tuple[str, ...]) -> Condition:

    def takes(part: str) -> bool:
        return part in registry and not registry.options(part).isdisjoint(options)

    return Condition(
        lambda: f"the {name} is {either(filter(takes, registry))}", lambda config: takes(getattr(config, name))
    )


def above(name: str, low: float = 0) -> Condition:
    """Setting ``name`` must be above ``low``."""
    return Condition(lambda: f"{name} is above {low:g}", lambda c: getattr(c, name) > low)


def beside(words: str, **values: Any) -> Condition:
    """Other settings must have these values: with others it could not be done."""
    return Condition(lambda: words, lambda c: all(getattr(c, n) == v for n, v in values.items()), idle=False)


SOFT_LABELS = Condition(
    lambda: "the loss takes soft labels", lambda c: getattr(LOSSES[c.loss], "takes_soft_labels", False), idle=False
)
NORMAL_INIT = Condition(lambda: "init is normal", lambda c: c.init == "normal")
HELD_OUT = Condition(lambda: "validation is above 0", lambda c: c.validation > 0, idle=False)
LOOKS_AHEAD = Condition(
    lambda: "momentum is above 0 and dampening 0", lambda c: c.momentum > 0 and c.dampening == 0, idle=False
)
DECAYS = Condition(
    lambda: f"{schedule_takes('factor').words()}, or plateau_patience is given",
    lambda c: schedule_takes("factor").holds(c) or c.plateau_patience is not None,
)
PIXELS = beside("preprocessing is none and pca null", preprocessing="none", pca=None)
AUGMENTED = Condition(
    lambda: "images are moved, or noise or mixup is above 0",
    lambda c: any((c.rotation, c.shift, c.scaling, c.shear, c.elastic, c.noise, c.mixup)),
)
OTHER_WEIGHTS = beside("adversarial and mask_salient are 0", adversarial=0, mask_salient=0)
STAGES = above("pipeline_stages", 1)
MICROBATCHES = Condition(
    lambda: "a pipeline has microbatches (pipeline_stages above 1, pipeline_schedule not model-parallel)",
    lambda c: c.pipeline_stages > 1 and c.pipeline_schedule != "model-parallel",
)
# What the modes of parallel training allow.
ONE_PROCESS = beside("there is one process", data_parallel=1, tensor_parallel=1, pipeline_stages=1)
WHOLE_NETWORK = beside("tensor_parallel and pipeline_stages are 1", tensor_parallel=1, pipeline_stages=1)
WHOLE_LAYERS = beside("tensor_parallel is 1", tensor_parallel=1)
WHOLE_BATCH = beside("pipeline_stages is 1: a pipeline has microbatches", pipeline_stages=1)
UNSHARDED = beside("shard is 0", shard=0)
PIPELINE_ALONE = beside("data_parallel and tensor_parallel are 1", data_parallel=1, tensor_parallel=1)
