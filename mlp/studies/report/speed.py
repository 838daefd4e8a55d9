"""What the measured times say: a table beside the reference's, and what watching a run adds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from mlp.studies.report.cells import HIDDEN
from mlp.studies.report.reference import Reference
from mlp.studies.report.results import SETTINGS, Result, Setting
from mlp.studies.report.statistics import show_number
from mlp.studies.report.tables import Column, Table
from mlp.studies.report.timing import BUSY, evaluation_share, milliseconds

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
    e = timing["environment"]
    faster = [reference.milliseconds(s) / milliseconds(timing, s) for s in SETTINGS]
    core = f", OPENBLAS_CORETYPE={e['openblas_coretype']}" if e.get("openblas_coretype") else ""
    text = (
        "One iteration is a batch of 100: gather, forward, loss, backward, update, running metrics, with no "
        f"callbacks. Median of {timing['rounds']} rounds in which the settings take turns, {timing['steps']} "
        f"iterations each. Here: {e['processor']}, NumPy {e['numpy']}, {e['blas']}{core}, one thread. Reference: "
        f"{reference.machine}. These are different machines, and the reference's number of threads is unknown: the "
        f"ratio of the times ({min(faster):.1f} to {max(faster):.1f}) says how long one waits, not which code is "
        "better; the columns relative to ReLU can be compared."
    )
    if timing["wall_over_processor"] > BUSY:
        text += (
            f" **The machine was busy**: the clock ran {timing['wall_over_processor']:.2f} times as long as this "
            f"program worked; these times are too long by about that factor."
        )
    share = evaluation_share(results)
    if share is not None:
        text += (
            f"\n\nBy the clocks of the runs above, evaluation on the test set took {100 * share:.1f} % of the time "
            "of training, hooks included."
        )
    watched = {name: 100 * (statistics.median(ratios) - 1) for name, ratios in timing["watched"].items()}
    if watched:
        met = sum(value <= TARGET for value in watched.values())
        shown = ", ".join(f"{name} {show_number(value, 0, signed=True)} %" for name, value in watched.items())
        text += (
            " Measured in turns with pure iterations, a run that also evaluates, records and looks into the "
            f"network (hooks on activations and gradients; no Weights & Biases) takes longer by: {shown}. The "
            f"target, at most {TARGET} %, is met by {met} of {len(watched)}."
        )
    return text
