"""What the grader says about one component of a submission, and how it is written to a file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mlp.files import write_text

Outcome = Literal["passed", "failed", "missing", "unfinished", "error"]
Side = Literal["forward", "backward", "update", "state"]


@dataclass(frozen=True)
class Verdict:
    """The judgement of one component.

    component: what it was judged as, such as "Linear", "CrossEntropy" or "SGD".
    found: file and class or function, such as "layers.py: class Linear"; None if there is none.
    verdict: "passed"; "failed": a value is wrong; "missing": not found; "unfinished": it returns None or raises
        NotImplementedError; "error": it raised, or broke a limit.
    side: where the fault is: "forward", "backward", "update", "state" (right once, wrong the next time), or None.
    mistake: the hypothesis that computes the same wrong values to rounding, or None if nothing fits.
    name: that mistake in words.
    message: two to five lines for the student, at the level of detail that the grader chose.
    convention: what was inferred about the interface, such as {"weight": "W, shape (in, out)"}.
    """

    component: str
    found: str | None
    verdict: Outcome
    side: Side | None = None
    mistake: str | None = None
    name: str | None = None
    message: str = ""
    convention: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.verdict == "passed"

    def as_dict(self) -> dict[str, Any]:
        """The verdict as JSON knows it."""
        return {**dataclasses.asdict(self), "convention": dict(self.convention)}


def write_verdicts(path: str | Path, verdicts: Iterable[Verdict]) -> None:
    """Write the verdicts as a JSON list."""
    text = json.dumps([verdict.as_dict() for verdict in verdicts], indent=2, ensure_ascii=False)
    write_text(Path(path), text + "\n")


def exit_status(verdicts: Iterable[Verdict]) -> int:
    """0 if everything that was found passed, 1 if something failed, 2 if there was nothing to grade."""
    found = [verdict for verdict in verdicts if verdict.found is not None]
    if not found:
        return 2
    return 0 if all(found) else 1
