"""A class graded side by side: one submission cannot spoil another, and nothing is graded twice."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from mlp.checks import InputError
from mlp.files import make_folder, write_text
from mlp.grading.grader import Grader
from mlp.grading.messages import Hints
from mlp.grading.process import Limits
from mlp.grading.rubric import Rubric
from mlp.grading.students import Student, fingerprint, wanted_files
from mlp.grading.verdict import Verdict


@dataclass(frozen=True)
class Options:
    """How every submission of a class is graded; as in ``mlp.grading.grade``."""

    hints: Hints = "what"
    repair: bool = False
    adapter: Path | None = None
    limits: Limits = Limits()


# Submission, rubric, options -> verdicts and the names of ignored files.
Grade = Callable[[list[Path], Rubric, Options], tuple[list[Verdict], list[str]]]


def grade_students(
    students: Sequence[Student],
    rubric: Rubric,
    memory: Path,
    options: Options = Options(),
    *,
    workers: int | None = None,
    graded: Callable[[Student], object] = lambda student: None,
    grade: Grade | None = None,
) -> None:
    """Fill in the verdicts (or the error) of every student.

    memory: a folder with a file a student; what it holds is read instead of graded again, unless the submission,
        the options or the grader have changed.
    workers: processes side by side; None takes all cores.
    graded: called after each student, for a progress bar.
    grade: what grades one submission; None takes the grader of this package.
    """
    make_folder(memory)
    adapter = options.adapter.read_text(encoding="utf-8") if options.adapter else ""
    known = (repr((options, rubric.deadline, rubric.ignore)), adapter, _grader_version())
    waiting = []
    for student in students:
        memo = Memo(memory / f"{file_name(student.name)}.json", fingerprint(student.paths, *known))
        if memo.read(student):
            graded(student)
        else:
            waiting.append((student, memo))
    for workers_now in (workers or os.cpu_count() or 1, 1):
        waiting = _grade_in_pool(waiting, (rubric, options), grade or _grade, workers_now, graded)
    for student, _ in waiting:
        student.error = "the grader was ended while it worked on this submission"
        graded(student)


class Memo:
    """What is remembered of one student, in a file."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path, self.fingerprint = path, fingerprint

    def read(self, student: Student) -> bool:
        """Take the verdicts over, if they are of this submission."""
        try:
            known = json.loads(self.path.read_text(encoding="utf-8"))
            if known["fingerprint"] != self.fingerprint:
                return False
            student.verdicts = [Verdict(**verdict) for verdict in known["verdicts"]]
            student.ignored = known["ignored"]
        except (OSError, ValueError, KeyError, TypeError):  # none, or of another version
            return False
        return True

    def write(self, student: Student) -> None:
        values = {
            "fingerprint": self.fingerprint,
            "ignored": student.ignored,
            "verdicts": [verdict.as_dict() for verdict in student.verdicts],
        }
        write_text(self.path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def file_name(student: str) -> str:
    """The student's name as a name of a file."""
    return re.sub(r"[^\w.-]+", "_", student).strip(".") or "_"


def _grade_in_pool(
    waiting: list[tuple[Student, Memo]],
    options: tuple[Rubric, Options],
    grade: Grade,
    workers: int,
    graded: Callable[[Student], object],
) -> list[tuple[Student, Memo]]:
    """Grade these. A worker that is killed takes its pool along: what was left comes back, to go one by one."""
    left = []
    for batch in [waiting] if workers > 1 else [[one] for one in waiting]:
        if not batch:
            continue
        with ProcessPoolExecutor(min(workers, len(batch)), get_context("spawn")) as pool:
            futures = {pool.submit(grade, student.paths, *options): (student, memo) for student, memo in batch}
            for future in as_completed(futures):
                student, memo = futures[future]
                try:
                    student.verdicts, student.ignored = future.result()
                    memo.write(student)
                except BrokenProcessPool:
                    left.append((student, memo))
                    continue
                except Exception as error:  # whatever a submission provokes: the others go on
                    text = " ".join(str(error).split())
                    student.error = text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"
                graded(student)
    return left


_grader: Grader | None = None


def _grade(paths: list[Path], rubric: Rubric, options: Options) -> tuple[list[Verdict], list[str]]:
    """Grade one submission, with the one grader of this worker."""
    global _grader
    _grader = _grader or Grader(options.limits)
    with wanted_files(paths, rubric) as (path, ignored):
        return _grader.grade(path, options.hints, options.repair, adapter=options.adapter), ignored


def _grader_version() -> str:
    """Another grader may come to other verdicts."""
    return fingerprint(sorted(Path(__file__).parent.rglob("*.py")))
