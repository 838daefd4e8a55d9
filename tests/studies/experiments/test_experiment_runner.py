"""Experiments through real processes: all of them, once each, whatever happens to one of them or to the runner."""

import dataclasses
import io
import json
import os
import shutil
import signal
import statistics
import time
from pathlib import Path

import pytest
from running import PATIENCE, end, launch, wait

from mlp.checks import InputError
from mlp.run.config import read_config
from mlp.studies.experiments import Experiment, load_result, load_results, run_all, run_folder
from mlp.studies.experiments.folders import inspect_folder
from mlp.studies.experiments.lock import only_runner

SCRIPT = Path(__file__).parents[3] / "scripts" / "run_experiment.py"


@pytest.fixture(scope="session")
def small(finished):
    """Settings of runs that take no time once they have started: 3 epochs of 15 steps."""
    return dataclasses.replace(read_config(finished / "config.yaml"), output=None)


@pytest.fixture
def root(small, finished, tmp_path):
    """A folder with one finished run, that of the settings ``small``."""
    shutil.copytree(finished, run_folder(small, tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture(scope="session")
def long(small):
    """Settings of a run that lasts until somebody stops it: an hour or so."""
    return dataclasses.replace(small, epochs=1_000_000)


def run(configs, root, jobs=2):
    """(summary, what was said)."""
    stream = io.StringIO()
    return run_all(configs, root, jobs=jobs, stream=stream), stream.getvalue()


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "worker.log"}


def start(*arguments, **options):
    return launch("-W", "error", SCRIPT, *arguments, **options)


def wait_for(condition, process=None):
    deadline = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < deadline, "waited too long"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.02)
    return result


