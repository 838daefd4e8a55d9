"""Tables that are written twice, for readers as Markdown and for programs as CSV, from the same cells."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from mlp.studies.report.statistics import Estimate, show_number

Cell = str | int | float | Estimate | None


@dataclass(frozen=True)
class Column:
    """A heading and how its numbers are shown: digits after the point, with a sign or without."""

    title: str
    digits: int = 2
    signed: bool = False

    def show(self, cell: Cell) -> str:
        """A cell for readers."""
        if cell is None:
            return "–"
        if isinstance(cell, Estimate):
            return cell.show(self.digits, self.signed)
        if isinstance(cell, float):
            return show_number(cell, self.digits, self.signed)
        return str(cell)


@dataclass
class Table:
    """Rows of cells under their columns. ``name`` is that of the CSV file."""

    name: str
    columns: Sequence[Column]
    rows: list[Sequence[Cell]] = field(default_factory=list)

    def markdown(self) -> str:
        """A pipe table, numbers to the right."""
        is_text = [all(isinstance(row[k], str) for row in self.rows) for k in range(len(self.columns))]
        lines = [
            [column.title for column in self.columns],
            [":--" if text else "--:" for text in is_text],
            *([c.show(cell) for c, cell in zip(self.columns, row, strict=True)] for row in self.rows),
        ]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"

    def csv(self) -> str:
        """Comma-separated values with six digits; an estimate fills three columns: mean, std, runs."""
        spread = [any(isinstance(row[k], Estimate) for row in self.rows) for k in range(len(self.columns))]
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        titles = [plain(column.title) for column in self.columns]
        writer.writerow(
            name
            for title, wide in zip(titles, spread, strict=True)
            for name in ([f"{title} mean", f"{title} std", f"{title} runs"] if wide else [title])
        )
        for row in self.rows:
            cells: list[str] = []
            for cell, wide in zip(row, spread, strict=True):
                if wide:
                    e = cell if isinstance(cell, Estimate) else Estimate(math.nan, math.nan, 0)
                    cells += [number(e.mean), number(e.std), str(e.count)]
                else:
                    cells.append(
                        number(cell) if isinstance(cell, float) else "" if cell is None else plain(str(cell))
                    )
            writer.writerow(cells)
        return file.getvalue()


def number(value: float) -> str:
    """Six significant digits; empty for nan."""
    return "" if math.isnan(value) else f"{value:.6g}"


def plain(text: str) -> str:
    """Markdown's emphasis removed."""
    return text.replace("**", "").replace("`", "")
