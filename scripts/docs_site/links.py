"""Checks a finished site: every link leads somewhere, and no page asks for anything from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

LOADED = {
    ("img", "src"),
    ("script", "src"),
    ("link", "href"),
    ("iframe", "src"),
    ("source", "src"),
    ("video", "src"),
}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[str, str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value or "")
            elif name in ("href", "src") and value is not None:
                self.links.append((tag, name, value))


def broken_links(folder: Path) -> Iterator[str]:
    """A line for each link of the site in ``folder`` that is wrong."""
    pages = {}
    for file in sorted(folder.rglob("*.html")):
        pages[file] = reader = _Reader()
        reader.feed(file.read_text("utf-8"))
    for file, reader in pages.items():
        for tag, name, value in reader.links:
            problem = _problem(file, value, pages, is_loaded=(tag, name) in LOADED)
            if problem:
                yield f"{file.relative_to(folder)}: <{tag} {name}={value[:80]!r}>: {problem}"
    for style in folder.rglob("*.css"):
        for found in re.findall(r"@import[^;]+|url\([^)]+\)", style.read_text("utf-8")):
            yield f"{style.relative_to(folder)}: {found} would be loaded"


def _problem(file: Path, link: str, pages: dict[Path, _Reader], is_loaded: bool) -> str | None:
    if link.startswith("data:"):
        return None
    if re.match(r"[a-z]+:|//", link):
        return "asks another machine" if is_loaded else None
    path, _, anchor = unquote(link).partition("#")
    target = (file.parent / path).resolve() if path else file
    if not target.is_file():
        return "there is no such file"
    if anchor and target in pages and anchor not in pages[target].anchors:
        return "there is no such place on that page"
    return None
