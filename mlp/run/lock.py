"""One process at a time writes a run's folder: two would mix their records, and neither run could be continued."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlp.checks import InputError
from mlp.files import naming

log = logging.getLogger("mlp")

LOCK = ".lock"
# What systems say that cannot lock files, such as some network drives.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for this process. Raises ``InputError``, naming the owner, if it is held already.

    The lock is the kernel's (flock on a file in the folder), so a process that is killed leaves none behind. Where
    there are no such locks, a warning says so.
    """
    path = folder / LOCK
    lock = _open(path)
    _hold(lock, folder)
    while not _is_at(lock, path):  # its last owner has removed it meanwhile
        os.close(lock)
        lock = _open(path)
        _hold(lock, folder)
    try:
        with suppress(OSError):  # a disk that is full is found where it matters
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        if _is_at(lock, path):
            with suppress(OSError):
                path.unlink()
        os.close(lock)


def _open(path: Path) -> int:
    with naming(path):
        return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _hold(lock: int, folder: Path) -> None:
    """Lock an open file. Raises ``InputError`` if another process has it; closes it then."""
    try:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(lock, 32, 0).decode(errors="replace").split() or ["another"]
        os.close(lock)
        raise InputError(
            f"{folder} is being written by process {owner[0]}; wait until it has ended, or name another folder"
        ) from None
    except (OSError, ImportError) as error:  # there is no fcntl on Windows
        if isinstance(error, OSError) and error.errno not in NO_LOCKS:
            os.close(lock)
            raise InputError(f"cannot lock {folder}: {error.strerror}") from None
        log.warning("%s cannot be locked (%s); see to it that no other run writes it", folder, error)


def _is_at(lock: int, path: Path) -> bool:
    """Whether the open file is still the one in the folder, which may have been renamed or removed."""
    try:
        return os.path.samestat(os.fstat(lock), os.stat(path))
    except OSError:
        return False
