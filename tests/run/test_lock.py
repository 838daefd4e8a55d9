"""One process writes a run's folder at a time, and a lock never outlives its owner."""

import errno
import json
import os
import time

import pytest
from running import PATIENCE, SCRIPT, assert_same_run, launch, wait

from mlp import InputError
from mlp.run.lock import locked

fcntl = pytest.importorskip("fcntl")


def test_a_folder_is_held_until_the_end_of_the_block(tmp_path):
    for _ in range(2):
        with locked(tmp_path):
            for _ in range(2):  # to be refused does not let go what another has
                with (
                    pytest.raises(InputError, match=f"is being written by process {os.getpid()};"),
                    locked(tmp_path),
                ):
                    pass
        assert list(tmp_path.iterdir()) == []


def test_a_renamed_folder_takes_its_lock_along(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    with locked(first):
        first.rename(second)
        with pytest.raises(InputError), locked(second):
            pass
        first.mkdir()
        with locked(first):
            pass
        (first / ".lock").write_text("of another run")
    assert (first / ".lock").read_text() == "of another run"


def test_a_folder_that_vanishes(tmp_path):
    with locked(tmp_path):
        (tmp_path / ".lock").unlink()
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / ".lock").symlink_to(tmp_path / "target")
    with pytest.raises(InputError, match="cannot write"), locked(tmp_path / "folder"):
        pass
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_drive_without_locks_is_warned_of(code, tmp_path, monkeypatch, caplog):
    def refuse(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path):
        pass
    assert caplog.text.count("cannot be locked") == 1


def until(condition, process):
    deadline = time.monotonic() + PATIENCE
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize("how", ["--output", "--resume"])
def test_a_live_run_is_left_alone(how, quick, train, tmp_path):
    folder, long = tmp_path / "run", "--epochs=40"
    process = launch(SCRIPT, *quick, long, f"--output={folder}")
    until((folder / "checkpoint.npz").exists, process)
    status, _, err = train(long, f"{how}={folder}")
    assert (status, err.count("\n")) == (2, 1)
    assert f"{folder} is being written by process {process.pid}" in err
    process.kill()
    wait(process)
    assert train(long, f"--resume={folder}")[0] == 0
    assert train(long, f"--output={tmp_path / 'straight'}")[0] == 0
    assert_same_run(folder, tmp_path / "straight")


def test_of_two_that_start_at_once_one_is_refused(quick, finished, tmp_path):
    folder = tmp_path / "run"
    ends = [wait(process) for process in [launch(SCRIPT, *quick, f"--output={folder}") for _ in range(2)]]
    assert sorted(status for status, _, _ in ends) == [0, 2]
    (refusal,) = (err for status, _, err in ends if status == 2)
    assert refusal.count("\n") == 1
    assert "is being written by process" in refusal or "holds a run already" in refusal
    assert_same_run(folder, finished)
    assert json.loads((folder / "final.json").read_text())["status"] == "completed"
