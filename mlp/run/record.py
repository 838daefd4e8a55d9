"""What a run leaves on the disk while it runs: lines of numbers, and a checkpoint to go on from."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlp.checks import InputError
from mlp.files import naming
from mlp.solver.callbacks import Callback
from mlp.solver.checkpoint import load_arrays, save_arrays

if TYPE_CHECKING:
    from mlp.solver.loop import Solver

METRICS, TIMING, CHECKPOINT = "metrics.jsonl", "timing.jsonl", "checkpoint.npz"
FORMAT = "mlp run 1"


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
            path = self.folder / name
            with naming(path):
                self._files[name] = path.open("ab")

    def on_log(self, solver: Solver, row: dict[str, Any]) -> None:
        self._write(METRICS, row)

    def on_epoch(self, solver: Solver, row: dict[str, Any]) -> None:
        self._write(METRICS, row)
        seconds = {"train_seconds": solver.train_seconds, "evaluation_seconds": solver.evaluation_seconds}
        self._write(TIMING, {"epoch": row["epoch"]} | {name: round(s, 6) for name, s in seconds.items()})

    def on_close(self, solver: Solver) -> None:
        for file in self._files.values():
            # Each line was flushed as it came; on a full disk closing fails again, and that has been said.
            with suppress(OSError):
                file.close()

    def _write(self, name: str, row: Mapping[str, Any]) -> None:
        with naming(self.folder / name):
            self._files[name].write(json.dumps(row).encode() + b"\n")
            self._files[name].flush()

    def sizes(self) -> dict[str, int]:
        """How many bytes of each file are written, after making sure that they are on the disk."""
        for name, file in self._files.items():
            with naming(self.folder / name):
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
    passed since the last time, after Ctrl-C and at the end. Each replaces the one before.

    Of several processes that train one network all have this callback, since the state is put together from all
    of them, and one ``writes``. ``agree`` turns what each of them thinks into what all of them do.
    """

    def __init__(
        self,
        record: LocalRecord,
        settings: Mapping[str, Any],
        seconds: float,
        *,
        writes: bool = True,
        agree: Callable[[bool], bool] = bool,
    ) -> None:
        self.path, self.record, self.seconds = record.folder / CHECKPOINT, record, seconds
        self.settings, self.writes, self.agree = settings, writes, agree
        self._saved = 0.0

    def on_start(self, solver: Solver) -> None:
        self.save(solver)

    def on_epoch(self, solver: Solver, row: dict[str, Any]) -> None:
        # Processes have clocks of their own: one decides for all.
        if self.agree(time.monotonic() - self._saved >= self.seconds):
            self.save(solver)

    def on_interrupt(self, solver: Solver) -> None:
        self.save(solver)

    def on_end(self, solver: Solver) -> None:
        self.save(solver)

    def save(self, solver: Solver) -> None:
        """Write the checkpoint now."""
        arrays, rest = solver.state_dict()
        self._saved = time.monotonic()
        if not self.writes:
            return
        metadata = {"format": FORMAT, "settings": self.settings, "solver": rest, "records": self.record.sizes()}
        save_arrays(self.path, arrays, metadata)

    def restore(self, solver: Solver) -> None:
        """Bring solver and record back to the last checkpoint, or to the beginning if none was ever saved.

        Raises ``InputError`` if the checkpoint is damaged, of other settings, or does not fit the solver.
        """
        if not self.path.exists():
            self._cut({METRICS: 0, TIMING: 0})
            return
        arrays, metadata = load_arrays(self.path)
        if metadata.get("format") != FORMAT or not {"settings", "solver", "records"} <= metadata.keys():
            raise InputError(f"{self.path} is not the checkpoint of a run of this version ({FORMAT})")
        for name, value in self.settings.items():
            if metadata["settings"].get(name) != value:
                raise InputError(
                    f"{name}: got {value!r}, but {self.path} is of a run with "
                    f"{metadata['settings'].get(name)!r}; accepted: the same"
                )
        try:
            solver.load_state_dict(arrays, metadata["solver"])
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from None
        self._cut(metadata["records"])

    def _cut(self, sizes: Mapping[str, int]) -> None:
        if self.writes:
            self.record.cut(sizes)
