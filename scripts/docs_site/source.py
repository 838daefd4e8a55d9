"""The files of the project as pages, with a number and a place to link to for every line."""

from __future__ import annotations

import ast
import html
from functools import cache
from pathlib import Path
from typing import Any

from docs_site.frame import Page, relative

PROJECT = Path(__file__).resolve().parents[2]
ROOTS = ("mlp", "configs", "scripts", "notebooks")
ENDINGS = {
    ".py": "python",
    ".yaml": "yaml",
    ".sh": "bash",
    ".html": "html",
    ".css": "css",
    ".js": "javascript",
    ".md": "markdown",
}
SINGLE = {"train.sh": "bash", "pyproject.toml": "toml", "LICENSE": "text"}


def source_files() -> list[str]:
    """The paths of all files that have a page, from the project's folder."""
    found = [
        path.relative_to(PROJECT).as_posix()
        for root in ROOTS
        for path in sorted((PROJECT / root).rglob("*"))
        if path.suffix in ENDINGS and path.is_file() and "__pycache__" not in path.parts
    ]
    return [*SINGLE, *found]


def place_of(path: str) -> str:
    """Where the page of a file, or of a folder, is."""
    return f"source/{path}.html" if (PROJECT / path).is_file() else f"source/{path}/index.html"


def source_page(path: str) -> Page:
    """A file with its lines."""
    file = PROJECT / path
    place = place_of(path)
    above = " / ".join(
        f'<a href="{relative(f"source/{parent.as_posix()}/index.html", place)}">{html.escape(parent.name)}</a>'
        for parent in reversed(Path(path).parents[:-1])
    )
    title = f"<h1>{above}{' / ' if above else ''}{html.escape(file.name)}</h1>"
    lines = highlight(file.read_text("utf-8"), SINGLE.get(path) or ENDINGS[file.suffix]).split("\n")
    numbered = "\n".join(f'<span id="L-{number}">{line}</span>' for number, line in enumerate(lines, 1))
    body = f'{title}<pre class="highlight numbered">{numbered}</pre>'
    return Page(place, path, body, "Source")


def folder_pages(paths: list[str]) -> list[Page]:
    """A page for each folder, with what is in it."""
    inside: dict[str, set[str]] = {}
    for path in paths:
        for parent in Path(path).parents[:-1]:
            inside.setdefault(parent.as_posix(), set())
        parts = Path(path)
        while parts.parent.as_posix() != ".":
            inside[parts.parent.as_posix()].add(parts.as_posix())
            parts = parts.parent
    pages = []
    for folder, names in sorted(inside.items()):
        place = f"source/{folder}/index.html"
        rows = "".join(
            f'<tr><td><a href="{relative(place_of(name), place)}">{html.escape(Path(name).name)}</a></td>'
            f"<td>{html.escape(_first_line(name))}</td></tr>"
            for name in sorted(names)
        )
        pages.append(Page(place, folder, f"<h1>{html.escape(folder)}</h1><table>{rows}</table>", "Source"))
    return pages


def _first_line(path: str) -> str:
    """Why a file of Python exists, as it says itself; of a folder, what its ``__init__.py`` says."""
    file = PROJECT / path
    file = file / "__init__.py" if file.is_dir() else file
    if file.suffix != ".py" or not file.is_file():
        return ""
    return (ast.get_docstring(parsed(file)) or "").partition("\n\n")[0].replace("\n", " ").replace("``", "")


@cache
def parsed(file: Path) -> ast.Module:
    """The syntax of a file."""
    return ast.parse(file.read_text("utf-8"))


def line_of(path: str, name: str) -> int | None:
    """The line of a definition, such as ``Linear.backward``, or of an assignment; None if there is none."""
    body: list[ast.stmt] = parsed(PROJECT / path).body
    line = None
    for part in name.split("."):
        found = next((node for node in body if part in _names(node)), None)
        if found is None:
            return None
        line, body = found.lineno, getattr(found, "body", [])
    return line


def _names(node: ast.stmt) -> set[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AsyncFunctionDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {child.id for target in targets for child in ast.walk(target) if isinstance(child, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
    return set()


def highlight(code: str, language: str) -> str:
    """Code as HTML, in a class for each kind of word. Raises ``ValueError`` for a language that nobody knows."""
    import pygments

    lexer, formatter = _pygments(language)
    return str(pygments.highlight(code, lexer, formatter)).rstrip("\n")


@cache
def _pygments(language: str) -> Any:
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language), HtmlFormatter(nowrap=True)
    except ClassNotFound:
        raise ValueError(f"a block of code is in {language!r}, which no highlighter knows") from None


def highlighting() -> str:
    """The colours of source, light and dark."""
    from pygments.formatters import HtmlFormatter

    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    plain = ".highlight, .highlight pre { background: var(--box); } .highlight .err { border: none; }\n"
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n{plain}"
