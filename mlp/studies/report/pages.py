"""The report's pages: text, tables and figures put in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlp.run.config import RunConfig
from mlp.studies.report.claims import AGREES, DISAGREES, Claim, claims_table
from mlp.studies.report.provenance import Provenance
from mlp.studies.report.reference import Reference
from mlp.studies.report.sweeps import Sweep
from mlp.studies.report.words import count, page, sentence
from mlp.studies.tables import Table


def main_page(
    base: RunConfig,
    origin: Provenance,
    reference: Reference,
    tables: Mapping[str, Table],
    texts: Mapping[str, str],
    notes: str | None,
    claims: Sequence[Claim] | None,
) -> str:
    """README.md: the headline, then each question with its table, figure and what they show.

    ``claims`` are those of the sweeps, None without sweeps.
    """
    numbers = ("lr", "momentum", "weight_decay", "init_std", "margin")
    return page(
        "main",
        label=origin.label,
        made=origin.made,
        source=reference.source,
        reference_runs=reference.runs,
        seeds=count(origin.seeds, "seed"),
        epochs=count(base.epochs, "epoch"),
        samples="all" if base.train_samples is None else f"the first {base.train_samples}",
        batch_size=base.batch_size,
        dtype=base.dtype,
        notes=f"## Notes\n\n{notes.strip()}" if notes else "",
        sweeps="" if claims is None else sweeps_summary(claims),
        files=", ".join(f"[{table.name}.csv]({table.name}.csv)" for table in tables.values()),
        **{name: f"{getattr(base, name):g}" for name in numbers},
        **{"time": ""} | {name: table.markdown() for name, table in tables.items()},
        **{f"say_{name}": text for name, text in texts.items()},
    )


def sweeps_summary(claims: Sequence[Claim]) -> str:
    """One paragraph on the sweeps, with the figure of where they end."""
    lost = [f"{c.sweep.replace('_', ' ')}: {c.says}" for c in claims if c.verdict == DISAGREES]
    text = sentence(
        "sweeps",
        total=len(claims),
        agree=sum(c.verdict == AGREES for c in claims),
        disagree=f"{len(lost)} {'does' if len(lost) == 1 else 'do'}",
    )
    text += f" Not confirmed: {'; '.join(lost)}." if lost else ""
    return f"{text}\n\n![Final test accuracy against the value, for each sweep](figures/final.png)"


def sweeps_page(sweeps: Sequence[Sweep], claims: Sequence[Claim], reference: Reference, origin: Provenance) -> str:
    """sweeps.md: for each sweep its figure, its table, and the reference's findings with our verdicts.

    ``origin`` is that of the sweeps' runs alone.
    """
    parts = [
        sentence(
            "sweep",
            name=sweep.axis.name,
            title=sweep.axis.title.capitalize(),
            lower=sweep.axis.title,
            table=sweep.table().markdown().strip(),
            finding=reference.findings[sweep.axis.name],
            claims=claims_table([c for c in claims if c.sweep == sweep.axis.name]).markdown().strip(),
        )
        for sweep in sweeps
    ]
    return page("sweeps", label=origin.label, made=origin.made, recipe=recipe(sweeps), sweeps="\n\n".join(parts))


def recipe(sweeps: Sequence[Sweep]) -> str:
    """The recipe of the sweeps, as their runs tell it: network and loss."""
    points = [point for sweep in sweeps if sweep.axis.name != "hidden_size" for point in sweep.points]
    configs = [run.config for point in points for run in point.runs]
    if not configs:
        return "see the tables"
    hidden = "–".join(map(str, configs[0].hidden)) or "no"
    seeds = ", ".join(str(seed) for seed in sorted({c.seed for c in configs}))
    return f"{hidden} hidden neurons, {configs[0].activation}, {configs[0].loss}, seed {seeds}"
