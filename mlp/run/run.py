"""One training run from a configuration: its folder, its record, how it is resumed and how it ends."""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlp.checks import InputError
from mlp.data import Dataset, load_mnist
from mlp.data.preprocessing import Preprocessing
from mlp.diagnosis.activity import GradientFlow, NeuronActivity
from mlp.files import make_folder, write_text
from mlp.plots import save_figure
from mlp.run.building import (
    hold_out,
    make_callbacks,
    make_configured_loss,
    make_configured_optimizer,
    make_network,
    make_preprocessing,
    make_step_options,
    take_samples,
)
from mlp.run.config import MAY_CHANGE, RunConfig
from mlp.run.dividing import check_ranks, make_model
from mlp.run.record import CHECKPOINT, Checkpoints, LocalRecord
from mlp.run.tracking import WandbMirror
from mlp.run.yaml_files import to_yaml
from mlp.solver.callbacks import Callback, Progress
from mlp.solver.checkpoint import save_arrays
from mlp.solver.evaluation import evaluate
from mlp.solver.history import History
from mlp.solver.loop import Interrupted, NotFinite, Solver

if TYPE_CHECKING:
    from mlp.parallel.communicator import Communicator

CONFIG, ENVIRONMENT, FINAL, CURVES = "config.yaml", "environment.json", "final.json", "curves.png"
PREPROCESSING = "preprocessing.npz"


@dataclass
class RunResult:
    """What a run left behind: its folder, the rows of its epochs, and its final numbers."""

    folder: Path
    history: History
    final: dict[str, Any]


def run(
    config: RunConfig,
    *,
    resume: Path | None = None,
    progress: bool = False,
    callbacks: tuple[Callback, ...] = (),
    communicator: Communicator | None = None,
) -> RunResult:
    """Train as configured, in a new folder, or go on in the folder ``resume`` from its last checkpoint.

    A resumed run ends with bit-identical weights and metrics to one that was never stopped, given the same
    NumPy on the same kind of processor. Several processes that train together all call this, each with its
    ``communicator``. Rank 0 alone writes, draws and reports; checkpoints are those of a single process.

    Raises ``InputError`` for anything wrong with configuration, data or folder, ``NotFinite`` if training
    diverges, ``Interrupted`` after Ctrl-C. In each case the folder tells how far it came.
    """
    check_ranks(config, communicator)
    init, order, choice = (np.random.default_rng(s) for s in np.random.SeedSequence(config.seed).spawn(3))
    train, test = take_samples(config, *load_data(config))
    train, validation = hold_out(config, train, choice)
    preprocessing = make_preprocessing(config)
    if preprocessing is not None:
        train, test, validation = preprocess(preprocessing, train, test, validation)
    loss = make_configured_loss(config, train)
    model = make_model(config, make_network(config, train.num_features, train.num_classes, init), communicator)
    is_first = model.is_first
    solver = Solver(
        model, loss, make_configured_optimizer(config, model.parameters),
        epochs=config.epochs, batch_size=config.batch_size, rng=order, log_every=config.log_every,
        **make_step_options(config, model.network, loss, train),
    )  # fmt: skip

    folder = resume or (new_folder(config) if is_first else Path(config.output or "runs"))
    record = LocalRecord(folder)
    fixed = {name: value for name, value in config.as_dict().items() if name not in MAY_CHANGE}
    checkpoints = Checkpoints(record, fixed, config.checkpoint_seconds, writes=is_first, agree=model.agree)
    mirror = None
    if config.tracking != "none" and is_first:
        mirror = WandbMirror(folder, config.as_dict(), config.tracking, config.project, config.group)
    if config.inspect:
        callbacks = (*callbacks, NeuronActivity(), GradientFlow())
    # Those that add columns to a row come before those that record it.
    solver.callbacks = [*make_callbacks(config), *callbacks, *([record] if is_first else []), checkpoints]
    if is_first:
        solver.callbacks += [callback for callback in (mirror, Progress() if progress else None) if callback]
    if resume is not None:
        checkpoints.restore(solver)
        if config.epochs < solver.epoch:
            raise InputError(f"epochs: got {config.epochs}; accepted: at least {solver.epoch}, which are done")
    if is_first:
        write_text(folder / CONFIG, to_yaml(config.as_dict()))
        write_text(folder / ENVIRONMENT, json.dumps(describe_environment(), indent=2) + "\n")
        if preprocessing is not None:
            save_arrays(folder / PREPROCESSING, preprocessing.state_dict(), {"preprocessing": repr(preprocessing)})

    final: dict[str, Any] = {"status": "failed"}
    try:
        solver.fit(train, test, validation)
        # The running means of the last epoch mix as many networks as it has steps; this is the one that was kept.
        with solver.update.averaged():
            for name, data in (("final_train", train), ("final_test", test)):
                final |= evaluate(model, loss, data, name)
        final["status"] = "completed"
        if solver.stopped:
            final["stopped"] = solver.stopped
    except KeyboardInterrupt as interrupted:
        final["status"] = "interrupted"
        raise Interrupted(f"{interrupted or 'interrupted'}; --resume {folder} goes on") from None
    except NotFinite as diverged:
        final |= {"status": "diverged", "error": str(diverged)}
        raise
    finally:
        last = dict(solver.history[-1]) if solver.history else {}
        final = last | final | {"step": solver.global_step, "epoch": solver.epoch}
        if final["status"] != "failed" and is_first:
            write_text(folder / FINAL, json.dumps(final, indent=2) + "\n")
            if solver.history:
                save_figure(solver.history.plot(), folder / CURVES)
        if mirror is not None:
            mirror.finish(final, folder / CURVES)
    return RunResult(folder, solver.history, final)


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


