"""What people give to a ``Solver``: taken where it can only mean one thing, else refused with what to write."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

from mlp.checks import InputError
from mlp.losses.base import Loss, make_loss
from mlp.optim.base import Optimizer, make_optimizer
from mlp.solver.callback import Callback
from mlp.solver.step import Step
from mlp.solver.trainable import Trainable

STEP_OPTIONS = (
    "transform", "accumulate", "regularizer", "clip_value", "clip_norm", "schedule", "constraint", "average",
    "precision",
)  # fmt: skip
SOLVER_OPTIONS = ("epochs", "batch_size", "rng", "log_every", "callbacks", "prefetch", "threads", "step")
# What other libraries call it: {there: what to write here}.
ELSEWHERE = {
    "epoch": "epochs",
    "num_epochs": "epochs",
    "n_epochs": "epochs",
    "max_iter": "epochs",
    "batchsize": "batch_size",
    "verbose": "callbacks=[mlp.Progress()]",
    "lr": "the optimizer's: SGD(network.parameters, lr=0.1)",
    "learning_rate": "the optimizer's: SGD(network.parameters, lr=0.1)",
    "seed": "rng",
    "random_state": "rng",
    "lr_scheduler": "schedule",
    "scheduler": "schedule",
    "validation_data": "fit's: solver.fit(train, test, validation)",
    "n_jobs": "threads",
    "num_workers": "prefetch",
    "shuffle": "nothing: the order is drawn from rng anew in every epoch",
}


def as_loss_and_optimizer(loss: Any, optimizer: Any, model: Trainable) -> tuple[Loss, Optimizer]:
    """(loss, optimizer) from these, from their names or classes, in this order or the other one.

    Raises ``InputError`` for anything else.
    """
    if _is_a(Optimizer, loss) or _is_a(Loss, optimizer):
        loss, optimizer = optimizer, loss
    loss = _made(loss, make_loss)
    optimizer = _made(optimizer, make_optimizer, model.parameters)
    if not hasattr(loss, "forward"):
        raise InputError(f"Solver: loss must be a loss such as CrossEntropyLoss(), got {loss!r}")
    if not hasattr(optimizer, "step"):
        raise InputError(
            f"Solver: optimizer must be one such as SGD(network.parameters, lr=0.1), got {optimizer!r}"
        )
    return loss, optimizer


def _made(thing: Any, by_name: Callable[..., Any], *arguments: Any) -> Any:
    """What a name or a class stands for; anything else as it is."""
    if isinstance(thing, str):
        return by_name(thing, *arguments)
    return thing(*arguments) if isinstance(thing, type) and issubclass(thing, Loss | Optimizer) else thing


def as_callbacks(callbacks: Any) -> list[Callback]:
    """A list of callbacks from several or one, of which classes stand for what they make without arguments."""
    given = [callbacks] if _is_a(Callback, callbacks) else callbacks
    if given is None:
        given = []
    if not isinstance(given, Iterable) or isinstance(given, str):
        raise InputError(f"Solver: callbacks must be a list of callbacks, got {callbacks!r}")
    made = [each() if isinstance(each, type) and issubclass(each, Callback) else each for each in given]
    for each in made:
        if not isinstance(each, Callback):
            raise InputError(
                f"Solver: callbacks must be instances of mlp.Callback, such as mlp.Progress(), got {each!r}"
            )
    return made


def check_option_names(step_options: Iterable[str]) -> None:
    """Raise ``InputError``, with what was probably meant, for an option that neither a solver nor a step has."""
    for name in step_options:
        if name not in STEP_OPTIONS:
            known = [*SOLVER_OPTIONS, *STEP_OPTIONS]
            near = [ELSEWHERE[name]] if name in ELSEWHERE else difflib.get_close_matches(name, known, n=1)
            hint = f"write {near[0]}" if near else f"there are: {', '.join(known)}"
            raise InputError(f"Solver: there is no option {name!r}; {hint}")


def check_step(step: Step, network: object, loss: Loss, optimizer: Optimizer, options: Iterable[str]) -> None:
    """Raise ``InputError`` unless the step trains what the solver was given, and no option is left over."""
    for name, given, own in (
        ("network", network, (step.network, step.model)),
        ("loss", loss, (step.loss,)),
        ("optimizer", optimizer, (step.optimizer,)),
    ):
        if not any(given is each for each in own):
            raise InputError(f"Solver: step is of another {name}; give both the same, or leave step out")
    for name in options:
        raise InputError(f"Solver: {name} and step cannot both be given; give {name} to the Step")


def _is_a(kind: type, thing: Any) -> bool:
    return isinstance(thing, kind) or (isinstance(thing, type) and issubclass(thing, kind))
