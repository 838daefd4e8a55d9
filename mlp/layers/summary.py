"""A network in words: its table of shapes and counts, and where the first value that is not finite comes from."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mlp.arrays import Array
from mlp.layers.base import Layer
from mlp.layers.containers import Sequential


class Text(str):
    """A string that a notebook shows as it would be printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Row(NamedTuple):
    """A layer, the width of its output, and those of its weights by name that no layer before it has."""

    layer: Layer
    width: int | None
    weights: dict[str, Array]

    @property
    def size(self) -> int:
        """The number of parameters."""
        return sum(w.size for w in self.weights.values())


def list_layers(body: Sequential) -> list[Row]:
    """A row for each layer; a weight that layers share stands with the first of them."""
    rows: list[Row] = []
    width = body.in_features
    seen: set[int] = set()
    for layer in body:
        width = getattr(layer, "out_features", None) or width
        weights = {name: p.data for name, p in layer.parameters().items()}
        weights |= {name: a for name, a in layer.statistics().items() if a.dtype.kind == "i"}  # those quantised
        new = {id(w): (name, w) for name, w in weights.items() if id(w) not in seen}
        seen |= new.keys()
        rows.append(Row(layer, width, dict(new.values())))
    return rows


def summarize(body: Sequential, dtype: np.dtype[Any], batch_size: int | str) -> Text:
    """A table of the layers with their output shapes and parameter counts; a shared parameter counts once."""
    layers = list_layers(body)
    rows = [("layer", "output shape", "parameters")]
    rows += [(f"{i}  {r.layer!r}", f"({batch_size}, {r.width})", f"{r.size:,}") for i, r in enumerate(layers)]
    rows.append(("total", "", f"{sum(r.size for r in layers):,}"))
    lines = _in_columns(rows)
    rule = "-" * len(lines[0])
    return Text("\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], f"{dtype}, {_bytes(layers):,} bytes"]))


def summarize_as_html(body: Sequential, dtype: np.dtype[Any]) -> str:
    """The same table as a notebook shows it, with the shape of every weight."""
    from mlp.display.html import code, table

    layers = list_layers(body)
    rows: list[list[object]] = [
        [i, code(repr(r.layer)), f"(N, {r.width})", ", ".join(f"{n} {w.shape}" for n, w in r.weights.items()),
         f"{r.size:,}"]
        for i, r in enumerate(layers)
    ]  # fmt: skip
    rows.append(["", "total", "", f"{dtype}, {_bytes(layers):,} bytes", f"{sum(r.size for r in layers):,}"])
    return table(["", "layer", "output shape", "weights", "parameters"], rows, left=4, foot=1)


def _bytes(layers: list[Row]) -> int:
    return sum(w.nbytes for r in layers for w in r.weights.values())


def _in_columns(rows: list[tuple[str, str, str]]) -> list[str]:
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [f"{a:<{wide[0]}}  {b:<{wide[1]}}  {c:>{wide[2]}}" for a, b, c in rows]


def find_non_finite(layers: tuple[Layer, ...], x: Array) -> str | None:
    """Where the first value that is not finite comes from when the batch x goes forward, or None."""
    if not np.isfinite(x).all():
        return "the input is not finite"
    for layer in layers:
        for name, p in layer.parameters().items():
            if not np.isfinite(p.data).all():
                return f"the {name} of {layer.name} is not finite"
        with np.errstate(all="ignore"):
            x = layer.forward(x)
        if not np.isfinite(x).all():
            return f"the output of {layer.name} is not finite, though its input is"
    return None
