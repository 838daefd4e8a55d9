"""What counts how much: the checks of an assignment, their points, and who may see them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from mlp.checks import InputError
from mlp.grading.verdict import Verdict
from mlp.run.yaml_files import check_keys, read_mapping

SIDES = ("forward", "backward", "update", "state")
VISIBILITIES = ("visible", "hidden", "after_due_date", "after_published")
# What a failed check still earns: with a fault in backward, forward is right.
PARTIAL = {"forward": 0.0, "backward": 0.5, "update": 0.0, "state": 0.5}
# An assignment that nobody wrote a rubric for: the layers, losses, network and update of a first course.
DEFAULT = {
    "Linear": 25.0,
    "ReLU": 10.0,
    "Sigmoid": 10.0,
    "CrossEntropy": 20.0,
    "MSE": 10.0,
    "Network": 10.0,
    "SGD": 15.0,
}
# One component in two forms, either of which an assignment may ask for.
FORMS = {"CrossEntropy": ("CrossEntropy", "CrossEntropy of probabilities")}


@dataclass(frozen=True)
class Check:
    """One line of a rubric: a component, or any of several, for so many points."""

    name: str
    points: float
    components: tuple[str, ...]
    visibility: str = "visible"
    partial: Mapping[str, float] = field(default_factory=lambda: PARTIAL)

    def share(self, verdict: Verdict) -> float:
        """The share of the points, from 0 to 1, that a verdict earns."""
        if verdict.verdict == "passed":
            return 1.0
        return self.partial.get(verdict.side or "", 0.0) if verdict.verdict == "failed" else 0.0


@dataclass(frozen=True)
class Rubric:
    """The checks of an assignment.

    deadline: files that were changed later are not graded, and the student's page names them.
    ignore: patterns of files that are not graded either, such as "old/*" or "*_late.py".
    """

    checks: tuple[Check, ...]
    title: str = "Assignment"
    deadline: datetime | None = None
    ignore: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """The points of a submission without a mistake."""
        return math.fsum(check.points for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """What ``read_rubric`` reads back."""
        values: dict[str, Any] = {"title": self.title}
        if self.deadline:
            values["deadline"] = self.deadline.isoformat(sep=" ")
        if self.ignore:
            values["ignore"] = list(self.ignore)
        values["checks"] = {
            check.name: {
                "points": check.points,
                "components": list(check.components),
                "visibility": check.visibility,
                "partial": dict(check.partial),
            }
            for check in self.checks
        }
        return values


def default_rubric(names: Iterable[str] = tuple(DEFAULT), title: str = "Assignment") -> Rubric:
    """A rubric over these components, in the default's proportions (10 for a component it does not have)."""
    return Rubric(
        tuple(Check(name, DEFAULT.get(name, 10.0), FORMS.get(name, (name,))) for name in names),
        title,
    )


def rubric_of_class(graded: Sequence[Iterable[Verdict]], title: str = "Assignment") -> Rubric:
    """The default for a class: what at least half of its submissions contain is what was asked for."""
    found = [{_check_name(v.component) for v in verdicts if v.found} for verdicts in graded]
    names = sorted(
        set().union(*found), key=lambda name: (list(DEFAULT).index(name) if name in DEFAULT else 99, name)
    )
    common = [name for name in names if 2 * sum(name in of_one for of_one in found) >= len(found)]
    return default_rubric(common or DEFAULT, title)


def _check_name(component: str) -> str:
    return next((name for name, forms in FORMS.items() if component in forms), component)


def read_rubric(path: str | Path) -> Rubric:
    """The rubric in a YAML (or JSON) file.

    ``checks`` maps names to points, or to ``points`` with ``components``, ``visibility`` and ``partial``; with
    ``total`` the points are weights that are scaled to that sum. Raises ``InputError`` naming file and value.
    """
    path = Path(path)
    values = json.loads(path.read_text(encoding="utf-8")) if path.suffix == ".json" else read_mapping(path)
    check_keys(values, ("title", "total", "deadline", "ignore", "partial", "checks"), str(path))
    partial = PARTIAL | _partial(values.get("partial", {}), str(path))
    given = values.get("checks")
    if not isinstance(given, Mapping) or not given:
        raise InputError(f"{path}: checks must map components to points, such as Linear: 20; got {given!r}")
    checks = [_check(str(name), value, partial, f"{path}: checks: {name}") for name, value in given.items()]
    if "total" in values:
        total, weight = _number(values["total"], f"{path}: total"), sum(check.points for check in checks)
        if weight == 0:
            raise InputError(f"{path}: total is {total:g}, but all checks have 0 points")
        checks = [Check(**{**vars(check), "points": check.points * total / weight}) for check in checks]
    ignore = values.get("ignore", [])
    return Rubric(
        tuple(checks),
        str(values.get("title", "Assignment")),
        _deadline(values.get("deadline"), str(path)),
        tuple(map(str, ignore if isinstance(ignore, list) else [ignore])),
    )


def _check(name: str, value: Any, partial: Mapping[str, float], where: str) -> Check:
    settings = dict(value) if isinstance(value, Mapping) else {"points": value}
    check_keys(settings, ("points", "components", "visibility", "partial"), where)
    components = settings.get("components", FORMS.get(name, (name,)))
    visibility = settings.get("visibility", "visible")
    if visibility not in VISIBILITIES:
        raise InputError(f"{where}: visibility must be one of {', '.join(VISIBILITIES)}, got {visibility!r}")
    if "points" not in settings:
        raise InputError(f"{where}: points are missing")
    return Check(
        name,
        _number(settings["points"], f"{where}: points"),
        (components,) if isinstance(components, str) else tuple(map(str, components)),
        visibility,
        {**partial, **_partial(settings.get("partial", {}), where)},
    )


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise InputError(f"{where} must be a number of at least 0, got {value!r}")
    return float(value)


def _partial(value: Any, where: str) -> dict[str, float]:
    """Shares from 0 to 1 by side; one number for all sides."""
    shares = dict.fromkeys(SIDES, value) if isinstance(value, int | float) else value
    if not isinstance(shares, Mapping):
        raise InputError(f"{where}: partial must map sides to shares, such as backward: 0.5; got {value!r}")
    check_keys(shares, SIDES, f"{where}: partial")
    result = {str(side): _number(share, f"{where}: partial: {side}") for side, share in shares.items()}
    if any(share > 1 for share in result.values()):
        raise InputError(f"{where}: partial must lie between 0 and 1, got {max(result.values()):g}")
    return result


def _deadline(value: Any, where: str) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        raise InputError(f"{where}: deadline must be a time such as 2026-12-01 23:59, got {value!r}") from None
