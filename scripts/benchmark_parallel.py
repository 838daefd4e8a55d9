"""Times one training step in each parallel mode against one rank: python scripts/benchmark_parallel.py

Needs `pip install -e ".[train,parallel]"`. What runs is in the folder parallel_benchmark/.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmark import Parser, machine, positive, say, writable, write
from parallel_benchmark import PROBLEMS, contenders


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = Parser(prog="benchmark_parallel.py", description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument(
        "--problems", nargs="+", metavar="NAME", default=list(PROBLEMS),
        help=f"of {', '.join(PROBLEMS)}; default: all",
    )  # fmt: skip
    parser.add_argument("--ranks", type=positive, default=2, help="MPI processes (default: 2)")
    parser.add_argument("--rounds", type=positive, default=9, help="rounds of alternating slices (default: 9)")
    parser.add_argument("--output", type=writable, metavar="FILE.md", help="write the report here as well")
    parser.add_argument("--json", type=writable, metavar="FILE", help="write the raw times here")
    parser.add_argument(
        "--figures", type=folder, metavar="FOLDER", help="draw parallel-*.png here (default: no figures)"
    )
    options = parser.parse_args(arguments)
    for name in options.problems:
        if name not in PROBLEMS:
            parser.error(f"unknown problem {name!r}; there are: {', '.join(PROBLEMS)}")
    if options.ranks < 2:
        parser.error("--ranks must be at least 2: they are compared with one")
    return options


def folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir() or not os.access(path, os.W_OK):
        raise argparse.ArgumentTypeError(f"there is no folder {text!r} to write to")
    return path


def load_average() -> str:
    """What else the machine does: 2.00 is two processes that want a core all the time."""
    return f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"


def draw(results: dict[str, Any], ranks: int, to: Path) -> dict[str, Path]:
    """The figures, by title."""
    from parallel_benchmark.report import LARGE, machine_of, points_of, rounds_that_count, workloads_of
    from parallel_benchmark.schedules import simulated, timeline_of

    from mlp.plots import plot_pipeline, save_figure
    from mlp.studies.cost.figures import plot_parallel

    seen = machine_of(next(iter(results.values())), "together")
    files = {}
    for title, name, workloads in (
        ("Predicted and measured: the networks of this page", "parallel-small.png", workloads_of(results)),
        ("Predicted: a large batch, and a large network", "parallel-large.png", LARGE),
    ):
        files[title] = to / name
        save_figure(plot_parallel(workloads, seen, measured=points_of(results, ranks)), files[title])
    timelines = {}
    for name, raw in results.items():
        for contender in contenders(PROBLEMS[name]):
            slices = raw["contenders"][contender.name]["slices"]
            if slices:
                kept = [slices[i] for i in rounds_that_count(raw, contender.name)]
                timelines[f"{contender.name}, as promised"] = simulated(contender, ranks, kept)
                timelines[f"{contender.name}, measured"] = timeline_of(kept[-1], ranks)
    if timelines:
        files["Pipelines: promised and measured"] = to / "parallel-timeline.png"
        save_figure(plot_pipeline(timelines, "s"), files["Pipelines: promised and measured"])
    return files


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)

    from parallel_benchmark.measure import BenchmarkError, measure
    from parallel_benchmark.report import report, speed_ups

    before, results = load_average(), {}
    try:
        for name in dict.fromkeys(options.problems):
            raw = results[name] = measure(name, options.ranks, options.rounds)
            gains = (f"{other} {statistics.median(speed_ups(raw, other)):.2f}" for other in raw["contenders"])
            say(f"{PROBLEMS[name].title}, times as fast: {', '.join(gains)}")
    except BenchmarkError as error:
        say(f"benchmark_parallel.py: {error}")
        return 1
    figures = {}
    if options.figures:
        base = (options.output or Path("x")).resolve().parent
        files = draw(results, options.ranks, options.figures)
        figures = {title: Path(os.path.relpath(file, base)).as_posix() for title, file in files.items()}
    command = shlex.join(["python", "scripts/benchmark_parallel.py", *arguments])
    setting = [
        *machine(None)[1:], f"{machine(None)[0].rpartition(', ')[0]}, {os.cpu_count()} cores",
        f"load average before {before}, after {load_average()} (what runs here is in the second one)",
    ]  # fmt: skip
    text = report(results, options.ranks, options.rounds, setting, figures)
    text = f"# Parallel training, measured\n\nMade by `{command}`.\n\n{text}\n"
    print(text, end="")
    if options.output:
        write(options.output, text)
    if options.json:
        write(options.json, json.dumps({"command": command, "problems": results}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
