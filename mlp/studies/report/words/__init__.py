"""The report's words: Markdown files beside this one, with a $place for everything that is computed."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

FOLDER = Path(__file__).parent


def page(name: str, /, **values: Any) -> str:
    """A whole page. A block whose place is left empty goes."""
    blocks = (FOLDER / f"{name}.md").read_text(encoding="utf-8").split("\n\n")
    filled = (Template(block).substitute(values).strip("\n") for block in blocks)
    return "\n\n".join(block for block in filled if block) + "\n"


def sentence(name: str, /, **values: Any) -> str:
    """A section of sentences.md."""
    return Template(_sentences()[name]).substitute(values)


@cache
def _sentences() -> dict[str, str]:
    text = (FOLDER / "sentences.md").read_text(encoding="utf-8")
    _, *parts = re.split(r"^## (\w+)$", text, flags=re.MULTILINE)
    return {name: body.strip("\n") for name, body in zip(parts[::2], parts[1::2], strict=True)}


def count(number: int, what: str) -> str:
    """1 epoch, 2 epochs."""
    return f"{number} {what}{'' if number == 1 else 's'}"
