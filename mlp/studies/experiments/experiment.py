"""An experiment as data: a base recipe, and the settings that vary around it, each combination a run."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlp.checks import InputError
from mlp.run.config import SETTINGS, RunConfig, read_config
from mlp.run.yaml_files import check_keys, read_mapping

KEYS = ("description", "base", "axes", "seeds", "quick")
# Where a run lies and who watches it is not a question that an experiment asks; seeds have a key of their own.
NO_AXES = ("seed", "output", "tracking", "project", "group", "checkpoint_seconds")
AXES = tuple(name for name in SETTINGS if name not in NO_AXES)


@dataclass(frozen=True)
class Experiment:
    """What a YAML file of configs/experiments describes:

        description: what it asks
        base: base/report.yaml       the recipe of all runs, a path relative to this file
        axes:                        settings and their values; every combination is run
          learning_rate: [0.01, 0.1]
        seeds: [2022, 2023]          each combination once with each seed; the base's seed if left out
        quick: {epochs: 2, seeds: [2022]}    what --quick changes

    ``configs`` are the runs, in the order of the axes, the last one and then the seeds changing fastest.
    """

    name: str
    description: str
    base: RunConfig
    axes: dict[str, list[Any]]
    configs: list[RunConfig]
    quick: bool = False
    file: Path | None = None

    @property
    def command(self) -> str:
        """What makes its runs."""
        file = self.file
        is_shipped = file is None or file.resolve().parent.parts[-2:] == ("configs", "experiments")
        return f"python scripts/run_experiment.py {self.name if is_shipped else file}" + " --quick" * self.quick

    @classmethod
    def load(cls, path: str | Path, quick: bool = False) -> Experiment:
        """Read an experiment. Raises ``InputError``, naming file and key, for anything that is not accepted."""
        path = Path(path)
        values = read_mapping(path)
        check_keys(values, KEYS, str(path))
        base = _read_base(path, values)
        axes = _read_axes(path, values.get("axes", {}))
        seeds = values.get("seeds", [base.seed])
        _check_list(seeds, f"{path}: seeds")
        overrides = _read_quick(path, values.get("quick", {}), axes)
        quick_seeds = overrides.pop("seeds", seeds)
        quick_base = _change(base, overrides, f"{path}: quick")
        if quick:
            base, seeds = quick_base, quick_seeds
        description = values.get("description", "")
        if not isinstance(description, str):
            raise InputError(f"{path}: description: got {description!r}; accepted: a text")
        configs = list(_combine(base, axes, seeds, str(path)))
        # As RunConfig spells them: ReLU for relu.
        settings = [config.as_dict() for config in configs]
        axes = {key: _unique([values[key] for values in settings]) for key in axes}
        return cls(path.stem, " ".join(description.split()), base, axes, configs, quick, path)


def find_experiment(name: str, folder: Path) -> Path:
    """The file meant by a name in ``folder`` or by a path. Raises ``InputError`` with the names there are."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return path
    known = list_experiments(folder)
    if name not in known:
        raise InputError(f"unknown experiment {name!r}; accepted: {', '.join(known)}, or a YAML file")
    return folder / f"{name}.yaml"


def list_experiments(folder: Path) -> list[str]:
    """The names of the experiments in a folder."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _read_base(path: Path, values: dict[str, Any]) -> RunConfig:
    name = values.get("base")
    if not isinstance(name, str):
        raise InputError(f"{path}: base: got {name!r}; accepted: a YAML file with the settings of all runs")
    return read_config(path.parent / name)


def _read_axes(path: Path, axes: Any) -> dict[str, list[Any]]:
    if not isinstance(axes, dict):
        raise InputError(f"{path}: axes: got {axes!r}; accepted: a mapping from settings to lists of values")
    check_keys(axes, AXES, f"{path}: axes")
    for key, found in axes.items():
        _check_list(found, f"{path}: axes: {key}")
    return axes


def _read_quick(path: Path, quick: Any, axes: dict[str, Any]) -> dict[str, Any]:
    accepted = [*(name for name in AXES if name not in axes), "seeds"]
    if not isinstance(quick, dict):
        raise InputError(f"{path}: quick: got {quick!r}; accepted: a mapping from settings to values")
    if both := [key for key in quick if key in axes]:
        raise InputError(f"{path}: quick: {both[0]} is an axis; accepted: a setting that is none, or seeds")
    check_keys(quick, accepted, f"{path}: quick")
    if "seeds" in quick:
        _check_list(quick["seeds"], f"{path}: quick: seeds")
    return dict(quick)


def _check_list(values: Any, where: str) -> None:
    """Raise ``InputError`` unless it is a list of values, at least one, and none of them twice."""
    if not isinstance(values, list) or not values:
        raise InputError(f"{where}: got {values!r}; accepted: a list with at least one value")
    seen: list[str] = []
    for value in values:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        normal = repr(value + 0.0 if is_number else value).lower()
        if normal in seen:
            raise InputError(f"{where}: got {value!r} twice; accepted: each value once")
        seen.append(normal)


def _combine(base: RunConfig, axes: dict[str, list[Any]], seeds: Sequence[int], where: str) -> Iterator[RunConfig]:
    for values in itertools.product(*axes.values(), seeds):
        yield _change(base, dict(zip([*axes, "seed"], values, strict=True)), where)


def _change(config: RunConfig, values: Mapping[str, Any], where: str) -> RunConfig:
    try:
        return dataclasses.replace(config, **values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _unique(values: Sequence[Any]) -> list[Any]:
    return [value for i, value in enumerate(values) if value not in values[:i]]
