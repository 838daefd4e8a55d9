"""Times one training iteration of mlp side by side with other libraries: python scripts/benchmark.py

Needs `pip install -e ".[train,benchmark]"`; a library that is missing is left out. Absolute times depend on
the machine and on the minute, so everything is measured in turns and reported as ratios. What runs is in the
folder benchmark_contenders/, one file for each library.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any, NoReturn

from benchmark_contenders import CONTENDERS

DISTRIBUTIONS = {"numpy": "numpy", "torch": "torch", "jax": "jax", "sklearn": "scikit-learn"}


class Parser(argparse.ArgumentParser):
    """Answers a wrong argument with one line and exit status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = Parser(prog="benchmark.py", description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument(
        "--settings", nargs="+", metavar="NAME", help="such as single-CE-ReLU; default: those of --group"
    )
    parser.add_argument(
        "--group", default="report", metavar="GROUP",
        help="report (18 small networks, the default), toolbox (784-1024-1024-10 with one tool each), large",
    )  # fmt: skip
    parser.add_argument("--contenders", nargs="+", metavar="NAME", help=f"of {', '.join(CONTENDERS)}; default: all")
    parser.add_argument("--rounds", type=positive, help="rounds of alternating slices (default: 15)")
    parser.add_argument("--quick", action="store_true", help="3 rounds, for a first impression")
    parser.add_argument("--core", type=int, help="the core on which everything runs (default: the last one)")
    parser.add_argument(
        "--clock", choices=("wall", "processor"), default="wall",
        help="processor: the time that a process had the core, for a machine that does other work (default: wall)",
    )  # fmt: skip
    parser.add_argument(
        "--keep-openblas-coretype", action="store_true",
        help="leave the variable OPENBLAS_CORETYPE as it is; without this, it is removed, so that OpenBLAS chooses "
        "its kernels for this processor as the other libraries do",
    )  # fmt: skip
    parser.add_argument("--output", type=writable, metavar="FILE.md", help="write the report here as well")
    parser.add_argument("--json", type=writable, metavar="FILE", help="write the raw times here")
    add_others(parser)
    options = parser.parse_args(arguments)

    from benchmark_contenders.problem import GROUPS, SETTINGS

    chosen = ([options.group], GROUPS), (options.settings, SETTINGS), (options.contenders, CONTENDERS)
    for given, known in chosen:
        for name in given or []:
            if name not in known:
                parser.error(f"unknown name {name!r}; there are: {', '.join(known)}")
    available = available_cores()
    if options.core is not None and options.core not in available:
        parser.error(f"--core must be one of {', '.join(map(str, available)) or 'none on this system'}")
    if options.core is None and available:
        options.core = available[-1]
    options.rounds = options.rounds or (3 if options.quick else 15)
    return options


def add_others(parser: Parser) -> None:
    """The options that measure something else than iterations."""
    extra = parser.add_argument_group("other measurements, made instead of the iterations")
    extra.add_argument(
        "--epoch-loop", nargs="?", type=positive, const=2, metavar="EPOCHS",
        help="what Solver.fit adds to its iterations (default: over 2 epochs)",
    )  # fmt: skip
    extra.add_argument(
        "--cold-start", nargs="?", type=percentage, const=0.98, metavar="PERCENT",
        help="seconds from the start of a process to so much accuracy on the test set (default: 98)",
    )  # fmt: skip
    extra.add_argument("--import-time", action="store_true", help="what import mlp costs beyond NumPy")
    extra.add_argument("--augmentation", action="store_true", help="seconds to augment the 60,000 training images")
    extra.add_argument(
        "--activation-memory", action="store_true", help="bytes of a training step, recomputed and compressed"
    )
    extra.add_argument("--precision", action="store_true", help="accuracy with float16 numbers and int8 weights")
    extra.add_argument("--memory", action="store_true", help="peak memory of a default run of scripts/run_mlp.py")


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1 is needed, got {text!r}")
    return int(text)


def percentage(text: str) -> float:
    try:
        share = float(text) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"a number from 0 to 100 is needed, got {text!r}")
    return share