def workers(root):
    """The processes of runs under ``root``: {process id}."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "mlp.studies.experiments.worker" in command and str(root) in command:
            found.add(int(path.parent.name))
    return found


def has_epochs(folder, count=1):
    path = folder / "timing.jsonl"
    return path.exists() and path.read_bytes().count(b"\n") >= count


needs_proc = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds processes in /proc")


def test_an_experiment_from_file_to_results(tmp_path):
    (tmp_path / "base.yaml").write_text(
        "hidden: [8]\nepochs: 1\ntrain_samples: 400\ntest_samples: 100\ntracking: none\n"
    )
    (tmp_path / "first.yaml").write_text("base: base.yaml\naxes: {momentum: [0, 0.9]}\nseeds: [1, 2]")
    (tmp_path / "second.yaml").write_text("base: base.yaml\naxes: {hidden: [[8], []]}\nseeds: [1]")
    root = tmp_path / "runs"
    files = [tmp_path / "first.yaml", tmp_path / "second.yaml"]
    first, second = map(Experiment.load, files)
    with pytest.raises(InputError, match=r"first: 4 of 4 runs are missing; .*first.yaml --root") as e:
        load_results(first, root)
    assert f"{run_folder(first.configs[3], root)}: not run" in str(e.value)

    process = start(*files, "--root", root)
    status, out, err = wait(process)
    assert status == 0, err
    assert "5 runs in" in err  # the default at seed 1 is in both
    assert "5 completed in" in err
    results = load_results(first, root)
    titles, *lines = out.split("\n\n")[0].strip().splitlines()[1:]
    assert titles.split()[:3] == ["momentum", "test", "accuracy"]
    for line, pair in zip(lines, (results[:2], results[2:]), strict=True):
        ends = [100 * result.final["final_test_accuracy"] for result in pair]
        momentum, mean, _, std, *_ = line.split()
        assert float(momentum) == pair[0].config.momentum
        assert (float(mean), float(std)) == pytest.approx(
            (statistics.fmean(ends), statistics.stdev(ends)), abs=0.006
        )
        assert line.endswith("2 completed")
    assert "second: mean" in out
    assert [(r.config.momentum, r.config.seed) for r in results] == [(0, 1), (0, 2), (0.9, 1), (0.9, 2)]
    for result in [*results, *load_results(second, root)]:
        assert (result.status, result.step, result.error, len(result.rows)) == ("completed", 4, None, 1)
        assert result.final["final_test_accuracy"] == pytest.approx(result.rows[-1]["test_accuracy"])
        assert result.seconds_train > 0
        assert result.seconds_evaluation > 0
        environment = json.loads((result.folder / "environment.json").read_text())
        assert environment["threads"]["OPENBLAS_NUM_THREADS"] == "1"
    assert results[0].rows != results[1].rows

    before = {folder: content(folder) for folder in root.iterdir() if folder.is_dir()}
    summary, said = run(first.configs, root)
    assert (summary.exit_status, summary.finished_before, len(summary.completed)) == (0, 4, 4)
    assert said.count("\n") == 1
    assert {folder: content(folder) for folder in root.iterdir() if folder.is_dir()} == before


def test_changed_settings_run_beside_the_old_ones_and_divergence_stops_nobody(small, root):
    before = content(run_folder(small, root))
    wild = dataclasses.replace(small, learning_rate=1e30)
    other = dataclasses.replace(small, seed=1)
    summary, said = run([wild, small, other, small], root)
    assert summary.exit_status == 0
    assert summary.diverged == [run_folder(wild, root)]
    assert sorted(summary.completed) == sorted([run_folder(small, root), run_folder(other, root)])
    assert "diverged: " in said
    assert content(run_folder(small, root)) == before
    result = load_result(run_folder(wild, root))
    assert (result.status, result.rows) == ("diverged", [])
    assert result.step >= 1
    assert "the loss is" in result.error

    before = content(run_folder(wild, root))
    summary, said = run([wild], root)
    assert (summary.exit_status, summary.finished_before, summary.diverged) == (0, 1, [run_folder(wild, root)])
    assert content(run_folder(wild, root)) == before


def test_a_run_that_fails_is_reported_and_the_others_are_made(small, tmp_path):
    bad = dataclasses.replace(small, batch_size=100_000)
    summary, said = run([bad, small], tmp_path)
    assert (summary.exit_status, summary.completed) == (1, [run_folder(small, tmp_path)])
    assert "batch_size: got 100000" in summary.failed[run_folder(bad, tmp_path)]
    assert "1 completed, 1 failed" in said


@needs_proc
def test_kills_and_interrupts(long, small, tmp_path):
    """One long story, since a start of Python is what takes time here."""
    base = tmp_path / "base.yaml"
    base.write_text(json.dumps({k: v for k, v in long.as_dict().items() if v is not None}))
    (tmp_path / "long.yaml").write_text("base: base.yaml")
    root = tmp_path / "runs"
    folder = run_folder(long, root)
    arguments = (tmp_path / "long.yaml", "--root", root)

    # The runner is killed: its run saves its state and ends by itself, and nobody else can use the root before.
    process = start(*arguments)
    wait_for(lambda: has_epochs(folder), process)
    with pytest.raises(InputError, match=f"in use by another runner .process {process.pid}"):
        run_all([small], root, stream=io.StringIO())
    end(process)
    process = start(*arguments)
    wait_for(lambda: "--resume" in read_command(root), process)
    epochs = (folder / "timing.jsonl").read_bytes().count(b"\n")

    # The run is killed: it goes on once more. It is killed again: it has failed.
    (worker,) = workers(root)
    os.kill(worker, signal.SIGKILL)
    (second,) = wait_for(lambda: workers(root) - {worker}, process)
    wait_for(lambda: has_epochs(folder, epochs + 2), process)
    os.kill(second, signal.SIGKILL)
    status, _, err = wait(process)
    assert status == 1
    assert "1 resumed" in err
    assert "(killed by SIGKILL, attempt 1); it goes on once more" in err
    assert f"failed: {folder}: killed by SIGKILL, attempt 2" in err
    assert inspect_folder(folder, long).state == "unfinished"

    # Ctrl-C: the run saves its state and the runner says how to go on.
    process = start(*arguments)
    wait_for(lambda: "--resume" in read_command(root), process)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    status, _, err = wait(process)
    assert status == 130, err
    assert "0 of 1 runs are done; the same command goes on from here" in err
    assert not workers(root)
    result = load_result(folder)
    assert (result.status, result.is_finished) == ("unfinished", False)
    assert len(result.rows) >= epochs


def read_command(root):
    """The command line of the run under ``root``, with its arguments."""
    try:
        return "".join(Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace") for pid in workers(root))
    except OSError:
        return ""


def test_a_stopped_run_ends_like_one_that_never_was(small, tmp_path):
    """What one epoch left, and half a line more, is continued."""
    half = dataclasses.replace(small, epochs=1)
    run([half, small], tmp_path / "never")
    folder = run_folder(small, tmp_path / "again")
    shutil.copytree(run_folder(half, tmp_path / "never"), folder)
    (folder / "final.json").unlink()
    settings = (folder / "config.yaml").read_text().replace("epochs: 1\n", "epochs: 3\n")
    (folder / "config.yaml").write_text(settings)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 7, "train_lo')  # as a kill leaves it
    assert len(load_result(folder).rows) == 1
    summary, said = run([small], tmp_path / "again")
    assert summary.completed == [folder]
    assert "1 resumed" in said
    for name in ("metrics.jsonl", "final.json"):
        assert (folder / name).read_bytes() == (run_folder(small, tmp_path / "never") / name).read_bytes()


def test_the_lock_is_free_again_afterwards(tmp_path):
    for _ in range(2):
        with only_runner(tmp_path, print):
            pass
