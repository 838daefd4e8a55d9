"""One rank of a run that the launcher has started: MPI first, then the script, so that none is lost between."""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
from pathlib import Path

from mlp.parallel.environment import LAUNCHER
from mlp.parallel.mpi import MPICommunicator


def main(program: list[str]) -> None:
    """Run ``program`` as Python would: a script and its arguments, or "-m", a module and its arguments."""
    world = MPICommunicator.world()
    if LAUNCHER in os.environ:
        stop_with(int(os.environ[LAUNCHER]))
    try:
        if program[0] == "-m":
            sys.argv[:] = program[1:]
            runpy.run_module(program[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv[:] = program
            sys.path[0] = str(Path(program[0]).resolve().parent)
            runpy.run_path(program[0], run_name="__main__")
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        world.process.report("left", str(code))
        raise
    except KeyboardInterrupt:
        world.process.report("left", str(128 + signal.SIGINT))
        sys.exit(128 + signal.SIGINT)


def stop_with(launcher: int, interval: float = 0.5) -> None:
    """End this process, as SIGTERM does, once the launcher is gone."""

    def watch() -> None:
        while True:
            try:
                os.kill(launcher, 0)
            except ProcessLookupError:
                os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(interval)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1:])
