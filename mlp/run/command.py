"""The command line of a training run: arguments in, an exit status out, and one line for whatever is wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlp.checks import InputError
from mlp.run.config import RunConfig, read_config
from mlp.run.options import parse_arguments
from mlp.run.run import RunResult, check_resume, check_same_run, run
from mlp.solver.loop import NotFinite

if TYPE_CHECKING:
    from mlp.parallel.communicator import Communicator

DESCRIPTION = "Train a multilayer perceptron on MNIST. Settings come from YAML files, then from options."

# What MPICH, its relatives, and Open MPI set in every process that their mpiexec starts.
STARTED_BY_MPI = ("PMI_SIZE", "PMIX_RANK", "OMPI_COMM_WORLD_SIZE")


def main(arguments: Sequence[str], program: str, *, progress: bool = True) -> int:
    """Run as asked and return the exit status: 0 done, 1 diverged, 2 bad input, 130 interrupted.

    Started by ``mpiexec`` or ``mlp.parallel.launch``, it is one of several processes, of which rank 0 speaks.
    """
    communicator = find_communicator()
    say = print if communicator is None or communicator.rank == 0 else silent
    try:
        config, folder = read_arguments(arguments, program)
        say(describe_start(config, folder), flush=True)
        result = run(config, resume=folder, progress=progress, communicator=communicator)
    except InputError as error:
        say(f"{program}: {error}", file=sys.stderr)
        return 2
    except NotFinite as error:
        say(f"{program}: training diverged: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        say(f"\n{program}: {str(error) or 'interrupted'}", file=sys.stderr)
        return 130
    say(describe_result(result))
    return 0


def silent(*words: object, **options: object) -> None:
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
    folder = Path(options["resume"])
    stored = read_config(check_resume(folder))
    config, _ = parse_arguments(arguments, program, DESCRIPTION, base=stored)
    check_same_run(stored, config)
    return config, folder


def describe_start(config: RunConfig, folder: Path | None) -> str:
    """One line on what is about to happen."""
    widths = "-".join(map(str, config.hidden)) or "no hidden layer"
    verb = "Training" if folder is None else f"Resuming {folder}:"
    return f"{verb} {widths}, {config.activation}, {config.loss}, {config.epochs} epochs, seed {config.seed}"


def describe_result(result: RunResult) -> str:
    """The closing table."""
    final = result.final
    lines = ["", f"{'':10}{'loss':>10}{'accuracy':>12}"]
    for split in ("train", "test"):
        loss, accuracy = final[f"final_{split}_loss"], final[f"final_{split}_accuracy"]
        lines.append(f"{split:10}{loss:>10.4f}{100 * accuracy:>10.2f} %")
    return "\n".join([*lines, "", f"run folder: {result.folder}"])
