"""What the grader is measured on: right submissions in twelve styles, and each mistake in one line."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
RIGHT = sorted((FOLDER / "right").glob("*.py"))


class Wrong(NamedTuple):
    """A right submission with one text replaced."""

    style: str
    component: str
    old: str
    new: str
    side: str
    mistake: str  # a regular expression; empty where detection is enough

    def source(self) -> str:
        text = (FOLDER / "right" / f"{self.style}.py").read_text(encoding="utf-8")
        assert self.old in text, self
        return text.replace(self.old, self.new, 1 if self.old.count("\n") else -1)


def wrong() -> Iterator[Wrong]:
    for line in (FOLDER / "wrong.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        head, _, rest = line.partition(": ")
        style, component = head.split()
        old, new, end = (part.strip(" ") for part in rest.split("=>", 2))
        side, _, mistake = end.strip().partition(" ")
        yield Wrong(style, component, old.replace("\\n", "\n"), new.replace("\\n", "\n"), side, mistake)
