"""More ranks than there are here: what the cost model predicts for them."""

from __future__ import annotations

from benchmark_contenders.report import table

from mlp.studies.cost.figures import DEFAULT_MODES, Workload
from mlp.studies.cost.machine import Machine, amdahl_speed_up
from mlp.studies.cost.model import compare, fastest, predict, serial_share
from mlp.studies.cost.network import NetworkShape

LARGE = {
    "784-1024-1024-10, batch 65,536": Workload(NetworkShape((784, 1024, 1024, 10)), 65_536),
    "96 blocks of 12288-49152-12288, batch 4,096": Workload(NetworkShape([12288, 49152] * 96 + [12288]), 4_096),
}
RANKS_OF_TABLE = (2, 8, 32, 128, 512, 1024)


def winners_table(workloads: dict[str, Workload], machine: Machine) -> str:
    """The fastest mode that fits, for each number of ranks."""
    rows = [["workload", *(f"{n:,} ranks" for n in RANKS_OF_TABLE)]]
    for title, work in workloads.items():
        one = predict("data", work.shape, machine, 1, work.batch).total
        row = [title]
        for n in RANKS_OF_TABLE:
            steps = compare(DEFAULT_MODES, work.shape, machine, n, work.batch)
            mode = fastest(steps, machine)
            row.append("none fits" if mode is None else f"{mode}: {one / steps[mode].total:,.1f} times")
        rows.append(row)
    return table(rows)


def amdahl_lines(workloads: dict[str, Workload], machine: Machine) -> list[str]:
    """Amdahl's limit for data parallelism."""
    lines = []
    for title, work in workloads.items():
        share = serial_share("data", work.shape, machine, work.batch)
        limit = amdahl_speed_up(share, float("inf"))
        lines.append(
            f"- {title}: {share:.2%} of one rank's time is not divided, so at most {limit:,.0f} times as fast."
        )
    return lines
