"""The local record and its mirror in the real wandb, offline: the same numbers, and no harm if wandb fails."""

import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import matplotlib
import pytest
from running import PATIENCE, SCRIPT, assert_same_run, launch, rows, wait

pytest.importorskip("wandb")

# The training script, which sends a signal to a process after a few records: to the one that speaks to wandb, or to
# the service that wandb starts in it. From then on an answer has to come within two seconds.
STRIKE = f"""
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {str(SCRIPT.parent)!r})
from run_mlp import main
from mlp.run import tracking

depth, number, *arguments = sys.argv[1:]
log, calls = tracking.WandbMirror.on_log, []

def children(parent):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = stat.read_text().split(" ", 1)
        except OSError:
            continue
        if int(rest.rpartition(")")[2].split()[1]) == parent:
            found.append(int(pid))
    return found

def strike(self, solver, row):
    calls.append(1)
    if len(calls) == 3:
        while self._answered < self._sent:  # wandb needs a while to start, and helpers that soon end
            self._look()
            time.sleep(0.01)
        process = os.getpid()
        for _ in range(int(depth)):
            while not children(process):
                time.sleep(0.01)
            process = children(process)[0]
        os.kill(process, int(number))
        tracking.PATIENCE = 2
        print("struck", process, flush=True)
    log(self, solver, row)

tracking.WandbMirror.on_log = strike
sys.exit(main(arguments))
"""


@pytest.fixture
def stranger(tmp_path):
    """The environment of somebody who has never heard of wandb."""
    home = tmp_path / "home"
    home.mkdir()
    places = ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
    rest = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    return rest | {
        **dict.fromkeys(places, str(home)),
        "NETRC": str(home / "netrc"),
        "MPLCONFIGDIR": matplotlib.get_configdir(),  # else matplotlib would look through all fonts anew
    }


@pytest.fixture
def track(quick, tmp_path, stranger):
    """track(*options, code, **environment) -> (exit status, stdout, stderr, folder) of a real, tracked run."""

    def call(*options, code=(SCRIPT,), package=None, **environment):
        folder = tmp_path / "run"
        if package is not None:  # that of a wandb of ours
            (tmp_path / "package").mkdir()
            (tmp_path / "package" / "wandb.py").write_text(package)
            places = [str(tmp_path / "package"), *filter(None, [stranger.get("PYTHONPATH")])]
            environment["PYTHONPATH"] = os.pathsep.join(places)
        process = launch(
            *code, *quick, "--tracking=auto", *options, f"--output={folder}", env=stranger | environment
        )
        return *wait(process), folder

    return call


def read_back(folder: Path, environment: dict) -> tuple[dict, dict, list[dict]]:
    """(config, summary, rows of the history) of the one offline run in a folder, as wandb itself reads them."""
    (offline,) = (folder / "wandb").glob("offline-run-*")
    done = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(offline)],
        capture_output=True, text=True, timeout=PATIENCE, check=True, stdin=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    config, history, summary = {}, [], {}
    for record in map(json.loads, done.stdout.splitlines()):
        if record["type"] == "run":
            config |= record["run"]["config"]["update"]
        elif record["type"] == "history":
            history.append(record["history"]["item"])
        elif record["type"] == "summary":
            summary |= record["summary"]["update"]
    config, summary, *history = (
        {name: value for name, value in record.items() if not name.startswith("_")}
        for record in (config, summary, *history)
    )
    return config, summary, history


def assert_complete(folder, finished):
    assert_same_run(folder, finished)
    assert (folder / "curves.png").exists()


def assert_one_warning(err: str, folder: Path):
    assert err.count("\n") == 1, err
    assert err.startswith("wandb failed (")
    assert f"the record in {folder} is complete" in err


def test_a_run_without_login_is_offline_and_complete(track, stranger, finished):
    status, out, err, folder = track("--group=night")
    assert (status, err) == (0, "")
    assert "wandb sync" in out  # how to upload it
    assert_complete(folder, finished)
    config, summary, history = read_back(folder, stranger)
    assert config["learning_rate"] == 0.05
    assert config | {"hidden": [16], "epochs": 3, "group": "night", "output": str(folder)} == config
    *history, curves = history
    assert history == rows(folder)
    assert curves["curves.format"] == "png"
    final = json.loads((folder / "final.json").read_text())
    assert summary | final == summary


