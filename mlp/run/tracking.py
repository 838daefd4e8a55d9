"""Weights & Biases as a mirror of a run's local record, which is complete without it.

The only file that imports wandb, and only when it is used.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlp.files import write_text
from mlp.solver.callbacks import Callback

if TYPE_CHECKING:
    from mlp.solver.loop import Solver

log = logging.getLogger("mlp")


class WandbMirror(Callback):
    """Sends every record to Weights & Biases as well. Whatever goes wrong there, training goes on.

    Mode "auto" is: what ``WANDB_MODE`` says, else online if a login is stored, else offline. It never asks
    for one. Offline runs lie in the run's folder; ``wandb sync`` uploads them.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], mode: str, project: str, group: str | None) -> None:
        self.folder, self.config, self.mode = folder, config, mode
        self.project, self.group = project, group
        self._run: Any = None

    def on_start(self, solver: Solver) -> None:
        self._attempt("start", self._start)

    def on_log(self, solver: Solver, row: dict[str, Any]) -> None:
        self._log(row)

    def on_epoch(self, solver: Solver, row: dict[str, Any]) -> None:
        self._log(row)

    def finish(self, summary: Mapping[str, Any], image: Path | None = None) -> None:
        """Record the final numbers and the curves, then end the wandb run."""
        if self._run is not None:
            self._attempt("finish", lambda: self._finish(summary, image))
            self._run = None

    @property
    def url(self) -> str | None:
        """Where the run can be seen, if it is online."""
        return getattr(self._run, "url", None)

    def _start(self) -> None:
        import wandb

        mode: Any = os.environ.get("WANDB_MODE") if self.mode == "auto" else self.mode
        # verify=False asks no server: a stored key is enough. Without one, init would ask for it, and wait.
        if mode not in ("offline", "disabled") and not wandb.login(prompt=False, verify=False):
            if mode == "online":
                log.warning("wandb: no login is stored (see wandb login), so this run is recorded offline")
            mode = "offline" if mode in (None, "", "online") else mode
        self._run = wandb.init(
            project=self.project,
            group=self.group,
            name=self.folder.name,
            id=self._run_id(),
            resume="allow" if mode == "online" else None,
            dir=str(self.folder),
            config=dict(self.config),
            mode=mode,
            settings=wandb.Settings(silent=True, console="off", init_timeout=20, finish_timeout=60),
        )
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def _run_id(self) -> str:
        """The same id whenever this run is continued."""
        path = self.folder / "wandb_id.txt"
        if not path.exists():
            write_text(path, secrets.token_hex(4))
        return path.read_text().strip()

    def _log(self, row: Mapping[str, Any]) -> None:
        if self._run is not None:
            self._attempt("log", lambda: self._run.log(dict(row)))

    def _finish(self, summary: Mapping[str, Any], image: Path | None) -> None:
        import wandb

        self._run.summary.update(dict(summary))
        if image is not None and image.exists():
            self._run.log({"curves": wandb.Image(str(image)), "step": summary["step"]})
        self._run.finish(exit_code=0 if summary["status"] == "completed" else 1)

    def _attempt(self, what: str, action: Callable[[], None]) -> None:
        # wandb and the process behind it fail in many ways, with many exceptions; none of them may end a run.
        try:
            action()
        except Exception as error:
            self._run = None
            self._silence()
            reason = " ".join(str(error).split()) or type(error).__name__
            log.warning(
                "wandb failed (%s: %s); training goes on without it, the record in %s is complete",
                what, reason, self.folder,
            )  # fmt: skip

    def _silence(self) -> None:
        """Give up wandb's service process, which would complain again, with a traceback, when Python exits."""
        with suppress(Exception):
            import wandb

            wandb.teardown(exit_code=1)
