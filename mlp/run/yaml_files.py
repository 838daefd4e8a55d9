"""YAML files of settings: read strictly, by key and file, and written so that they read back the same."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mlp.checks import InputError
from mlp.registry import nearest
from mlp.run.kinds import shorten

LARGEST, DEEPEST = 100_000, 10  # bytes of a file, and levels in it
# Plain scalars are what YAML 1.2 says: in 1.1, which PyYAML reads, 1e-5 is a text, 010 is 8 and 1:30 is 90. From
# 1.1 are yes and no; dates are texts.
_SCALARS = (
    ("null", r"~|null|Null|NULL|", ["", *"~nN"]),
    ("bool", r"(yes|true|on|no|false|off)$|(Yes|True|On|No|False|Off)$|(YES|TRUE|ON|NO|FALSE|OFF)", "yYtToOnNfF"),
    ("int", r"[-+]?\d+", "-+0123456789"),
    ("float", r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+.0123456789"),
)


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds; {} for an empty file.

    Raises ``InputError`` in one line that names the file if it is missing, too large, no YAML, asks for anything
    but plain values written out (no tags, no aliases), holds a key twice, or no mapping.
    """
    import yaml

    try:
        with path.expanduser().open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise InputError(f"{path}: larger than {LARGEST} bytes; accepted: a file of settings")
        source = data.decode("utf-8-sig")
        _check_events(path, source)
        values = yaml.load(source, _make_loader(path))
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read: {reason}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not plain YAML: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: got {shorten(values)}; accepted: a mapping from keys to values")
    return values


def _check_events(path: Path, source: str) -> None:
    """Refuse what no settings need before anything is built of it: a few nested aliases stand for gigabytes."""
    import yaml

    depth = 0
    for event in yaml.parse(source, yaml.SafeLoader):
        line = f"{path}: line {event.start_mark.line + 1}"
        if isinstance(event, yaml.AliasEvent):
            raise InputError(f"{line}: got the alias *{shorten(event.anchor)[1:-1]}; accepted: values written out")
        if getattr(event, "tag", None) is not None:
            raise InputError(f"{line}: got the tag {shorten(event.tag)}; accepted: plain values")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise InputError(f"{line}: nested more than {DEEPEST} levels deep")


def _make_loader(path: Path) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Reads plain values, and refuses a key that is given twice, where YAML would take the last one."""

        yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            result: dict[Any, Any] = {}
            for key_node, value_node in node.value:
                key = self.construct_object(key_node, deep=True)
                if isinstance(key, list | dict):
                    raise InputError(f"{path}: got the key {shorten(key)}; accepted: a name")
                if key in result:
                    raise InputError(f"{path}: {shorten(key)} is given twice")
                result[key] = self.construct_object(value_node, deep=True)
            return result

    for tag, pattern, first in _SCALARS:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"({pattern})$"), list(first))
    Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: _read_integer(node.value))
    return Loader


def _read_integer(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:  # thousands of digits: a text, which no setting takes for a number
        return text


def to_yaml(values: Mapping[str, Any]) -> str:
    """The mapping as YAML that ``read_mapping`` reads back: a text that looks like a number is quoted."""
    import yaml

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        """Knows the numbers that the reader knows, besides those of YAML 1.1."""

    for tag, pattern, first in _SCALARS[2:]:
        Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"({pattern})$"), list(first))
    text: str = yaml.dump(dict(values), Dumper=Dumper, sort_keys=False)
    return text


def check_keys(values: Mapping[Any, Any], accepted: Collection[str], where: str) -> None:
    """Raise ``InputError`` for a key that is not among the accepted ones, naming a near one or all of them."""
    for key, value in values.items():
        if key not in accepted:
            near = nearest(key, accepted)
            hint = f"did you mean {near}?" if near else f"accepted: {', '.join(accepted)}"
            raise InputError(f"{where}: unknown key {shorten(key)} (value {shorten(value)}); {hint}")
