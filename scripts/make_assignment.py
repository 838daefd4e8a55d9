"""Write a programming assignment: what students get, the solution, and what the graders need.

    python scripts/make_assignment.py assignment/
    python -m mlp.grading submissions/ --rubric assignment/grading/rubric.yaml

The source is ``scripts/assignment``: plain NumPy, no part of ``mlp``. What stands there between the lines
``### BEGIN SOLUTION`` and ``### END SOLUTION`` (nbgrader's markers) is what students write themselves.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from notebook_format import as_json, notebook

from mlp.checks import InputError
from mlp.files import make_folder, write_text
from mlp.grading.gradescope import write_autograder
from mlp.grading.rubric import Rubric, read_rubric

SOURCE = Path(__file__).parent / "assignment"
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
TO_FILL = ("layers.py", "loss.py", "network.py", "optim.py")
GIVEN = ("conftest.py", "tests/numeric.py", "tests/test_layers.py", "tests/test_loss.py", "tests/test_training.py")


def without_solution(text: str, name: str) -> str:
    """The text with every solution replaced by a place to fill. Raises ``InputError`` for unpaired markers."""
    lines: list[str] = []
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        marker = line.strip()
        if marker in (BEGIN, END):
            if inside == (marker == BEGIN):
                raise InputError(f"{name}, line {number}: {marker} without its partner")
            inside = marker == BEGIN
            if inside:
                indent = line[: len(line) - len(line.lstrip())]
                lines += [f"{indent}# YOUR CODE HERE", f"{indent}raise NotImplementedError"]
        elif not inside:
            lines.append(line)
    if inside:
        raise InputError(f"{name}: {BEGIN} without {END}")
    return "\n".join(lines) + "\n"


def with_solution(text: str) -> str:
    """The text without the lines of the markers."""
    return "".join(line for line in text.splitlines(keepends=True) if line.strip() not in (BEGIN, END))


def table_of_points(rubric: Rubric) -> str:
    """The checks as a table in Markdown."""
    rows = "\n".join(f"| {check.name} | {check.points:g} |" for check in rubric.checks)
    return f"| part | points |\n|---|---|\n{rows}\n| all | {rubric.total:g} |"


def make_assignment(out: Path, source: Path = SOURCE) -> None:
    """Write the folders student, solution and grading."""
    rubric = read_rubric(source / "rubric.yaml")
    for tree in ("student", "solution"):
        files = {name: (source / name).read_text(encoding="utf-8") for name in (*TO_FILL, *GIVEN)}
        for name in TO_FILL:
            files[name] = without_solution(files[name], name) if tree == "student" else with_solution(files[name])
        readme = (source / "README.md").read_text(encoding="utf-8")
        files["README.md"] = readme.replace("{points}", table_of_points(rubric))
        files["requirements.txt"] = "numpy>=2.0\npytest\nnotebook\n"
        script = (source / "notebook.py").read_text(encoding="utf-8")
        files["assignment.ipynb"] = as_json(notebook(script))
        for name, text in files.items():
            make_folder((out / tree / name).parent)
            write_text(out / tree / name, text)
    make_folder(out / "grading")
    write_text(out / "grading" / "rubric.yaml", (source / "rubric.yaml").read_text(encoding="utf-8"))
    write_autograder(out / "grading" / "autograder.zip", rubric)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 2 for something that the caller got wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help="a new folder: student/, solution/ and grading/ are written into it")
    parser.add_argument("--source", type=Path, default=SOURCE, help="your own copy of scripts/assignment")
    options = parser.parse_args(arguments)
    try:
        if options.out.exists() and any(options.out.iterdir()):
            raise InputError(f"{options.out} is not empty: give a new folder")
        make_assignment(options.out, options.source)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{options.out / 'student'}: hand this out")
    print(f"{options.out / 'solution'}: keep this")
    print(f"{options.out / 'grading'}: rubric.yaml for python -m mlp.grading, autograder.zip for Gradescope")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
