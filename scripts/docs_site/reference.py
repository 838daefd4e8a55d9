"""The reference: every public name of mlp in the order of its files, read from the source, with its equations."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from pathlib import Path

from docs_site.equations import is_equation, typeset
from docs_site.frame import Page, relative
from docs_site.source import PROJECT, highlight, parsed, place_of

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
# Sections of a docstring: a word, a colon, and what belongs to it further in.
SECTION = re.compile(r"^(Args|Raises|Returns|Attributes|Yields):$")
Names = dict[str, str]  # public name -> its place


def modules() -> dict[str, list[Path]]:
    """The files of each page: one page for the ground, one for each room."""
    package = PROJECT / "mlp"
    rooms: dict[str, list[Path]] = {"mlp": sorted(package.glob("*.py"))}
    for room in sorted(path.parent for path in package.glob("*/__init__.py")):
        files = sorted(room.rglob("*.py"), key=lambda file: (file.parent != room, file.name != "__init__.py", file))
        rooms[f"mlp.{room.name}"] = files
    return rooms


def module_name(file: Path) -> str:
    """mlp.layers.linear; of an ``__init__.py`` the name of its folder."""
    return ".".join(file.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")


def reference() -> list[Page]:
    """All pages of the reference."""
    names = find_names()
    return [room_page(room, files, names) for room, files in modules().items()]


def find_names() -> Names:
    """Where each class, function and method is described, by its name where that is only one's."""
    places: dict[str, set[str]] = {}
    for room, files in modules().items():
        for file in files:
            for name, _ in definitions(parsed(file)):
                full = f"{module_name(file)}.{name}"
                for known in {full, name, name.rpartition(".")[2] if name[0].islower() else name}:
                    places.setdefault(known, set()).add(f"reference/{room}.html#{full}")
    return {name: found.pop() for name, found in places.items() if len(found) == 1}


