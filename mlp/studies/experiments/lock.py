"""One runner at a time in a folder of runs: two would train the same run into the same files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlp.checks import InputError
from mlp.files import make_folder


@contextmanager
def only_runner(root: Path, say: Callable[[str], None], patience: float = 60.0) -> Iterator[int]:
    """Hold ``root`` for this process; yields the descriptor of the lock, which workers are to inherit.

    The lock is the kernel's (flock), so it cannot be left behind: it ends with the last process that has it.
    As workers have it too, those of a runner that was killed keep the folder until they have stopped, which
    is waited for. Raises ``InputError`` if another runner is at work.
    """
    import fcntl

    path = make_folder(root) / ".lock"
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None
    try:
        deadline, told = time.monotonic() + patience, False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                owner = _read_owner(lock)
                if _is_alive(owner):
                    raise InputError(f"{root} is in use by another runner (process {owner})") from None
                if time.monotonic() > deadline:
                    raise InputError(f"{root} is in use by runs of a runner that was killed, they go on") from None
            if not told:
                say("waiting for the runs of a runner that was killed to save their state")
                told = True
            time.sleep(0.1)
        os.truncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield lock
    finally:
        os.close(lock)


def _read_owner(lock: int) -> int:
    text = os.pread(lock, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def _is_alive(process: int) -> bool:
    if process == 0:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
