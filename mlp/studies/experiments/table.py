"""What an experiment found: a row for each combination of its settings, over the seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlp.checks import InputError
from mlp.run.config import RunConfig
from mlp.studies.experiments.experiment import Experiment
from mlp.studies.experiments.keys import ROOT, run_folder
from mlp.studies.experiments.results import Result, load_result
from mlp.studies.tables import Cell, Column, Table, estimate

METRICS = ("test accuracy", "test loss", "train accuracy", "train loss")


def experiment_table(experiment: Experiment, root: str | Path = ROOT) -> Table:
    """Means ± standard deviations over the completed runs that are there; accuracies in percent."""
    columns = [Column(name.replace("_", " ")) for name in experiment.axes]
    columns += [Column(metric, 2 if "accuracy" in metric else 4) for metric in METRICS]
    table = Table(experiment.name, [*columns, Column("epochs", 1), Column("runs")])
    groups: dict[tuple[str, ...], list[Result | None]] = {}
    for config in experiment.configs:
        settings = config.as_dict()
        values = tuple(_show(settings[name]) for name in experiment.axes)
        groups.setdefault(values, []).append(_load(config, Path(root)))
    for values, found in groups.items():
        table.rows.append([*values, *_cells(found)])
    return table


def _cells(found: Sequence[Result | None]) -> list[Cell]:
    """What the runs of one combination led to; None stands for one that is missing."""
    runs = [run for run in found if run is not None and run.status == "completed"]
    means = [estimate(_metric(run, metric) for run in runs) for metric in METRICS]
    ends = Counter("missing" if run is None else run.status for run in found)
    ended = ", ".join(f"{count} {status}" for status, count in sorted(ends.items()))
    return [*means, estimate(len(run.rows) for run in runs), ended]


def _load(config: RunConfig, root: Path) -> Result | None:
    try:
        return load_result(run_folder(config, root))
    except InputError:
        return None  # the runner has said so


def _metric(run: Result, metric: str) -> float:
    value = float(run.final["final_" + metric.replace(" ", "_")])
    return 100 * value if "accuracy" in metric else value


def _show(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
