"""What is said on the screen while training: words that nobody can take any more are lost, and training goes on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line, at once, on standard output or ``stream``. It never raises for a screen that is gone."""
    with unless_lost():
        print(text, file=stream or sys.stdout, flush=True)


@contextmanager
def unless_lost() -> Iterator[None]:
    """Around something that prints: a reader that left, a full disk or a closed stream end this block alone."""
    try:
        yield
    except (OSError, ValueError):
        for stream in (sys.stdout, sys.stderr):
            _let_go(stream)


def _let_go(stream: TextIO | None) -> None:
    """If a stream cannot be written, let what its buffer holds, and all to come, go nowhere.

    Otherwise Python would try again when it exits, and end with a message and a status of its own.
    """
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())  # type: ignore[union-attr]
            os.close(null)


def open_missing_streams() -> None:
    """Point standard streams that the shell has closed (``>&-``) nowhere.

    Otherwise the next file that is opened would take the place of one, and get what libraries print there.
    """
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)
