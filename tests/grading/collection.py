"""What the grader is measured on: right submissions in many styles, and each mistake in one line."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
RIGHT = sorted(path for path in (FOLDER / "right").iterdir() if path.suffix == ".py" or len(path.name) == 1)


class Wrong(NamedTuple):
    """A right submission with one text replaced."""

    style: str  # the name of a file, or a file in a folder
    component: str
    old: str
    new: str
    side: str
    mistake: str  # a regular expression; empty where detection is enough

    def write(self, folder: Path) -> Path:
        """The submission, a file or a folder, in this folder."""
        top, _, inside = self.style.partition("/")
        if inside:
            shutil.copytree(FOLDER / "right" / top, folder / top, ignore=shutil.ignore_patterns("__pycache__"))
            file = folder / self.style
        else:
            file = Path(shutil.copy(FOLDER / "right" / f"{top}.py", folder / "layers.py"))
        text = file.read_text(encoding="utf-8")
        assert self.old in text, self
        text = text.replace(self.old, self.new, 1 if self.old.count("\n") else -1)
        file.write_text(text, encoding="utf-8")
        return folder / top if inside else file


def wrong() -> Iterator[Wrong]:
    for line in (FOLDER / "wrong.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        head, _, rest = line.partition(": ")
        style, component = head.split(" ", 1)
        old, new, end = (part.strip(" ") for part in rest.split("=>", 2))
        side, _, mistake = end.strip().partition(" ")
        yield Wrong(style, component, old.replace("\\n", "\n"), new.replace("\\n", "\n"), side, mistake)
