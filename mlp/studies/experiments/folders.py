"""What is found in the folder of a run before it is started: nothing, a part of it, all of it, or a mess."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlp.checks import InputError
from mlp.run.config import RunConfig, read_config
from mlp.run.folder import CONFIG, FINAL
from mlp.run.record import CHECKPOINT, FORMAT, METRICS, TIMING
from mlp.solver.checkpoint import load_arrays
from mlp.studies.experiments.keys import check_same_key
from mlp.studies.experiments.results import load_result

State = Literal["new", "unfinished", "completed", "diverged", "broken"]


@dataclass(frozen=True)
class Found:
    """What lies in a run's folder; ``reason`` says why it is broken, or how it diverged."""

    state: State
    reason: str = ""

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to do: a run that diverged would do so again."""
        return self.state in ("completed", "diverged")


def inspect_folder(folder: Path, config: RunConfig) -> Found:
    """How far the run with these settings has come in its folder. Reads only."""
    if not folder.exists():
        return Found("new")
    if not folder.is_dir():
        return Found("broken", "it is no folder")
    if not (folder / CONFIG).exists():
        others = [name for name in (CHECKPOINT, METRICS, TIMING, FINAL) if (folder / name).exists()]
        return Found("broken", f"{others[0]} without {CONFIG}") if others else Found("new")
    try:
        check_same_key(read_config(folder / CONFIG), config, folder / CONFIG)
        result = load_result(folder)
        if result.is_finished:
            return Found("completed") if result.status == "completed" else Found("diverged", result.error or "")
        _check_checkpoint(folder)
    except InputError as error:
        return Found("broken", str(error))
    return Found("unfinished")


def epochs_done(folder: Path) -> int:
    """How many epochs are recorded, for an estimate: one line each, and no look at what they say."""
    try:
        return (folder / TIMING).read_bytes().count(b"\n")
    except OSError:
        return 0


def move_aside(folder: Path) -> Path:
    """Rename a broken folder, so that nothing in it is lost; returns where it is now."""
    number = 1
    while (target := folder.with_name(f"{folder.name}.broken-{number}")).exists():
        number += 1
    try:
        folder.rename(target)
    except OSError as error:
        raise InputError(f"cannot rename {folder} to {target}: {error.strerror or error}") from None
    return target


def _check_checkpoint(folder: Path) -> None:
    path = folder / CHECKPOINT
    if not path.exists():
        return  # stopped before the first one: it begins anew
    _, metadata = load_arrays(path)
    if metadata.get("format") != FORMAT or not isinstance(metadata.get("records"), dict):
        raise InputError(f"{path} is not the checkpoint of a run")
    for name, size in metadata["records"].items():
        have = (folder / name).stat().st_size if (folder / name).exists() else 0
        if have < size:
            raise InputError(f"{folder / name} has {have} bytes, but had {size} when {path.name} was saved")
