"""What a gradient check answers: a truth value, a few lines of text, and the numbers behind them."""

from dataclasses import dataclass

# A deep network has dozens of arrays; the text shows the wrong ones and this many of the others.
SHOWN = 6
HEAD = ["array", "shape", "", "worst entry", "analytic", "numeric", "relative error", "noise floor", "checked"]


@dataclass(frozen=True)
class Comparison:
    """One array: its analytic gradient against the numeric one, at the worst entry.

    Worst is the entry with the largest error relative to its allowance, ``rtol max(|a|, |n|) + noise``.
    ``index`` is None where nothing could be compared: an empty array, a wrong shape, no gradient at all.
    """

    name: str
    shape: tuple[int, ...]
    ok: bool
    index: tuple[int, ...] | None = None
    analytic: float = float("nan")
    numeric: float = float("nan")
    absolute_error: float = float("nan")
    relative_error: float = float("nan")
    noise: float = float("nan")  # the noise floor of the numeric value at the worst entry
    kinks: int = 0  # entries accepted at, or measured beside, a kink
    failed: int = 0  # entries found wrong
    checked: int = 0
    total: int = 0

    def __str__(self) -> str:
        label = f"{self.name} {self.shape}"
        if self.index is None:
            return f"{label}: {'nothing to compare, ok' if self.ok else 'WRONG'}"
        text = f"{label}: ok" if self.ok else f"{label}: WRONG in {self.failed} of {self.checked} entries"
        place = f"[{', '.join(map(str, self.index))}]"
        text += f", worst at {place}: analytic {self.analytic:.9g}, numeric {self.numeric:.9g}"
        text += f", relative error {self.relative_error:.1e} (noise floor {self.noise:.0e})"
        if self.checked < self.total:
            text += f"; a sample of {self.checked} of {self.total} entries"
        if self.kinks:
            text += f"; {self.kinks} at a kink, where any value between the one-sided slopes is right"
        return text

    def cells(self) -> list[str]:
        """The row of a table under ``HEAD``."""
        verdict = "ok" if self.ok else f"WRONG in {self.failed}" if self.failed else "WRONG"
        if self.index is None:
            return [self.name, f"{self.shape}", verdict, "", "", "", "", "", "0"]
        place = f"[{', '.join(map(str, self.index))}]" + f", {self.kinks} at a kink" * (self.kinks > 0)
        values = [f"{self.analytic:.9g}", f"{self.numeric:.9g}", f"{self.relative_error:.1e}", f"{self.noise:.0e}"]
        return [self.name, f"{self.shape}", verdict, place, *values, f"{self.checked} of {self.total}"]


@dataclass(frozen=True, repr=False)
class GradcheckResult:
    """The answer of a check: true if every gradient is right and nothing misbehaved.

    ``print(result)`` shows the text, and so does a notebook. ``mistakes`` are short sentences, the likely
    explanations of what is wrong; ``conventions`` say what was taken as given; ``comparisons`` has one
    ``Comparison`` per array.
    """

    subject: str
    comparisons: tuple[Comparison, ...]
    mistakes: tuple[str, ...]
    conventions: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return not self.mistakes and all(comparison.ok for comparison in self.comparisons)

    def __str__(self) -> str:
        lines = [f"gradient check of {self.subject}: {'passed' if self else 'FAILED'}"]
        wrong = [comparison for comparison in self.comparisons if not comparison.ok]
        right = [comparison for comparison in self.comparisons if comparison.ok]
        lines += [f"  {comparison}" for comparison in wrong + right[:SHOWN]]
        if len(right) > SHOWN:
            lines.append(f"  and {len(right) - SHOWN} more arrays: ok")
        lines += [f"  likely mistake: {mistake}" for mistake in self.mistakes]
        lines += [f"  convention: {convention}" for convention in self.conventions]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from mlp.display.curves import GREEN, VERMILION
        from mlp.display.html import join, line, styled, table

        verdict = styled("✓ passed", f"color: {GREEN}") if self else styled("✗ FAILED", f"color: {VERMILION}")
        rows = [c.cells() for c in sorted(self.comparisons, key=lambda c: c.ok)]
        wrong = sum(not c.ok for c in self.comparisons)
        left_out = max(len(rows) - wrong - SHOWN, 0)
        parts = [line("gradient check of ", self.subject, ": ", styled(verdict, "font-weight: bold"))]
        parts += [table(HEAD, rows[: wrong + SHOWN], left=4)]
        parts += [line(f"and {left_out} more arrays: ok")] if left_out else []
        parts += [line(styled("likely mistake: ", "font-weight: bold"), mistake) for mistake in self.mistakes]
        parts += [line("convention: ", convention) for convention in self.conventions]
        return join(parts)

    def assert_ok(self) -> None:
        """Do nothing if the check passed.

        Raises:
            AssertionError: with ``str(self)``, if it did not.
        """
        if not self:
            raise AssertionError(str(self))
