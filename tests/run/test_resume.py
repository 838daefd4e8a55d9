"""Runs that were stopped, at any moment and in any way, end as if they never had been."""

import json
import random
import shutil
import signal
import time

import numpy as np
import pytest
from running import PATIENCE, PROJECT, SCRIPT, assert_same_run, launch, rows, wait

from mlp import Callback
from mlp.run.config import read_config
from mlp.run.options import parse_arguments
from mlp.run.run import run

# The training script in a process that gets a signal just before the n-th call of a function.
STRIKE = f"""
import os, signal, sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
from run_mlp import main
import mlp

target, n, number, *arguments = sys.argv[1:]
owner, name = {{"fsync": (os, "fsync"), "replace": (os, "replace"), "step": (mlp.Network, "training_step"),
    "evaluation": (mlp.Network, "evaluation_step")}}[target]
original, calls = getattr(owner, name), []

def strike(*args, **options):
    calls.append(1)
    if len(calls) == int(n):
        os.kill(os.getpid(), int(number))
    return original(*args, **options)

setattr(owner, name, strike)
sys.exit(main(arguments))
"""


@pytest.fixture
def stop(quick, tmp_path):
    """stop(where, n, signal) -> (exit status, stdout, stderr, folder) of a real process stopped there."""

    def call(where, n, number):
        folder = tmp_path / "stopped"
        return *wait(launch("-c", STRIKE, where, n, int(number), *quick, f"--output={folder}")), folder

    return call


@pytest.mark.parametrize(
    ("where", "n"),
    [
        ("fsync", 1), ("fsync", 2), ("fsync", 3), ("fsync", 5), ("replace", 3),  # before the first checkpoint
        ("step", 1), ("step", 9), ("step", 16), ("step", 38),  # within an epoch, or at its first step
        ("evaluation", 2),  # between an epoch and its record
        ("fsync", 8), ("replace", 4), ("replace", 5),  # while a checkpoint is written
    ],
)  # fmt: skip
def test_a_killed_run_ends_as_if_it_had_not_been(where, n, stop, train, finished):
    status, _, err, folder = stop(where, n, signal.SIGKILL)
    assert (status, err) == (-signal.SIGKILL, "")
    again = f"--resume={folder}" if (folder / "config.yaml").exists() else f"--output={folder}"
    assert train(again)[0] == 0
    assert_same_run(folder, finished)


def test_a_run_killed_at_random_moments_ends_as_if_it_had_not_been(quick, train, tmp_path):
    long = [*quick, "--epochs=60", "--hidden=64"]
    assert train(*long, f"--output={tmp_path / 'straight'}")[0] == 0
    folder, moment, struck = tmp_path / "killed", random.Random(2022), 0
    for _ in range(5):
        how = f"--resume={folder}" if (folder / "config.yaml").exists() else f"--output={folder}"
        process = launch(SCRIPT, *long, how)
        record = folder / "metrics.jsonl"
        while not record.exists() and process.poll() is None:
            time.sleep(0.001)
        size = (record.stat().st_size if record.exists() else 0) + moment.randrange(8_000)
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and record.stat().st_size < size and time.monotonic() < deadline:
            time.sleep(0.001)
        process.kill()
        struck += wait(process)[0] == -signal.SIGKILL
    assert struck > 0
    assert train(*long, f"--resume={folder}")[0] == 0
    assert_same_run(folder, tmp_path / "straight")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [1, 20])
def test_an_interrupted_run_says_how_to_go_on(number, step, stop, train, finished):
    status, out, err, folder = stop("step", step, number)
    assert status == 130
    assert "Traceback" not in err
    assert f"after step {step}" in err
    assert f"--resume {folder}" in err
    assert json.loads((folder / "final.json").read_text())["status"] == "interrupted"
    assert out.count("\nepoch ") == step // 15 - (step % 15 == 0)
    assert train(f"--resume={folder}")[0] == 0
    assert_same_run(folder, finished)


@pytest.mark.parametrize(("where", "n"), [("replace", 2), ("replace", 5), ("evaluation", 3), ("evaluation", 4)])
def test_ctrl_c_outside_of_a_step(where, n, stop, train, finished):
    # Before training and after its end there is no step to finish: it may stop at once, or do what is left.
    status, _, err, folder = stop(where, n, signal.SIGINT)
    assert status in (0, 130)
    assert "Traceback" not in err
    assert train(f"--resume={folder}")[0] == 0
    assert_same_run(folder, finished)


def test_a_finished_run_may_be_resumed(done, finished, train):
    for _ in range(2):
        assert train(f"--resume={done}")[0] == 0
        assert_same_run(done, finished)


def test_more_epochs_equal_a_longer_run(done, longer, train):
    assert train("--epochs=5", f"--resume={done}")[0] == 0
    assert_same_run(done, longer)
    assert read_config(done / "config.yaml").epochs == 5


def test_fewer_epochs_than_were_made_are_refused(done, refused):
    before = {path.name: path.read_bytes() for path in done.iterdir()}
    assert "epochs: " in refused("--epochs=1", f"--resume={done}")
    assert {path.name: path.read_bytes() for path in done.iterdir()} == before


