"""Runs the contenders of one setting in turns, each in a process of its own, once they agree on the losses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmark_contenders import CONTENDERS
from benchmark_contenders.problem import Setting

SCRIPTS = Path(__file__).resolve().parent.parent
SLICE_SECONDS = 0.05
# A slice is taken again, up to so many times, if the core did something else for so much of it.
ATTEMPTS = 5
DISTURBED = 1.03
# Relative. What rounding does is about 1e-6; scikit-learn's loss contains its penalty, about 5e-5.
LOSS_TOLERANCE = 1e-4
# Adam divides small gradients by their own size, and their rounding errors with them.
ADAPTIVE_TOLERANCE = 2e-3
ACCURACY_TOLERANCE = 0.021  # of 100 images, two may fall on the other side of a near tie


class BenchmarkError(Exception):
    """The benchmark cannot give an honest answer; the message says why."""


def environment(keep_openblas_coretype: bool) -> dict[str, str]:
    """One thread everywhere, and kernels that each library chooses for this processor."""
    env = dict(os.environ)
    env |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    env |= {"JAX_PLATFORMS": "cpu", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    if not keep_openblas_coretype:
        env.pop("OPENBLAS_CORETYPE", None)
    return env


class Worker:
    """One contender in a process of its own. Between two slices it waits for a line, which costs nothing.

    ``first`` is its first answer: the losses and accuracies of its first steps, or why there are none.
    """

    def __init__(self, name: str, setting: Setting, env: dict[str, str]) -> None:
        self.name = name
        self._messages = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmark_contenders.worker", name, json.dumps(asdict(setting))],
            cwd=SCRIPTS, env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._messages,
        )  # fmt: skip
        self.first = self._answer()

    def run(self, steps: int, warm_up: int) -> dict[str, float]:
        """Time a slice of ``steps`` iterations."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"steps": steps, "warm_up": warm_up}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def run_undisturbed(self, steps: int, warm_up: int) -> dict[str, float]:
        """The first slice of a few in which the contender had the core to itself, else the last of them."""
        attempts = 0
        while True:
            times = self.run(steps, warm_up)
            attempts += 1
            undisturbed = times["seconds"] <= DISTURBED * times["processor_seconds"]
            if undisturbed or attempts == ATTEMPTS:
                return times | {"attempts": attempts}

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._messages.seek(0)
            last = (self._messages.read().strip().splitlines() or ["it said nothing"])[-1]
            raise BenchmarkError(f"the process of {CONTENDERS[self.name].title} ended: {last}")
        return json.loads(line)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is not None:
            self._process.kill()
        self._process.communicate()  # closes its standard input, at which it ends
        self._messages.close()


def check_agreement(setting: Setting, expected: dict[str, Any], name: str, got: dict[str, Any]) -> None:
    """Raise ``BenchmarkError`` unless the contender's first steps had the losses and accuracies of mlp's."""
    if got["losses"][0] is None:
        return
    if setting.dropout:  # each library draws masks of its own: only the loss before the first update can be near
        if abs(got["losses"][0] - expected["losses"][0]) > 0.01 * expected["losses"][0]:
            raise BenchmarkError(
                f"{setting.name}: {CONTENDERS[name].title} starts with loss {got['losses'][0]:.6g}, mlp with "
                f"{expected['losses'][0]:.6g}; nothing was timed"
            )
        return
    tolerance = LOSS_TOLERANCE if setting.optimizer == "SGD" else ADAPTIVE_TOLERANCE
    pairs = zip(expected["losses"], expected["accuracies"], got["losses"], got["accuracies"], strict=True)
    for i, (loss, accuracy, its_loss, its_accuracy) in enumerate(pairs, 1):
        same = abs(its_loss - loss) <= tolerance * abs(loss)
        if same and its_accuracy is not None:
            same = abs(its_accuracy - accuracy) <= ACCURACY_TOLERANCE
        if not same:
            shown = "none" if its_accuracy is None else f"{its_accuracy:.2f}"
            raise BenchmarkError(
                f"{setting.name}: {CONTENDERS[name].title} does not do the same as mlp: at step {i} its loss is "
                f"{its_loss:.6g} and its accuracy {shown}, of mlp {loss:.6g} and {accuracy:.2f}; nothing was timed"
            )


def start_workers(
    setting: Setting, names: list[str], env: dict[str, str], skipped: dict[str, str], stack: ExitStack
) -> dict[str, Worker]:
    """The contenders that do what the setting asks, and the same as mlp does; ``stack`` ends them."""
    workers = {}
    for name in names:
        worker = stack.enter_context(Worker(name, setting, env))
        if "failed" in worker.first:
            if not CONTENDERS[name].is_peer:
                raise BenchmarkError(f"{CONTENDERS[name].title} failed: {worker.first['failed']}")
            skipped[name] = f"failed on {setting.name}: {worker.first['failed']}"
        elif "unsupported" not in worker.first:
            workers[name] = worker
    for name, worker in workers.items():
        check_agreement(setting, workers["mlp"].first, name, worker.first)
    return workers


def steps_of_a_slice(worker: Worker, seconds: str) -> int:
    """How many steps take about SLICE_SECONDS."""
    trial, steps = worker.run(5, warm_up=5), 5
    if trial[seconds] < SLICE_SECONDS:  # a small network: a longer look at what a step takes
        trial, steps = worker.run(100, warm_up=100), 100
    return max(10, round(SLICE_SECONDS / (trial[seconds] / steps)))


def measure(
    setting: Setting, names: list[str], rounds: int, clock: str, env: dict[str, str], skipped: dict[str, str]
) -> dict[str, Any]:
    """The raw times of one setting, ``{contender: {"steps": n, "seconds": [...], ...}}``, mlp first.

    In each round every contender runs one slice of about 50 ms; the order rotates from round to round. With the
    wall clock, slices that other work disturbed are taken again. A peer that fails is left out and named in
    ``skipped``.
    """
    seconds = "seconds" if clock == "wall" else "processor_seconds"
    with ExitStack() as stack:
        workers = start_workers(setting, names, env, skipped, stack)
        result: dict[str, Any] = {}
        for name, worker in workers.items():
            result[name] = {"steps": steps_of_a_slice(worker, seconds), "seconds": [], "processor_seconds": []}
            if clock == "wall":
                result[name]["attempts"] = []
        order = list(workers)
        for _ in range(rounds):
            for name in order:
                run = workers[name].run_undisturbed if clock == "wall" else workers[name].run
                times = run(result[name]["steps"], warm_up=5)
                for key, value in times.items():
                    result[name][key].append(value)
            order = order[1:] + order[:1]
        for times in result.values():
            times["microseconds"] = [1e6 * value / times["steps"] for value in times[seconds]]  # per iteration
        result["mlp"]["blas"] = workers["mlp"].first["blas"]
    return result
