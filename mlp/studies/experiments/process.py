"""One run as the runner sees it: a process, a folder, and how much of its work is done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlp
from mlp.files import make_folder
from mlp.run.config import RunConfig
from mlp.studies.experiments.folders import epochs_done
from mlp.studies.experiments.schedule import START

LOG = "worker.log"
ONE_THREAD = dict.fromkeys(
    [f"{name}_NUM_THREADS" for name in ("OPENBLAS", "OMP", "MKL", "BLIS", "NUMEXPR")] + ["VECLIB_MAXIMUM_THREADS"],
    "1",
)
# What a resumed run is told anew; everything else stands in its folder.
TOLD_ON_RESUME = ("tracking", "project", "group", "checkpoint_seconds")


class Run:
    """A run that is to be made: ``start`` it, then see when it ``has_ended``. ``cost`` is modelled seconds."""

    def __init__(self, config: RunConfig, folder: Path, cost: float) -> None:
        self.config, self.folder, self.cost = config, folder, cost
        self.resumes = False
        self.attempts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._begin = self._seconds = 0.0
        self._epochs = self._epochs_before = 0
        self._sent: int | None = None

    def start(self, lock: int) -> None:
        """Start the process, which inherits the runner's lock. Raises ``OSError`` if it cannot be started."""
        self.count_epochs()
        self._epochs_before = self._epochs if self.resumes else 0
        self.attempts += 1
        make_folder(self.folder)
        source = str(Path(mlp.__file__).parent.parent)
        path = os.pathsep.join(p for p in (source, os.environ.get("PYTHONPATH")) if p)
        environment = os.environ | ONE_THREAD | {"PYTHONPATH": path, "MLP_RUNNER": str(os.getpid())}
        self._sent = None
        self._begin, self._seconds = time.monotonic(), 0.0
        with (self.folder / LOG).open("ab") as log:
            # In a session of its own, Ctrl-C in the terminal reaches the runner alone, which hands it on.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlp.studies.experiments.worker", *self.arguments()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment, start_new_session=True, pass_fds=(lock,),
            )  # fmt: skip

    def arguments(self) -> list[str]:
        """The command line of the worker; also that of scripts/run_mlp.py."""
        values = self.config.as_dict()
        if self.resumes:
            return [f"--resume={self.folder}"] + [
                _option(name, values[name]) for name in TOLD_ON_RESUME if values[name] is not None
            ]
        default = RunConfig().as_dict()
        told = {name: value for name, value in values.items() if value != default[name] and name != "output"}
        return [f"--output={self.folder}", *(_option(name, value) for name, value in told.items())]

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        if self._process is None or self._process.poll() is None:
            return False
        self._seconds = self.seconds
        return True

    @property
    def exit_status(self) -> int:
        """That of the process; -9 if it was killed by signal 9."""
        return self._process.returncode if self._process is not None else 0

    @property
    def seconds(self) -> float:
        """Since the start, or as long as it took."""
        return self._seconds or time.monotonic() - self._begin

    def stop(self, number: signal.Signals) -> bool:
        """Send a signal once; False if it was sent before or there is nobody to receive it."""
        if self._process is None or self._process.poll() is not None or self._sent == number:
            return False
        self._sent = number
        self._process.send_signal(number)
        return True

    def count_epochs(self) -> None:
        """Look how many epochs are recorded by now."""
        self._epochs = epochs_done(self.folder)

    @property
    def cost_left(self) -> float:
        """Modelled seconds that were left when it was started, or are if it was not."""
        before = self._epochs_before if self.attempts else (self._epochs if self.resumes else 0)
        return self._cost_of(self.config.epochs - before) + START

    @property
    def cost_done_now(self) -> float:
        """Modelled seconds of what has been done since the start; 0 before the first epoch."""
        new = self._epochs - self._epochs_before
        return START + self._cost_of(new) if new > 0 else 0.0

    @property
    def cost_left_now(self) -> float:
        """Modelled seconds that are left."""
        return max(self.cost_left - self.cost_done_now, 0.0)

    def _cost_of(self, epochs: int) -> float:
        return (self.cost - START) * max(epochs, 0) / max(self.config.epochs, 1)

    def last_line(self) -> str:
        """The last line of what the process said."""
        lines = (self.folder / LOG).read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def describe_exit(self) -> str:
        """Why it ended, for people."""
        status = self.exit_status
        if status < 0:
            return f"killed by {signal.Signals(-status).name}, attempt {self.attempts}"
        return f"exit status {status}: {self.last_line() or 'no message'}, see {self.folder / LOG}"


def _option(name: str, value: Any) -> str:
    return f"--{name}={str(value).lower() if isinstance(value, bool) else value}"
