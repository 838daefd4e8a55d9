"""One run in a process of its own: python -m mlp.studies.experiments.worker --output FOLDER ...

Arguments, records and exit status are those of scripts/run_mlp.py (0 done, 1 diverged, 2 bad input, 130
interrupted); it draws no progress bar, and stops when the process that started it is gone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from mlp.run.command import main


def stop_with(parent: int, interval: float = 0.5) -> None:
    """Ask this process to stop, as SIGTERM does, once its parent is another: the runner was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(interval)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    stop_with(int(os.environ["MLP_RUNNER"]) if "MLP_RUNNER" in os.environ else os.getppid())
    sys.exit(main(sys.argv[1:], "worker", progress=False))
