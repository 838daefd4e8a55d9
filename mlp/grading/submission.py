"""From what a student handed in, a file, folder, module, zip or notebook, to a folder of our own."""

from __future__ import annotations

import ast
import json
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mlp.checks import InputError
from mlp.grading.process import remove
from mlp.grading.python2 import looks_old, repaired

SKIPPED_FOLDERS = {"__pycache__", "__MACOSX", "node_modules", "venv", "env", "site-packages", "build", "dist"}
KEPT_FILES = {".py", ".txt", ".json", ".yaml", ".yml", ".cfg", ".ini", ".csv"}
MAX_FILE, MAX_FILES, MAX_TOTAL = 2 * 2**20, 3000, 64 * 2**20


@dataclass
class Source:
    """One Python file: where it lies, what it says, and what stands in the way."""

    path: str  # from the root, with /
    tree: ast.Module | None
    text: str
    trouble: str | None = None


@dataclass
class Submission:
    """A private copy of what was handed in."""

    folder: Path
    sources: list[Source]
    only: str | None = None  # the one file that was asked for
    notes: list[str] = field(default_factory=list)

    def find(self, name: str) -> Source | None:
        """The file with that path, or one whose path ends so."""
        return next((s for s in self.sources if s.path == name or s.path.endswith("/" + name)), None)


@contextmanager
def opened(path: str | Path, repair: bool = False) -> Iterator[Submission]:
    """A copy of the submission in a temporary folder, which is removed afterwards.

    Raises ``InputError`` if there is nothing at the path that could be a submission.
    """
    folder = Path(tempfile.mkdtemp(prefix="grading-")).resolve()
    try:
        only = fetch(find(str(path)), folder)
        yield read(folder, only, repair)
    finally:
        remove(folder)


def find(name: str) -> Path:
    """The file or folder; a dotted module name is looked for as Python would, without importing it."""
    path = Path(name)
    if path.exists():
        return path
    if re.fullmatch(r"\w+(\.\w+)*", name):
        for start in ("", *sys.path):
            base = Path(start or ".", *name.split("."))
            for candidate in (base.with_suffix(".py"), base):
                if candidate.exists():
                    return candidate
    raise InputError(f"there is no submission {name!r}: give a .py file, a folder, a module, a .zip or an .ipynb")


def fetch(path: Path, folder: Path) -> str | None:
    """Copy into the folder; the name of the one file that is meant, if it is one."""
    if path.is_dir():
        copy_tree(path, folder)
        return None
    if path.suffix == ".zip":
        unpack(path, folder)
        return None
    if path.suffix in (".py", ".ipynb"):
        for sibling in [path, *path.parent.glob("*.py")]:
            if sibling.stat().st_size <= MAX_FILE:
                shutil.copyfile(sibling, folder / sibling.name)
        return path.with_suffix(".py").name if path.suffix == ".py" else notebook_name(path.name)
    raise InputError(f"cannot grade {path}: give a .py file, a folder, a module, a .zip or an .ipynb")


def copy_tree(source: Path, folder: Path) -> None:
    """The folder's small text files, with all its folders: imports may write into them."""
    count = 0
    for entry in sorted(source.rglob("*")):
        inside = entry.relative_to(source)
        if any(p in SKIPPED_FOLDERS or p.startswith(".") for p in inside.parts) or entry.is_symlink():
            continue
        if entry.is_dir():
            (folder / inside).mkdir(parents=True, exist_ok=True)
        elif entry.suffix in KEPT_FILES | {".ipynb"} and entry.is_file() and entry.stat().st_size <= MAX_FILE:
            count += 1
            if count > MAX_FILES:
                return
            (folder / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(entry, folder / inside)


def unpack(path: Path, folder: Path) -> None:
    """The same from a zip; nothing outside the folder, nothing large."""
    try:
        with zipfile.ZipFile(path) as archive:
            total = 0
            for entry in archive.infolist()[:MAX_FILES]:
                parts = parts_of(entry.filename)
                total += 0 if entry.is_dir() else entry.file_size
                if not parts or entry.file_size > MAX_FILE or total > MAX_TOTAL:
                    continue
                target = folder.joinpath(*parts)
                if entry.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                elif target.suffix in KEPT_FILES | {".ipynb"}:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(entry) as file:
                        target.write_bytes(file.read(MAX_FILE))
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"cannot unpack {path}: {error}") from None


def parts_of(name: str) -> list[str]:
    """The path of a zip's entry; nothing if it leads outside or to what is not looked at."""
    parts = [p for p in name.replace("\\", "/").split("/") if p not in ("", ".")]
    return [] if any(p in SKIPPED_FOLDERS or p.startswith(".") for p in parts) else parts


def notebook_name(name: str) -> str:
    """layers 2.ipynb -> layers_2_ipynb.py, which can be imported."""
    return re.sub(r"\W", "_", name) + ".py"


def notebook_code(text: str) -> str:
    """The definitions of a notebook: its imports, functions, classes and constants, in order."""
    try:
        cells = json.loads(text)["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError):
        return ""
    return "\n\n".join(
        "\n".join("" if re.match(r"\s*[%!]", line) else line for line in s.splitlines()) for s in sources
    )


def read(folder: Path, only: str | None, repair: bool) -> Submission:
    """Parse every Python file; those written for Python 2 are said to be, or converted."""
    for notebook in sorted(folder.rglob("*.ipynb")):
        code = notebook_code(notebook.read_text(encoding="utf-8", errors="replace"))
        notebook.with_name(notebook_name(notebook.name)).write_text(code, encoding="utf-8")
    submission = Submission(folder, [], only)
    for file in sorted(folder.rglob("*.py"), key=lambda p: (len(p.parts), str(p))):
        text = file.read_text(encoding="utf-8-sig", errors="replace")
        path = file.relative_to(folder).as_posix()
        tree, trouble = parse(text)
        old = looks_old(text, trouble)
        if old and repair:
            text = repaired(text, path)
            file.write_text(text, encoding="utf-8")
            tree, trouble = parse(text)
            submission.notes.append(f"{path} was converted from Python 2 ({old})")
        elif old and trouble:
            trouble = f"{path} is written for Python 2 ({old}): --repair converts it"
        submission.sources.append(Source(path, tree, text, trouble))
    return submission


def parse(text: str) -> tuple[ast.Module | None, str | None]:
    """The syntax tree, or why there is none."""
    try:
        return ast.parse(text), None
    except SyntaxError as error:
        return None, f"{type(error).__name__}: {error.msg} (line {error.lineno})"
    except (ValueError, RecursionError, MemoryError) as error:
        return None, f"{type(error).__name__}: {error}"
