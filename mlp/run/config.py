"""A run's settings from YAML files: recipes, and the records that runs leave."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mlp.checks import InputError
from mlp.run.conditions import Condition
from mlp.run.kinds import plain, shorten
from mlp.run.settings import MAY_CHANGE, RECORD, SETTINGS, TRACKING, RunConfig
from mlp.run.yaml_files import check_keys, read_mapping

__all__ = ["MAY_CHANGE", "RECORD", "SETTINGS", "TRACKING", "RunConfig", "change", "read_config", "read_settings"]

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
    kept = dict(values)
    for name, unmet in _find_idle(values).items():
        kept[name] = SETTINGS[name].default
        log.warning(
            "%s: %s: %s has no effect unless %s; %s is taken",
            path, name, shorten(values[name]), unmet.words(), plain(kept[name]),
        )  # fmt: skip
    return kept


def _find_idle(values: Mapping[str, Any]) -> dict[str, Condition]:
    """Of these settings, with defaults for the others, those without effect: {name: what it would need}."""
    config = SimpleNamespace(**{name: values.get(name, known.default) for name, known in SETTINGS.items()})
    unmet = {name: SETTINGS[name].unmet(value, config) for name, value in values.items()}
    return {name: need for name, need in unmet.items() if need is not None and need.idle}


def change(base: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """``base`` with these changes; what of it they leave without effect goes back to its default.

    So a run of a pipeline is resumed by one process without a word about its microbatches.
    """
    changed = {name: getattr(base, name) for name in SETTINGS} | dict(values)
    return RunConfig(**changed | {n: SETTINGS[n].default for n in _find_idle(changed) if n not in values})


def read_config(path: Path, base: RunConfig | None = None) -> RunConfig:
    """``base`` (the defaults) with what a YAML file changes. Raises ``InputError`` naming file, key and value."""
    values = read_settings(path)
    try:
        return change(base or RunConfig(), values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
