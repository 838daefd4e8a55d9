"""The table of a classification: numbers by name, which print themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, repr=False, eq=False)
class ClassificationReport:
    """Precision, recall, F1 and support (number of samples, or sum of their weights) of K classes, arrays (K,).

    ``macro`` and ``weighted`` are averages over the classes, arrays (3,): precision, recall, F1.
    ``print(report)`` shows the table, and so does a notebook.
    """

    class_names: tuple[str, ...]
    precision: Floats
    recall: Floats
    f1: Floats
    support: NDArray[Any]
    accuracy: float
    macro: Floats
    weighted: Floats

    def _rows(self) -> list[tuple[str, ...]]:
        total = f"{self.support.sum():g}"
        numbers = np.stack([self.precision, self.recall, self.f1], axis=1)
        classes = zip(self.class_names, numbers, self.support, strict=True)
        return [
            ("", "precision", "recall", "f1", "support"),
            *((name, *map(_show, row), f"{n:g}") for name, row, n in classes),
            ("accuracy", "", "", _show(self.accuracy), total),
            ("macro average", *map(_show, self.macro), total),
            ("weighted average", *map(_show, self.weighted), total),
        ]

    def __str__(self) -> str:
        rows = self._rows()
        width = max(len(row[0]) for row in rows)
        lines = [f"{name:<{width}}" + "".join(f"{cell:>11}" for cell in cells) for name, *cells in rows]
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-3], rule, *lines[-3:]])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from mlp.display.html import table

        head, *rows = self._rows()
        return table(head, rows, foot=3)


def _show(value: float) -> str:
    return f"{value:.4f}"
