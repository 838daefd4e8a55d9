"""A page as a list of blocks, written as Markdown or as one HTML file without anything to load."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Format = Literal["html", "markdown"]
SUFFIX = {"html": ".html", "markdown": ".md"}

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { text-align: left; padding: .3rem .8rem; border-bottom: 1px solid #ddd; vertical-align: top; }
pre { background: #f6f6f6; padding: .7rem 1rem; white-space: pre-wrap; }
.chart { white-space: nowrap; }
.bar { background: #3b6ea5; height: 1em; display: inline-block; vertical-align: middle; margin-right: .5em; }
"""


@dataclass(frozen=True)
class Bar:
    """A cell that shows a number by its length; ``share`` is its part of the longest bar."""

    value: int
    share: float

    def as_markdown(self) -> str:
        return f"{'█' * max(1, round(20 * self.share))} {self.value}"

    def as_html(self) -> str:
        bar = f'<span class="bar" style="width: {15 * self.share:.2f}rem"></span>{self.value}'
        return f'<span class="chart">{bar}</span>'


Cell = str | Bar


@dataclass(frozen=True)
class Heading:
    """A title of level 1, 2, ..."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Lines:
    """Text whose lines stay as they are."""

    text: str


@dataclass(frozen=True)
class Table:
    """A row of titles and rows of cells."""

    titles: Sequence[str]
    rows: Sequence[Sequence[Cell]]


Block = Heading | Text | Lines | Table


def render(blocks: Sequence[Block], form: Format) -> str:
    """The page as a text."""
    return _html(blocks) if form == "html" else "\n\n".join(map(_markdown, blocks)) + "\n"


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {_escaped(block.text)}"
    if isinstance(block, Text):
        return _escaped(block.text)
    if isinstance(block, Lines):
        # The fence must be longer than any that a student's text holds.
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", block.text)), default=0))
        return f"{fence}\n{block.text}\n{fence}"
    rows = [block.titles, ["---"] * len(block.titles), *block.rows]
    return "\n".join(f"| {' | '.join(_markdown_cell(cell) for cell in row)} |" for row in rows)


def _markdown_cell(cell: Cell) -> str:
    return cell.as_markdown() if isinstance(cell, Bar) else _escaped(" ".join(cell.split())).replace("|", "\\|")


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_<>\[\]])", r"\\\1", text)


def _html(blocks: Sequence[Block]) -> str:
    title = next((block.text for block in blocks if isinstance(block, Heading)), "")
    body = "\n".join(map(_html_block, blocks))
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n{body}\n</html>\n"
    )


def _html_block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{html.escape(block.text)}</h{block.level}>"
    if isinstance(block, Text):
        return f"<p>{html.escape(block.text)}</p>"
    if isinstance(block, Lines):
        return f"<pre>{html.escape(block.text)}</pre>"
    rows = [_html_row(block.titles, "th"), *(_html_row(row, "td") for row in block.rows)]
    return "<table>\n" + "\n".join(rows) + "\n</table>"


def _html_row(cells: Sequence[Cell], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{_html_cell(cell)}</{tag}>" for cell in cells) + "</tr>"


def _html_cell(cell: Cell) -> str:
    return cell.as_html() if isinstance(cell, Bar) else html.escape(cell)
