"""What was measured of every layer and every parameter for one batch, as numbers and as a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

Cells = list[tuple[str, ...]]


@dataclass(frozen=True)
class LayerRow:
    """The output y of one layer for a batch, and dL/dy, as numbers over all entries. A share is from 0 to 1.

    None stands for what does not apply: ``dead`` is for ReLU and ReLU6, ``saturated`` for Sigmoid, Tanh, and ReLU6
    at 6, and no gradient arrives below the first layer with parameters.
    """

    name: str
    shape: tuple[int, ...]
    mean: float
    std: float
    min: float
    max: float
    signal: float  # rms over the units of each one's std over the samples: how much of y depends on the input
    zeros: float  # share of entries that are exactly 0
    dead: float | None  # share of units that are 0 for every sample
    saturated: float | None  # share of entries where |dy/dx| < 0.05
    gradient_rms: float | None = None  # root of the mean of (dL/dy)²

    @property
    def gradient_norm(self) -> float | None:
        """|dL/dy| over the whole batch: the rms times the root of the number of entries."""
        return None if self.gradient_rms is None else self.gradient_rms * math.sqrt(math.prod(self.shape))


@dataclass(frozen=True)
class ParameterRow:
    """One parameter w and its gradient g = dL/dw, each by its Euclidean norm over all entries."""

    name: str
    shape: tuple[int, ...]
    weight_norm: float
    gradient_norm: float
    finite: bool  # no NaN and no infinity, neither in w nor in g

    @property
    def ratio(self) -> float:
        """|g| / |w|: times the learning rate, how far a step of plain SGD moves w, by its own size."""
        if self.weight_norm == 0:
            return math.inf if self.gradient_norm else 0.0
        return self.gradient_norm / self.weight_norm


@dataclass(frozen=True, repr=False)
class LayerStatistics:
    """What ``layer_statistics`` measured: prints as a table, and ``plot()`` draws it.

    ``loss`` is that of the batch and ``input`` the row of the batch itself. ``layers`` has a row for each layer in
    the order of the forward pass, ``trunk`` those alone that all of the signal passes: not what is inside a
    Residual or another block. ``parameters`` has a row for each parameter.
    """

    loss: float
    input: LayerRow
    layers: tuple[LayerRow, ...]
    trunk: tuple[LayerRow, ...]
    parameters: tuple[ParameterRow, ...]

    def plot(self) -> Any:
        """The scale of activations and of gradients by depth; returns the matplotlib figure. Needs matplotlib."""
        from mlp.plots import plot_layers

        return plot_layers(self)

    def _cells(self) -> tuple[Cells, Cells]:
        layers: Cells = [("layer", "mean", "std", "min", "max", "zeros", "dead", "saturated", "rms dL/dy")]
        for row in (self.input, *self.layers):
            numbers = map(_number, (row.mean, row.std, row.min, row.max))
            shares = map(_percent, (row.zeros, row.dead, row.saturated))
            layers.append((_shorten(row.name), *numbers, *shares, _number(row.gradient_rms)))
        parameters: Cells = [("parameter", "|w|", "|g|", "|g| / |w|", "finite")]
        for p in self.parameters:
            numbers = map(_number, (p.weight_norm, p.gradient_norm, p.ratio))
            parameters.append((p.name, *numbers, "yes" if p.finite else "NO"))
        return layers, parameters

    def __str__(self) -> str:
        layers, parameters = self._cells()
        return f"loss {self.loss:.4g}\n\n{_table(layers)}\n\n{_table(parameters)}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from mlp.display.html import join, line, table

        return join([line(f"loss {self.loss:.4g}"), *(table(cells[0], cells[1:]) for cells in self._cells())])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _shorten(name: str, width: int = 40) -> str:
    return name if len(name) <= width else name[: width - 1] + "…"


def _table(lines: Cells) -> str:
    """The first column to the left, the others to the right, a rule below the headings."""
    first, *others = (max(map(len, column)) for column in zip(*lines, strict=True))
    written = [
        "  ".join([f"{line[0]:<{first}}", *(f"{c:>{w}}" for c, w in zip(line[1:], others, strict=True))])
        for line in lines
    ]
    return "\n".join([written[0], "-" * len(written[0]), *written[1:]])
