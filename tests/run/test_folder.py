"""Folders that are stale, spoilt, or lost while a run is on: nothing is mistaken, and nothing is lost."""

import json
import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from running import assert_same_run, rows

from mlp import Callback, InputError
from mlp.run.config import read_config
from mlp.run.options import parse_arguments
from mlp.run.run import run


@pytest.mark.parametrize("name", ["", " ", "\0"])
def test_a_folder_needs_a_name(name, quick, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"output|cannot"):
        run(parse_arguments([*quick, f"--output={name}"], "", "")[0])
    assert list(tmp_path.iterdir()) == []


def test_a_network_of_many_layers_gets_a_folder(train, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train("--hidden=" + ",".join(["100"] * 70), "--epochs=0")[0] == 0
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_what_killed_runs_left_is_removed(done, train):
    left = [done / name for name in (".checkpoint.npz.4242.tmp", ".final.json.0a1b2c3d.tmp", ".curves.png.1.tmp")]
    for path in left:
        path.touch()
    (done / ".mine.tmp").touch()
    assert train(f"--resume={done}")[0] == 0
    assert not any(path.exists() for path in left)
    assert (done / ".mine.tmp").exists()


class Stop(Callback):
    """Ends a run at a step, as a bug would, without a word to its folder."""

    def __init__(self, step):
        self.step = step

    def on_iteration(self, solver, x, y):
        if solver.global_step == self.step:
            raise ZeroDivisionError


def test_a_longer_run_that_is_killed_is_not_completed(done, train, longer):
    config = replace(read_config(done / "config.yaml"), epochs=5)
    with pytest.raises(ZeroDivisionError):
        run(config, resume=done, callbacks=(Stop(50),))
    assert not (done / "final.json").exists()
    assert not (done / "curves.png").exists()
    assert train("--epochs=5", f"--resume={done}")[0] == 0
    assert_same_run(done, longer)


def test_a_record_without_its_checkpoint_is_kept(done, refused):
    (done / "checkpoint.npz").unlink()
    before = (done / "metrics.jsonl").read_bytes()
    assert f"{done / 'checkpoint.npz'} is gone" in refused(f"--resume={done}")
    assert (done / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize("name", ["metrics.jsonl", "timing.jsonl"])
def test_a_link_is_not_followed_out_of_the_folder(name, done, refused, tmp_path):
    outside = tmp_path / "outside"
    shutil.move(done / name, outside)
    before = outside.read_bytes()
    (done / name).symlink_to(outside)
    assert f"cannot write {done / name}: it is a link" in refused("--epochs=5", f"--resume={done}")
    assert outside.read_bytes() == before


def test_a_pipe_is_no_record(refused, tmp_path):
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / "metrics.jsonl")
    assert "metrics.jsonl" in refused(f"--output={tmp_path / 'run'}")


@pytest.mark.parametrize("part", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_data_that_changed_are_noticed(part, quick, train, refused, tmp_path):
    source = Path(json.loads(Path(quick[0].partition("=")[2]).read_text())["data"])
    data, folder = shutil.copytree(source, tmp_path / "data"), tmp_path / "run"
    assert train(f"--data={data}", "--epochs=1", f"--output={folder}")[0] == 0
    content = bytearray((data / part).read_bytes())
    content[-1] ^= 1
    (data / part).write_bytes(content)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "data: they are not those that" in refused(f"--data={data}", f"--resume={folder}")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    content[-1] ^= 1
    (data / part).write_bytes(content)
    assert train(f"--data={data}", f"--resume={folder}")[0] == 0


class Lose(Callback):
    """Does something to the folder of a run at a step."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def on_iteration(self, solver, x, y):
        if solver.global_step == self.step:
            self.action()


LOSSES = {
    "vanished": lambda folder: shutil.rmtree(folder),
    "renamed": lambda folder: folder.rename(folder.with_name("renamed")),
    "replaced": lambda folder: (folder.rename(folder.with_name("renamed")), folder.mkdir()),
    "a file of it": lambda folder: (folder / "metrics.jsonl").unlink(),
    "all around it": lambda folder: shutil.rmtree(folder.parent),
}


@pytest.mark.parametrize("how", LOSSES)
@pytest.mark.parametrize("seconds", [0, 1000], ids=["at a checkpoint", "at the end"])
def test_a_lost_folder_costs_nothing(how, seconds, quick, finished, train, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    folder = tmp_path / "runs" / "run"
    options = [*quick, f"--checkpoint_seconds={seconds}", f"--output={folder}"]
    config, _ = parse_arguments(options, "", "")
    with pytest.raises(InputError) as caught:
        run(config, callbacks=(Lose(20, lambda: LOSSES[how](folder)),))
    told = re.fullmatch(r"cannot write .*; the run is saved up to step (\d+), and goes on with --resume (.*)",
                        str(caught.value))  # fmt: skip
    assert told, caught.value
    assert int(told[1]) == (30 if seconds == 0 else 45)
    assert train(f"--resume={told[2]}")[::2] == (0, "")
    assert_same_run(Path(told[2]), finished)


def test_where_nothing_can_be_saved_it_is_one_line(quick, tmp_path, monkeypatch):
    config, _ = parse_arguments([*quick, f"--output={tmp_path / 'runs' / 'run'}"], "", "")
    monkeypatch.setattr("tempfile.mkdtemp", lambda **options: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(InputError, match=r"^cannot write [^;]*$"):
        run(config, callbacks=(Lose(20, lambda: shutil.rmtree(tmp_path / "runs")),))


@pytest.mark.parametrize("broken", ["missing", "bogus"])
def test_a_missing_matplotlib_is_told_before_the_training(broken, quick, finished, tmp_path, monkeypatch, caplog):
    if broken == "missing":
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    else:

        def refuse():
            raise InputError("matplotlib cannot be used: Key backend: 'bogus' is not a valid value for backend")

        monkeypatch.setattr("mlp.run.run.check_matplotlib", refuse)
    told = []
    config, _ = parse_arguments([*quick, f"--output={tmp_path / 'run'}"], "", "")
    run(config, callbacks=(Lose(1, lambda: told.extend(caplog.messages)),))
    assert len(told) == len(caplog.messages) == 1
    assert "this run is trained without curves.png" in told[0]
    assert_same_run(tmp_path / "run", finished)
    assert not (tmp_path / "run" / "curves.png").exists()


@pytest.mark.parametrize("action", ["--resume", "--output"])
def test_a_folder_that_may_not_be_written(action, done, refused, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *arguments: False)  # root may write anywhere, so it cannot be tried
    assert f"cannot write into the folder {done}" in refused(f"{action}={done}")


def test_a_resumed_run_counts_its_rows_once(done, train):
    before = len(rows(done))
    assert train(f"--resume={done}")[0] == 0
    assert len(rows(done)) == before
