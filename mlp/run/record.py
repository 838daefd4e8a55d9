"""What a run leaves on the disk while it runs: lines of numbers, and a checkpoint to go on from."""

from __future__ import annotations

import json
import math
import os
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.files import naming
from mlp.solver.callbacks import Callback
from mlp.solver.checkpoint import load_arrays, save_arrays

if TYPE_CHECKING:
    from mlp.solver.loop import Solver

METRICS, TIMING, CHECKPOINT = "metrics.jsonl", "timing.jsonl", "checkpoint.npz"
FORMAT = "mlp run 1"


def plain(value: Any, name: str) -> Any:
    """What JSON holds of a column: numbers of NumPy as Python's, arrays as lists, and null for NaN and infinity.

    Raises ``InputError`` naming the column for anything else.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, list | tuple):
        return [plain(entry, name) for entry in value]
    raise InputError(f"column {name!r}: got {value!r}; accepted: a number, a text, or an array of numbers")


class LocalRecord(Callback):
    """Writes a line of JSON for each record as it comes.

    ``metrics.jsonl`` holds numbers that follow from configuration and data, so two runs of one configuration
    write the same file. What the clock says goes to ``timing.jsonl``. A row is brought to what JSON can hold, for
    those that use it later too.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, int] = {}

    def on_start(self, solver: Solver) -> None:
        for name in (METRICS, TIMING):
            self._files[name] = open_record(self.folder / name)

    def on_log(self, solver: Solver, row: dict[str, Any]) -> None:
        self._write(METRICS, row)

    def on_epoch(self, solver: Solver, row: dict[str, Any]) -> None:
        self._write(METRICS, row)
        seconds = ("train_seconds", "evaluation_seconds", "processor_seconds")
        self._write(TIMING, {"epoch": row["epoch"]} | {name: round(getattr(solver, name), 6) for name in seconds})

    def on_close(self, solver: Solver) -> None:
        for file in self._files.values():
            os.close(file)
        self._files = {}

    def _write(self, name: str, row: dict[str, Any]) -> None:
        row |= {column: plain(value, column) for column, value in row.items()}
        line = json.dumps(row).encode() + b"\n"
        with naming(self.folder / name):
            written = 0
            while written < len(line):  # a disk may take a part before it is full
                written += os.write(self._files[name], line[written:])

    def sizes(self) -> dict[str, int]:
        """How many bytes of each file are written, after making sure that they are on the disk."""
        found = {}
        for name, file in self._files.items():
            with naming(self.folder / name):
                os.fsync(file)
                found[name] = os.fstat(file).st_size
        return found

    def check_in_place(self) -> None:
        """Raise ``InputError`` if the files that are written are not in the folder any more."""
        for name, file in self._files.items():
            path = self.folder / name
            with naming(path):
                if not os.path.samestat(os.stat(path), os.fstat(file)):
                    raise InputError(f"cannot write {path}: it was replaced while the run wrote it")

    def content(self) -> dict[str, bytes]:
        """What has been recorded, also if the folder has vanished meanwhile."""
        return {name: os.pread(file, os.fstat(file).st_size, 0) for name, file in self._files.items()}

    def cut(self, sizes: Mapping[str, int]) -> None:
        """Drop all that was written after a checkpoint, whose steps will be made and recorded again.

        Raises ``InputError`` if a file is missing or shorter than it was at the checkpoint.
        """
        paths = {name: self.folder / name for name in (METRICS, TIMING)}
        have = {name: path.stat().st_size if path.exists() else 0 for name, path in paths.items()}
        for name, path in paths.items():
            if have[name] < sizes[name]:
                raise InputError(
                    f"{path} has {have[name]} bytes, but had {sizes[name]} when the checkpoint was saved: "
                    f"it was changed since, and the run cannot be continued"
                )
        for name, path in paths.items():
            with naming(path):
                file = open_record(path)
                os.ftruncate(file, sizes[name])
                os.close(file)


