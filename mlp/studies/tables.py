"""Numbers with their spread, and tables of them: for a terminal, as Markdown, and as CSV, from the same cells."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Estimate:
    """Mean and sample standard deviation (n - 1) of ``count`` numbers; nan where there are too few of them."""

    mean: float
    std: float
    count: int

    def show(self, digits: int = 2, signed: bool = False) -> str:
        """For example "98.20 ± 0.06"; without ± if there is a single number."""
        if self.count == 0:
            return "–"
        text = show_number(self.mean, digits, signed)
        return text if self.count == 1 else f"{text} ± {self.std:.{digits}f}"


def estimate(values: Iterable[float]) -> Estimate:
    """The estimate from the values of single runs."""
    numbers = list(values)
    mean = statistics.fmean(numbers) if numbers else math.nan
    return Estimate(mean, statistics.stdev(numbers) if len(numbers) > 1 else math.nan, len(numbers))


def show_number(value: float, digits: int = 2, signed: bool = False) -> str:
    """A rounded number with a proper minus; a dash for nan, and no sign for what rounds to zero."""
    if math.isnan(value):
        return "–"
    shown = f"{value:{'+' if signed else ''}.{digits}f}"
    return f"{0:.{digits}f}" if float(shown) == 0 else shown.replace("-", "−")


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
        return show_number(cell, self.digits, self.signed) if isinstance(cell, float) else str(cell)


@dataclass
class Table:
    """Rows of cells under their columns. ``name`` is that of the CSV file."""

    name: str
    columns: Sequence[Column]
    rows: list[Sequence[Cell]] = field(default_factory=list)

    def shown(self) -> list[list[str]]:
        """The headings, then the rows, as readers see them."""
        rows = [[c.show(cell) for c, cell in zip(self.columns, row, strict=True)] for row in self.rows]
        return [[column.title for column in self.columns], *rows]

    def markdown(self) -> str:
        """A pipe table, numbers to the right."""
        head, *rows = self.shown()
        rule = [":--" if self._is_text(k) else "--:" for k in range(len(head))]
        return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *rows)) + "\n"

    def text(self) -> str:
        """Aligned columns for a terminal."""
        lines = self.shown()
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        sides = ["<" if self._is_text(k) else ">" for k in range(len(widths))]
        formats = [f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True)]
        return "".join("  ".join(formats).format(*line).rstrip() + "\n" for line in lines)

    def csv(self) -> str:
        """Comma-separated values with six digits; an estimate fills three columns: mean, std, runs."""
        wide = [any(isinstance(row[k], Estimate) for row in self.rows) for k in range(len(self.columns))]
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        titles: list[str] = []
        for column, is_wide in zip(self.columns, wide, strict=True):
            ends = (" mean", " std", " runs") if is_wide else ("",)
            titles += [plain(column.title) + end for end in ends]
        writer.writerow(titles)
        for row in self.rows:
            writer.writerow(text for cell, is_wide in zip(row, wide, strict=True) for text in _csv(cell, is_wide))
        return file.getvalue()

    def _is_text(self, column: int) -> bool:
        return all(isinstance(row[column], str) for row in self.rows)


def _csv(cell: Cell, is_wide: bool) -> list[str]:
    if isinstance(cell, Estimate):
        return [number(cell.mean), number(cell.std), str(cell.count)]
    if is_wide:
        return ["", "", "0"]
    if isinstance(cell, float):
        return [number(cell)]
    return ["" if cell is None else plain(str(cell))]


def number(value: float) -> str:
    """Six significant digits; empty for nan."""
    return "" if math.isnan(value) else f"{value:.6g}"


def plain(text: str) -> str:
    """Markdown's emphasis removed."""
    return text.replace("**", "").replace("`", "")
