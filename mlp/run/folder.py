"""The folder of a run: where it is, what describes the run in it, and where else a run goes if it is lost."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from mlp.checks import InputError
from mlp.data.preprocessing import Preprocessing
from mlp.files import check_writable, make_folder, naming, remove_temporary, write_text
from mlp.run.config import MAY_CHANGE, RunConfig
from mlp.run.lock import locked
from mlp.run.record import CHECKPOINT, Unsaved
from mlp.run.yaml_files import to_yaml
from mlp.solver.checkpoint import save_arrays

CONFIG, ENVIRONMENT, FINAL, CURVES = "config.yaml", "environment.json", "final.json", "curves.png"
PREPROCESSING = "preprocessing.npz"
# What is replaced as a whole, by way of temporary files.
REPLACED = (CONFIG, ENVIRONMENT, FINAL, CURVES, PREPROCESSING, CHECKPOINT)


@contextmanager
def own_folder(config: RunConfig, resume: Path | None) -> Iterator[Path]:
    """The folder of a run, new or to be resumed, which no other process can have until the end of the block.

    Raises ``InputError`` if another has it, if a new run's folder holds a run, or if it cannot be written.
    """
    folder = check_writable(resume) if resume else new_folder(config)
    with locked(folder):
        # Only now: until then another process may have started a run in it.
        if resume is None and ((folder / CONFIG).exists() or (folder / CHECKPOINT).exists()):
            raise InputError(
                f"output: {folder} holds a run already; resume it with --resume {folder}, or name another folder"
            )
        for name in REPLACED:
            remove_temporary(folder / name)
        yield folder


def new_folder(config: RunConfig) -> Path:
    """The folder of a new run: the configured one, or a dated one under runs/."""
    if config.output is not None:
        if not config.output.strip():
            raise InputError(f"output: got {config.output!r}; accepted: the name of a folder, or null")
        return make_folder(Path(config.output))
    widths = "-".join(map(str, config.hidden)) or "linear"
    widths = widths if len(widths) <= 60 else f"{len(config.hidden)}layers"  # a name has a greatest length
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{config.loss}-{config.activation}-{widths}-seed{config.seed}"
    for attempt in range(1, 100):
        folder = make_folder(Path("runs")) / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise InputError(f"cannot create the folder {folder}: {error.strerror or error}") from None
        return folder
    raise InputError(f"cannot find a new folder for {name} under runs/")


def check_resume(folder: Path) -> Path:
    """The configuration file of the run in ``folder``. Raises ``InputError`` if there is none."""
    if not os.path.isfile(folder / CONFIG):  # Path raises for a name that is too long
        raise InputError(f"resume: {folder} holds no run (no {CONFIG})")
    return folder / CONFIG


def check_same_run(stored: RunConfig, asked: RunConfig) -> None:
    """Raise ``InputError`` if a resumed run is asked to be another run."""
    for name, (old, new) in stored.changes(asked).items():
        if name not in MAY_CHANGE:
            raise InputError(
                f"{name}: the run to resume has {old!r}, got {new!r}; accepted on resume: a change of "
                + ", ".join(MAY_CHANGE)
            )


def describe_run(folder: Path, config: RunConfig, preprocessing: Preprocessing | None) -> None:
    """Write what is known before the first step, and remove what an earlier, shorter run says of its end."""
    write_text(folder / CONFIG, to_yaml(config.as_dict()))
    write_text(folder / ENVIRONMENT, json.dumps(describe_environment(), indent=2) + "\n")
    if preprocessing is not None:
        save_arrays(folder / PREPROCESSING, preprocessing.state_dict(), {"preprocessing": repr(preprocessing)})
    for name in (FINAL, CURVES):
        with naming(folder / name):
            (folder / name).unlink(missing_ok=True)


def describe_environment() -> dict[str, Any]:
    """Versions and machine: what else the last bits of a result depend on."""
    from mlp import __version__

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "mlp": __version__,
        "numpy": np.__version__,
        "blas": {key: blas.get(key) for key in ("name", "version", "openblas configuration")},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
        "threads": {name: os.environ[name] for name in sorted(os.environ) if name.endswith("_NUM_THREADS")},
        "openblas_coretype": os.environ.get("OPENBLAS_CORETYPE"),
        "arguments": sys.argv[1:],
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def rescue(folder: Path, config: RunConfig, unsaved: Unsaved) -> Path | None:
    """Save a run whose folder has vanished or cannot be written in a new one, which can be resumed.

    Beside the old one, or where temporary files go; None if that cannot be written either.
    """
    for place in (folder.parent, Path(tempfile.gettempdir())):
        refuge = None
        try:
            refuge = Path(tempfile.mkdtemp(prefix="rescued-", dir=place))
            write_text(refuge / CONFIG, to_yaml(config.as_dict()))
            for name, content in unsaved.records.items():
                (refuge / name).write_bytes(content)
            save_arrays(refuge / CHECKPOINT, unsaved.arrays, unsaved.metadata)
            return refuge
        except (OSError, InputError):
            if refuge is not None:
                shutil.rmtree(refuge, ignore_errors=True)
    return None
