"""The settings of a run as command-line options. The only file that imports jsonargparse, and only at use."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlp.checks import InputError
from mlp.run.config import SETTINGS, RunConfig, read_config
from mlp.run.settings import shorten


def parse_arguments(
    arguments: Sequence[str], program: str, description: str, base: RunConfig | None = None
) -> tuple[RunConfig, dict[str, Any]]:
    """The settings that a command line asks for, and its other options: ``resume``.

    They are those of ``base`` (the defaults), changed by ``--config FILE`` (repeatable, later files win), changed
    by the options. Raises ``InputError`` for an unknown key, a wrong type or a value out of range.
    """
    from jsonargparse import ArgumentError, ArgumentParser

    base = base or RunConfig()
    parser = ArgumentParser(prog=program, description=description, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--config", action="append", type=str, help="YAML file with settings; may be repeated")
    parser.add_argument("--resume", type=str, help="folder of a run to continue")
    for f in dataclasses.fields(RunConfig):
        parser.add_argument(
            f"--{f.name}",
            type=_parse_list if f.name == "hidden" else _TYPES[str(f.type)],
            default=argparse.SUPPRESS,
            help=f"{f.metadata['help']} ({f.metadata['accepted']}; default: {getattr(base, f.name)!r})",
        )
    try:
        namespace = vars(parser.parse_args(list(arguments)))
    except ArgumentError as error:
        raise InputError(_one_line(str(error))) from None
    for file in namespace["config"] or []:
        base = read_config(Path(file), base)
    given = {name: namespace[name] for name in SETTINGS if name in namespace}
    return dataclasses.replace(base, **given), {"resume": namespace["resume"]}


def _parse_list(text: Any) -> Any:
    """The list meant by "256,128", "[256, 128]", "256", "[]", or by what YAML has read; else ``text`` itself."""
    if isinstance(text, str) and re.fullmatch(r"\[?[\d\s,]*\]?", text.strip()):
        return [int(n) for n in re.findall(r"\d+", text)]
    return [text] if isinstance(text, int) else text


def _parse_float(text: Any) -> Any:
    """The finite number that ``text`` spells; else ``text`` itself, which ``RunConfig`` then refuses."""
    try:
        number = float(text)
    except (ValueError, OverflowError):
        return text
    return number if math.isfinite(number) else text


def _parse_optional_float(text: Any) -> Any:
    """The same, and None for null."""
    return None if text in (None, "null", "None", "none") else _parse_float(text)


_TYPES: Mapping[str, Any] = {
    "int": int,
    "int | None": int | None,
    "float": _parse_float,
    "float | None": _parse_optional_float,
    "str": str,
    "str | None": str | None,
    "bool": bool,
}


def _one_line(message: str) -> str:
    """jsonargparse's complaint in this project's words: the key, the value, what is accepted."""
    fields = {f.name: f for f in dataclasses.fields(RunConfig)}
    known = [*fields, "config", "resume"]
    wrong = re.search(r'(?:Parser key "|argument --)(\w+)', message)
    if wrong and wrong[1] in fields:
        value = re.search(r"(?:Got value|Given value): (.*)", message)
        got = f"got {shorten(value[1])}" if value else " ".join(message.split(":", 1)[-1].split())
        return f"{wrong[1]}: {got}; accepted: {fields[wrong[1]].metadata['accepted']}"
    unknown = re.search(r"unrecognized arguments: (.*)", message) or re.search(r"Option '(\w+)'", message)
    if unknown:
        key = unknown[1].split("=")[0].split()[0].lstrip("-")
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"accepted: {', '.join(known)}"
        return f"unknown setting {key!r}; {hint}"
    return " ".join(message.split())
