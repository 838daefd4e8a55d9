"""Whole runs on several ranks: they end as the run of one process does, and their checkpoints are those of one."""

import json
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import interrupts
import numpy as np
import pytest
from running import PATIENCE, SCRIPT, launch, rows, wait

from mlp import InputError
from mlp.parallel import SerialCommunicator, run_threads
from mlp.parallel.division import Division, divide_layers
from mlp.run.options import parse_arguments
from mlp.run.run import run
from mlp.solver.checkpoint import load_arrays

pytestmark = pytest.mark.usefixtures("blank_curves")

# Settings of each way to divide a run, with the number of ranks.
MODES = {
    "data": ({"data_parallel": 2}, 2),
    "data, 3 ranks": ({"data_parallel": 3}, 3),
    "data, clipped and scheduled": ({"data_parallel": 2, "clip_norm": 0.5, "schedule": "cosine"}, 2),
    "sharded optimizer": ({"data_parallel": 2, "shard": 1, "optimizer": "Adam", "learning_rate": 0.003}, 2),
    "sharded gradients": ({"data_parallel": 2, "shard": 2}, 2),
    "fully sharded": ({"data_parallel": 2, "shard": 3, "clip_norm": 0.5}, 2),
    "tensor": ({"tensor_parallel": 2, "clip_norm": 0.5}, 2),
    "tensor and data": ({"tensor_parallel": 2, "data_parallel": 2}, 4),
    "pipeline": ({"pipeline_stages": 2, "clip_norm": 0.5}, 2),
    "pipeline, GPipe": ({"pipeline_stages": 3, "pipeline_schedule": "GPipe", "microbatches": 5}, 3),
    "layers on two ranks": ({"pipeline_stages": 2, "pipeline_schedule": "model-parallel"}, 2),
}
# How a run is divided: what a resumed run may change.
DIVIDING = {
    "data_parallel": 1, "tensor_parallel": 1, "pipeline_stages": 1, "shard": 0,
    "microbatches": 4, "pipeline_schedule": "1F1B",
}  # fmt: skip


@pytest.fixture
def config(quick):
    """A run in float64 of a network with two hidden layers."""
    settings, _ = parse_arguments(quick, "program", "")
    return replace(settings, dtype="float64", hidden=[16, 12], init="auto")


def train(config, folder: Path, ranks: int, **options):
    """The result of rank 0 of a run on threads."""
    if ranks == 1:
        return run(replace(config, output=str(folder)), **options)
    results = run_threads(
        lambda communicator: run(replace(config, output=str(folder)), communicator=communicator, **options), ranks
    )
    assert all(list(result.history) == list(results[0].history) for result in results)
    return results[0]


def assert_same_end(folder: Path, expected: Path, rtol: float = 1e-9) -> None:
    for name in ("final_test_loss", "final_train_loss"):
        numbers = [json.loads((f / "final.json").read_text())[name] for f in (folder, expected)]
        assert numbers[0] == pytest.approx(numbers[1], rel=rtol)
    assert [row.keys() for row in rows(folder)] == [row.keys() for row in rows(expected)]
    (arrays, _), (others, _) = (load_arrays(f / "checkpoint.npz") for f in (folder, expected))
    assert arrays.keys() == others.keys()
    for name, array in others.items():
        np.testing.assert_allclose(arrays[name], array, rtol=rtol, atol=rtol, err_msg=name)


@pytest.mark.parametrize("mode", MODES)
def test_it_ends_as_a_run_of_one_process(mode, config, tmp_path):
    settings, ranks = MODES[mode]
    config = replace(config, **settings)
    train(config, tmp_path / "ranks", ranks)
    train(replace(config, **DIVIDING), tmp_path / "one", 1)
    # A division by 1 can differ in the last bit, and Adam's or a velocity's sums with it.
    assert_same_end(tmp_path / "ranks", tmp_path / "one")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("data", None),
        (None, "fully sharded"),
        ("fully sharded", "tensor"),
        ("tensor", "pipeline"),
        ("pipeline", "data"),
    ],
)
def test_what_some_ranks_saved_others_resume(first, second, config, tmp_path):
    config = replace(config, clip_norm=0.5)
    (settings, ranks), (others, other_ranks) = (MODES[mode] if mode else ({}, 1) for mode in (first, second))
    folder = tmp_path / "run"
    train(replace(config, **settings, epochs=1), folder, ranks)
    train(replace(config, **others), folder, other_ranks, resume=folder)
    train(config, tmp_path / "one", 1)
    assert_same_end(folder, tmp_path / "one")


@pytest.mark.parametrize("mode", ["data", "tensor", "pipeline"])
def test_real_processes(mode, quick, tmp_path):
    """The script under the launcher: rank 0 alone speaks, and MPI's sums are those of threads."""
    settings, ranks = MODES[mode]
    options = [*quick, "--hidden=16,12", "--dtype=float64", "--init=auto"]
    options += [f"--{name}={value}" for name, value in settings.items()]
    module = ["-m", "mlp.parallel.launch", "-n", ranks, "--time-limit", PATIENCE]
    pytest.importorskip("mpi4py", reason="needs the extra parallel")
    status, out, err = wait(launch(*module, SCRIPT, *options, f"--output={tmp_path / 'mpi'}"))
    assert (status, err) == (0, ""), err
    assert out.count("Training 16-12, ReLU, CE, 3 epochs") == out.count("run folder:") == 1
    config, _ = parse_arguments(options, "program", "")
    train(config, tmp_path / "threads", ranks)
    assert_same_end(tmp_path / "mpi", tmp_path / "threads", rtol=1e-14)


