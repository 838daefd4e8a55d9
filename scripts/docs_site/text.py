"""Markdown as pages: headings with the anchors that GitHub gives them, formulas, code, links to other pages."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from docs_site.equations import tex
from docs_site.frame import Page, entries_of, plain, relative
from docs_site.source import PROJECT, highlight, line_of, place_of

Link = Callable[[str, str], str]  # (target, text) -> where it leads


class Broken(Exception):
    """A document that cannot become a page; one line says which, and why."""


def slug(title: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def place(path: str) -> str:
    """Where the page of a document or a file of the project is."""
    if path == "README.md":
        return "index.html"
    if path.startswith("docs/") and path.endswith("README.md"):
        return f"{path.removesuffix('README.md')}index.html"
    if path.startswith("notebooks/") and path.endswith((".ipynb", ".py")):
        return f"{path.rpartition('.')[0]}.html"
    if path == "notebooks":
        return "notebooks/index.html"
    if path.startswith("docs/") and path.endswith(".md"):
        return f"{path.removesuffix('.md')}.html"
    return path if path.startswith("docs/") else place_of(path)


def link_from(document: str) -> Link:
    """How links of a document are rewritten. They raise ``Broken`` where they lead nowhere."""

    def link(target: str, text: str) -> str:
        if re.match(r"https?:|mailto:|#", target):
            return target
        path, mark, anchor = unquote(target).partition("#")
        found = os.path.normpath(PurePosixPath(document).parent / path)
        if not (PROJECT / found).exists():
            raise Broken(f"{document} links to {target}, which there is not")
        there = place(found)
        if not anchor and found.endswith(".py") and there.startswith("source/"):
            # The name of a definition as the text of a link leads to its line.
            name = re.fullmatch(r"[A-Za-z_][\w.]*", text)
            if name and not text.endswith(".py"):
                line = line_of(found, text)
                if line is None:
                    raise Broken(f"{document}: there is no {text} in {found}")
                mark, anchor = "#", f"L-{line}"
        return relative(f"{there}{mark}{anchor}", place(document))

    return link


def render(text: str, link: Link, where: str) -> str:
    """Markdown as HTML. Raises ``Broken``, naming ``where``."""
    tokens = _parser().parse(text)
    _number_headings(tokens)
    _rewrite(tokens, link)
    try:
        made = _parser().renderer.render(tokens, _parser().options, {})
    except ValueError as error:
        raise Broken(f"{where}: {error}") from None
    made = re.sub(r"<td>.*?</td>", _breakable, made)
    return re.sub(r"(<table>.*?</table>)", r'<div class="wide">\1</div>', made, flags=re.DOTALL)


def _breakable(cell: re.Match[str]) -> str:
    """A cell of a table whose code may be broken after a dot and an opening parenthesis."""
    return re.sub(r"<code>.*?</code>", lambda code: re.sub(r"([.(])(?!<)", r"\1<wbr>", code[0]), cell[0])


def _parser(made: list[Any] = []) -> Any:  # noqa: B006  made once
    if not made:
        from markdown_it import MarkdownIt
        from mdit_py_plugins.dollarmath import dollarmath_plugin

        parser = MarkdownIt("commonmark", {"highlight": _highlight, "html": True}).enable(
            ["table", "strikethrough"]
        )
        parser.use(dollarmath_plugin, allow_space=False, double_inline=True,
                   renderer=lambda formula, options: tex(formula, options["display_mode"]))  # fmt: skip
        made.append(parser)
    return made[0]


def _highlight(code: str, language: str, _: str) -> str:
    return highlight(code, language or "text")


def _number_headings(tokens: list[Any]) -> None:
    """Give every heading its anchor, and a link to itself."""
    taken: set[str] = set()
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open":
            continue
        title = "".join(child.content for child in inline.children or [])
        anchor = first = slug(title)
        count = 0
        while anchor in taken:
            count += 1
            anchor = f"{first}-{count}"
        taken.add(anchor)
        opening.attrSet("id", anchor)


def _rewrite(tokens: list[Any], link: Link) -> None:
    for token in tokens:
        children = token.children or []
        for i, child in enumerate(children):
            if child.type == "link_open":
                text = children[i + 1].content if children[i + 1].type == "code_inline" else ""
                child.attrSet("href", link(child.attrGet("href"), text))
            elif child.type == "image":
                child.attrSet("src", link(child.attrGet("src"), ""))
        if token.type == "fence":
            token.attrJoin("class", "highlight")


def guide(document: str) -> Page:
    """The page of a document of the project."""
    text = (PROJECT / document).read_text("utf-8")
    body = render(text, link_from(document), document)
    heading = re.search(r"<h1[^>]*>(.*?)</h1>", body)
    title = plain(heading[1]) if heading else Path(document).stem.replace("-", " ").capitalize()
    body = body if heading else f"<h1>{title}</h1>{body}"
    return Page(place(document), title, body, "Guides", entries_of(body, title))


def documents() -> list[str]:
    """All documents, in the order in which the table of contents names them."""
    found = sorted(path.relative_to(PROJECT).as_posix() for path in (PROJECT / "docs").rglob("*.md"))
    contents = (PROJECT / "docs" / "README.md").read_text("utf-8")
    at = {path: contents.find(f"]({path.removeprefix('docs/')}") for path in found} | {"docs/README.md": 0}
    unnamed = [path for path in found if at[path] < 0 and path.count("/") == 1]
    if unnamed:
        raise Broken(f"docs/README.md does not link to {', '.join(unnamed)}")
    return ["README.md", *sorted(found, key=lambda path: (at[path] if at[path] >= 0 else len(contents), path))]


def attachments() -> list[Path]:
    """What documents show or link to besides pages: figures and tables."""
    return [path for path in sorted((PROJECT / "docs").rglob("*")) if path.is_file() and path.suffix != ".md"]
