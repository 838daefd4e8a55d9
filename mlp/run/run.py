"""One training run from a configuration: how it starts or is resumed, and how it ends."""

from __future__ import annotations

import json
import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlp.checks import InputError
from mlp.files import write_text
from mlp.plots.figure import check_matplotlib, save_figure
from mlp.run.config import RunConfig
from mlp.run.data import RunData
from mlp.run.folder import CURVES, FINAL, describe_run, own_folder, rescue
from mlp.run.record import Checkpoints, LocalRecord, plain
from mlp.run.solver import make_checkpoints, make_solver
from mlp.run.tracking import WandbMirror
from mlp.solver.callbacks import Callback, Progress
from mlp.solver.evaluation import evaluate
from mlp.solver.history import History
from mlp.solver.loop import Interrupted, NotFinite, Solver

if TYPE_CHECKING:
    from mlp.parallel.communicator import Communicator

log = logging.getLogger("mlp")


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
    solver, data = make_solver(config, callbacks, communicator)
    with folder_of(solver, config, resume) as folder:
        record, mirror = LocalRecord(folder), make_mirror(config, folder)
        checkpoints = make_checkpoints(config, data, solver, record)
        # They follow those that add columns to a row.
        solver.callbacks += [record, checkpoints, *mirror] if solver.model.is_first else [checkpoints]
        if resume is not None:
            checkpoints.restore(solver)
            if config.epochs < solver.epoch:
                raise InputError(f"epochs: got {config.epochs}; accepted: at least {solver.epoch}, which are done")
        if solver.model.is_first:
            describe_run(folder, config, data.preprocessing)
            solver.callbacks += [Progress()] if progress else []
        final: dict[str, Any] = {"status": "failed"}
        begin, can_draw = solver.global_step, warn_without_figures()
        try:
            train(solver, data, folder, final)
        except InputError as error:
            raise saved_elsewhere(error, folder, config, checkpoints, begin) or error from None
        finally:
            last = dict(solver.history[-1]) if solver.history else {}
            final = {**last, **final, "step": solver.global_step, "epoch": solver.epoch}
            if solver.model.is_first:
                report_end(folder, solver.history if can_draw else None, final, mirror)
    return RunResult(folder, solver.history, final)


def folder_of(solver: Solver, config: RunConfig, resume: Path | None) -> AbstractContextManager[Path]:
    """Inside this block the run's folder belongs to its first process, the only one that writes there."""
    if solver.model.is_first:
        return own_folder(config, resume)
    return nullcontext(resume or Path(config.output or "runs"))


def make_mirror(config: RunConfig, folder: Path) -> list[WandbMirror]:
    """The mirror of the record in Weights & Biases, if one is wanted."""
    if config.tracking == "none":
        return []
    return [WandbMirror(folder, config.as_dict(), config.tracking, config.project, config.group)]


def warn_without_figures() -> bool:
    """Whether curves can be drawn at the end; that they cannot is said before the training, not after it."""
    try:
        check_matplotlib()
    except InputError as error:
        log.warning("%s; this run is trained without %s", error, CURVES)
        return False
    return True


def train(solver: Solver, data: RunData, folder: Path, final: dict[str, Any]) -> None:
    """Train and evaluate; what becomes of it goes into ``final``, however it ends."""
    try:
        solver.fit(data.train, data.test, data.validation)
        # The running means of the last epoch mix as many networks as it has steps; this is the one that was kept.
        with solver.update.averaged():
            for name, dataset in (("final_train", data.train), ("final_test", data.test)):
                final |= evaluate(solver.model, solver.loss, dataset, name)
    except KeyboardInterrupt as interrupted:
        final["status"] = "interrupted"
        raise Interrupted(f"{interrupted or 'interrupted'}; --resume {folder} goes on") from None
    except NotFinite as diverged:
        final |= {"status": "diverged", "error": str(diverged)}
        raise
    final["status"] = "completed"
    if solver.stopped:
        final["stopped"] = solver.stopped


def saved_elsewhere(
    error: InputError, folder: Path, config: RunConfig, checkpoints: Checkpoints, begin: int
) -> InputError | None:
    """If the run's folder failed it after step ``begin``, save the run elsewhere; the error with where that is."""
    unsaved = checkpoints.unsaved
    if unsaved is None or (step := unsaved.metadata["solver"]["step"]) == begin:
        return None
    refuge = rescue(folder, config, unsaved)
    if refuge is None:
        return None
    return InputError(f"{error}; the run is saved up to step {step}, and goes on with --resume {refuge}")


def report_end(folder: Path, history: History | None, final: dict[str, Any], mirror: list[WandbMirror]) -> None:
    """Write down how the run ended, and draw its curves, unless it failed."""
    try:
        if final["status"] != "failed":
            numbers = {name: plain(value, name) for name, value in final.items()}
            write_text(folder / FINAL, json.dumps(numbers, indent=2) + "\n")
            if history:
                save_figure(history.plot(), folder / CURVES)
    finally:
        for one in mirror:
            one.finish(final, folder / CURVES)
