"""Points for verdicts: every check of the rubric has a result, whatever the submission held or did."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mlp.grading.rubric import Check, Rubric
from mlp.grading.verdict import Verdict


@dataclass(frozen=True)
class CheckResult:
    """What one check of the rubric came to."""

    check: Check
    verdict: Verdict
    points: float


@dataclass(frozen=True)
class Score:
    """All checks of one submission."""

    results: tuple[CheckResult, ...]

    @property
    def points(self) -> float:
        return math.fsum(result.points for result in self.results)

    @property
    def total(self) -> float:
        return math.fsum(result.check.points for result in self.results)

    @property
    def percent(self) -> float:
        """Points of a hundred; 0 where the rubric gives no points."""
        return 100 * self.points / self.total if self.total else 0.0


def score(rubric: Rubric, verdicts: Sequence[Verdict]) -> Score:
    """Each check takes the best verdict on its components; without one the component is missing: 0 points."""
    results = []
    for check in rubric.checks:
        fitting = [verdict for verdict in verdicts if verdict.component in check.components]
        best = max(fitting, key=check.share) if fitting else _missing(check)
        results.append(CheckResult(check, best, check.points * check.share(best)))
    return Score(tuple(results))


def _missing(check: Check) -> Verdict:
    text = "No class or function of the submission looks like it; its name should say what it is."
    return Verdict(check.components[0], None, "missing", message=f"{check.name}: not found.\n{text}")


def broken_verdicts(rubric: Rubric, reason: str) -> list[Verdict]:
    """Where a submission could not be graded at all: an error for every check."""
    return [
        Verdict(check.components[0], None, "error", message=f"{check.name}: could not be graded.\n{reason}")
        for check in rubric.checks
    ]
