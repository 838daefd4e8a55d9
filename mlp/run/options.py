"""The settings of a run as command-line options."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from mlp.checks import InputError
from mlp.registry import nearest
from mlp.run.config import ALIASES, change, read_settings
from mlp.run.kinds import plain, shorten
from mlp.run.settings import SETTINGS, TOPICS, RunConfig


def parse_arguments(
    arguments: Sequence[str], program: str, description: str, base: RunConfig | None = None
) -> tuple[RunConfig, dict[str, Any]]:
    """The settings that a command line asks for, and its other options: ``resume``.

    They are those of ``base`` (the defaults), changed by ``--config FILE`` (repeatable, later files win), changed
    by the options. Raises ``InputError`` for an unknown key, a wrong type or a value out of range.
    """
    given = _split(arguments, program, description)
    values: dict[str, Any] = {}
    for file in given.pop("config", []):
        values |= read_settings(Path(file))
    resume = given.pop("resume", None)
    values |= {name: SETTINGS[name].check(name, SETTINGS[name].read(text)) for name, text in given.items()}
    return change(base or RunConfig(), values), {"resume": resume}


class _Parser(argparse.ArgumentParser):
    """Leaves it to the caller to say what is wrong."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def _make_parser(program: str, description: str) -> argparse.ArgumentParser:
    """An option for each setting, by topic. All values are texts: the settings know how to read them."""
    parser = _Parser(
        prog=program,
        usage="%(prog)s [--config FILE] [--resume FOLDER] [--SETTING VALUE ...]",
        description=description,
        argument_default=argparse.SUPPRESS,
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config", action="append", metavar="FILE", help="YAML file with settings; may be repeated"
    )
    parser.add_argument("--resume", metavar="FOLDER", help="folder of a run to continue")
    group = parser.add_argument_group()
    aliases = {name: alias for alias, name in ALIASES.items()}
    for name, known in SETTINGS.items():
        if name in TOPICS:
            group = parser.add_argument_group(TOPICS[name])
        names = [f"--{n}" for n in (name, aliases.get(name)) if n]
        needs = "".join(f"; only if {need.words()}" for need in known.needs)
        text = f"{known.help} ({known.accepted()}; default: {plain(known.default)}{needs})"
        group.add_argument(*names, metavar=known.kind, help=text.replace("%", "%%"))
    return parser


def _split(arguments: Sequence[str], program: str, description: str) -> dict[str, Any]:
    """The options that are given, as texts by name."""
    parser = _make_parser(program, description)
    try:
        namespace, rest = parser.parse_known_args(_join_negative(arguments))
    except argparse.ArgumentError as error:
        name = (error.argument_name or "").split("/")[0].lstrip("-")
        raise InputError(f"{name}: {error.message}; accepted: {_accepted(name)}") from None
    if rest:
        names = [*SETTINGS, *ALIASES, "config", "resume", "help"]
        wrong = rest[0].split("=")[0].lstrip("-")
        near = nearest(wrong, names)
        hint = f"did you mean {near}?" if near else f"accepted: {', '.join(names)}"
        raise InputError(f"unknown setting {shorten(wrong)}; {hint}")
    given = vars(namespace)
    for name, value in given.items():
        if not value or value == [""]:  # argparse makes [] of --
            raise InputError(f"{name}: got ''; accepted: {_accepted(name)}")
    return given


def _accepted(name: str) -> str:
    return SETTINGS[name].accepted() if name in SETTINGS else "a path"


def _join_negative(arguments: Sequence[str]) -> list[str]:
    """--name -1e-3 as --name=-1e-3: up to Python 3.13 argparse takes such a number for an option."""
    joined: list[str] = []
    for argument in arguments:
        is_value = re.match(r"-[\d.]", argument) and joined and re.fullmatch(r"--\w+", joined[-1])
        if is_value:
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined
