"""What a diagnosis consists of: findings in plain words, causes before their consequences."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from mlp.diagnosis.advice import ADVICE

WIDTH = 100  # of a printed line, in characters


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    ``severity`` is "error" where training cannot work like this, "warning" where it is likely to suffer. ``seen``
    has the numbers, ``layer`` the name of the layer that they are from ("" if they are not from one), ``meaning``
    and ``advice`` say what that usually means and what usually helps. ``consequences`` are the names of other
    findings that were left out, because they usually go away with this one.
    """

    name: str
    severity: str
    layer: str
    seen: str
    meaning: str
    advice: str
    consequences: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [("seen", self.seen), ("means", self.meaning), ("helps", self.advice)]
        if self.consequences:
            parts.append(("with it", ", ".join(self.consequences)))
        lines = [f"{self.severity}: {self.name}"]
        for label, text in parts:
            lines += textwrap.wrap(text, WIDTH, initial_indent=f"  {label:<8}", subsequent_indent=" " * 10)
        return "\n".join(lines)


def find(name: str, seen: str, layer: str = "") -> Finding:
    """The finding of this name, with the words that belong to it."""
    known = ADVICE[name]
    return Finding(name, known.severity, layer, seen, known.meaning, known.advice)


class Diagnosis:
    """The findings of ``diagnose``: prints them in plain words; ``ok`` if there are none.

    ``diagnosis.names`` are their names, ``diagnosis["dead ReLUs"]`` is the finding of that name. ``remark`` says
    what could not be looked at.
    """

    def __init__(self, subject: str, found: Iterable[Finding], remark: str = "") -> None:
        self.subject, self.remark = subject, remark
        self.findings = tuple(keep_causes(found))

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def names(self) -> list[str]:
        """The names of the findings, causes first."""
        return [finding.name for finding in self.findings]

    def __getitem__(self, name: str) -> Finding:
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(f"no finding {name!r}; there are: {', '.join(self.names) or 'none'}")

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __str__(self) -> str:
        count = {0: "nothing found", 1: "1 finding"}.get(len(self), f"{len(self)} findings")
        remark = textwrap.fill(self.remark, WIDTH)
        return "\n\n".join(filter(None, [f"{self.subject}: {count}", *map(str, self), remark]))

    __repr__ = __str__


def keep_causes(found: Iterable[Finding]) -> list[Finding]:
    """The findings without those that follow from an earlier one, which names them instead."""
    kept: list[Finding] = []
    for finding in found:
        for i, cause in enumerate(kept):
            if finding.name in ADVICE[cause.name].explains:
                kept[i] = replace(cause, consequences=(*cause.consequences, finding.name))
                break
        else:
            kept.append(finding)
    return kept
