"""What happened in training, epoch by epoch: a table that prints and plots itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = dict[str, Any]


class History:
    """The rows of finished epochs, each a mapping from a name ("train_loss", "test_accuracy", ...) to a number.

    ``history["test_accuracy"]`` is that column as an array; ``history[-1]`` the last row.
    """

    def __init__(self, rows: list[Row] | None = None) -> None:
        self.rows: list[Row] = rows if rows is not None else []

    def append(self, row: Row) -> None:
        """Add the row of one more epoch."""
        self.rows.append(row)

    @property
    def columns(self) -> list[str]:
        """The names of all columns, in order of appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def __getitem__(self, key: str | int) -> Any:
        if isinstance(key, int):
            return self.rows[key]
        if key not in self.columns:
            raise KeyError(f"no column {key!r}; there are: {', '.join(self.columns) or 'none yet'}")
        column: NDArray[np.float64] = np.array([row.get(key, np.nan) for row in self.rows], dtype=np.float64)
        return column

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __repr__(self) -> str:
        if not self.rows:
            return "History(no epochs yet)"
        names = self.columns
        cells = [[_show(row.get(name, "")) for name in names] for row in self.rows]
        widths = [max(len(name), *(len(line[k]) for line in cells)) for k, name in enumerate(names)]
        return "\n".join(
            "  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True))
            for line in [names, *cells]
        )

    def _repr_html_(self) -> str:
        from mlp.display.curves import LINES, chart
        from mlp.display.html import join, line, table

        if not self.rows:
            return line(repr(self))
        panels = []
        for quantity in ("loss", "accuracy"):
            lines = {part: self[f"{part}_{quantity}"] for part in LINES if f"{part}_{quantity}" in self.columns}
            if lines:
                panels.append(chart(f"{quantity} by epoch", np.arange(1, len(self) + 1), lines))
        last = {name: _show(value) for name, value in self.rows[-1].items()}
        count = "1 epoch" if len(self) == 1 else f"{len(self)} epochs"
        row = table(list(last), [list(last.values())], left=0)
        return join([line(f"History of {count}, the last:"), row, line(*panels)])

    def plot(self) -> Any:
        """Draw loss and accuracy against the epoch; returns the matplotlib figure. Needs matplotlib."""
        from mlp.plots import plot_history

        return plot_history(self)


def _show(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4f}" if value == 0 or abs(value) >= 0.001 else f"{value:.3g}"
