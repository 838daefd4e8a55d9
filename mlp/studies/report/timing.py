"""How long one training iteration takes with nothing watching, and what watching and evaluating add to it."""

from __future__ import annotations

import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mlp.checks import InputError
from mlp.data import Batches, Dataset, load_mnist
from mlp.files import write_text
from mlp.metrics import count_correct
from mlp.run.building import make_configured_loss, make_configured_optimizer, make_network, take_samples
from mlp.run.config import RunConfig
from mlp.run.run import run
from mlp.solver.callbacks import Callback
from mlp.solver.evaluation import Mean, Outcome
from mlp.solver.loop import Solver
from mlp.studies.report.results import ACTIVATIONS, SETTINGS, WIDTHS, Result, Setting, completed

FORMAT = 1
TIMING, QUICK_TIMING = "timing.json", "timing-quick.json"
# A wall clock that runs so much longer than the processor works says that others were using it.
BUSY = 1.05
WATCHED = [Setting(architecture, "CE", activation) for architecture in WIDTHS for activation in ACTIVATIONS]

QUICK: dict[str, Any] = {
    "rounds": 3,
    "steps": 50,
    "epochs": 1,
    "watched": [s for s in WATCHED if s.activation == "ReLU"],
}


def make_config(setting: Setting) -> RunConfig:
    """The recipe of a setting, as in the reference."""
    return RunConfig(hidden=list(WIDTHS[setting.architecture]), loss=setting.loss, activation=setting.activation)


class Iterations:
    """One setting, ready to train: ``run(n)`` makes n iterations and returns their seconds.

    An iteration gathers a batch, goes forward, computes the loss, goes backward, updates, and adds to the
    running metrics, as ``Solver`` does with no callbacks.
    """

    def __init__(self, config: RunConfig, train: Dataset) -> None:
        rng = np.random.default_rng(config.seed)
        self.network = make_network(config, train.num_features, train.num_classes, rng)
        self.loss = make_configured_loss(config)
        self.optimizer = make_configured_optimizer(config, self.network.parameters)
        self.batches = Batches(train, config.batch_size or len(train), self.network.dtype)
        self._stream = self._endless(rng)

    def _endless(self, rng: np.random.Generator) -> Iterator[tuple[Any, Any]]:
        while True:
            yield from self.batches.epoch(rng)

    def run(self, count: int) -> float:
        """Seconds that ``count`` iterations take."""
        in_epoch, in_log = Mean(), Mean()
        begin = time.perf_counter()
        for _ in range(count):
            x, y = next(self._stream)
            value, scores = self.network.training_step(x, y, self.loss)
            correct = count_correct(y, scores)
            self.optimizer.step()
            outcome = Outcome(value, self.loss.total, self.loss.weight, correct, len(x))
            in_epoch.add(outcome)
            in_log.add(outcome)
        return time.perf_counter() - begin


class _Stopwatch(Callback):
    """When each epoch ended: from one to the next, everything that a run does is between."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_epoch(self, solver: Solver, row: dict[str, Any]) -> None:
        self.times.append(time.perf_counter())


def measure_timing(
    path: Path,
    *,
    rounds: int = 15,
    steps: int = 100,
    epochs: int = 2,
    base: RunConfig | None = None,
    settings: Sequence[Setting] = tuple(SETTINGS),
    watched: Sequence[Setting] = tuple(WATCHED),
    say: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Time the iterations of all settings, in turns, and whole epochs of some; write the numbers to ``path``.

    Every round makes ``steps`` iterations of each setting; the result is the median over the rounds. For the
    ``watched`` ones, ``epochs`` epochs of a run with hooks, evaluation and local records take turns with as many
    pure iterations. ``base`` gives the numbers of samples; a run's tracking is "none".

    Raises ``InputError`` unless BLAS was told, before NumPy was loaded, to use one thread.
    """
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        raise InputError("timing: needs the environment variable OPENBLAS_NUM_THREADS=1, set before Python starts")
    base = base or RunConfig()
    counts = {name: getattr(base, name) for name in ("train_samples", "test_samples", "data")}
    train, _ = take_samples(replace(RunConfig(), **counts), *load_mnist(base.data))
    ready = {s: Iterations(replace(make_config(s), **counts), train) for s in settings}
    wall, worked = time.perf_counter(), time.process_time()
    times = _take_turns(ready, rounds, steps, say)
    busy = (time.perf_counter() - wall) / (time.process_time() - worked)
    if busy > BUSY:
        say(f"timing: the machine is busy, times are {busy:.2f} times those of an idle one; measure again later")
    del ready
    found: dict[str, Any] = {
        "format": FORMAT,
        "environment": environment(),
        "rounds": rounds,
        "steps": steps,
        "wall_over_processor": round(busy, 3),
        "milliseconds": {name_of(s): [round(t, 5) for t in values] for s, values in times.items()},
        "watched": {name_of(s): _watch(s, train, counts, epochs, rounds, say) for s in watched},
    }
    write_text(path, json.dumps(found, indent=1) + "\n")
    return found


