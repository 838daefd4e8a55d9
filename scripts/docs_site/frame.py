"""The frame of every page: where the reader is, what else there is, and the search."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

HERE = Path(__file__).parent
STYLE, SEARCH, INDEX = "site/style.css", "site/search.js", "site/index.js"


@dataclass
class Page:
    """A page of the site: its place in it, its title, its content as HTML, and what the search finds in it.

    ``entries`` are (title, anchor, text) of its parts.
    """

    place: str
    title: str
    body: str
    kind: str
    entries: list[tuple[str, str, str]] = field(default_factory=list)


def relative(target: str, place: str) -> str:
    """The link from the page at ``place`` to a place of the site."""
    path, mark, anchor = target.partition("#")
    return os.path.relpath(path, PurePosixPath(place).parent).replace(os.sep, "/") + mark + anchor


def frame(page: Page, sections: dict[str, list[Page]]) -> str:
    """The whole page, with links to all pages of the ``sections``."""
    parts = []
    for name, pages in sections.items():
        links = "".join(_link(page, other) for other in pages)
        is_open = " open" if page.kind == name or name == "Guides" else ""
        parts.append(f"<details{is_open}><summary>{html.escape(name)}</summary>{links}</details>")
    style, search, index = (relative(name, page.place) for name in (STYLE, SEARCH, INDEX))
    root = relative("index.html", page.place).removesuffix("index.html")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{style}">
<title>{html.escape(page.title)} · mlp</title>
</head>
<body data-root="{root}">
<nav>
<a class="home" href="{relative("index.html", page.place)}">mlp</a>
<input id="search" type="search" placeholder="Search" aria-label="Search" autocomplete="off">
<div id="found" role="status"></div>
{"".join(parts)}
</nav>
<main class="{page.kind.lower()}">
{page.body}
</main>
<script src="{index}"></script>
<script src="{search}"></script>
</body>
</html>
"""


def _link(page: Page, other: Page) -> str:
    here = ' class="here" aria-current="page"' if other is page else ""
    return f'<a{here} href="{relative(other.place, page.place)}">{html.escape(other.title)}</a>'


def index(pages: Iterable[Page]) -> str:
    """What the search looks through, as a script: pages that are opened from a disk may load nothing else."""
    found = []
    for page in pages:
        for title, anchor, text in page.entries:
            place = f"{page.place}#{anchor}" if anchor else page.place
            found.append([title, f"{page.kind}: {page.title}", place, " ".join(text.split())])
    return f"const INDEX = {json.dumps(found, ensure_ascii=False)};\n"


def entries_of(body: str, title: str) -> list[tuple[str, str, str]]:
    """What the search finds in the HTML of a page: the text under each heading."""
    pieces = re.split(r'<h[1-4] id="([^"]+)"[^>]*>(.*?)</h[1-4]>', body)
    found = [(title, "", plain(pieces[0]))] if plain(pieces[0]) else []
    for anchor, heading, text in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        found.append((plain(heading), anchor, plain(text)))
    return found


def plain(markup: str) -> str:
    """The text of HTML."""
    return html.unescape(re.sub(r"<[^>]+>", " ", markup)).strip()


def write_pages(pages: list[Page], sections: dict[str, list[Page]], folder: Path) -> None:
    """All pages, with the style and the search that they share."""
    for page in pages:
        file = folder / page.place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(frame(page, sections), encoding="utf-8")
    (folder / "site").mkdir(exist_ok=True)
    from docs_site.source import highlighting

    style = (HERE / "style.css").read_text("utf-8") + highlighting()
    (folder / STYLE).write_text(style, encoding="utf-8")
    (folder / SEARCH).write_text((HERE / "search.js").read_text("utf-8"), encoding="utf-8")
    (folder / INDEX).write_text(index(pages), encoding="utf-8")
