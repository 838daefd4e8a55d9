"""Writing files so that a crash at any moment leaves either the old content or the new, never half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mlp.checks import InputError


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, bring it to the disk, then rename it to ``path``.

    Raises ``InputError`` naming the path if that fails (no permission, no space left); ``path`` is then
    unchanged and the temporary file is gone. A process killed meanwhile leaves one for ``remove_temporary``.
    """
    check_path(path)
    if not path.name:
        raise InputError(f"cannot write {str(path)!r}: that is no name of a file")
    # Of a long name only the beginning: with what is added it would be too long for a file system.
    temporary = path.with_name(f"{_beginning(path.name)}{secrets.token_hex(4)}.tmp")
    with naming(path):
        try:
            with temporary.open("xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def remove_temporary(path: Path) -> None:
    """Remove what processes that were killed while they wrote ``path`` have left; nobody may be writing it now."""
    with suppress(OSError):
        for left in path.parent.iterdir():
            if left.name.startswith(_beginning(path.name)) and left.suffix == ".tmp":
                left.unlink()


def _beginning(name: str) -> str:
    return f".{name[:40]}."


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` inside the block into an ``InputError`` that names the path."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def write_text(path: Path, text: str) -> None:
    """The same for a text."""
    write_atomically(path, lambda file: file.write(text.encode()))


def make_folder(path: Path) -> Path:
    """Create a folder, with its parents, unless it is there. Raises ``InputError`` if it cannot be written."""
    check_path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create the folder {path}: {error.strerror or error}") from error
    return check_writable(path)


def check_writable(folder: Path) -> Path:
    """``folder``. Raises ``InputError`` if files cannot be created in it."""
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"cannot write into the folder {folder}: permission denied")
    return folder


def check_path(path: Path) -> None:
    """Raise ``InputError`` for a name that no file system takes."""
    if "\0" in str(path):
        raise InputError(f"cannot write {str(path)!r}: a name cannot hold the character \\0")
