"""Who handed in what: the submissions in a folder, and of each the files that count."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path, PurePosixPath

from mlp.checks import InputError
from mlp.grading.rubric import Rubric
from mlp.grading.verdict import Verdict

SUFFIXES = (".py", ".zip", ".ipynb")
MAX_FILE = 2 * 2**20  # larger ones hold data, no code
# What two learning platforms make of a name when they hand out a whole class.
CANVAS = re.compile(r"(?P<student>[^_]+)(?P<late>_LATE)?_\d+_\d+_(?P<file>.+)")
MOODLE = re.compile(r"(?P<student>.+?)_\d+_assignsubmission_\w+")


@dataclass
class Student:
    """One submission of a class: its files or folder, and, once graded, its verdicts."""

    name: str
    paths: list[Path]
    late: bool = False
    ignored: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    error: str | None = None


def find_students(folder: Path) -> list[Student]:
    """Every subfolder, .zip, .py and .ipynb is a submission; files that carry one student's name belong together.

    Raises ``InputError`` if there is none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: a class is a folder with a folder, .zip, .py or .ipynb a student")
    students: dict[str, Student] = {}
    for path in sorted(folder.iterdir()):
        if not path.name.startswith((".", "_")) and (path.is_dir() or path.suffix in SUFFIXES):
            name, key, late = _whose(path)
            student = students.setdefault(key, Student(name, []))
            student.paths.append(path)
            student.late |= late
    if not students:
        raise InputError(f"{folder}: no submissions: each student's is a folder, a .zip, a .py or an .ipynb in it")
    names = [student.name for student in students.values()]
    for key, student in students.items():
        student.name = student.name if names.count(student.name) == 1 else key.strip()
    return list(students.values())


def _whose(path: Path) -> tuple[str, str, bool]:
    """The student's name, what all files of this submission have in common, and whether it was handed in late."""
    match = CANVAS.fullmatch(path.name) or MOODLE.fullmatch(path.name)
    if match:
        return match["student"], f"{match['student']} ", bool(match.groupdict().get("late"))
    return path.name if path.is_dir() else path.stem, path.name, False


def fingerprint(paths: Sequence[Path], *others: str) -> str:
    """A number for the contents of these files and folders, and for whatever else the grading depends on."""
    digest = hashlib.sha256("\0".join(others).encode())
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                size = file.stat().st_size
                digest.update(f"{file.relative_to(path.parent)} {size} {file.stat().st_mtime_ns}\0".encode())
                digest.update(file.read_bytes() if size <= MAX_FILE else b"")
    return digest.hexdigest()


@contextmanager
def wanted_files(paths: Sequence[Path], rubric: Rubric) -> Iterator[tuple[Path, list[str]]]:
    """The submission as one path, without the files that the rubric leaves out, and the names of those."""
    if len(paths) == 1 and not rubric.deadline and not rubric.ignore:
        yield paths[0], []
        return
    folder = Path(tempfile.mkdtemp(prefix="submission-"))
    ignored = []
    try:
        for path in paths:
            for name, changed, read in _files_of(path):
                if reason := _unwanted(name, changed, rubric):
                    ignored.append(f"{name} ({reason})")
                else:
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name).write_bytes(read())
        yield folder, ignored
    except (zipfile.BadZipFile, RuntimeError) as error:  # damaged, or encrypted
        raise InputError(f"{path.name} is no readable zip: {error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unwanted(name: str, changed: datetime, rubric: Rubric) -> str:
    """Why the rubric leaves this file out; empty if it does not."""
    if rubric.deadline and changed > rubric.deadline:
        return f"changed {changed:%Y-%m-%d %H:%M}, after the deadline"
    return "the rubric ignores it" if any(fnmatch.fnmatch(name, p) for p in rubric.ignore) else ""


File = tuple[str, datetime, Callable[[], bytes]]  # its name, the time of its last change, and what reads it


def _files_of(path: Path) -> Iterator[File]:
    """All files in a folder or zip, or the one file; none that is larger than code can be."""
    if path.suffix == ".zip":
        yield from _files_of_zip(path)
        return
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file() and not file.is_symlink() and file.stat().st_size <= MAX_FILE:
            changed = datetime.fromtimestamp(file.stat().st_mtime)
            yield file.relative_to(path).as_posix() if path.is_dir() else _own_name(file), changed, file.read_bytes


def _files_of_zip(path: Path) -> Iterator[File]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            pure = PurePosixPath(info.filename)
            outside = pure.is_absolute() or ".." in pure.parts
            if not info.is_dir() and not outside and info.file_size <= MAX_FILE:
                yield info.filename, datetime(*info.date_time), partial(archive.read, info)


def _own_name(file: Path) -> str:
    """What the student called it: the platform puts a name before it, and numbers later attempts (layers-1.py)."""
    match = CANVAS.fullmatch(file.name)
    return re.sub(r"-\d+(?=\.\w+$)", "", match["file"]) if match else file.name
