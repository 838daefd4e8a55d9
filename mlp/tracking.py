"""The record of a run: JSON lines in the run's own folder, and their mirror in Weights & Biases.

The local record is complete by itself. The only file that imports wandb, and only when it is used.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlp.callbacks import Callback
from mlp.checkpoint import load_arrays, save_arrays
from mlp.errors import InputError
from mlp.files import write_text

if TYPE_CHECKING:
    from mlp.solver import Solver

log = logging.getLogger("mlp")

METRICS, TIMING, CHECKPOINT = "metrics.jsonl", "timing.jsonl", "checkpoint.npz"


class LocalRecord(Callback):
    """Writes a line of JSON for each record as it comes.

    ``metrics.jsonl`` holds numbers that follow from configuration and data, so two runs of one configuration
    write the same file. What the clock says goes to ``timing.jsonl``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, Any] = {}

    def on_start(self, solver: Solver) -> None:
        for name in (METRICS, TIMING):
            self._files[name] = (self.folder / name).open("ab")

    def on_log(self, solver: Solver, row: dict[str, Any]) -> None:
        self._write(METRICS, row)

    def on_epoch(self, solver: Solver, row: dict[str, Any]) -> None:
        self._write(METRICS, row)
        seconds = {"train_seconds": solver.train_seconds, "evaluation_seconds": solver.evaluation_seconds}
        self._write(TIMING, {"epoch": row["epoch"]} | {name: round(s, 6) for name, s in seconds.items()})

    def on_close(self, solver: Solver) -> None:
        for file in self._files.values():
            file.close()

    def _write(self, name: str, row: Mapping[str, Any]) -> None:
        try:
            self._files[name].write(json.dumps(row).encode() + b"\n")
            self._files[name].flush()
        except OSError as error:
            raise InputError(f"cannot write {self.folder / name}: {error.strerror or error}") from error

    def sizes(self) -> dict[str, int]:
        """How many bytes of each file are written, after making sure that they are on the disk."""
        for file in self._files.values():
            if not file.closed:
                os.fsync(file.fileno())
        return {name: (self.folder / name).stat().st_size for name in (METRICS, TIMING)}

    def cut(self, sizes: Mapping[str, int]) -> None:
        """Drop all that was written after a checkpoint, whose steps will be made and recorded again.

        Raises ``InputError`` if a file is missing or shorter than it was at the checkpoint.
        """
        for name in (METRICS, TIMING):
            path = self.folder / name
            have = path.stat().st_size if path.exists() else 0
            if have < sizes[name]:
                raise InputError(
                    f"{path} has {have} bytes, but had {sizes[name]} when the checkpoint was saved: "
                    f"it was changed since, and the run cannot be continued"
                )
            if path.exists():
                os.truncate(path, sizes[name])


class Checkpoints(Callback):
    """Saves the solver's state into the run's folder: at the start, then after an epoch if ``seconds`` have
    passed since the last time, after Ctrl-C and at the end. Each replaces the one before."""

    def __init__(self, folder: Path, record: LocalRecord, seconds: float) -> None:
        self.path, self.record, self.seconds = folder / CHECKPOINT, record, seconds
        self._saved = 0.0

    def on_start(self, solver: Solver) -> None:
        self.save(solver)

    def on_epoch(self, solver: Solver, row: dict[str, Any]) -> None:
        if time.monotonic() - self._saved >= self.seconds:
            self.save(solver)

    def on_interrupt(self, solver: Solver) -> None:
        self.save(solver)

    def on_end(self, solver: Solver) -> None:
        self.save(solver)

    def save(self, solver: Solver) -> None:
        """Write the checkpoint now."""
        arrays, rest = solver.state_dict()
        save_arrays(self.path, arrays, {"format": "mlp run 1", "solver": rest, "records": self.record.sizes()})
        self._saved = time.monotonic()

    def restore(self, solver: Solver) -> bool:
        """Bring solver and record back to the last checkpoint; False if none was ever saved."""
        if not self.path.exists():
            self.record.cut({METRICS: 0, TIMING: 0})
            return False
        arrays, metadata = load_arrays(self.path)
        if metadata.get("format") != "mlp run 1" or not {"solver", "records"} <= metadata.keys():
            raise InputError(f"{self.path} is not the checkpoint of a run")
        try:
            solver.load_state_dict(arrays, metadata["solver"])
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from None
        self.record.cut(metadata["records"])
        return True


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
        if not mode:
            # verify=False asks no server: a stored key is enough.
            mode = "online" if wandb.login(prompt=False, verify=False) else "offline"
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
            reason = " ".join(str(error).split()) or type(error).__name__
            log.warning(
                "wandb failed (%s: %s); training goes on without it, the record in %s is complete",
                what, reason, self.folder,
            )  # fmt: skip
