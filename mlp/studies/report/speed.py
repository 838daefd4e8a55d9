"""What the measured times say: a table beside the reference's, and what watching a run adds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from mlp.studies.report.cells import HIDDEN
from mlp.studies.report.reference import Reference
from mlp.studies.report.results import SETTINGS, Result, Setting
from mlp.studies.report.timing import BUSY, evaluation_share, milliseconds
from mlp.studies.report.words import sentence
from mlp.studies.tables import Column, Table, show_number

TARGET = 20  # percent that evaluation and hooks may add to the iterations


def time_table(timing: Mapping[str, Any], reference: Reference) -> Table:
    """Milliseconds of an iteration, ours and the reference's, and each relative to ReLU on the same machine."""
    columns = [Column(t) for t in ("hidden", "loss", "activation")]
    columns += [Column("ms", 3), Column("reference ms"), Column("reference / ours", 1)]
    columns += [Column("relative to ReLU"), Column("reference relative to ReLU")]
    table = Table("time", columns)
    for s in SETTINGS:
        relu = Setting(s.architecture, s.loss, "ReLU")
        ours, theirs = milliseconds(timing, s), reference.milliseconds(s)
        ratios = [theirs / ours, ours / milliseconds(timing, relu), theirs / reference.milliseconds(relu)]
        table.rows.append([HIDDEN[s.architecture], s.loss, s.activation, ours, theirs, *ratios])
    return table


def speed_text(timing: Mapping[str, Any], reference: Reference, results: Iterable[Result]) -> str:
    """How the times were taken, and what watching adds."""
    e, watched = timing["environment"], timing["watched"]
    ratios = [reference.milliseconds(s) / milliseconds(timing, s) for s in SETTINGS]
    text = sentence(
        "iteration",
        rounds=timing["rounds"],
        steps=timing["steps"],
        core=f", OPENBLAS_CORETYPE={e['openblas_coretype']}" if e.get("openblas_coretype") else "",
        machine=reference.machine,
        slowest=f"{min(ratios):.1f}",
        fastest=f"{max(ratios):.1f}",
        **{name: e[name] for name in ("processor", "numpy", "blas")},
    )
    if timing["wall_over_processor"] > BUSY:
        text += " " + sentence("busy", factor=f"{timing['wall_over_processor']:.2f}")
    share = evaluation_share(results)
    if share is not None:
        text += "\n\n" + sentence("evaluation", share=f"{100 * share:.1f}")
    if watched:
        more = {name: 100 * (statistics.median(found) - 1) for name, found in watched.items()}
        met = sum(value <= TARGET for value in more.values())
        shown = ", ".join(f"{name} {show_number(value, 0, signed=True)} %" for name, value in more.items())
        text += " " + sentence("watched", shown=shown, target=TARGET, met=met, total=len(more))
    return text
