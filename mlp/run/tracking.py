"""Weights & Biases as a mirror of a run's local record, which is complete without it.

wandb runs in a process of its own (``wandb_process.py``), which is ended if it stalls: training never waits for it,
and whatever wandb does to the process that imports it, it does there.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlp.files import write_text
from mlp.solver.callbacks import Callback

if TYPE_CHECKING:
    from mlp.solver.loop import Solver

log = logging.getLogger("mlp")

PATIENCE = 30.0  # seconds without a sign of life after which wandb is given up


class WandbMirror(Callback):
    """Sends every record to Weights & Biases as well. Whatever goes wrong there, training goes on.

    Mode "auto" is: what ``WANDB_MODE`` says, else online if a login is stored, else offline. It never asks
    for one. Offline runs lie in the run's folder; ``wandb sync`` uploads them.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], mode: str, project: str, group: str | None) -> None:
        self.folder, self.config, self.mode = folder, config, mode
        self.project, self.group = project, group
        self.url: str | None = None  # where the run can be seen, if it is online
        self._process: subprocess.Popen[bytes] | None = None
        self._orders: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._news: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._sent = self._answered = 0
        self._heard = 0.0

    def on_start(self, solver: Solver) -> None:
        mode = os.environ.get("WANDB_MODE", "") if self.mode == "auto" else self.mode
        if mode == "disabled":
            return
        try:
            run_id = self._run_id()
            self._process = self._start_process()
        except (OSError, ValueError) as error:
            self._give_up("start", str(error))
            return
        for talk in (self._write, self._read):
            threading.Thread(target=talk, args=(self._process,), daemon=True).start()
        self._order(
            "start", mode=mode, project=self.project, group=self.group, name=self.folder.name, id=run_id,
            dir=str(self.folder), config=dict(self.config),
        )  # fmt: skip

    def on_log(self, solver: Solver, row: dict[str, Any]) -> None:
        self._order("log", row=dict(row))

    def on_epoch(self, solver: Solver, row: dict[str, Any]) -> None:
        self._order("log", row=dict(row))

    def finish(self, summary: Mapping[str, Any], image: Path | None = None) -> None:
        """Record the final numbers and the curves, then end the wandb run; waited for as long as wandb gets on."""
        self._order("finish", summary=dict(summary), image=str(image) if image and image.exists() else None)
        self._orders.put(None)
        try:
            while self._process is not None and self._answered < self._sent:
                time.sleep(0.01)
                self._look()
        except BaseException:  # a second Ctrl-C
            self._end_process()
            raise
        self._look()
        self._end_process()

    def _run_id(self) -> str:
        """The same id whenever this run is continued."""
        path = self.folder / "wandb_id.txt"
        if not path.exists():
            write_text(path, secrets.token_hex(4))
        return path.read_text().strip()

    def _start_process(self) -> subprocess.Popen[bytes]:
        # A service of wandb that this process may have is not ours. In a session of its own it gets no Ctrl-C.
        environment = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}
        return subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("wandb_process.py"))], env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def _order(self, what: str, **details: Any) -> None:
        """Hand an order on, without waiting for it."""
        self._look()
        if self._process is not None:
            if self._sent == self._answered:
                self._heard = time.monotonic()
            self._sent += 1
            self._orders.put(json.dumps({"order": what, **details}, default=str).encode() + b"\n")

    def _write(self, process: subprocess.Popen[bytes]) -> None:
        """In a thread of its own: pass orders on until there are none, or nobody to take them."""
        with suppress(OSError, ValueError):
            for order in iter(self._orders.get, None):
                process.stdin.write(order)  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
            process.stdin.close()  # type: ignore[union-attr]

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        """In a thread of its own: take answers until the process has ended."""
        with suppress(OSError, ValueError):
            for line in process.stdout:  # type: ignore[union-attr]
                self._news.put(json.loads(line))
        self._news.put({"failed": "process", "reason": "it has ended"})

    def _look(self) -> None:
        """Take in what wandb has answered, and give it up if that is too long ago."""
        while self._process is not None and self._answered < self._sent and not self._news.empty():
            news = self._news.get()
            self._heard = time.monotonic()
            if "failed" in news:
                self._give_up(news["failed"], news["reason"])
            elif "warning" in news:
                log.warning("wandb: %s", news["warning"])
            elif "url" in news:
                self.url = news["url"]
            else:
                self._answered += 1
        waited = time.monotonic() - self._heard
        if self._process is not None and self._answered < self._sent and waited > PATIENCE:
            self._give_up("time limit", f"no answer for {PATIENCE:g} s")

    def _give_up(self, what: str, reason: str) -> None:
        self._end_process()
        log.warning(
            "wandb failed (%s: %s); training goes on without it, the record in %s is complete",
            what, " ".join(reason.split()), self.folder,
        )  # fmt: skip

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        self._orders.put(None)
        try:
            process.wait(timeout=0 if self._answered < self._sent else 1)
        except subprocess.TimeoutExpired:
            # Also if it is frozen. The service that wandb starts ends by itself once this process is gone.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
