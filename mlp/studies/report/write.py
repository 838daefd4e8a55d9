"""From finished runs to the files of the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mlp.checks import InputError
from mlp.files import make_folder, write_text
from mlp.plots import save_figure
from mlp.studies.report import discussion
from mlp.studies.report.cells import (
    Groups,
    accuracy_table,
    choose_reading,
    headline_table,
    improvement_table,
    loss_table,
)
from mlp.studies.report.claims import check_sweep, claims_table
from mlp.studies.report.facts import EARLY, activation_table, convergence_table
from mlp.studies.report.figures import plot_activation, plot_curves, plot_final, plot_sweep
from mlp.studies.report.pages import main_page, sweeps_page
from mlp.studies.report.provenance import provenance
from mlp.studies.report.reference import Reference, load_reference
from mlp.studies.report.results import Result, by_setting
from mlp.studies.report.speed import speed_text, time_table
from mlp.studies.report.sweeps import AXES, Sweep, make_sweeps
from mlp.studies.tables import Cell, Column, Table

MAIN = "hidden-layers"
EXPERIMENTS = (MAIN, *(axis.experiment for axis in AXES))
NOTES = "notes.md"
Results = Mapping[str, Sequence[Result]]


def write_report(
    results: Results,
    output: Path,
    *,
    timing: Mapping[str, Any] | None = None,
    quick: bool = False,
    notes: Path | None = None,
) -> list[Path]:
    """Write pages, figures and CSV files into ``output`` and return their paths.

    ``results`` maps the names of experiments to their runs: "hidden-layers" is needed, sweeps are optional.
    ``timing`` is what ``measure_timing`` returns. ``notes`` is a Markdown file by hand, included if it exists
    (``output``/notes.md unless given). The same runs give the same bytes.

    Raises ``InputError`` if runs are missing or a file cannot be written.
    """
    check_complete(results)
    reference, groups = load_reference(), by_setting(results[MAIN])
    notes = output / NOTES if notes is None else notes
    sweeps = make_sweeps(results)
    tables, texts = make_tables(results, groups, reference, timing)
    claims = [claim for sweep in sweeps for claim in check_sweep(sweep)]
    base, origin = results[MAIN][0].config, provenance(results, quick, results[MAIN])
    by_hand = notes.read_text(encoding="utf-8") if notes.exists() else None
    files = {"README.md": main_page(base, origin, reference, tables, texts, by_hand, claims if sweeps else None)}
    every = [*tables.values(), final_table(results)]
    if sweeps:
        of_sweeps = {name: runs for name, runs in results.items() if name != MAIN}
        files["sweeps.md"] = sweeps_page(sweeps, claims, reference, provenance(of_sweeps, quick))
        every += [claims_table(claims), *(sweep.table() for sweep in sweeps)]
    files |= {f"{table.name}.csv": table.csv() for table in every}
    written = _draw(groups, sweeps, make_folder(output / "figures"))
    for name, text in files.items():
        write_text(output / name, text)
        written.append(output / name)
    return written


def check_complete(results: Results) -> None:
    """Raise ``InputError``, in one line, unless each of the 18 settings has a run."""
    groups = by_setting(results.get(MAIN, []))
    missing = [setting.title for setting, runs in groups.items() if not runs]
    if missing:
        raise InputError(
            f"{MAIN}: {len(missing)} of {len(groups)} settings have no finished run, the first is {missing[0]}"
        )


def make_tables(
    results: Results, groups: Groups, reference: Reference, timing: Mapping[str, Any] | None
) -> tuple[dict[str, Table], dict[str, str]]:
    """The main page's tables and its sentences, both by name."""
    reading = choose_reading(groups, reference)
    found = [
        headline_table(groups, reference),
        accuracy_table(groups, reference, reading.name),
        loss_table(groups, reference, reading.name),
        improvement_table(groups, reference),
        convergence_table(groups),
        activation_table(groups),
    ]
    if timing is not None:
        found.append(time_table(timing, reference))
    tables = {table.name: table for table in found}
    texts = {
        "agreement": discussion.agreement(groups, reference),
        "reading": discussion.reading_text(reading),
        "convergence": discussion.convergence_text(groups),
        "accuracy": discussion.accuracy_text(groups, reference, reading.name),
        "activation": discussion.activation_text(tables["activation"]),
        "stability": discussion.stability_text(groups, distinct(results)),
        "speed": "Not measured."
        if timing is None
        else speed_text(timing, reference, [run for runs in distinct(results).values() for run in runs]),
    }
    return tables, texts


def distinct(results: Results) -> dict[str, list[Result]]:
    """The same without runs that an earlier experiment has too: many sweeps share the run of the recipe itself."""
    seen: set[Path] = set()
    found: dict[str, list[Result]] = {}
    for name, runs in results.items():
        found[name] = [run for run in runs if run.folder not in seen]
        seen.update(run.folder for run in runs)
    return found


def final_table(results: Results) -> Table:
    """The end of every run: losses as they are, accuracies as shares of 1."""
    settings = ("loss", "activation", "batch_size", "learning_rate", "momentum", "weight_decay", "seed", "epochs")
    numbers = [f"{split}_{metric}" for split in ("train", "test") for metric in ("loss", "accuracy")]
    numbers += [f"final_{name}" for name in numbers]
    names = ["experiment", "hidden", *settings, "status", "step", *numbers]
    table = Table("final", [Column(name, 6) for name in names])
    for experiment, runs in results.items():
        for run in runs:
            values = run.config.as_dict()
            cells: list[Cell] = [experiment, "-".join(map(str, run.config.hidden)) or "0"]
            cells += [values[name] for name in settings]
            table.rows.append([*cells, run.status, run.step, *(run.final.get(name) for name in numbers)])
    return table


def _draw(groups: Groups, sweeps: Sequence[Sweep], folder: Path) -> list[Path]:
    """Draw and save one figure after the other."""
    figures: dict[str, Callable[[], Any]] = {
        "accuracy": lambda: plot_curves(groups, "accuracy"),
        "loss": lambda: plot_curves(groups, "loss"),
        "activation_above": lambda: plot_activation(groups, "above_0.2", "neurons (%)", EARLY),
        "activation_single": lambda: plot_activation(groups, "active", "neurons (%)"),
    }
    figures |= {f"sweep_{sweep.axis.name}": partial(plot_sweep, sweep) for sweep in sweeps}
    if sweeps:
        figures["final"] = lambda: plot_final(sweeps)
    written = []
    for name, draw in figures.items():
        written.append(folder / f"{name}.png")
        save_figure(draw(), written[-1])
    return written
