"""Small curves drawn as SVG inside the page, for notebooks: no figure, no matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from mlp.arrays import Array
from mlp.display.html import Html, escape, join, styled

# From Okabe and Ito's palette: told apart by colour-blind readers, in grey print, on white and on black paper.
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
# Which line is which part of the data, by colour and by dashes.
LINES = {"train": (BLUE, "--"), "validation": (GREEN, "-."), "test": (VERMILION, "-")}
DASHES = {"-": "none", "--": "5 3", "-.": "6 2 1 2"}
WIDTH, HEIGHT, MARGIN = 240, 110, 6


def chart(title: str, x: ArrayLike, lines: Mapping[str, ArrayLike]) -> Html:
    """The values of each line against x, with the smallest and the largest value beside them, and a legend.

    Values that are not finite leave a gap; a value between two gaps is a dot.
    """
    at = np.asarray(x, dtype=np.float64)
    values = {name: np.asarray(line, dtype=np.float64) for name, line in lines.items()}
    finite = np.concatenate([line[np.isfinite(line)] for line in values.values()])
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    across = _scale(at, float(at.min()), float(at.max()), MARGIN, WIDTH - MARGIN)
    drawn = [_line(across, _scale(line, low, high, HEIGHT - MARGIN, MARGIN), *_look(name))
             for name, line in values.items()]  # fmt: skip
    svg = (
        f'<svg role="img" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f"<title>{escape(title)}</title>"
        f'<path d="M0.5 0V{HEIGHT - 0.5}H{WIDTH}" fill="none" stroke="currentColor" stroke-opacity="0.5"/>'
        f"{''.join(drawn)}</svg>"
    )
    scale = styled(
        join([styled(f"{high:.4g}", "", "span"), styled(f"{low:.4g}", "", "span")]),
        f"display: inline-flex; flex-direction: column; justify-content: space-between; height: {HEIGHT}px; "
        "vertical-align: top; font-size: 80%; text-align: right; min-width: 3.5em; margin-right: 0.4em",
    )
    legend = styled(join(map(_name, values)), "padding-left: 3.5em; font-size: 90%", "div")
    heading = styled(f"{title}, {at.min():g} to {at.max():g}", "padding-left: 3.5em; font-size: 90%", "div")
    return styled(
        join([heading, scale, Html(svg), legend]), "display: inline-block; margin: 0.4em 1.2em 0.4em 0", "div"
    )


def _look(name: str) -> tuple[str, str]:
    return LINES.get(name, ("currentColor", "-"))


def _name(name: str) -> Html:
    mark = {"-": "━━ ", "--": "╺╺╸ ", "-.": "━╺ "}[_look(name)[1]]
    return styled(join([styled(mark, f"color: {_look(name)[0]}"), name]), "margin-right: 1em; white-space: nowrap")


def _scale(values: Array, low: float, high: float, start: float, end: float) -> Array:
    """low .. high mapped to start .. end; to the middle if there is no range."""
    if high == low:
        return np.where(np.isfinite(values), (start + end) / 2, np.nan)
    return start + (values - low) * ((end - start) / (high - low))


def _line(x: Sequence[float] | Array, y: Array, colour: str, dashes: str) -> str:
    """One line as SVG, in as many pieces as there are without a gap."""
    parts = []
    known = np.flatnonzero(np.isfinite(y))
    for piece in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        if len(piece) == 1:
            parts.append(f'<circle cx="{x[piece[0]]:.1f}" cy="{y[piece[0]]:.1f}" r="2.5" fill="{colour}"/>')
        elif len(piece):
            points = " ".join(f"{x[k]:.1f},{y[k]:.1f}" for k in piece)
            style = f'fill="none" stroke="{colour}" stroke-width="1.8" stroke-dasharray="{DASHES[dashes]}"'
            parts.append(f'<polyline points="{points}" {style}/>')
    return "".join(parts)
