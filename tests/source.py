"""The source of mlp as the tests of its plan read it with ``ast``: imports, functions and their size."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import mlp

PACKAGE = Path(mlp.__file__).parent
SCRIPTS = PACKAGE.parent / "scripts"
FILES = sorted(PACKAGE.rglob("*.py"))
ALL_FILES = FILES + sorted(SCRIPTS.rglob("*.py"))


def name_of(path: Path) -> str:
    """layers/linear.py, scripts/benchmark.py"""
    return path.relative_to(PACKAGE if path.is_relative_to(PACKAGE) else PACKAGE.parent).as_posix()


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


class Import(NamedTuple):
    module: str  # as written, with the name after "import" for "from mlp import name"
    names: tuple[str, ...] = ()  # what is taken from it
    in_function: bool = False
    for_types: bool = False  # under "if TYPE_CHECKING"


def find_imports(tree: ast.AST, in_function: bool = False, for_types: bool = False) -> Iterator[Import]:
    """All imports, those that only a type checker sees included."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import(names=names):
                yield from (Import(name.name, (), in_function, for_types) for name in names)
            case ast.ImportFrom(module="mlp", names=names, level=0):
                yield from (Import(f"mlp.{name.name}", (), in_function, for_types) for name in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield Import(module, tuple(name.name for name in names), in_function, for_types)
            case ast.ImportFrom():
                raise AssertionError("relative imports hide what they import: write them out")
            case ast.If(test=ast.Name("TYPE_CHECKING"), body=body, orelse=orelse):
                yield from find_imports(ast.Module(body, []), in_function, True)
                yield from find_imports(ast.Module(orelse, []), in_function, for_types)
            case _:
                inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                yield from find_imports(node, in_function or inside, for_types)


def imports_of(path: Path) -> list[Import]:
    return list(find_imports(parse(path)))


def file_of(module: str) -> Path | None:
    """The file of a module of mlp; None for another, or a name that is no module."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p in set(FILES)), None)


def imported_files(found: Iterable[Import]) -> set[Path]:
    """The files of mlp that these imports name: ``from mlp.layers import base`` names base.py."""
    files: set[Path] = set()
    for module, names, *_ in found:
        of_names = [file_of(f"{module}.{name}") for name in names]
        files.update(file for file in of_names if file)
        whole = file_of(module)
        if whole and not (of_names and all(of_names)):
            files.add(whole)
    return files


def in_circles(graph: dict[str, set[str]]) -> set[str]:
    """The nodes that lead back to themselves."""

    def reachable(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            new = graph.get(waiting.pop(), set()) - found
            found |= new
            waiting += new
        return found

    return {node for node in graph if node in reachable(node)}


class Function(NamedTuple):
    name: str
    lines: int  # of code: without docstrings, blank lines and comments
    branches: int  # ways through: 1, and 1 more for each decision


def functions(source: str) -> Iterator[Function]:
    tree = ast.parse(source)
    coded = code_lines(source, tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            own = coded & set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            yield Function(node.name, len(own), 1 + sum(map(decisions, ast.walk(node))))


def code_lines(source: str, tree: ast.Module) -> set[int]:
    """The numbers of the lines that hold more than a comment or a docstring."""
    texts = map(str.strip, source.splitlines())
    lines = {number for number, text in enumerate(texts, 1) if text and not text.startswith("#")}
    for node in ast.walk(tree):
        is_scope = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module)
        if is_scope and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return lines


def decisions(node: ast.AST) -> int:
    match node:
        case ast.BoolOp(values=values):
            return len(values) - 1
        case ast.comprehension(ifs=ifs):
            return 1 + len(ifs)
        case ast.If() | ast.IfExp() | ast.For() | ast.While() | ast.ExceptHandler() | ast.match_case():
            return 1
    return 0
