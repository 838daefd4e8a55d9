"""Which run is which: a key made from the settings that matter, and the folder that is named after it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from mlp.checks import InputError
from mlp.run.config import RECORD, RunConfig
from mlp.run.kinds import plain

# A part of every key. Raise it when the same settings begin to give other results or other records, a changed
# default of RunConfig included: then runs of before are left alone, and are not taken for runs of now.
FORMAT = 1
ROOT = Path("runs") / "report"


def run_key(config: RunConfig) -> str:
    """A short hash of all settings that determine the results, so that equal runs have equal keys.

    Settings at their default are left out: one that is added to RunConfig later, with a default that means
    what was done before, changes no key.
    """
    default = RunConfig().as_dict()
    settings = {
        name: value for name, value in config.as_dict().items() if name not in RECORD and value != default[name]
    }
    text = json.dumps({"format": FORMAT, "settings": settings}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def run_name(config: RunConfig) -> str:
    """CE-ReLU-128-learning_rate0.1-seed2022: for people; only the key behind it must be unique."""
    parts = [config.loss, config.activation, "-".join(map(str, config.hidden))[:60] or "linear"]
    default, settings = RunConfig().as_dict(), config.as_dict()
    for name in ("batch_size", "learning_rate", "momentum", "weight_decay"):
        value = settings[name]
        parts += [f"{name}{plain(value)}"] if value != default[name] else []
    return "-".join([*parts, f"seed{config.seed}"])


def run_folder(config: RunConfig, root: Path) -> Path:
    """The folder of the run with these settings, the same for every experiment that has it."""
    return root / f"{run_name(config)}-{run_key(config)}"


def check_same_key(stored: RunConfig, config: RunConfig, path: Path) -> None:
    """Raise ``InputError`` if the settings found in ``path`` are those of another run."""
    if run_key(stored) != run_key(config):
        changed = ", ".join(
            f"{name} {old!r} instead of {new!r}"
            for name, (old, new) in stored.changes(config).items()
            if name not in RECORD
        )
        raise InputError(f"{path}: the settings of another run: {changed}")
