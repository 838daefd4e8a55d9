"""The published report that ours is compared with: its tables and what it says about its sweeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlp.studies.report.results import Setting

FILE = Path(__file__).with_name("reference.json")


@dataclass(frozen=True)
class Reference:
    """Lookup in ``reference.json``: accuracy in percent, loss times 100, milliseconds per iteration."""

    content: Mapping[str, Any]

    @property
    def source(self) -> str:
        """What it is, in words."""
        return str(self.content["source"])

    @property
    def runs(self) -> int:
        """How many runs each of its cells is the mean of."""
        return int(self.content["runs"])

    @property
    def findings(self) -> Mapping[str, str]:
        """What it says about each sweep."""
        return dict(self.content["sweep_findings"])

    @property
    def machine(self) -> str:
        """Where it was measured."""
        where = self.content["environment"]
        return f"{where['cpu']}, NumPy {where['numpy']}, Python {where['python']}"

    def value(self, metric: str, split: str, setting: Setting) -> float:
        """``metric``: "accuracy" (percent) or "loss" (times 100); ``split``: "train" or "test"."""
        table = self.content["accuracy" if metric == "accuracy" else "loss_x100"]
        row = table[setting.architecture][setting.loss][split]
        return float(row[self._column(setting)])

    def milliseconds(self, setting: Setting) -> float:
        """Time of one iteration."""
        return float(self.content["ms_per_iteration"][setting.architecture][setting.loss][self._column(setting)])

    def _column(self, setting: Setting) -> int:
        columns: list[str] = self.content["columns"]
        return columns.index(setting.activation)


def load_reference() -> Reference:
    """The reference that comes with the package."""
    return Reference(json.loads(FILE.read_text(encoding="utf-8")))
