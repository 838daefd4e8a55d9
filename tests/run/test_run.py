"""What a run leaves in its folder, that it can be repeated bit by bit, and what happens when it cannot write."""

import contextlib
import errno
import json
import os
import platform
import resource
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from running import SCRIPT, assert_same_run, launch, rows, wait

import mlp
from mlp import Callback, InputError
from mlp.run.config import RunConfig, read_config
from mlp.run.options import parse_arguments
from mlp.run.run import run
from mlp.solver.checkpoint import load_arrays

STEPS, EPOCHS, LOG_EVERY = 15, 3, 4
FILES = [
    "checkpoint.npz", "config.yaml", "curves.png", "environment.json", "final.json",
    "metrics.jsonl", "timing.jsonl",
]  # fmt: skip


@pytest.fixture
def config(quick):
    """make(output) -> the quick configuration with this folder."""

    def make(output: Path) -> RunConfig:
        return parse_arguments([*quick, f"--output={output}"], "", "")[0]

    return make


def test_what_a_run_leaves(finished, quick):
    done = finished
    assert sorted(path.name for path in done.iterdir()) == FILES

    asked, _ = parse_arguments([*quick, f"--output={done}"], "", "")
    assert read_config(done / "config.yaml") == asked

    environment = json.loads((done / "environment.json").read_text())
    assert environment["numpy"] == np.__version__
    assert environment["python"] == platform.python_version()
    assert environment["threads"]["OPENBLAS_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"]

    assert min(matplotlib.image.imread(done / "curves.png").shape[:2]) > 100
    timing = [json.loads(line) for line in (done / "timing.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in timing] == [1, 2, 3]


def test_the_record_has_a_row_every_few_steps_and_every_epoch(done):
    logs = [row for row in rows(done) if "batch_loss" in row]
    epochs = [row for row in rows(done) if "train_loss" in row]
    assert len(logs) + len(epochs) == len(rows(done))
    assert [row["step"] for row in logs] == list(range(LOG_EVERY, EPOCHS * STEPS + 1, LOG_EVERY))
    assert [row["epoch"] for row in logs] == pytest.approx([row["step"] / STEPS for row in logs], rel=1e-15)
    assert [(row["step"], row["epoch"]) for row in epochs] == [(STEPS * k, k) for k in (1, 2, 3)]
    assert all(np.isfinite(list(row.values())).all() for row in rows(done))
    final = json.loads((done / "final.json").read_text())
    assert (final["status"], final["step"], final["epoch"]) == ("completed", EPOCHS * STEPS, EPOCHS)
    assert final | epochs[-1] == final
    assert final["final_test_loss"] == final["test_loss"]
    assert final["final_train_loss"] < epochs[-1]["train_loss"]  # measured after the epoch, not during it


def test_the_checkpoint_holds_the_result(done, config, mnist):
    again = run(config(done.parent / "again"))
    arrays, _ = load_arrays(done / "checkpoint.npz")
    weights = {name.removeprefix("network/"): x for name, x in arrays.items() if name.startswith("network/")}
    x, y = mnist[1].arrays()
    scores = np.maximum(x @ weights["0.weight"] + weights["0.bias"], 0) @ weights["2.weight"] + weights["2.bias"]
    assert np.mean(scores.argmax(axis=1) == y) == again.final["final_test_accuracy"]
    assert again.history[-1]["test_accuracy"] == again.final["final_test_accuracy"]


def test_the_closing_table(train, tmp_path):
    status, out, _ = train(f"--output={tmp_path / 'run'}")
    final = json.loads((tmp_path / "run" / "final.json").read_text())
    assert status == 0
    assert out.count("\nepoch ") == EPOCHS
    for split in ("train", "test"):
        accuracy = 100 * final[f"final_{split}_accuracy"]
        assert [split, f"{final[f'final_{split}_loss']:.4f}", f"{accuracy:.2f}", "%"] in map(
            str.split, out.splitlines()
        )
    assert f"run folder: {tmp_path / 'run'}" in out


@pytest.mark.parametrize("options", [[], ["--dtype=float64", "--loss=Hinge"], ["--hidden=[]", "--nesterov=true"]])
def test_the_same_settings_give_the_same_bits(options, train, quick, tmp_path):
    assert train(*options, f"--output={tmp_path / 'a'}")[0] == 0
    assert wait(launch(SCRIPT, *quick, *options, f"--output={tmp_path / 'b'}"))[0] == 0
    assert_same_run(tmp_path / "a", tmp_path / "b")


def test_another_seed_gives_another_run(done, train):
    other = done.with_name("other")
    assert train("--seed=1", f"--output={other}")[0] == 0
    assert (other / "metrics.jsonl").read_bytes() != (done / "metrics.jsonl").read_bytes()


def test_rows_are_on_the_disk_as_they_come(config, tmp_path):
    class Count(Callback):
        written, lines = 0, ()

        def on_iteration(self, solver, x, y):
            self.lines += (len(rows(tmp_path / "run")) - self.written,)

        def on_log(self, solver, row):
            self.written += 1

        on_epoch = on_log

    count = Count()
    run(config(tmp_path / "run"), callbacks=(count,))
    assert count.lines == (0,) * EPOCHS * STEPS
    assert count.written == len(rows(tmp_path / "run"))


def test_runs_without_an_output_get_folders_of_their_own(train, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert train("--hidden=[8, 4]", "--epochs=0")[0] == 0
    folders = sorted((tmp_path / "runs").iterdir())
    assert len(folders) == 2
    assert all("CE-ReLU-8-4-seed2022" in folder.name for folder in folders)


@pytest.mark.parametrize("left", ["config.yaml", "checkpoint.npz"])
def test_a_folder_that_holds_a_run_is_left_alone(left, done, refused):
    for name in set(FILES) - {left}:
        (done / name).unlink()
    before = (done / left).read_bytes()
    assert f"{done} holds a run already" in refused(f"--output={done}")
    assert [path.name for path in done.iterdir()] == [left]
    assert (done / left).read_bytes() == before


@pytest.mark.parametrize("name", ["file", "file/below", "x" * 300])
def test_a_folder_that_cannot_be_made(name, refused, tmp_path):
    (tmp_path / "file").touch()
    assert str(tmp_path / name) in refused(f"--output={tmp_path / name}")


@pytest.mark.parametrize("name", ["metrics.jsonl", "config.yaml"])
def test_a_file_that_cannot_be_opened(name, refused, tmp_path):
    (tmp_path / "run" / name / "below").mkdir(parents=True)
    assert str(tmp_path / "run") in refused(f"--output={tmp_path / 'run'}")


def test_a_device_without_space(refused, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").symlink_to("/dev/full")
    assert "metrics.jsonl" in refused(f"--output={tmp_path / 'run'}")


def limit(size: int) -> None:
    """No file may grow beyond that many bytes, for real, as if the disk were full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@contextlib.contextmanager
def enough_space_afterwards():
    """However the block ends: pytest has to write as well."""
    before, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield
    finally:
        limit(before)


@pytest.mark.parametrize("size", [0, 500, 2_000, 50_000])
def test_a_full_disk_costs_nothing_but_time(size, done, longer, train):
    before = (done / "checkpoint.npz").read_bytes()
    with enough_space_afterwards():
        limit(size)
        status, _, err = train("--epochs=5", f"--resume={done}")
    assert (status, err.count("\n")) == (2, 1)
    assert f"cannot write {done}" in err
    assert (done / "checkpoint.npz").read_bytes() == before
    # What tells of the end of the shorter run is removed once the longer one can begin.
    assert {path.name for path in done.iterdir()} | {"curves.png", "final.json"} == set(FILES)
    assert [path.name for path in done.parent.glob("*rescued*")] == []
    assert train("--epochs=5", f"--resume={done}")[0] == 0
    assert_same_run(done, longer)


@pytest.mark.parametrize("step", [LOG_EVERY - 1, STEPS - 1, STEPS + 1])
def test_a_disk_that_fills_during_training(step, config, train, finished, tmp_path):
    class Fill(Callback):
        def on_iteration(self, solver, x, y):
            if solver.step == step:
                limit(max(1, (tmp_path / "run" / "metrics.jsonl").stat().st_size))

    with (
        enough_space_afterwards(),
        pytest.raises(InputError, match=r"cannot write .*metrics\.jsonl: File too large"),
    ):
        run(config(tmp_path / "run"), callbacks=(Fill(),))
    assert train(f"--resume={tmp_path / 'run'}")[0] == 0
    assert_same_run(tmp_path / "run", finished)


@pytest.mark.parametrize("call", range(1, 6))
def test_a_disk_that_fails_to_keep(call, done, longer, train, refused, monkeypatch):
    fsync, calls = os.fsync, []

    def fail(file):
        calls.append(file)
        if len(calls) == call:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(file)

    before = (done / "checkpoint.npz").read_bytes()
    monkeypatch.setattr(os, "fsync", fail)
    assert os.strerror(errno.EIO) in refused("--epochs=5", f"--resume={done}")
    monkeypatch.undo()
    assert (done / "checkpoint.npz").read_bytes() == before
    assert train("--epochs=5", f"--resume={done}")[0] == 0
    assert_same_run(done, longer)


@pytest.mark.parametrize(
    "options",
    [
        ["--learning_rate=1e6"],
        ["--learning_rate=1e38"],
        ["--init_std=1e30"],
        ["--learning_rate=1e39", "--batch_size=300", "--epochs=1"],
    ],
    ids=" ".join,
)
def test_a_diverging_run_says_where(options, train, tmp_path):
    status, _, err = train(*options, f"--output={tmp_path / 'run'}")
    assert (status, err.count("\n")) == (1, 1), err
    assert "training diverged: " in err
    assert "step " in err
    final = json.loads((tmp_path / "run" / "final.json").read_text())
    assert final["status"] == "diverged"
    assert "layer " in final["error"]


@pytest.mark.parametrize("option", ["--init_std=1e308", "--hidden=99999999999", "--hidden=" + "9" * 30])
def test_settings_beyond_the_machine_are_one_line(option, train, tmp_path):
    status, _, err = train(option, f"--output={tmp_path / 'run'}")
    assert status in (1, 2)
    assert err.count("\n") == 1


def test_other_exceptions_are_not_hidden(config, tmp_path):
    class Bug(Callback):
        def on_iteration(self, solver, x, y):
            if solver.step == STEPS + 2:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(config(tmp_path / "run"), callbacks=(Bug(),))
    assert len([row for row in rows(tmp_path / "run") if "train_loss" in row]) == 1


def test_importing_mlp_needs_numpy_alone():
    extras = {"matplotlib", "wandb", "tqdm", "yaml", "torch", "sklearn"}
    code = f"import sys, mlp; print({extras} & set(sys.modules) or 'none')"
    assert wait(launch("-c", code)) == (0, "none\n", "")


def test_the_network_of_a_run_loads_in_a_notebook(done, mnist):
    network = mlp.Network(mlp.Linear(784, 16), mlp.ReLU(), mlp.Linear(16, 10))
    assert mlp.load(network, done / "checkpoint.npz") is network
    test_loss = mlp.evaluate(network, mlp.CrossEntropyLoss(), mnist[1])["loss"]
    assert test_loss == json.loads((done / "final.json").read_text())["final_test_loss"]


class TestADivergedRun:
    def test_it_is_told_what_to_do_and_is_not_resumed(self, train, tmp_path):
        folder = tmp_path / "run"
        status, _, err = train(f"--output={folder}", "--learning_rate=1e30")
        assert (status, err.count("\n")) == (1, 1)
        advice = "start a new run, for example with --learning_rate 0.05 or --clip_norm 1\n"
        assert err.endswith(advice)
        status, _, err = train(f"--resume={folder}")
        assert (status, err.count("\n")) == (2, 1)
        assert err.startswith(f"run_mlp.py: resume: {folder} diverged at step ")
        assert err.endswith(advice)


def test_the_end_says_what_its_numbers_are_and_where_wandb_keeps_them(train, done, tmp_path):
    _, out, _ = train(f"--output={tmp_path / 'run'}", "--validation=0.2", "--early_stopping=1", "--learning_rate=0")
    assert "means over an epoch" in out
    assert "stopped early: " in out
    assert "wandb" not in out
    kept = done / "wandb" / "offline-run-20260101_000000-abc"
    kept.mkdir(parents=True)
    _, out, _ = train(f"--resume={done}", "--epochs=4")
    assert f"wandb leet {kept}\n" in out
    assert f"wandb sync {kept}\n" in out
