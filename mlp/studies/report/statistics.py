"""Means over seeds with their spread, and when a mean counts as equal to the reference's."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

TOLERANCE = 0.15  # points of accuracy
WITHIN_TOLERANCE, WITHIN_ERRORS, OFF, NO_RUN = "within 0.15", "within 2 s.e.", "off", "no run"


@dataclass(frozen=True)
class Estimate:
    """Mean and sample standard deviation (n - 1) of ``count`` numbers; nan where there are too few of them."""

    mean: float
    std: float
    count: int

    def scaled(self, factor: float) -> Estimate:
        """The same in other units."""
        return Estimate(self.mean * factor, self.std * abs(factor), self.count)

    def show(self, digits: int = 2, signed: bool = False) -> str:
        """For example "98.20 ± 0.06"; without ± if there is a single number."""
        if self.count == 0:
            return "–"
        text = show_number(self.mean, digits, signed)
        return text if self.count == 1 else f"{text} ± {self.std:.{digits}f}"


def show_number(value: float, digits: int = 2, signed: bool = False) -> str:
    """A rounded number with a proper minus; a dash for nan, and no sign for what rounds to zero."""
    if math.isnan(value):
        return "–"
    shown = f"{value:{'+' if signed else ''}.{digits}f}"
    return f"{0:.{digits}f}" if float(shown) == 0 else shown.replace("-", "−")


def estimate(values: Iterable[float]) -> Estimate:
    """The estimate from the values of single runs."""
    numbers = list(values)
    mean = statistics.fmean(numbers) if numbers else math.nan
    return Estimate(mean, statistics.stdev(numbers) if len(numbers) > 1 else math.nan, len(numbers))


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