def _take_turns(
    ready: Mapping[Setting, Iterations], rounds: int, steps: int, say: Callable[[str], None]
) -> dict[Setting, list[float]]:
    """Milliseconds of an iteration, for each setting one number a round."""
    for iterations in ready.values():
        iterations.run(20)  # fills the caches
    times: dict[Setting, list[float]] = {s: [] for s in ready}
    for number in range(rounds):
        for s, iterations in ready.items():
            times[s].append(1e3 * iterations.run(steps) / steps)
        say(f"timing: round {number + 1} of {rounds}")
    return times


def _watch(
    s: Setting, train: Dataset, counts: Mapping[str, Any], epochs: int, rounds: int, say: Callable[[str], None]
) -> list[float]:
    """Time of whole epochs over that of their iterations alone, pair by pair."""
    config = replace(make_config(s), **counts, inspect=True, tracking="none", epochs=epochs + 1)
    ratios = []
    for _ in range(max(2, rounds // 5)):
        pure = Iterations(config, train)
        pure.run(len(pure.batches))  # the first epoch warms up, here as there
        alone = pure.run(epochs * len(pure.batches))
        watch = _Stopwatch()
        with tempfile.TemporaryDirectory() as folder:
            run(replace(config, output=folder), callbacks=(watch,))
        ratios.append(round((watch.times[-1] - watch.times[0]) / alone, 4))
    say(f"timing: {name_of(s)}: watched / alone {statistics.median(ratios):.3f}")
    return ratios


def load_timing(path: Path) -> dict[str, Any] | None:
    """What ``measure_timing`` wrote, or None if there is nothing. Raises ``InputError`` for another file."""
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}; measure again with --measure-timing") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(f"{path}: not a timing of this version; measure again with --measure-timing")
    return found


def milliseconds(timing: Mapping[str, Any], setting: Setting) -> float:
    """Median time of an iteration."""
    return float(statistics.median(timing["milliseconds"][name_of(setting)]))


def evaluation_share(results: Iterable[Result]) -> float | None:
    """Seconds of evaluation over seconds of training, summed over the completed runs."""
    runs = completed(results)
    train, evaluation = (
        sum(_total(getattr(r, f"seconds_{part}")) for r in runs) for part in ("train", "evaluation")
    )
    return evaluation / train if train > 0 else None


def environment() -> dict[str, Any]:
    """What the times depend on."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "processor": processor_name(),
        "numpy": np.__version__,
        "blas": f"{blas.get('name')} {blas.get('version')}",
        "python": platform.python_version(),
        "openblas_coretype": os.environ.get("OPENBLAS_CORETYPE"),
        "threads": 1,
    }


def processor_name() -> str:
    """The processor in words, as Linux tells; elsewhere its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def name_of(setting: Setting) -> str:
    """For example single-CE-ReLU."""
    return f"{setting.architecture}-{setting.loss}-{setting.activation}"


def _total(seconds: float | Sequence[float]) -> float:
    return float(seconds) if isinstance(seconds, int | float) else sum(seconds)
