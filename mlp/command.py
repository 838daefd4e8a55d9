"""The command line of a training run: arguments in, an exit status out, and one line for whatever is wrong."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mlp.arguments import parse_arguments
from mlp.config import RunConfig, read_config
from mlp.errors import InputError
from mlp.run import RunResult, check_resume, check_same_run, run
from mlp.solver import NotFinite

DESCRIPTION = "Train a multilayer perceptron on MNIST. Settings come from YAML files, then from options."


def main(arguments: Sequence[str], program: str, *, progress: bool = True) -> int:
    """Run as asked and return the exit status: 0 done, 1 diverged, 2 bad input, 130 interrupted."""
    try:
        config, folder = read_arguments(arguments, program)
        print_start(config, folder)
        result = run(config, resume=folder, progress=progress)
    except InputError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except NotFinite as error:
        print(f"{program}: training diverged: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print(f"\n{program}: {str(error) or 'interrupted'}", file=sys.stderr)
        return 130
    print_result(result)
    return 0


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


def print_start(config: RunConfig, folder: Path | None) -> None:
    """One line on what is about to happen."""
    widths = "-".join(map(str, config.hidden)) or "no hidden layer"
    verb = "Training" if folder is None else f"Resuming {folder}:"
    print(
        f"{verb} {widths}, {config.activation}, {config.loss}, {config.epochs} epochs, seed {config.seed}",
        flush=True,
    )


def print_result(result: RunResult) -> None:
    """The closing table."""
    final = result.final
    print(f"\n{'':10}{'loss':>10}{'accuracy':>12}")
    for split in ("train", "test"):
        loss, accuracy = final[f"final_{split}_loss"], final[f"final_{split}_accuracy"]
        print(f"{split:10}{loss:>10.4f}{100 * accuracy:>10.2f} %")
    print(f"\nrun folder: {result.folder}")
