#!/usr/bin/env python3
"""Train a multilayer perceptron on MNIST: configs and options in, a run folder out.

python scripts/run_mlp.py                                   the default recipe
python scripts/run_mlp.py --config configs/gelu.yaml --epochs 20
python scripts/run_mlp.py --resume runs/20260101-120000-CE-ReLU-256-128-seed2022
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# The matrices of a small network are too small to share: several BLAS threads gain little on an idle machine
# and wait for each other on a busy one. Has to be set before NumPy is loaded; your own setting wins.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from mlp.config import RunConfig, parse_arguments
from mlp.errors import InputError
from mlp.run import RunResult, check_resume, check_same_run, run
from mlp.solver import Interrupted, NotFinite

DEFAULT = Path(__file__).resolve().parent.parent / "configs" / "default.yaml"
DESCRIPTION = "Train a multilayer perceptron on MNIST. Settings: YAML files, then options, later ones win."


def main(arguments: list[str]) -> int:
    """Run as asked and return the exit status: 0 done, 1 diverged, 2 bad input, 130 interrupted."""
    folder: Path | None = None
    try:
        config, options = parse_arguments(arguments, "run_mlp.py", DESCRIPTION, base=DEFAULT)
        if options["resume"] is not None:
            folder = Path(options["resume"])
            stored_file = check_resume(folder)
            stored, _ = parse_arguments([], "run_mlp.py", DESCRIPTION, base=stored_file)
            config, _ = parse_arguments(arguments, "run_mlp.py", DESCRIPTION, base=stored_file)
            check_same_run(stored, config)
        print_start(config, folder)
        result = run(config, resume=folder, progress=True)
    except InputError as error:
        print(f"run_mlp.py: {error}", file=sys.stderr)
        return 2
    except NotFinite as error:
        print(f"run_mlp.py: training diverged: {error}", file=sys.stderr)
        return 1
    except Interrupted as error:
        print(f"\nrun_mlp.py: {error}; the state is saved", file=sys.stderr)
        return 130
    print_result(result)
    return 0


def print_start(config: RunConfig, folder: Path | None) -> None:
    """One line on what is about to happen."""
    widths = "-".join(map(str, config.hidden)) or "no hidden layer"
    verb = "Training" if folder is None else f"Resuming {folder}:"
    print(f"{verb} {widths}, {config.activation}, {config.loss}, {config.epochs} epochs, seed {config.seed}")


def print_result(result: RunResult) -> None:
    """The closing table."""
    final = result.final
    print(f"\n{'':10}{'loss':>10}{'accuracy':>12}")
    for split in ("train", "test"):
        loss, accuracy = final[f"final_{split}_loss"], final[f"final_{split}_accuracy"]
        print(f"{split:10}{loss:>10.4f}{100 * accuracy:>10.2f} %")
    print(f"\nrun folder: {result.folder}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
