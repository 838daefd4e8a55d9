#!/usr/bin/env python3
"""Train a multilayer perceptron on MNIST: configs and options in, a run folder out.

python scripts/run_mlp.py                                   the default recipe
python scripts/run_mlp.py --config configs/gelu.yaml --epochs 20
python scripts/run_mlp.py --resume runs/20260101-120000-CE-ReLU-512-seed2022
"""

from __future__ import annotations

import os
import sys

# The matrices of a small network are too small to share: several BLAS threads gain little on an idle machine
# and wait for each other on a busy one. Has to be set before NumPy is loaded; your own setting wins.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main(arguments: list[str]) -> int:
    """Run as asked and return the exit status: 0 done, 1 diverged, 2 bad input, 130 interrupted."""
    try:
        from mlp.run.command import main as run

        return run(arguments, "run_mlp.py")
    except KeyboardInterrupt:
        print("\nrun_mlp.py: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
