"""A network in words: its table of shapes and counts, and where the first value that is not finite comes from."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.layers.base import Layer
from mlp.layers.containers import Sequential


class Text(str):
    """A string that a notebook shows as it would be printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def summarize(body: Sequential, dtype: np.dtype[Any], batch_size: int | str) -> Text:
    """A table of the layers with their output shapes and parameter counts; a shared parameter counts once."""
    rows = [("layer", "output shape", "parameters")]
    width = body.in_features
    counted: dict[int, Array] = {}
    for i, layer in enumerate(body):
        width = getattr(layer, "out_features", None) or width
        weights = [p.data for p in layer.parameters().values()]
        weights += [a for a in layer.statistics().values() if a.dtype.kind == "i"]  # those that are quantised
        new = {id(w): w for w in weights if id(w) not in counted}
        counted |= new
        rows.append((f"{i}  {layer!r}", f"({batch_size}, {width})", f"{sum(w.size for w in new.values()):,}"))
    rows.append(("total", "", f"{sum(w.size for w in counted.values()):,}"))
    lines = _in_columns(rows)
    rule = "-" * len(lines[0])
    size = sum(w.nbytes for w in counted.values())
    return Text("\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], f"{dtype}, {size:,} bytes"]))


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