def open_record(path: Path) -> int:
    """A descriptor that appends to a file, which is created if it is missing. Raises ``InputError`` for a link."""
    no_link = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    if path.is_symlink():
        raise InputError(f"cannot write {path}: it is a link, which would lead out of the folder of the run")
    with naming(path):
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | no_link, 0o666)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise InputError(f"cannot write {path}: it is no file")
    return file


class Unsaved(NamedTuple):
    """A checkpoint that could not be written, and the files of the record by name."""

    arrays: dict[str, Array]
    metadata: dict[str, Any]
    records: dict[str, bytes]


class Checkpoints(Callback):
    """Saves the solver's state into the run's folder: at the start, then after an epoch if ``seconds`` have
    passed since the last time, after Ctrl-C and at the end. Each replaces the one before.

    A run goes on from one only with the same ``settings`` (those that are missing in it had their ``defaults``) and
    the same ``data``, of which it knows the checksums.

    Of several processes that train one network all have this callback, since the state is put together from all
    of them, and one ``writes``. ``agree`` turns what each of them thinks into what all of them do. ``unsaved`` is
    what could not be written.
    """

    def __init__(
        self,
        record: LocalRecord,
        settings: Mapping[str, Any],
        seconds: float,
        *,
        defaults: Mapping[str, Any] | None = None,
        data: Mapping[str, str] | None = None,
        writes: bool = True,
        agree: Callable[[bool], bool] = bool,
    ) -> None:
        self.path, self.record, self.seconds = record.folder / CHECKPOINT, record, seconds
        self.settings, self.defaults, self.data = settings, defaults or {}, data or {}
        self.writes, self.agree = writes, agree
        self.unsaved: Unsaved | None = None
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
        metadata = {
            "format": FORMAT, "settings": self.settings, "data": self.data, "solver": rest,
            "records": self.record.sizes(),
        }  # fmt: skip
        try:
            self.record.check_in_place()
            save_arrays(self.path, arrays, metadata)
        except InputError:
            self.unsaved = Unsaved(arrays, metadata, self.record.content())
            raise

    def restore(self, solver: Solver) -> None:
        """Bring solver and record back to the last checkpoint, or to the beginning if none was ever saved.

        Raises ``InputError`` if the checkpoint is missing or damaged, of other settings or data, or does not fit
        the solver.
        """
        if not self.path.exists():
            metrics = self.record.folder / METRICS
            if metrics.exists() and metrics.stat().st_size:
                raise InputError(f"{self.path} is gone, but {metrics} has a record: this run cannot be continued")
            self._cut({METRICS: 0, TIMING: 0})
            return
        arrays, metadata = load_arrays(self.path)
        self._check(metadata)
        try:
            solver.load_state_dict(arrays, metadata["solver"])
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise InputError(f"{self.path}: {error}") from None
        self._cut(metadata["records"])

    def _check(self, metadata: Mapping[str, Any]) -> None:
        parts: list[Any] = [metadata.get(key) for key in ("settings", "solver", "records")]
        is_run = metadata.get("format") == FORMAT and all(isinstance(part, dict) for part in parts)
        stored, _, records = parts
        if not is_run or not all(isinstance(records.get(n), int) and records[n] >= 0 for n in (METRICS, TIMING)):
            raise InputError(f"{self.path} is not the checkpoint of a run of this version ({FORMAT})")
        for name, value in self.settings.items():
            before = stored.get(name, self.defaults.get(name))
            if before != value:
                raise InputError(
                    f"{name}: got {value!r}, but {self.path} is of a run with {before!r}; accepted: the same"
                )
        # Checkpoints of before the checksums were introduced have none.
        if metadata.get("data", self.data) != self.data:
            raise InputError(f"data: they are not those that {self.path} was trained with; accepted: the same")

    def _cut(self, sizes: Mapping[str, int]) -> None:
        if self.writes:
            self.record.cut(sizes)
