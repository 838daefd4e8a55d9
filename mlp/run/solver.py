"""The solver of one process of a run, with those that watch it, as the settings want them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlp.diagnosis.activity import GradientFlow, NeuronActivity
from mlp.run.building import (
    make_callbacks,
    make_configured_loss,
    make_configured_optimizer,
    make_network,
    make_prefetch,
    make_step_options,
)
from mlp.run.config import MAY_CHANGE, RunConfig
from mlp.run.data import RunData, make_data
from mlp.run.dividing import check_ranks, make_model
from mlp.run.record import Checkpoints, LocalRecord
from mlp.solver.callbacks import Callback
from mlp.solver.loop import Solver

if TYPE_CHECKING:
    from mlp.parallel.communicator import Communicator


def make_solver(
    config: RunConfig, callbacks: tuple[Callback, ...], communicator: Communicator | None
) -> tuple[Solver, RunData]:
    """The solver and its data. With a ``communicator`` it is one of several that make each step together.

    Raises ``InputError`` naming the setting that cannot be met.
    """
    check_ranks(config, communicator)
    init, order, choice = (np.random.default_rng(s) for s in np.random.SeedSequence(config.seed).spawn(3))
    data = make_data(config, choice)
    train = data.train
    loss = make_configured_loss(config, train)
    model = make_model(config, make_network(config, train.num_features, train.num_classes, init), communicator)
    step_options = make_step_options(config, model.network, loss, train)
    watching = (NeuronActivity(), GradientFlow()) if config.inspect else ()
    solver = Solver(
        model, loss, make_configured_optimizer(config, model.parameters),
        epochs=config.epochs, batch_size=config.batch_size, rng=order, log_every=config.log_every,
        callbacks=[*make_callbacks(config), *callbacks, *watching],
        prefetch=make_prefetch(config, step_options.get("transform")), threads=config.threads, **step_options,
    )  # fmt: skip
    return solver, data


def make_checkpoints(config: RunConfig, data: RunData, solver: Solver, record: LocalRecord) -> Checkpoints:
    """The checkpoints of a run, which know its data and all settings that make it another run."""
    fixed, defaults = (
        {name: value for name, value in settings.as_dict().items() if name not in MAY_CHANGE}
        for settings in (config, RunConfig())
    )
    return Checkpoints(
        record, fixed, config.checkpoint_seconds,
        defaults=defaults, data=data.checksums, writes=solver.model.is_first, agree=solver.model.agree,
    )  # fmt: skip
