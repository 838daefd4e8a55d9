"""The command line of a training run: arguments in, an exit status out, and one line for whatever is wrong."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mlp.checks import InputError
from mlp.optim import OPTIMIZERS
from mlp.run.config import RunConfig, read_config
from mlp.run.folder import FINAL, check_resume, check_same_run
from mlp.run.options import parse_arguments
from mlp.run.run import RunResult, run
from mlp.solver.loop import NotFinite
from mlp.solver.screen import open_missing_streams, say

if TYPE_CHECKING:
    from mlp.parallel.communicator import Communicator

DESCRIPTION = "Train a multilayer perceptron on MNIST. Settings come from YAML files, then from options."

# What MPICH, its relatives, and Open MPI set in every process that their mpiexec starts.
STARTED_BY_MPI = ("PMI_SIZE", "PMIX_RANK", "OMPI_COMM_WORLD_SIZE")


def main(arguments: Sequence[str], program: str, *, progress: bool = True) -> int:
    """Run as asked and return the exit status: 0 done, 1 diverged, 2 bad input, 130 interrupted.

    Started by ``mpiexec`` or ``mlp.parallel.launch``, it is one of several processes, of which rank 0 speaks.
    """
    open_missing_streams()
    communicator = find_communicator()
    tell = say if communicator is None or communicator.rank == 0 else silent
    try:
        config, folder = read_arguments(arguments, program)
        tell(describe_start(config, folder))
        result = run(config, resume=folder, progress=progress, communicator=communicator)
    except InputError as error:
        tell(f"{program}: {error}", sys.stderr)
        return 2
    except NotFinite as error:
        tell(f"{program}: training diverged: {error}; {advise(config)}", sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        tell(f"\n{program}: {str(error) or 'interrupted'}", sys.stderr)
        return 130
    tell(describe_result(result))
    return 0


def silent(text: str, stream: TextIO | None = None) -> None:
    """What the other ranks say."""


def find_communicator() -> Communicator | None:
    """That of all processes which ``mpiexec`` has started together; None for a process alone."""
    if not any(name in os.environ for name in STARTED_BY_MPI):
        return None
    from mlp.parallel.mpi import MPICommunicator  # a run of one process needs nothing of it

    return MPICommunicator.world()


def read_arguments(arguments: Sequence[str], program: str) -> tuple[RunConfig, Path | None]:
    """The settings of the run, and the folder to resume, whose own settings are then the ones to start from."""
    config, options = parse_arguments(arguments, program, DESCRIPTION)
    if options["resume"] is None:
        return config, None
    folder = Path(options["resume"]).expanduser()
    stored = read_config(check_resume(folder))
    check_not_diverged(folder, stored)
    config, _ = parse_arguments(arguments, program, DESCRIPTION, base=stored)
    check_same_run(stored, config)
    return config, folder


def check_not_diverged(folder: Path, config: RunConfig) -> None:
    """Raise ``InputError`` if the run in ``folder`` diverged, which it would do again, step for step."""
    final: object = None
    with suppress(OSError, ValueError):
        final = json.loads((folder / FINAL).read_text(encoding="utf-8"))
    if isinstance(final, dict) and final.get("status") == "diverged":
        raise InputError(f"resume: {folder} diverged at step {final.get('step')}; {advise(config)}")


def advise(config: RunConfig) -> str:
    """What to do about a run that diverged."""
    rate = min(config.lr / 4, OPTIMIZERS.default(config.optimizer, "lr") or config.lr)
    options = f"--learning_rate {rate:.3g}" + ("" if config.clip_norm else " or --clip_norm 1")
    return f"resumed, it would diverge again: start a new run, for example with {options}"


def describe_start(config: RunConfig, folder: Path | None) -> str:
    """One line on what is about to happen."""
    widths = "-".join(map(str, config.hidden)) or "no hidden layer"
    verb = "Training" if folder is None else f"Resuming {folder}:"
    return f"{verb} {widths}, {config.activation}, {config.loss}, {config.epochs} epochs, seed {config.seed}"


def describe_result(result: RunResult) -> str:
    """The closing table."""
    final = result.final
    lines = ["", f"{'':10}{'loss':>10}{'accuracy':>12}"]
    for split in ("train", "validation", "test"):
        if f"final_{split}_loss" in final:
            loss, accuracy = final[f"final_{split}_loss"], final[f"final_{split}_accuracy"]
            lines.append(f"{split:10}{loss:>10.4f}{100 * accuracy:>10.2f} %")
    lines += ["the network as it is now; train numbers above are means over an epoch in which it changed", ""]
    lines += [f"stopped early: {final['stopped']}"] if final.get("stopped") else []
    return "\n".join([*lines, f"run folder: {result.folder}", *describe_tracking(result.folder)])


def describe_tracking(folder: Path) -> list[str]:
    """How to see what Weights & Biases has of the run, if that was recorded offline."""
    runs = sorted(folder.glob("wandb/offline-run-*"), key=lambda path: path.name)
    if not runs:
        return []
    run = shlex.quote(str(runs[-1]))
    return [f"look at it:  wandb leet {run}", f"upload it:   wandb sync {run}"]
