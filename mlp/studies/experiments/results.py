"""What runs left behind, read back and checked: settings, the rows of the epochs, how it ended, how long."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlp.checks import InputError
from mlp.run.config import RunConfig, read_config
from mlp.run.folder import CONFIG, FINAL
from mlp.run.record import METRICS, TIMING
from mlp.studies.experiments.experiment import Experiment
from mlp.studies.experiments.keys import ROOT, check_same_key, run_folder

STATUSES = ("completed", "diverged", "interrupted")
SECONDS = ("train_seconds", "evaluation_seconds")


@dataclass(frozen=True)
class Result:
    """A run as its folder tells it.

    ``rows`` are its epochs (train_loss, test_accuracy, ...) and ``logs`` the records between them (batch_loss,
    ...), ``times`` what the clock says of each epoch,
    ``seconds_train`` and ``seconds_evaluation`` its sums. ``status`` is "completed",
    "diverged" (``step`` and ``error`` say where and why), or "unfinished". One that early stopping ended is
    completed, with fewer epochs than it might have had.
    """

    config: RunConfig
    folder: Path
    status: str
    step: int
    error: str | None
    rows: list[dict[str, Any]]
    final: dict[str, Any]
    seconds_train: float
    seconds_evaluation: float
    logs: list[dict[str, Any]] = field(default_factory=list)
    times: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end, be it a good one."""
        return self.status in ("completed", "diverged")


def load_result(folder: str | Path) -> Result:
    """Read the folder of a run, finished or not.

    In a run that was stopped, the last line of a record may be half of one: it is left out. Raises
    ``InputError``, naming file and line, for anything else that is not what a run writes.
    """
    folder = Path(folder)
    config = read_config(folder / CONFIG)
    final = _read_final(folder / FINAL)
    # A run that was interrupted and then resumed still has the final.json of the interruption.
    status = final["status"] if final.get("status") in ("completed", "diverged") else "unfinished"
    is_finished = status != "unfinished"
    records = _read_lines(folder / METRICS, {"step"}, is_finished)
    rows = [row for row in records if "train_loss" in row]
    times = _read_lines(folder / TIMING, set(SECONDS), is_finished)
    if is_finished:
        _check_epochs(folder, config, final, {METRICS: len(rows), TIMING: len(times)})
    train, evaluation = (sum(row[name] for row in times) for name in SECONDS)
    step = final["step"] if is_finished else records[-1]["step"] if records else 0
    logs = [row for row in records if "batch_loss" in row]
    return Result(config, folder, status, step, final.get("error"), rows, final, train, evaluation, logs, times)


def _check_epochs(folder: Path, config: RunConfig, final: dict[str, Any], found: dict[str, int]) -> None:
    """Raise ``InputError`` unless each record has as many epochs as the run has made."""
    goes_to_its_end = final["status"] == "completed" and "stopped" not in final
    expected = config.epochs if goes_to_its_end else final.get("epoch", found[METRICS])
    for name, epochs in found.items():
        if epochs != expected:
            raise InputError(f"{folder / name}: {epochs} epochs; {FINAL} says {final['status']} after {expected}")


def load_results(experiment: Experiment, root: str | Path = ROOT) -> list[Result]:
    """The results of all runs of an experiment, in the order of its ``configs``.

    Raises ``InputError`` if one is missing, unfinished or broken, with the command that runs what is missing.
    """
    results, missing = [], []
    for config in experiment.configs:
        folder = run_folder(config, Path(root))
        if not (folder / CONFIG).exists():
            missing.append(f"{folder}: not run")
            continue
        try:
            check_same_key(read_config(folder / CONFIG), config, folder / CONFIG)
            result = load_result(folder)
        except InputError as error:
            missing.append(f"{folder}: broken: {error}")
            continue
        if result.is_finished:
            results.append(result)
        else:
            missing.append(f"{folder}: unfinished")
    if missing:
        place = "" if Path(root) == ROOT else f" --root {root}"
        raise InputError(
            f"{experiment.name}: {len(missing)} of {len(experiment.configs)} runs are missing; run them with: "
            f"{experiment.command}{place}\n  " + "\n  ".join(missing)
        )
    return results


def _read_final(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        final = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    if not isinstance(final, dict) or final.get("status") not in STATUSES or not isinstance(final.get("step"), int):
        raise InputError(f"{path}: not the end of a run; accepted: status ({', '.join(STATUSES)}) and step")
    return final


def _read_lines(path: Path, required: set[str], is_finished: bool) -> list[dict[str, Any]]:
    """The objects in a file of JSON lines, each with numbers for the required keys."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        if is_finished:
            raise InputError(f"{path} is missing, but the run is finished") from None
        return []
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    rows = []
    for number, line in enumerate(lines, 1):
        row = _read_line(line, required)
        if row is not None:
            rows.append(row)
        elif number < len(lines) or is_finished:
            wanted = f"a JSON object with {' and '.join(sorted(required))}"
            raise InputError(f"{path}, line {number}: got {line[:60]!r}; accepted: {wanted}")
    return rows


def _read_line(line: bytes, required: set[str]) -> dict[str, Any] | None:
    """The object, or None if it is none, or has no numbers for the required keys, or is half a line."""
    try:
        row = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    is_whole = isinstance(row, dict) and all(isinstance(row.get(key), int | float) for key in required)
    return row if is_whole else None
