"""Writes the HTML of objects in notebooks: the one place where text is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

RULE = "1px solid rgba(128, 128, 128, 0.5)"
CELL = "padding: 0.2em 0.8em; white-space: pre-wrap; background: none; color: inherit"


class Html(str):
    """Text that is HTML already. All other text is escaped before it becomes part of a page."""

    __slots__ = ()


def escape(value: object) -> Html:
    """``value`` as HTML: as it is if it is ``Html``, else its text, in which nothing is markup."""
    return value if isinstance(value, Html) else Html(html.escape(str(value)))


def join(parts: Iterable[object]) -> Html:
    """The parts one after another."""
    return Html("".join(map(escape, parts)))


def styled(text: object, style: str, tag: str = "span") -> Html:
    """The text in an element with this style."""
    return Html(f'<{tag} style="{html.escape(style)}">{escape(text)}</{tag}>')


def code(text: object) -> Html:
    """Text in a typewriter's letters."""
    return styled(text, "background: none; color: inherit; padding: 0; white-space: pre-wrap", "code")


def line(*parts: object) -> Html:
    """A paragraph of its own."""
    return styled(join(parts), "margin: 0.3em 0", "div")


def table(head: Sequence[object], rows: Iterable[Sequence[object]], *, left: int = 1, foot: int = 0) -> Html:
    """A table with a rule below ``head``, and one above the last ``foot`` rows.

    The first ``left`` columns are words, and stand to the left; the others are numbers, and stand to the right.
    """
    lines = [head, *rows]
    parts = []
    for i, cells in enumerate(lines):
        ruled = i == 0 or (foot and i == len(lines) - foot - 1)
        border = f"border: none; border-bottom: {RULE if ruled else 'none'}"
        tag = "td" if i else "th"
        row = (
            f'<{tag} style="{CELL}; {border}; text-align: {"left" if k < left else "right"}">{escape(cell)}</{tag}>'
            for k, cell in enumerate(cells)
        )
        parts.append(f'<tr style="background: none">{"".join(row)}</tr>')
    style = "border-collapse: collapse; margin: 0.3em 0; color: inherit"
    return Html(f'<div style="overflow-x: auto"><table style="{style}">{"".join(parts)}</table></div>')
