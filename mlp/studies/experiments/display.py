"""One line that says how far all runs are: redrawn on a terminal, written now and then into a file."""

from __future__ import annotations

import shutil
import time
from typing import TextIO


class Display:
    """``say`` writes a line that stays, ``update`` the one line of progress."""

    def __init__(self, stream: TextIO, every: float = 30.0) -> None:
        self.stream = stream
        self.is_terminal = stream.isatty()
        self.every = 0.5 if self.is_terminal else every
        self._last = -1e9
        self._is_drawn = False

    @property
    def is_due(self) -> bool:
        """Whether it is time for another ``update``."""
        return time.monotonic() - self._last >= self.every

    def say(self, line: str) -> None:
        """Write a line of its own."""
        self.clear()
        self.stream.write(line + "\n")
        self.stream.flush()

    def update(self, line: str) -> None:
        """Show how things stand."""
        self._last = time.monotonic()
        if not self.is_terminal:
            self.say(line)
            return
        columns = shutil.get_terminal_size().columns
        self.stream.write("\r\x1b[K" + line[: columns - 1])
        self.stream.flush()
        self._is_drawn = True

    def clear(self) -> None:
        """Take the line of progress off the terminal."""
        if self._is_drawn:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
            self._is_drawn = False