def test_bad_input_under_the_launcher_is_one_line_and_status_2(quick, tmp_path):
    pytest.importorskip("mpi4py", reason="needs the extra parallel")
    module = ["-m", "mlp.parallel.launch", "-n", 2, "--time-limit", PATIENCE]
    status, _, err = wait(launch(*module, SCRIPT, *quick, "--tensor_parallel=2", "--hidden=15"))
    assert status == 2
    lines = [line for line in err.splitlines() if line.startswith("run_mlp.py: ")]
    assert len(lines) == 1
    assert "15" in lines[0]
    assert "Traceback" not in err


def test_bad_input_that_one_rank_notices_is_one_line_and_status_2(quick, done):
    """Only the first rank looks into the folder, while the other is on its way into the training."""
    pytest.importorskip("mpi4py", reason="needs the extra parallel")
    module = ["-m", "mlp.parallel.launch", "-n", 2, "--time-limit", PATIENCE]
    status, _, err = wait(launch(*module, SCRIPT, *quick, "--data_parallel=2", f"--output={done}"))
    assert status == 2
    assert err.count("\n") == 1, err
    assert err.startswith(f"run_mlp.py: output: {done} holds a run already")


@pytest.mark.parametrize("mode", ["fully sharded", "pipeline"])
def test_after_ctrl_c_all_ranks_have_stopped_after_one_step_and_saved(mode, quick, tmp_path):
    pytest.importorskip("mpi4py", reason="needs the extra parallel")
    folder = tmp_path / "run"
    step, _, _, err = interrupts.interrupt([*quick, *interrupts.MODES[mode]], folder, 0.1)
    interrupts.check(folder, step, err)
    # One process goes on from there, and ends as if nothing had happened.
    epochs = load_arrays(folder / "checkpoint.npz")[1]["solver"]["epoch"] + 1
    alone = ["--data_parallel=1", "--pipeline_stages=1", "--shard=0", f"--epochs={epochs}"]
    status, out, err = wait(launch(SCRIPT, f"--resume={folder}", *alone))
    assert (status, err) == (0, "")
    assert f"epoch {epochs}/{epochs}" in out


def test_a_broken_run_is_explained_on_every_way_to_divide_it(config, tmp_path):
    from mlp.solver.loop import NotFinite

    for mode in ("data", "fully sharded", "tensor", "pipeline"):
        settings, ranks = MODES[mode]
        broken = replace(config, **settings | {"clip_norm": None, "learning_rate": 1e250})
        with pytest.raises(NotFinite, match="loss is"):
            train(broken, tmp_path / mode.replace(" ", ""), ranks)
        shutil.rmtree(tmp_path / mode.replace(" ", ""), ignore_errors=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": 0}, "data must be an integer of at least 1, got 0"),
        ({"pipeline": 2, "data": 2}, "a pipeline goes with data 1 and tensor 1"),
        ({"shard": 4}, "shard must be 0, or 1 to 3"),
        ({"tensor": 2, "shard": 1}, "shard must be 0, or 1 to 3 with data parallelism alone"),
        ({"schedule": "2F2B"}, "schedule must be one of .*1F1B.*, got '2F2B'"),
    ],
    ids=str,
)
def test_divisions_that_there_are_not(options, message):
    with pytest.raises(InputError, match=message):
        Division(**options)


def test_layers_that_cannot_be_divided():
    from mlp import Dropout, LayerNorm, Linear, Network, ReLU, Softmax

    for between in (Dropout(0.5), LayerNorm(4), Softmax()):
        network = Network(Linear(3, 4), between, Linear(4, 2), rng=0)
        with pytest.raises(InputError, match="between two Linear layers cannot work on a part"):
            divide_layers(network, SerialCommunicator())
    odd = Network(Linear(3, 4), ReLU(), Linear(4, 4), ReLU(), Linear(4, 2), rng=0)
    kinds = [type(layer).__name__ for layer in divide_layers(odd, SerialCommunicator())]
    assert kinds == ["ColumnParallelLinear", "ReLU", "RowParallelLinear", "ReLU", "Linear"]


def test_a_killed_rank_ends_the_run_and_leaves_a_checkpoint(quick, tmp_path):
    """Long before the time limit, with a message and a status; one process then finishes what was begun."""
    pytest.importorskip("mpi4py", reason="needs the extra parallel")
    if sys.platform != "linux":
        pytest.skip("finds the processes in /proc")
    folder = tmp_path / "run"
    options = [*quick, "--init=auto", f"--output={folder}"]
    module = ["-m", "mlp.parallel.launch", "-n", 2, "--time-limit", PATIENCE]
    launcher = launch(*module, SCRIPT, *options, "--data_parallel=2", "--epochs=100000")
    deadline = time.monotonic() + PATIENCE
    while not (folder / "metrics.jsonl").exists() or not rows(folder):
        assert launcher.poll() is None, launcher.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(ranks_of(folder)[-1], signal.SIGKILL)
    status, _, err = wait(launcher)
    assert status not in (0, 2, 124)  # 124 is that of the time limit
    assert "rank" in err
    assert "Traceback" not in err
    done = load_arrays(folder / "checkpoint.npz")[1]["solver"]["epoch"]
    status, out, err = wait(launch(SCRIPT, f"--resume={folder}", "--data_parallel=1", f"--epochs={done + 1}"))
    assert (status, err) == (0, "")
    assert f"epoch {done + 1}/{done + 1}" in out


def ranks_of(folder: Path) -> list[int]:
    """The ranks that train in this folder, found by what they were started with."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")  # other people's need not be UTF-8
        except OSError:
            continue
        is_rank = b"python" in words[0].rpartition(b"/")[2] and b"mlp.parallel.rank" in words
        if is_rank and any(os.fsencode(folder) in word for word in words):
            found.append(int(entry.parent.name))
    return sorted(found)
