"""Make the course: write notebooks/*.ipynb from the scripts beside them, and run the lessons.

    python scripts/make_notebooks.py                   write each .ipynb that differs from its script
    python scripts/make_notebooks.py --check           only say which differ
    python scripts/make_notebooks.py --execute 05      write, then run lesson 5 from top to bottom
    python scripts/make_notebooks.py --output lessons  write, then run all; copies with outputs go into lessons/

A lesson passes if each of its cells runs, asserts what it claims, writes nothing on stderr and shows no address of
an object, and if all of them are done within --limit seconds. It runs in a new kernel, in an empty folder, with one
thread.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from notebook_format import as_json, notebook, solutions

from mlp.checks import InputError, check_positive
from mlp.files import make_folder, write_text

PROJECT = Path(__file__).resolve().parents[1]
LESSONS = PROJECT / "notebooks"
SWITCH = "THOROUGH = False"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # in IPython's tracebacks


class LessonFailed(Exception):
    """A lesson did not pass; the message says where and why."""


def sources(folder: Path = LESSONS, names: Sequence[str] = ()) -> list[Path]:
    """The scripts of the lessons, all or those whose file begins with one of ``names``, in order."""
    found = sorted(folder.glob("[0-9][0-9]_*.py"))
    for name in names:
        if not any(path.stem.startswith(name) for path in found):
            known = ", ".join(path.stem for path in found)
            raise InputError(f"lesson {name!r}; accepted: {known}, or how one of them begins, such as 05")
    return [path for path in found if not names or path.stem.startswith(tuple(names))]


def differing(folder: Path = LESSONS) -> dict[Path, str | None]:
    """The notebooks that are not what their script says, with what they should hold; None: they have no script."""
    wanted = {path.with_suffix(".ipynb"): as_json(notebook(path.read_text("utf-8"))) for path in sources(folder)}
    there = {path: path.read_bytes().decode() for path in folder.glob("*.ipynb")}
    return {path: wanted.get(path) for path in sorted({*wanted, *there}) if wanted.get(path) != there.get(path)}


def execute(source: Path, limit: float = 60.0, thorough: bool = False, with_solutions: bool = False) -> Any:
    """The notebook of a script with the outputs of its cells. Raises ``LessonFailed``.

    ``limit`` is in seconds for all cells together. ``thorough`` turns the lesson's switch on. ``with_solutions``
    also runs the code in the solutions of the exercises, after the last cell and with a limit of their own; what
    they print is dropped.
    """
    try:
        import nbformat
        from jupyter_client.manager import AsyncKernelManager
        from nbclient import NotebookClient
    except ImportError as error:
        raise InputError(f"to run a lesson needs {error.name}: pip install -e '.[notebooks]'") from None

    text = source.read_text("utf-8")
    book = notebook(text.replace(SWITCH, "THOROUGH = True") if thorough else text)
    ready = nbformat.reads(as_json(book), as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        left = _Clock(limit)
        # Sockets in a folder of its own, where the system has them: nobody else can listen.
        kernel = AsyncKernelManager(transport="ipc", ip=f"{folder}/kernel") if os.name == "posix" else None
        place = {"metadata": {"path": folder}}
        client = NotebookClient(ready, kernel, record_timing=False, timeout_func=left, resources=place)
        with client.setup_kernel(cleanup_kc=True, env=_environment(folder)):
            for index, cell in enumerate(ready.cells):
                _run(client, cell, index, f"{source.name}, cell {index + 1}")
            left.restart()
            for number, code in enumerate(solutions(book) if with_solutions else [], 1):
                cell = nbformat.v4.new_code_cell(code)
                ready.cells.append(cell)
                _run(client, cell, len(ready.cells) - 1, f"{source.name}, code {number} of the solutions")
                ready.cells.pop()
    return ready


class _Clock:
    """How many seconds are left for the next cell."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.restart()

    def restart(self) -> None:
        self.end = time.monotonic() + self.limit

    def __call__(self, cell: Any) -> int:
        return max(1, round(self.end - time.monotonic()))


def _environment(folder: str) -> dict[str, str]:
    """Of the kernel: this copy of mlp, one thread, and nobody's settings of IPython and matplotlib."""
    path = os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
    new = {"PYTHONPATH": path, "IPYTHONDIR": folder, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return {name: value for name, value in os.environ.items() if name != "MPLBACKEND"} | new


def _run(client: Any, cell: Any, index: int, where: str) -> None:
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    try:
        client.execute_cell(cell, index)
    except CellTimeoutError:
        raise LessonFailed(f"{where}: the time is over") from None
    except (CellExecutionError, DeadKernelError) as error:
        raise LessonFailed(f"{where}: {COLOUR.sub('', str(error))}") from None
    for output in cell.get("outputs", ()):
        if output.output_type == "stream" and output.name == "stderr":
            raise LessonFailed(f"{where} writes on stderr: {output.text}")
        if " at 0x" in output.get("data", {}).get("text/plain", ""):
            raise LessonFailed(
                f"{where} shows {output.data['text/plain']}, an address, which tells nobody anything"
            )


def run_lessons(lessons: Sequence[Path], out: Path | None, **options: Any) -> Iterator[str]:
    """Run lessons one after the other; copies with outputs go into ``out``. Yields the messages of failures."""
    import matplotlib.font_manager  # noqa: F401  lists the fonts of a new machine, and says so, before any lesson

    for lesson in lessons:
        begin, cpu = time.monotonic(), _cpu_of_children()
        try:
            book = execute(lesson, **options)
        except LessonFailed as error:
            yield str(error)
            continue
        seconds, cpu = time.monotonic() - begin, _cpu_of_children() - cpu
        print(f"{lesson.stem}: {seconds:.0f} s ({cpu:.0f} s of CPU)", flush=True)
        if out is not None:
            write_text(make_folder(out) / lesson.with_suffix(".ipynb").name, as_json(book))


def _cpu_of_children() -> float:
    """Seconds that processes have computed which this one started and which have ended."""
    times = os.times()
    return times.children_user + times.children_system


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 if all is well, 1 if a lesson fails or differs, 2 for something that the caller got wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("lessons", nargs="*", help="05, or 05_vanishing: those to run; without, all")
    parser.add_argument("--check", action="store_true", help="write nothing, only compare scripts and notebooks")
    parser.add_argument("--execute", action="store_true", help="run the lessons")
    parser.add_argument("--output", type=Path, help="run them, and put copies with their outputs into this folder")
    parser.add_argument("--solutions", action="store_true", help="run the solutions of the exercises too")
    parser.add_argument("--thorough", action="store_true", help="run with more seeds and more epochs")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for a lesson, 60 unless given")
    options = parser.parse_args(arguments)
    try:
        limit = check_positive("--limit", options.limit)
        lessons = sources(names=options.lessons)
        failures = list(_different(write=not options.check))
        if options.execute or options.output is not None or options.solutions or options.thorough:
            switches = {"thorough": options.thorough, "with_solutions": options.solutions}
            failures += run_lessons(lessons, options.output, limit=limit, **switches)
    except InputError as error:
        print(f"make_notebooks.py: {error}", file=sys.stderr)
        return 2
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def _different(write: bool) -> Iterator[str]:
    """Bring the notebooks up to date, or else yield a line for each that is not."""
    for path, text in differing().items():
        if text is None:
            yield f"{path.name} has no script beside it: write one, or remove the notebook"
        elif write:
            write_text(path, text)
            print(f"wrote {path.relative_to(PROJECT)}")
        else:
            yield f"{path.name} is not what its script says: run ./train.sh notebooks"


if __name__ == "__main__":
    raise SystemExit(main())
