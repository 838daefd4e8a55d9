"""From raw times to Markdown: what was measured, and beside it what the cost model and the schedules predicted."""

from __future__ import annotations

import statistics
from typing import Any

from benchmark_contenders.report import quartiles, shown, table

from mlp.parallel import bytes_per_rank, mixed_precision_bytes_per_rank, wire_bytes_per_step
from mlp.studies.cost.figures import Point, Workload
from mlp.studies.cost.machine import Machine
from mlp.studies.cost.model import predict
from mlp.studies.cost.network import NetworkShape
from parallel_benchmark import PROBLEMS, TARGET_OF_SCHEDULE, Contender, Problem, contenders
from parallel_benchmark.measure import ATTEMPTS, UNDISTURBED
from parallel_benchmark.outlook import LARGE, amdahl_lines, winners_table
from parallel_benchmark.schedules import promised_speed_up, simulated, timeline_of

Raw = dict[str, Any]  # of one problem, as ``measure`` returns it


def machine_of(raw: Raw, which: str) -> Machine:
    return Machine(**raw["machines"][which])


def disturbed_line(results: dict[str, Raw]) -> str:
    """How far the machine was left in peace."""
    records = [record for raw in results.values() for record in raw["contenders"].values()]
    shares = [share for record in records for share in record["processor_share"]]
    again = sum(attempts > 1 for record in records for attempts in record["attempts"])
    left = sum(share < UNDISTURBED for share in shares)
    return (
        f"{again} of {len(shares)} slices were disturbed by other work and taken again, up to {ATTEMPTS} times; "
        f"{left} of them were disturbed to the last, and count only where there are no others"
    )


def speed_ups(raw: Raw, name: str, over: str = "one rank") -> list[float]:
    """Time of one rank / time of a contender, one number for each round that counts."""
    a, b = raw["contenders"][over]["seconds"], raw["contenders"][name]["seconds"]
    return [a[i] / b[i] for i in rounds_that_count(raw, over, name)]


def seconds(raw: Raw, name: str) -> list[float]:
    """Those of a step, one number for each round that counts."""
    return [raw["contenders"][name]["seconds"][i] for i in rounds_that_count(raw, name)]


def rounds_that_count(raw: Raw, *names: str) -> list[int]:
    """Those in which the contenders were not disturbed, or all of them if there are none."""
    shares = zip(*(raw["contenders"][name]["processor_share"] for name in names), strict=True)
    lowest = [min(share) for share in shares]
    return [i for i, share in enumerate(lowest) if share >= UNDISTURBED] or list(range(len(lowest)))


def is_disturbed(raw: Raw, *names: str) -> bool:
    """Whether there was no round in which these contenders were not."""
    first = rounds_that_count(raw, *names)[0]
    return any(raw["contenders"][name]["processor_share"][first] < UNDISTURBED for name in names)


def predicted_seconds(problem: Problem, contender: Contender, raw: Raw, ranks: int) -> float:
    """That of the cost model, for the machine as it was measured."""
    machine = machine_of(raw, "alone" if contender.is_serial else "together")
    return predict(
        contender.mode, NetworkShape(problem.widths), machine, 1 if contender.is_serial else ranks, problem.batch,
        microbatches=contender.microbatches,
    ).total  # fmt: skip


def problem_table(problem: Problem, raw: Raw, ranks: int) -> str:
    """One row for each contender: time, speed-up, target, and the cost model's times."""
    rows = [
        [
            f"on {ranks} ranks",
            "ms a step",
            "speed-up",
            "target",
            "predicted ms",
            "predicted speed-up",
            "of it reached",
        ]
    ]
    one = predicted_seconds(problem, contenders(problem)[0], raw, ranks)
    for contender in contenders(problem):
        times = [1e3 * s for s in seconds(raw, contender.name)]
        gain, predicted = speed_ups(raw, contender.name), predicted_seconds(problem, contender, raw, ranks)
        rows.append([
            contender.name, shown(times, 1), shown(gain), f"{contender.target:g}" if contender.target else "–",
            f"{1e3 * predicted:.1f}", f"{one / predicted:.2f}", f"{quartiles(gain)[1] * predicted / one:.0%}",
        ])  # fmt: skip
    return table(rows)


