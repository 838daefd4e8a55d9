"""A run's settings from YAML files: recipes, and the records that runs leave."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mlp.checks import InputError
from mlp.run.kinds import plain, shorten
from mlp.run.settings import MAY_CHANGE, RECORD, SETTINGS, TRACKING, RunConfig
from mlp.run.yaml_files import check_keys, read_mapping

__all__ = ["MAY_CHANGE", "RECORD", "SETTINGS", "TRACKING", "RunConfig", "read_config", "read_settings"]

# Other names under which a setting may be given.
ALIASES = {"lr": "learning_rate"}

log = logging.getLogger("mlp")


def read_settings(path: Path) -> dict[str, Any]:
    """What a YAML file says of settings, each accepted by itself. Raises ``InputError`` naming file, key, value."""
    values = read_mapping(path)
    check_keys(values, [*SETTINGS, *ALIASES], str(path))
    for alias, name in ALIASES.items():
        if alias in values:
            if name in values:
                raise InputError(f"{path}: {name} is given twice, once as {alias}")
            values[name] = values.pop(alias)
    try:
        values = {name: SETTINGS[name].check(name, value) for name, value in values.items()}
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return _without_idle(values, path) if values.keys() >= RECORD else values


def _without_idle(values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What a record says, with defaults for all that had no effect; see ``RunConfig``."""
    config = SimpleNamespace(**{name: values.get(name, known.default) for name, known in SETTINGS.items()})
    kept = dict(values)
    for name, value in values.items():
        unmet = SETTINGS[name].unmet(value, config)
        if unmet and unmet.idle:
            kept[name] = SETTINGS[name].default
            log.warning(
                "%s: %s: %s has no effect unless %s; %s is taken",
                path, name, shorten(value), unmet.words(), plain(kept[name]),
            )  # fmt: skip
    return kept


def read_config(path: Path, base: RunConfig | None = None) -> RunConfig:
    """``base`` (the defaults) with what a YAML file changes. Raises ``InputError`` naming file, key and value."""
    values = read_settings(path)
    try:
        return dataclasses.replace(base or RunConfig(), **values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
