"""YAML files of settings: read strictly, by key and file, and written so that they read back the same."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mlp.checks import InputError

# YAML 1.1, which PyYAML reads, takes 1e-5 for a text: it wants 1.0e-5.
_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$")


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds; {} for an empty file. Numbers may be written 1e-5, as in YAML 1.2.

    Raises ``InputError`` if the file is missing, is no YAML, asks for anything but plain values, holds a key
    twice, or no mapping.
    """
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Refuses a key that is given twice, where YAML would silently take the last one."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            for key in keys:
                if keys.count(key) > 1:
                    raise InputError(f"{path}: {key!r} is given twice")
            result: dict[Any, Any] = super().construct_mapping(node, deep)
            return result

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:
        raise InputError(f"{path}: not plain YAML: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: got {values!r}; accepted: a mapping from keys to values")
    return values


def to_yaml(values: Mapping[str, Any]) -> str:
    """The mapping as YAML that ``read_mapping`` reads back: a text that looks like a number is quoted."""
    import yaml

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        """Knows the numbers that the reader knows."""

    Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))
    text: str = yaml.dump(dict(values), Dumper=Dumper, sort_keys=False)
    return text


def check_keys(values: Mapping[Any, Any], accepted: Collection[str], where: str) -> None:
    """Raise ``InputError`` for a key that is not among the accepted ones, naming a near one or all of them."""
    for key in values:
        if key not in accepted:
            near = difflib.get_close_matches(str(key), accepted, n=1)
            hint = f"did you mean {near[0]}?" if near else f"accepted: {', '.join(accepted)}"
            raise InputError(f"{where}: unknown key {key!r} (value {values[key]!r}); {hint}")
