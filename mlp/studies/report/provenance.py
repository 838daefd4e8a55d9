"""Where the runs come from: how many, when, and with which versions. It is told at the top of each page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlp.run.folder import ENVIRONMENT
from mlp.studies.report.results import Result


@dataclass(frozen=True)
class Provenance:
    """``date`` is that of the newest run, "unknown" if none says."""

    runs: int
    epochs: list[int]
    seeds: int
    date: str
    versions: str
    quick: bool

    @property
    def command(self) -> str:
        """What makes this report."""
        return "./train.sh report" + (" --quick" if self.quick else "")

    @property
    def label(self) -> str:
        """What every page of a quick report says first; empty for the real one."""
        if not self.quick:
            return ""
        low, high = min(self.epochs), max(self.epochs)
        epochs = count(high, "epoch") if low == high else f"{low} to {count(high, 'epoch')}"
        seeds = count(self.seeds, "seed")
        return f"> **quick version: {epochs}, {seeds}; not the published result**\n"

    def header(self) -> str:
        """The first lines under a page's title."""
        made = f"Made by `{self.command}` from {self.runs} runs; the newest is of {self.date}. {self.versions}.\n"
        return (f"{self.label}\n" if self.label else "") + made


def provenance(
    results: Mapping[str, Sequence[Result]], quick: bool, about: Sequence[Result] | None = None
) -> Provenance:
    """Read the environments of all runs; epochs and seeds are those of the runs ``about``, or else of all."""
    folders = {run.folder: run for found in results.values() for run in found}
    about = list(folders.values()) if about is None else about
    environments = [found for folder in folders if (found := _read(folder / ENVIRONMENT)) is not None]
    dates = [str(e["started"]) for e in environments if e.get("started")]
    blas = {"blas": [" ".join(str(b.get(k)) for k in ("name", "version")) for b in _values(environments, "blas")]}
    versions = []
    for title, key in (("mlp", "mlp"), ("Python", "python"), ("NumPy", "numpy"), ("BLAS", "blas")):
        seen = sorted({str(v) for v in blas.get(key, _values(environments, key))})
        versions.append(f"{title} {' and '.join(seen) or 'unknown'}")
    return Provenance(
        runs=len(folders),
        epochs=sorted({run.config.epochs for run in about}),
        seeds=len({run.config.seed for run in about}),
        date=max(dates)[:10] if dates else "unknown",
        versions=", ".join(versions),
        quick=quick,
    )


def count(number: int, what: str) -> str:
    """1 epoch, 2 epochs."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _values(environments: Sequence[Mapping[str, Any]], key: str) -> list[Any]:
    return [e[key] for e in environments if key in e]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
