"""From raw times to Markdown: per-round ratios, their median and quartiles."""

from __future__ import annotations

import statistics
from typing import Any

from benchmark_contenders import CONTENDERS
from benchmark_contenders.measure import ATTEMPTS
from benchmark_contenders.problem import SETTINGS

Raw = dict[str, dict[str, Any]]  # contender -> times, of one setting


def ratios(raw: Raw, name: str) -> list[float]:
    """Time of mlp / time of a contender, one number for each round."""
    return [a / b for a, b in zip(raw["mlp"]["microseconds"], raw[name]["microseconds"], strict=True)]


def fastest_peer(raw: Raw) -> str | None:
    """The other library to which the median ratio is largest."""
    peers = [name for name in raw if CONTENDERS[name].is_peer]
    return max(peers, key=lambda name: statistics.median(ratios(raw, name)), default=None)


def shown(values: list[float], digits: int = 2) -> str:
    """Median and quartiles: 1.31 (1.28–1.35)."""
    low, middle, high = quartiles(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def quartiles(values: list[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def table(rows: list[list[str]]) -> str:
    """A Markdown table; the first row is the head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" + " ---: |" * (len(rows[0]) - 1))
    return "\n".join(lines)


def settings_table(results: dict[str, Raw], names: list[str]) -> str:
    """One row for each setting: mlp's time, its ratio to each contender and to the fastest peer."""
    others = [name for name in names if name != "mlp"]
    with_peers = any(CONTENDERS[name].is_peer for name in others)
    head = ["setting", "mlp, µs", *(f"/ {CONTENDERS[name].title}" for name in others)]
    rows = [head + ["/ fastest peer"] * with_peers]
    for setting, raw in results.items():
        row = [setting, shown(raw["mlp"]["microseconds"], digits=0)]
        row += [shown(ratios(raw, name)) if name in raw else "–" for name in others]
        if with_peers:
            best = fastest_peer(raw)
            row.append("–" if best is None else f"{shown(ratios(raw, best))} {CONTENDERS[best].title}")
        rows.append(row)
    return table(rows)


def summary_table(results: dict[str, Raw], names: list[str]) -> str:
    """Of each ratio the median and the extremes over the settings (each one the median of its rounds)."""
    rows = [["mlp /", "settings", "median", "smallest", "largest"]]
    columns = {CONTENDERS[name].title: dict.fromkeys(results, name) for name in names if name != "mlp"}
    columns["fastest peer"] = {s: best for s, raw in results.items() if (best := fastest_peer(raw))}
    for title, chosen in columns.items():
        medians = [statistics.median(ratios(results[s], name)) for s, name in chosen.items() if name in results[s]]
        if medians:
            numbers = [statistics.median(medians), min(medians), max(medians)]
            rows.append([title, str(len(medians)), *(f"{number:.2f}" for number in numbers)])
    return table(rows)


def clock(results: dict[str, Raw]) -> str:
    """Which clock was read, and how often a slice was taken again because of other work on the core."""
    if "attempts" not in next(iter(results.values()))["mlp"]:
        return "processor time, which other work on the core changes little"
    attempts = [count for raw in results.values() for times in raw.values() for count in times["attempts"]]
    again, last = sum(count > 1 for count in attempts), sum(count == ATTEMPTS for count in attempts)
    return (
        f"wall clock; {again} of {len(attempts)} slices were disturbed by other work and taken again, "
        f"{last} of them {ATTEMPTS} times"
    )


def description(results: dict[str, Raw]) -> list[str]:
    """What an iteration is, in the settings measured."""
    settings = [SETTINGS[name] for name in results]
    sizes = sorted({s.batch_size for s in settings})
    optimizers = sorted({s.optimizer for s in settings}, key=["SGD", "Adam", "AdamW"].index)
    shapes = sorted({"–".join(map(str, s.sizes)) for s in settings if not s.is_plain or s.title})
    return [
        f"Gather a batch of {' or '.join(map(str, sizes))} from the 60,000 MNIST images in random order, forward,",
        "loss and accuracy as numbers, backward, update by",
        f"{' or '.join(optimizers)} (momentum 0.9 for SGD, weight decay 1e-5); float32, one thread on one core.",
        *([f"Networks: {', '.join(shapes)}."] if shapes else []),
    ]


def iteration_report(
    results: dict[str, Raw], names: list[str], rounds: int, machine: list[str], skipped: dict[str, str]
) -> str:
    """The section on one training iteration."""
    notes = [f"- {CONTENDERS[name].title}: {CONTENDERS[name].note}." for name in names if CONTENDERS[name].note]
    notes += [f"- {CONTENDERS[name].title} was left out: {reason}" for name, reason in skipped.items()]
    blas = next(iter(results.values()))["mlp"]["blas"]
    kernels = "; ".join(blas) or "unknown (pip install threadpoolctl to see)"
    return "\n".join(
        [
            "## One training iteration",
            "",
            *description(results),
            "Each ratio is time of mlp / time of the other: **below 1, mlp is faster**. Medians (and quartiles)",
            f"over {rounds} rounds of alternating slices of at least 50 ms. All contenders start from the same",
            "weights, see the same batches, and their first losses were checked to agree (to 1e-4; with Adam, that",
            "magnifies rounding, to 2e-3; with dropout, whose masks differ, only the first, to 1 %).",
            "",
            *(f"- {line}" for line in machine),
            f"- NumPy's matrix products: {kernels}",
            f"- Clock: {clock(results)}",
            *notes,
            "",
            settings_table(results, names),
            "",
            "Over the settings:",
            "",
            summary_table(results, names),
        ]
    )
