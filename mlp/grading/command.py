"""``python -m mlp.grading PATH`` for one submission: what it prints and writes, and its exit status."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from mlp.grading.grader import Grader
from mlp.grading.messages import LEVELS
from mlp.grading.process import Limits
from mlp.grading.verdict import Verdict, exit_status, write_verdicts


def add_submission_options(parser: argparse.ArgumentParser) -> None:
    """The options that concern one submission."""
    parser.add_argument("path", type=Path, help="a file, folder, zip, notebook or module; or a folder of these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the verdicts as a JSON list")
    parser.add_argument("--hints", choices=LEVELS, default="what", help="how much the messages tell")
    parser.add_argument("--repair", action="store_true", help="convert files written for Python 2")
    parser.add_argument("--adapter", type=Path, metavar="FILE", help="YAML or Python for what was not understood")
    parser.add_argument(
        "--explain", action="store_true", help="show what was inferred, and what an adapter would say"
    )
    parser.add_argument("--expect", metavar="NAMES", help="components that must be there, such as Linear,ReLU")
    parser.add_argument("--seconds", type=float, default=Limits.seconds, help="time for each component")
    parser.add_argument("--memory", type=int, default=Limits.memory >> 20, help="megabytes for each component")


def limits_of(options: argparse.Namespace) -> Limits:
    """What one component may use."""
    return dataclasses.replace(Limits(), seconds=options.seconds, memory=options.memory << 20)


def grade_submission(options: argparse.Namespace) -> int:
    """Grade, print and write; 0 if all that was found passed, 1 if something failed, 2 if nothing was found."""
    expected = [name.strip() for name in options.expect.split(",")] if options.expect else []
    with Grader(limits_of(options)) as grader:
        verdicts = grader.grade(
            options.path, options.hints, options.repair, adapter=options.adapter, expected=expected
        )
        for verdict in verdicts:
            print(shown(verdict))
        if options.explain:
            print("\n".join(["", *grader.explanations]))
        if not verdicts:
            print("nothing to grade was found: no class or function is called or works like a component")
        print(f"protection: {', '.join(grader.protections) or 'nothing was run'}")
    if options.json:
        write_verdicts(options.json, verdicts)
    return exit_status(verdicts)


def shown(verdict: Verdict) -> str:
    """A verdict as the grader reads it: the student's text, where it was found, and what was assumed."""
    place = f"   ({verdict.found})" if verdict.found else ""
    head, *rest = verdict.message.splitlines()
    assumed = "; ".join(f"{k}: {v}" for k, v in verdict.convention.items())
    lines = [head + place, *rest, *([f"assumed: {assumed}"] if assumed else [])]
    return "\n    ".join(lines)