def load_data(config: RunConfig) -> tuple[Dataset, Dataset]:
    """The configured training and test data. Raises ``InputError`` naming the setting if they cannot be had."""
    try:
        return load_mnist(config.data)
    except InputError as error:
        raise InputError(f"data: got {config.data!r}; accepted: a folder with four IDX files: {error}") from None


def new_folder(config: RunConfig) -> Path:
    """The folder of a new run: the configured one, which must hold no run, or a dated one under runs/."""
    if config.output is not None:
        folder = make_folder(Path(config.output))
        if (folder / CONFIG).exists() or (folder / CHECKPOINT).exists():
            raise InputError(
                f"output: {folder} holds a run already; resume it with --resume {folder}, or name another folder"
            )
        return folder
    widths = "-".join(map(str, config.hidden)) or "linear"
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{config.loss}-{config.activation}-{widths}-seed{config.seed}"
    for attempt in range(1, 100):
        folder = Path("runs") / (name if attempt == 1 else f"{name}-{attempt}")
        make_folder(folder.parent)
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise InputError(f"cannot find a new folder for {name} under runs/")


def check_resume(folder: Path) -> Path:
    """The configuration file of the run in ``folder``. Raises ``InputError`` if there is none."""
    if not (folder / CONFIG).is_file():
        raise InputError(f"resume: {folder} holds no run (no {CONFIG})")
    return folder / CONFIG


def check_same_run(stored: RunConfig, asked: RunConfig) -> None:
    """Raise ``InputError`` if a resumed run is asked to be another run."""
    for name, (old, new) in stored.changes(asked).items():
        if name not in MAY_CHANGE:
            raise InputError(
                f"{name}: the run to resume has {old!r}, got {new!r}; accepted on resume: a change of "
                + ", ".join(MAY_CHANGE)
            )


def describe_environment() -> dict[str, Any]:
    """Versions and machine: what else the last bits of a result depend on."""
    from mlp import __version__

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "mlp": __version__,
        "numpy": np.__version__,
        "blas": {key: blas.get(key) for key in ("name", "version", "openblas configuration")},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
        "threads": {name: os.environ[name] for name in sorted(os.environ) if name.endswith("_NUM_THREADS")},
        "openblas_coretype": os.environ.get("OPENBLAS_CORETYPE"),
        "arguments": sys.argv[1:],
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
