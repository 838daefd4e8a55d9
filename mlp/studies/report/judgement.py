"""When a mean over seeds counts as equal to the reference's."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mlp.studies.tables import Estimate

TOLERANCE = 0.15  # points of accuracy
WITHIN_TOLERANCE, WITHIN_ERRORS, OFF, NO_RUN = "within 0.15", "within 2 s.e.", "off", "no run"


@dataclass(frozen=True)
class Judgement:
    """How far a mean is from the reference's, in points, and what that counts as.

    ``two_errors`` is twice the standard error of the difference of two means, over our n and the reference's m
    runs. The reference does not give its spread, so ours, s, stands for both:

        2 sqrt(s²/n + s²/m)
    """

    difference: float
    two_errors: float
    verdict: str

    @property
    def is_met(self) -> bool:
        """Whether the value counts as reproduced."""
        return self.verdict in (WITHIN_TOLERANCE, WITHIN_ERRORS)


def judge(ours: Estimate, reference: float, reference_runs: int) -> Judgement:
    """Compare two means of accuracies in percent."""
    if ours.count == 0:
        return Judgement(math.nan, math.nan, NO_RUN)
    difference = ours.mean - reference
    two_errors = 2 * ours.std * math.sqrt(1 / ours.count + 1 / reference_runs)
    size = round(abs(difference), 9)  # 98.35 - 98.20 is a little more than 0.15 in binary
    verdict = WITHIN_TOLERANCE if size <= TOLERANCE else WITHIN_ERRORS if size <= two_errors else OFF
    return Judgement(difference, two_errors, verdict)