@pytest.mark.parametrize("mode", ["auto", "online"])
def test_nobody_is_asked_on_a_terminal(mode, quick, stranger, finished, tmp_path):
    ours, theirs = pty.openpty()
    folder = tmp_path / "run"
    process = launch(SCRIPT, *quick, f"--tracking={mode}", f"--output={folder}", env=stranger, stdin=theirs)
    try:
        status, out, err = wait(process)
    finally:
        os.close(ours)
        os.close(theirs)
    assert status == 0
    # Who asks for online is told why the run is not.
    assert err.count("no login is stored") == err.count("\n") == (mode == "online")
    assert "(1)" not in out
    assert_complete(folder, finished)


def test_none_leaves_wandb_out(track, finished):
    status, _, err, folder = track("--tracking=none", package="raise SystemExit('wandb was imported')")
    assert (status, err) == (0, "")
    assert_same_run(folder, finished)
    assert not list(folder.glob("wandb*"))


@pytest.mark.parametrize(
    ("package", "mode"),
    [
        ("raise ImportError('no wandb here')", ""), ("raise SystemExit('no licence')", ""),
        ("import os; os._exit(3)", ""), (None, "nonsense"), (None, ""),
    ],
    ids=["missing", "leaves", "vanishes", "nonsense mode", "unusable folder"],
)  # fmt: skip
def test_wandb_that_cannot_start_is_one_warning(package, mode, track, finished, tmp_path):
    if package is None and not mode:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "wandb").touch()
    status, _, err, folder = track(package=package, WANDB_MODE=mode)
    assert status == 0
    assert_one_warning(err, folder)
    assert_complete(folder, finished)


def test_the_variable_switches_it_off(track, finished):
    status, _, err, folder = track(WANDB_MODE="disabled")
    assert (status, err) == (0, "")
    assert not list((folder / "wandb").glob("*run*"))
    assert_complete(folder, finished)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("depth", [1, 2], ids=["process", "service"])
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds child processes in /proc")
def test_wandb_that_dies_or_stalls_on_the_way_is_one_warning(depth, number, track, finished):
    status, out, err, folder = track("--log_every=4", code=("-c", STRIKE, depth, int(number)))
    struck = [int(line.split()[1]) for line in out.splitlines() if line.startswith("struck")]
    for process in struck:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    assert (status, len(struck)) == (0, 1), err
    assert_one_warning(err, folder)
    assert_complete(folder, finished)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds child processes in /proc")
def test_a_run_that_is_killed_ends_in_wandb_too(quick, stranger, tmp_path):
    folder = tmp_path / "run"
    process = launch(
        SCRIPT, *quick, "--epochs=9999", "--hidden=64", "--tracking=auto", f"--output={folder}", env=stranger
    )
    deadline = time.monotonic() + PATIENCE
    while not list((folder / "wandb").glob("offline-run-*/run-*.wandb")) and time.monotonic() < deadline:
        time.sleep(0.05)
    (mirror,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    assert wait(process)[2] == ""
    while Path(f"/proc/{mirror}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    recorded, known = read_back(folder, stranger)[2], rows(folder)
    assert 0 < len(recorded) <= len(known)
    assert recorded == known[: len(recorded)]


def test_a_key_without_a_network_ends_in_an_offline_copy(track, stranger, finished):
    with socket.create_server(("127.0.0.1", 0)) as nobody:  # takes calls and never answers
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        status, _, err, folder = track("--tracking=online", WANDB_API_KEY="a" * 40, WANDB_BASE_URL=address)
    assert status == 0
    assert err.count("\n") == 1
    assert err.startswith("wandb: cannot be online (")
    assert "so this run is recorded offline" in err
    assert_complete(folder, finished)
    assert read_back(folder, stranger)[2][: len(rows(folder))] == rows(folder)


def test_an_interrupted_tracked_run_is_resumed(quick, stranger, finished, tmp_path):
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
from run_mlp import main
import mlp
step, calls = mlp.Network.training_step, []
def strike(*args, **options):
    calls.append(1)
    if len(calls) == 20:
        os.kill(os.getpid(), {int(signal.SIGINT)})
    return step(*args, **options)
mlp.Network.training_step = strike
sys.exit(main(sys.argv[1:]))
"""
    folder = tmp_path / "run"
    tracked = [*quick, "--tracking=auto"]
    assert wait(launch("-c", code, *tracked, f"--output={folder}", env=stranger))[0] == 130
    name = (folder / "wandb_id.txt").read_text()
    status, _, err = wait(launch(SCRIPT, *tracked, f"--resume={folder}", env=stranger))
    assert (status, err) == (0, "")
    assert_complete(folder, finished)
    assert (folder / "wandb_id.txt").read_text() == name
    runs = {path.name.rpartition("-")[2] for path in (folder / "wandb").glob("offline-run-*")}
    assert runs == {name}