def target_lines(problem: Problem, raw: Raw) -> list[str]:
    """Whether the targets are reached."""
    lines = []
    for contender in contenders(problem):
        if contender.target is not None:
            median = statistics.median(speed_ups(raw, contender.name))
            verdict = "reached" if median >= contender.target else "not reached"
            if is_disturbed(raw, "one rank", contender.name):
                verdict += ", but in no round was the machine left in peace"
            lines.append(f"- {contender.name}: {median:.2f} times, target {contender.target:g}: {verdict}.")
    return lines


def schedule_table(problem: Problem, raw: Raw, ranks: int) -> str:
    """What each schedule promises, twice, and how much of it comes true."""
    serial = f"one rank, {problem.microbatches} microbatches"
    rows = [[
        "schedule", "promised", "measured", "of it reached", "passes as timed, ms", "measured, ms", "of it reached",
        "idle promised", "idle measured", "in flight",
    ]]  # fmt: skip
    for contender in contenders(problem):
        record = raw["contenders"][contender.name]
        if not record["slices"]:
            continue
        kept = rounds_that_count(raw, contender.name)
        slices, times = [record["slices"][i] for i in kept], seconds(raw, contender.name)
        promised = promised_speed_up(problem, contender, ranks)
        gain = speed_ups(raw, contender.name, over=serial)
        ideal = simulated(contender, ranks, slices)
        shares = [ideal.makespan / t for t in times]
        idle = statistics.median(timeline_of(intervals, ranks).idle_share for intervals in slices)
        rows.append([
            contender.name, f"{promised:.2f}", shown(gain), f"{quartiles(gain)[1] / promised:.0%}",
            f"{1e3 * ideal.makespan:.1f}", shown([1e3 * t for t in times], 1),
            f"{quartiles(shares)[1]:.0%}", f"{ideal.idle_share:.0%}", f"{idle:.0%}",
            ", ".join(map(str, record["in_flight"])),
        ])  # fmt: skip
    return table(rows)


def schedule_lines(problem: Problem, raw: Raw, ranks: int) -> list[str]:
    """Whether pipelines are nearly as fast as their schedules promise."""
    serial, lines = f"one rank, {problem.microbatches} microbatches", []
    for contender in contenders(problem):
        if raw["contenders"][contender.name]["slices"]:
            gain = statistics.median(speed_ups(raw, contender.name, over=serial))
            share = gain / promised_speed_up(problem, contender, ranks)
            verdict = "reached" if share >= TARGET_OF_SCHEDULE else "not reached"
            if is_disturbed(raw, serial, contender.name):
                verdict += ", but in no round was the machine left in peace"
            lines.append(f"- {contender.name}: {share:.0%} of it, target {TARGET_OF_SCHEDULE:.0%}: {verdict}.")
    return lines


def sharded_table(problem: Problem, raw: Raw, ranks: int) -> str:
    """Bytes that a rank holds and sends, beside the formulas."""
    shape = NetworkShape(problem.widths)
    P, largest = shape.parameters, int(max(layer.parameters for layer in shape.layers))
    rows = [["", "ms a step", "bytes held", "formula", "published, mixed precision", "bytes sent", "formula"]]
    for stage, name in enumerate(("data", "ZeRO-1", "ZeRO-2", "ZeRO-3")):
        record = raw["contenders"][name]
        rows.append([
            name, shown([1e3 * s for s in seconds(raw, name)], 1), f"{record['bytes_held']:,}",
            f"{bytes_per_rank(stage, P, ranks, largest_unit=largest):,.0f}",
            f"{mixed_precision_bytes_per_rank(stage, P, ranks):,.0f}",
            f"{record['wire_bytes']:,.0f}", f"{wire_bytes_per_step(stage, P, ranks):,.0f}",
        ])  # fmt: skip
    return table(rows)