CHANGES = {
    "hidden": "[8]", "activation": "GeLU", "loss": "MSE", "learning_rate": 0.1, "momentum": 0.5, "seed": 1,
    "batch_size": 10, "dtype": "float64", "train_samples": 200, "test_samples": 50, "log_every": 3,
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_another_setting_is_refused(name, done, refused):
    before = {path.name: path.read_bytes() for path in done.iterdir()}
    message = refused(f"--resume={done}", f"--{name}={CHANGES[name]}")
    assert message.startswith(f"{name}: the run to resume has ")
    assert str(CHANGES[name]) in message
    assert {path.name: path.read_bytes() for path in done.iterdir()} == before


def test_a_changed_config_file_is_refused(done, refused):
    # The checkpoint knows with which settings it was made.
    text = (done / "config.yaml").read_text()
    (done / "config.yaml").write_text(text.replace("learning_rate: 0.05", "learning_rate: 0.5"))
    assert "learning_rate" in refused("--epochs=5", "--learning_rate=0.5", f"--resume={done}")


@pytest.mark.parametrize("end", ['{"step": 4', "\n", '{"step": 48, "batch_loss": 1.0}\n', "\0" * 100], ids=range(4))
def test_what_was_written_after_the_checkpoint_is_cut_off(end, done, longer, train):
    with (done / "metrics.jsonl").open("a") as file:
        file.write(end)
    assert train("--epochs=5", f"--resume={done}")[0] == 0
    assert_same_run(done, longer)


@pytest.mark.parametrize("name", ["metrics.jsonl", "timing.jsonl"])
@pytest.mark.parametrize("spoil", ["shorten", "empty", "remove"])
def test_a_record_shorter_than_at_the_checkpoint_is_refused(name, spoil, done, refused):
    path = done / name
    content = path.read_bytes()
    path.unlink() if spoil == "remove" else path.write_bytes(content[:-1] if spoil == "shorten" else b"")
    assert str(path) in refused(f"--resume={done}")


def test_a_damaged_checkpoint_is_refused(done, finished, refused, train):
    path = done / "checkpoint.npz"
    good = path.read_bytes()
    damaged = {f"{n} bytes": good[:n] for n in (0, 1, 100, len(good) // 2, len(good) - 1)}
    for k in random.Random(1).sample(range(len(good)), 12):
        damaged[f"byte {k}"] = good[:k] + bytes([good[k] ^ 0x10]) + good[k + 1 :]
    damaged["text"] = b"checkpoint"
    for name, content in damaged.items():
        path.write_bytes(content)
        if name.startswith("byte") and train(f"--resume={done}")[0] == 0:
            assert_same_run(done, finished)  # a byte that means nothing
            continue
        assert str(path) in refused(f"--resume={done}"), name
        assert path.read_bytes() == content
    path.write_bytes(good)
    assert train(f"--resume={done}")[0] == 0
    assert_same_run(done, finished)


def test_a_checkpoint_of_another_network_is_refused(done, refused, train, tmp_path):
    assert train("--hidden=8", "--epochs=0", f"--output={tmp_path / 'other'}")[0] == 0
    shutil.copy(tmp_path / "other" / "checkpoint.npz", done)
    assert "checkpoint.npz is of a run with [8]; accepted: the same" in refused(f"--resume={done}")


def test_a_saved_network_is_not_the_checkpoint_of_a_run(done, refused):
    import mlp

    mlp.save(mlp.Network(mlp.Linear(784, 10)), done / "checkpoint.npz")
    assert "is not the checkpoint of a run" in refused(f"--resume={done}")


@pytest.mark.parametrize("where", [".", "missing", "file"])
def test_a_place_without_a_run_is_refused(where, refused, tmp_path):
    (tmp_path / "file").touch()
    assert f"resume: {tmp_path / where} holds no run" in refused(f"--resume={tmp_path / where}")


@pytest.mark.parametrize("text", ["", "a: [", "learning_rat: 1"])
def test_a_damaged_config_file_is_refused(text, done, refused):
    (done / "config.yaml").write_text(text)
    assert refused(f"--resume={done}")


def test_callbacks_are_resumed_too(quick, tmp_path):
    class Count(Callback):
        count = 0

        def on_iteration(self, solver, x, y):
            self.count += 1

        def state_dict(self):
            return {"count": np.array(self.count)}

        def load_state_dict(self, state):
            self.count = int(state["count"])

    config, _ = parse_arguments([*quick, f"--output={tmp_path / 'run'}"], "", "")
    run(config, callbacks=(Count(),))
    run(config, resume=tmp_path / "run", callbacks=(count := Count(),))
    assert count.count == 45
    assert len(rows(tmp_path / "run")) == 11 + 3


def test_resuming_from_another_folder(done, finished, train, monkeypatch):
    monkeypatch.chdir(PROJECT)
    moved = done.rename(done.with_name("moved"))
    monkeypatch.chdir(moved.parent)
    assert train("--resume=moved")[0] == 0
    assert_same_run(moved, finished)
