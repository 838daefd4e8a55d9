"""Grades submissions: every component found is judged in a child of its own and given a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlp.checks import InputError
from mlp.grading.adapter import example
from mlp.grading.conventions import Graded
from mlp.grading.hypotheses import COMPONENTS
from mlp.grading.messages import Hints, message
from mlp.grading.process import Child, Limits, LocalChild, Server
from mlp.grading.session import Session
from mlp.grading.submission import opened
from mlp.grading.verdict import Verdict


class Grader:
    """Grades submissions one after the other with one warm server."""

    def __init__(self, limits: Limits | None = None, isolated: bool = True) -> None:
        self.limits = limits or Limits()
        self.server = Server() if isolated else None
        self.protections: list[str] = []
        self.explanations: list[str] = []

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *error: object) -> None:
        if self.server:
            self.server.close()

    def child(self, folder: Path, warm: Sequence[str] = ()) -> Child:
        """A new child for one component."""
        child: Child = self.server.open(folder, self.limits, warm) if self.server else LocalChild(folder)
        self.protections = child.protections
        return child

    def grade(
        self,
        path: str | Path,
        hints: Hints = "what",
        repair: bool = False,
        component: str | None = None,
        adapter: str | Path | None = None,
        expected: Sequence[str] = (),
    ) -> list[Verdict]:
        """The verdicts on one submission, or on one component of it; those expected and not found are missing."""
        if unknown := [name for name in expected if name not in COMPONENTS]:
            raise InputError(f"there is no component {unknown[0]!r}; there are {', '.join(COMPONENTS)}")
        with opened(path, repair) as submission:
            session = Session(self.child, submission, Path(adapter) if adapter else None)
            graded = session.grade_all(component)
        self.explanations = [explanation(g) for g in graded]
        verdicts = [verdict(g, hints) for g in graded]
        found = {v.component for v in verdicts}
        missing = [name for name in expected if name not in found]
        return verdicts + [Verdict(name, None, "missing", message=f"{name}: not found.") for name in missing]


def verdict(graded: Graded, hints: Hints) -> Verdict:
    """In the form that is printed and written."""
    j = graded.judgement
    convention = graded.convention | ({"remarks": "; ".join(graded.remarks)} if graded.remarks else {})
    return Verdict(
        component=graded.component, found=graded.candidate.found, verdict=j.outcome, side=j.side,
        mistake=j.explanation.id if j.explanation else None, name=j.explanation.name if j.explanation else None,
        message=message(graded.component, j, hints, graded.remarks), convention=convention,
    )  # fmt: skip


def explanation(graded: Graded) -> str:
    """What was inferred about a component, and what an adapter would say if that was not enough."""
    lines = [f"# {graded.component}, {graded.candidate.found}: {graded.judgement.outcome}"]
    lines += [f"#   {key}: {value}" for key, value in graded.convention.items()]
    if graded.judgement.outcome == "error":
        lines += [f"#   {graded.judgement.text}", example(graded.candidate)]
    return "\n".join(lines)


def grade(
    path: str | Path,
    *,
    hints: Hints = "what",
    adapter: str | Path | None = None,
    repair: bool = False,
    limits: Limits | None = None,
    isolated: bool = True,
) -> list[Verdict]:
    """The verdicts on the components of a submission: a file, folder, module, zip or notebook.

    hints: how much a message tells: "none", "where" (the array), "what" (the values and the mistake), "how".
    adapter: a YAML or Python file for what is not understood; ``python -m mlp.grading --explain`` shows one.
    repair: convert files written for Python 2.
    isolated: run every component in a confined process of its own; False runs it in this process, for code
        that you trust.

    Raises ``InputError`` if there is no submission at ``path``.
    """
    with Grader(limits, isolated) as grader:
        return grader.grade(path, hints, repair, adapter=adapter)