def definitions(tree: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """The public classes, functions and methods with a docstring, each with its name inside its file."""
    for node in tree.body:
        if isinstance(node, Definition) and _is_public(node):
            yield f"{prefix}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from definitions(node, f"{prefix}{node.name}.")


def _is_public(node: Definition) -> bool:
    return not node.name.startswith("_") and ast.get_docstring(node) is not None


def room_page(room: str, files: list[Path], names: Names) -> Page:
    """The page of a room, or of the ground."""
    page = Page(f"reference/{room}.html", room, f"<h1>{room}</h1>", "Reference")
    for file in files:
        module, tree = module_name(file), parsed(file)
        path = file.relative_to(PROJECT).as_posix()
        text = ast.get_docstring(tree) or ""
        source = relative(place_of(path), page.place)
        page.body += f'<h2 id="{module}">{module}</h2><p class="quiet"><a href="{source}">{path}</a></p>'
        page.body += docstring(text, names, page.place)
        page.entries.append((module, module, text))
        for node in tree.body:
            if isinstance(node, Definition) and _is_public(node):
                page.body += _definition(node, module, path, page, names)
    return page


def _definition(node: Definition, prefix: str, path: str, page: Page, names: Names) -> str:
    name = f"{prefix}.{node.name}"
    text = ast.get_docstring(node) or ""
    page.entries.append((name.removeprefix(f"{module_of(path)}."), name, text))
    source = relative(f"{place_of(path)}#L-{node.lineno}", page.place)
    parts = [
        f'<div class="definition" id="{name}"><div class="signature highlight"><code>',
        highlight(signature(node), "python"),
        f'</code><a href="{source}">source</a></div>{docstring(text, names, page.place)}',
    ]
    if isinstance(node, ast.ClassDef):
        parts += [
            _definition(inner, name, path, page, names)
            for inner in node.body
            if isinstance(inner, Definition) and _is_public(inner)
        ]
    return "".join([*parts, "</div>"])


def module_of(path: str) -> str:
    """The module of a file by its path."""
    return module_name(PROJECT / path)


def signature(node: Definition) -> str:
    """A definition as it is written: of a class with the arguments that make one, or with its fields."""
    if isinstance(node, ast.ClassDef):
        return _class_signature(node)
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    returns = ast.unparse(node.returns) if node.returns else ""
    if decorators & {"property", "cached_property"}:
        return f"{node.name}: {returns}" if returns else node.name
    return _broken(f"{node.name}(", _arguments(node.args), f") -> {returns}" if returns else ")")


def _class_signature(node: ast.ClassDef) -> str:
    bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
    make = next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    arguments = _arguments(make.args) if make else _fields(node)
    call = _broken(f"\n{node.name}(", arguments, ")") if arguments or make else ""
    return f"class {node.name}{bases}{call}"


def _arguments(arguments: ast.arguments) -> list[str]:
    """Arguments with types and defaults, without ``self``."""
    parts = []
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    for arg, default in zip(positional, defaults, strict=True):
        if arg.arg not in ("self", "cls"):
            parts.append(_argument(arg, default))
    if arguments.vararg:
        parts.append(f"*{ast.unparse(arguments.vararg)}")
    elif arguments.kwonlyargs:
        parts.append("*")
    parts += [
        _argument(arg, default) for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    if arguments.kwarg:
        parts.append(f"**{ast.unparse(arguments.kwarg)}")
    return parts


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    sign = " = " if argument.annotation else "="
    return ast.unparse(argument) + (f"{sign}{ast.unparse(default)}" if default is not None else "")


def _fields(node: ast.ClassDef) -> list[str]:
    """The fields of a data class or a named tuple."""
    is_record = any("dataclass" in ast.unparse(d) for d in node.decorator_list)
    if not is_record and not any(ast.unparse(base).endswith("NamedTuple") for base in node.bases):
        return []
    return [
        ast.unparse(n) for n in node.body if isinstance(n, ast.AnnAssign) and not ast.unparse(n).startswith("_")
    ]


def _broken(begin: str, parts: list[str], end: str) -> str:
    """In one line if it is short, else with a line for each part."""
    whole = f"{begin}{', '.join(parts)}{end}"
    if len(whole) <= 90:
        return whole
    return "\n".join([begin, *(f"    {part}," for part in parts), end])


def docstring(text: str, names: Names, place: str) -> str:
    """A docstring as HTML: equations set, code as it is, names that are described elsewhere linked."""
    made = []
    for block in re.split(r"\n\s*\n", text):
        lines = block.splitlines()
        if not lines:
            continue
        if all(line.startswith("    ") for line in lines):
            made.append(_indented(block))
        elif SECTION.match(lines[0]) and len(lines) > 1:
            made.append(f"<h4>{lines[0]}</h4>{_terms(lines[1:], names, place)}")
        elif lines[0].startswith(("- ", "1. ")):
            items = re.split(r"\n(?=- |\d+\. )", block)
            tag = "ol" if lines[0][0] == "1" else "ul"
            inside = "".join(
                f"<li>{_words(re.sub(r'^(- |[0-9]+[.] )', '', item), names, place)}</li>" for item in items
            )
            made.append(f"<{tag}>{inside}</{tag}>")
        elif block.startswith(">>>"):
            made.append(f'<pre class="highlight">{highlight(block, "pycon")}</pre>')
        else:
            made.append(f"<p>{_words(block, names, place)}</p>")
    return "".join(made)


def _indented(block: str) -> str:
    if is_equation(block):
        return typeset(block)
    code = "\n".join(line.removeprefix("    ") for line in block.splitlines())
    try:
        ast.parse(code)
    except SyntaxError:
        return f"<pre>{html.escape(code)}</pre>"
    return f'<pre class="highlight">{highlight(code, "python")}</pre>'


def _terms(lines: list[str], names: Names, place: str) -> str:
    """Lines "name: meaning", further lines of a meaning further in."""
    text = "\n".join(line[4:] for line in lines)
    made = []
    for item in re.split(r"\n(?! )", text):
        name, colon, meaning = item.partition(": ")
        term = f"<dt><code>{html.escape(name)}</code></dt>" if colon else ""
        made.append(f"{term}<dd>{_words(meaning if colon else item, names, place)}</dd>")
    return f'<dl class="arguments">{"".join(made)}</dl>'


def _words(text: str, names: Names, place: str) -> str:
    """A paragraph with its code."""
    parts = re.split(r"``(.+?)``", " ".join(text.split()))
    for i in range(0, len(parts), 2):
        parts[i] = html.escape(parts[i])
    for i in range(1, len(parts), 2):
        target = names.get(parts[i].removesuffix("()"))
        code = f"<code>{html.escape(parts[i])}</code>"
        parts[i] = f'<a href="{relative(target, place)}">{code}</a>' if target else code
    return "".join(parts)
