"""Finished runs made up for the report's tests: every number follows from the settings by a formula."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from mlp.run.config import RunConfig
from mlp.studies.report import SETTINGS, Setting, load_reference
from mlp.studies.report.timing import make_config, name_of

EPOCHS = 6
SEEDS = (2022, 2023, 2024)


@dataclass(frozen=True)
class Made:
    """The same names as a run that was read back."""

    config: RunConfig
    folder: Path
    status: str = "completed"
    step: int = 600
    error: str | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    final: dict[str, Any] = field(default_factory=dict)
    seconds_train: float = 10.0
    seconds_evaluation: float = 1.0


def make_one(config: RunConfig, test: float, train: float = 0.99, loss: float = 0.02, diverged: int | None = None):
    """A run whose test accuracy rises to ``test``; one that diverged after so many steps has no epochs after."""
    epochs = EPOCHS if diverged is None else diverged // 100
    rows = []
    for epoch in range(1, epochs + 1):
        share = test - 0.3 * math.exp(-epoch)
        row = {"step": 100 * epoch, "epoch": epoch, "learning_rate": config.learning_rate}
        row |= {"train_loss": loss + 1 / epoch, "train_accuracy": train - 0.3 / 2**epoch}
        row |= {"test_loss": 2 * loss + 1 / epoch, "test_accuracy": test if epoch == EPOCHS else share}
        for layer in range(1, len(config.hidden) + 1):
            above = {"GeLU": 0.9, "ReLU": 0.7, "Sigmoid": 1.0}[config.activation]
            row |= {
                f"hidden{layer}_above_0.2": above,
                f"hidden{layer}_active": above / 2,
                f"hidden{layer}_dead": 0.1,
            }
        if config.activation == "Sigmoid":
            row["hidden1_saturated"] = 0.25
        rows.append(row)
    final: dict[str, Any] = {"step": 100 * EPOCHS} | (rows[-1] if rows else {})
    if diverged is None:
        final |= {"final_train_loss": loss, "final_train_accuracy": train}
        final |= {"final_test_loss": 2 * loss, "final_test_accuracy": test}
    widths = "-".join(map(str, config.hidden))
    name = f"{widths}-{config.loss}-{config.activation}-{config.batch_size}-{config.momentum:g}-{config.seed}"
    status = "completed" if diverged is None else "diverged"
    return Made(
        config, Path("nowhere") / name, status, 600 if diverged is None else diverged, rows=rows, final=final
    )


def make_results(offsets=None):
    """Runs of the 18 settings whose test accuracies are the reference's + (−0.05, 0, +0.05) points, + an offset."""
    reference = load_reference()
    runs = []
    for s in SETTINGS:
        target = reference.value("accuracy", "test", s) + (offsets or {}).get(s, 0)
        train = reference.value("accuracy", "train", s) / 100
        loss = reference.value("loss", "train", s) / 100
        for seed, spread in zip(SEEDS, (-0.05, 0, 0.05), strict=True):
            config = replace(make_config(s), seed=seed, epochs=EPOCHS)
            runs.append(make_one(config, (target + spread) / 100, train, loss))
    return runs


def make_momentum():
    """A sweep over the momentum: 0.99 swings, 0.999 diverges at step 251."""
    runs = []
    for value, end in ((0, 0.96), (0.3, 0.965), (0.6, 0.975), (0.9, 0.98), (0.99, 0.85)):
        runs.append(make_one(RunConfig(hidden=[128], momentum=value, epochs=EPOCHS), end))
    for k, row in enumerate(runs[-1].rows):
        row["test_accuracy"] = (0.6, 0.85)[k % 2]
    return [*runs, make_one(RunConfig(hidden=[128], momentum=0.999, epochs=EPOCHS), 0.5, diverged=250)]


def make_timing():
    """As measured, with 0.5 ms for each setting and 1 ms for GeLU."""
    times = {name_of(s): [0.4, 1.0 if s.activation == "GeLU" else 0.5, 9.0] for s in SETTINGS}
    where = {"processor": "Some CPU", "numpy": "2.0", "blas": "some blas", "openblas_coretype": None}
    return {
        "format": 1, "environment": where, "rounds": 3, "steps": 100, "wall_over_processor": 1.0,
        "milliseconds": times, "watched": {"single-CE-ReLU": [1.1, 1.15, 1.3], "double-CE-ReLU": [1.25]},
    }  # fmt: skip


@pytest.fixture(scope="session")
def results():
    """Experiments by name: the 18 settings, with one cell off, and a sweep. Not to be changed."""
    off = Setting("single", "Hinge", "ReLU")
    return {"hidden-layers": make_results({off: 0.5}), "momentum": make_momentum()}


@pytest.fixture(scope="session")
def timing():
    """A timing as it is read back."""
    return make_timing()


@pytest.fixture
def make_run():
    """The function that makes one run."""
    return make_one
