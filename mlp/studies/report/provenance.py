"""Where the runs come from: how many, when, and with which versions. It is told at the top of each page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlp.run.folder import ENVIRONMENT
from mlp.studies.report.results import Result
from mlp.studies.report.words import count, sentence


@dataclass(frozen=True)
class Provenance:
    """``label`` is what every page of a quick report says first, empty for the real one."""

    seeds: int
    label: str
    made: str


def provenance(
    results: Mapping[str, Sequence[Result]], quick: bool, about: Sequence[Result] | None = None
) -> Provenance:
    """Read the environments of all runs; epochs and seeds are those of the runs ``about``, or else of all."""
    runs = {run.folder: run for found in results.values() for run in found}
    about = list(runs.values()) if about is None else about
    environments = [_read(folder / ENVIRONMENT) for folder in runs]
    dates = [str(e["started"]) for e in environments if e.get("started")]
    made = sentence(
        "made",
        command="./train.sh report" + " --quick" * quick,
        runs=len(runs),
        date=max(dates)[:10] if dates else "unknown",
        versions=_versions(environments),
    )
    seeds, epochs = len({run.config.seed for run in about}), {run.config.epochs for run in about}
    return Provenance(seeds, _label(seeds, epochs) if quick else "", made)


def _label(seeds: int, epochs: set[int]) -> str:
    shortest = "" if len(epochs) == 1 else f"{min(epochs)} to "
    return sentence("quick", epochs=shortest + count(max(epochs), "epoch"), seeds=count(seeds, "seed"))


def _versions(environments: Sequence[Mapping[str, Any]]) -> str:
    """For example "mlp 0.1.0, Python 3.11, NumPy 2.3 and 2.4, BLAS unknown"."""
    told = []
    for title, key in (("mlp", "mlp"), ("Python", "python"), ("NumPy", "numpy"), ("BLAS", "blas")):
        seen = sorted({_version(e[key]) for e in environments if key in e})
        told.append(f"{title} {' and '.join(seen) or 'unknown'}")
    return ", ".join(told)


def _version(value: Any) -> str:
    return f"{value.get('name')} {value.get('version')}" if isinstance(value, dict) else str(value)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
