"""A notebook is written as a script whose cells begin with ``# %%``: people edit that, Jupyter opens this.

The form is the "percent format" of Jupytext, which VS Code, PyCharm and Spyder run cell by cell.
"""

from __future__ import annotations

import json
import re
from typing import Any

# A block of code in a folded solution of an exercise.
SOLUTION = re.compile(r"<details>.*?</details>", re.DOTALL)
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def notebook(text: str) -> dict[str, Any]:
    """A Jupyter notebook, without outputs, from a script whose cells begin with ``# %%``."""
    cells: list[dict[str, Any]] = []
    for number, part in enumerate(re.split(r"^# %%", text, flags=re.MULTILINE)[1:]):
        title, _, body = part.partition("\n")
        lines = body.strip("\n").split("\n")
        markdown = "[markdown]" in title
        # In a script, text and the commands of the notebook itself stand in comments.
        lines = [re.sub(r"^# ?" if markdown else r"^# (?=%)", "", line) for line in lines]
        source = [line + "\n" for line in lines[:-1]] + lines[-1:]
        cell: dict[str, Any] = {"cell_type": "markdown" if markdown else "code", "id": f"cell-{number}"}
        cell |= {"metadata": {}, "source": source}
        cells.append(cell if markdown else cell | {"execution_count": None, "outputs": []})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def as_json(book: dict[str, Any]) -> str:
    """The text of an .ipynb file: the same for the same notebook, and readable where two versions are compared."""
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def solutions(book: dict[str, Any]) -> list[str]:
    """The code in the folded solutions of a notebook's exercises, in order."""
    found: list[str] = []
    for cell in book["cells"]:
        if cell["cell_type"] == "markdown":
            for folded in SOLUTION.findall("".join(cell["source"])):
                found += BLOCK.findall(folded)
    return found
