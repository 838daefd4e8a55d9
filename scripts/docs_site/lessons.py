"""The lessons as pages, with the outputs of their cells."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

from docs_site.frame import Page, entries_of, plain, relative
from docs_site.source import highlight, place_of
from docs_site.text import Link, link_from, place, render

# What of an output is shown: the first of these that is there.
KINDS = ("text/html", "image/svg+xml", "image/png", "text/markdown", "text/plain")
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def lesson(notebook: Path) -> Page:
    """The page of a notebook, as it is in the file: with outputs if it was run."""
    document = f"notebooks/{notebook.name}"
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    link = link_from(document)
    body = "\n".join(_cell(cell, link, document) for cell in cells)
    heading = re.search(r"<h1[^>]*>(.*?)</h1>", body)
    title = plain(heading[1]) if heading else notebook.stem
    script = relative(place_of(f"notebooks/{notebook.stem}.py"), place(document))
    body += f'<p class="quiet">Made from <a href="{script}">notebooks/{notebook.stem}.py</a>.</p>'
    return Page(place(document), title, body, "Lessons", entries_of(body, title))


def list_of_lessons(lessons: list[Page], were_run: bool) -> Page:
    """The page that names all lessons."""
    links = "".join(f'<li><a href="{Path(page.place).name}">{html.escape(page.title)}</a></li>' for page in lessons)
    note = "" if were_run else '<p class="quiet">These pages were made without running the lessons.</p>'
    return Page("notebooks/index.html", "The lessons", f"<h1>The lessons</h1>{note}<ul>{links}</ul>", "Lessons")


def _cell(cell: dict[str, Any], link: Link, document: str) -> str:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return render(source, link, document)
    if cell["cell_type"] != "code":
        return ""
    outputs = "".join(
        f'<div class="output">{shown}</div>' for o in cell.get("outputs", ()) if (shown := _output(o))
    )
    return f'<div class="cell"><pre class="highlight">{highlight(source, "python")}</pre>{outputs}</div>'


def _output(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return _text("".join(output["text"]))
    if output["output_type"] == "error":
        return _text("\n".join(output["traceback"]))
    data = output.get("data", {})
    kind = next((kind for kind in KINDS if kind in data), None)
    if kind is None:
        return ""
    content = "".join(data[kind])
    if kind in ("text/html", "image/svg+xml"):
        return content
    if kind == "image/png":
        return f'<img alt="" src="data:image/png;base64,{"".join(content.split())}">'
    return _text(content)


def _text(text: str) -> str:
    return f"<pre>{html.escape(ESCAPES.sub('', text))}</pre>"