def writable(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not os.access(path.resolve().parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"cannot write a file {text!r}")
    return path


def available_cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def missing_peers(names: list[str]) -> dict[str, str]:
    """Contenders whose library is not installed, with the way to install it."""
    return {
        name: f'{CONTENDERS[name].package} is not installed; `pip install -e ".[benchmark]"`'
        for name in names
        if importlib.util.find_spec(CONTENDERS[name].package) is None
    }


def machine(core: int | None) -> list[str]:
    """Lines that say on what the times were taken."""
    versions = [f"Python {platform.python_version()}"]
    for package, distribution in DISTRIBUTIONS.items():
        if importlib.util.find_spec(package):
            versions.append(f"{distribution} {importlib.metadata.version(distribution)}")
    where = f"core {core}" if core is not None else "no fixed core: this system cannot pin a process to one"
    return [f"{processor_name()}, {where}", ", ".join(versions)]


def processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def write(path: Path, text: str) -> None:
    """All of the file or nothing: it is renamed into place when it is complete."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def iterations(options: argparse.Namespace, env: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The report on the iterations, and the raw times."""
    from benchmark_contenders.measure import measure
    from benchmark_contenders.problem import GROUPS, SETTINGS
    from benchmark_contenders.report import iteration_report, quartiles

    wanted = set(options.contenders or CONTENDERS) | {"mlp"}
    names = [name for name in CONTENDERS if name in wanted]  # mlp first: all others are compared with it
    skipped = missing_peers(names)
    for name, reason in skipped.items():
        say(f"{CONTENDERS[name].title} is left out: {reason}")
    results: dict[str, Any] = {}
    chosen = list(dict.fromkeys(options.settings or GROUPS[options.group]))
    for i, setting in enumerate(chosen, 1):
        running = [name for name in names if name not in skipped]
        raw = results[setting] = measure(SETTINGS[setting], running, options.rounds, options.clock, env, skipped)
        for name in running:
            if name in skipped:
                say(f"{CONTENDERS[name].title} is left out from here on: {skipped[name]}")
        medians = (f"{name} {quartiles(times['microseconds'])[1]:.0f}" for name, times in raw.items())
        say(f"[{i}/{len(chosen)}] {setting}: {', '.join(medians)} µs")
    report = iteration_report(results, names, options.rounds, machine(options.core), skipped)
    return report, {"machine": machine(options.core), "settings": results}


def pin(options: argparse.Namespace) -> None:
    """Hold this process to a core, and all that it starts; a cold start chooses how many cores it uses."""
    if options.core is None:
        say("This system cannot pin a process to a core: the times will scatter more.")
    elif options.cold_start is None:
        os.sched_setaffinity(0, {options.core})


def cold_starts(options: argparse.Namespace, env: dict[str, str]) -> str:
    """The report on the way from nothing to a good network."""
    from benchmark_contenders.cold_start import cold_start

    wanted = set(options.contenders or CONTENDERS) - {"mlp", "bare"}
    skipped = missing_peers(sorted(wanted))
    for name, reason in skipped.items():
        say(f"{CONTENDERS[name].title} is left out: {reason}")
    names = ["mlp", *(name for name in CONTENDERS if name in wanted.difference(skipped))]
    return cold_start(names, options.rounds, options.cold_start, env, options.core)


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)

    from benchmark_contenders.extras import epoch_loop, import_time, memory, toolbox
    from benchmark_contenders.measure import BenchmarkError, environment

    pin(options)
    env = environment(options.keep_openblas_coretype)
    command = shlex.join(["python", "scripts/benchmark.py", *arguments])
    sections, raw = [], {}
    try:
        if options.cold_start is not None:
            sections.append(cold_starts(options, env))
        if options.epoch_loop:
            sections.append(epoch_loop(options.epoch_loop, options.rounds, env))
        if options.import_time:
            sections.append(import_time(options.rounds, env))
        if options.memory:
            sections.append(memory(env))
        for wanted, measurement in (
            (options.augmentation, "augmentation"),
            (options.activation_memory, "memory"),
            (options.precision, "precision"),
        ):
            if wanted:
                sections.append(toolbox(measurement, min(options.rounds, 5), env))
        if not sections:
            section, raw = iterations(options, env)
            sections.append(section)
    except BenchmarkError as error:
        say(f"benchmark.py: {error}")
        return 1
    report = "\n\n".join([f"Made by `{command}`.", *sections]) + "\n"
    print(report, end="")
    if options.output:
        write(options.output, report)
    if options.json:
        write(options.json, json.dumps({"command": command, **raw}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