def machine_table(results: dict[str, Raw], ranks: int) -> str:
    """What the cost model is told of the machine."""
    rows = [["", "GFLOP/s", "memory, GB/s", "α all-reduce, µs", "β, GB/s", "α message, µs", "β, GB/s"]]
    for name, raw in results.items():
        for which, title in (("alone", "one rank"), ("together", f"each of {ranks} ranks")):
            m = machine_of(raw, which)
            links = ["–"] * 4 if which == "alone" else [
                f"{1e6 * m.latency:.1f}", f"{m.bandwidth / 1e9:.2f}",
                f"{1e6 * (m.send_latency or 0):.1f}", f"{(m.send_bandwidth or 0) / 1e9:.2f}",
            ]  # fmt: skip
            rows.append([f"{name}: {title}", f"{m.flops / 1e9:.1f}", f"{m.memory_bandwidth / 1e9:.1f}", *links])
    return table(rows)


def workloads_of(results: dict[str, Raw]) -> dict[str, Workload]:
    """The measured problems, by title."""
    chosen = (PROBLEMS[name] for name in results)
    return {problem.title: Workload(NetworkShape(problem.widths), problem.batch) for problem in chosen}


def points_of(results: dict[str, Raw], ranks: int) -> list[Point]:
    """The medians, for the figure."""
    return [
        Point(
            PROBLEMS[name].title, *(("one rank", 1) if c.is_serial else (c.mode, ranks)),
            statistics.median(seconds(raw, c.name)),
        )
        for name, raw in results.items()
        for c in contenders(PROBLEMS[name])
        if c.microbatches == 1 or not c.is_serial
    ]  # fmt: skip


def report(results: dict[str, Raw], ranks: int, rounds: int, setting: list[str], figures: dict[str, str]) -> str:
    """All of it, in Markdown. ``setting`` are lines about the machine, ``figures`` the paths by name."""
    parts = [
        f"One training step (forward, loss, backward, SGD with momentum 0.9; float32) on {ranks} MPI processes "
        "with one BLAS thread each, against one process with one BLAS thread. Wall clock; medians (and quartiles) "
        f"over {rounds} rounds of alternating slices of about half a second; a speed-up is the ratio within a "
        "round. All contenders start from the same weights, and their first losses were checked to agree to 1e-4. "
        "Predictions are those of the cost model (`mlp.studies.cost.model`) for the machine as it was measured "
        "just before.",
        "\n".join(f"- {line}" for line in [*setting, disturbed_line(results)]),
        "## The machine, as the cost model sees it",
        machine_table(results, ranks),
    ]
    for name, raw in results.items():
        problem = PROBLEMS[name]
        parts += [f"## {problem.title}", problem_table(problem, raw, ranks), "\n".join(target_lines(problem, raw))]
        if name == "data":
            parts += ["### What a rank holds and sends", sharded_table(problem, raw, ranks)]
        if problem.microbatches > 1:
            parts += [
                "### What the schedule promises",
                f"First, the speed-up over one rank with {problem.microbatches} microbatches if passes take as "
                "long as they have multiplications and nothing else takes time; then the time of a step if passes "
                "take as long as they did here and messages take none. "
                f"Target: {TARGET_OF_SCHEDULE:.0%} of the promised speed.",
                schedule_table(problem, raw, ranks),
                "\n".join(schedule_lines(problem, raw, ranks)),
            ]
    machine = machine_of(next(iter(results.values())), "together")
    workloads = workloads_of(results) | LARGE
    parts += [
        "## More ranks than there are here",
        f"Predicted for ranks like these, each with {machine.memory_bytes / 1e9:.1f} GB of memory: the fastest "
        "mode that fits, and how much faster it is than a single rank with memory enough.",
        winners_table(workloads, machine),
        "Amdahl's limit for data parallelism, were messages free:",
        "\n".join(amdahl_lines(workloads, machine)),
        *(f"![{title}]({path})" for title, path in figures.items()),
    ]
    return "\n\n".join(part for part in parts if part)
