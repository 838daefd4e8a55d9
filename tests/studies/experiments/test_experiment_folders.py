"""What may be found in the folder of a run, and what is done about it."""

import dataclasses
import io
import os
import re
import shutil

import pytest

from mlp.run.config import read_config
from mlp.studies.experiments import Experiment, experiment_table, load_result, run_all, run_folder
from mlp.studies.experiments.folders import inspect_folder


@pytest.fixture(scope="session")
def small(finished):
    """Settings of runs that take no time once they have started: 3 epochs of 15 steps."""
    return dataclasses.replace(read_config(finished / "config.yaml"), output=None)


@pytest.fixture
def root(small, finished, tmp_path):
    """A folder with one finished run, that of the settings ``small``."""
    shutil.copytree(finished, run_folder(small, tmp_path / "runs"))
    return tmp_path / "runs"


def run(configs, root, jobs=2):
    """(summary, what was said)."""
    stream = io.StringIO()
    return run_all(configs, root, jobs=jobs, stream=stream), stream.getvalue()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda f: (f / "config.yaml").unlink(), "checkpoint.npz without config.yaml"),
        (lambda f: (f / "config.yaml").write_text("hidden: ["), "not plain YAML"),
        (lambda f: (f / "config.yaml").write_text("hidden: [9]"), r"another run: hidden \[9\] instead of \[16\]"),
        (lambda f: (f / "config.yaml").write_text("from_the_future: 1"), "unknown key 'from_the_future'"),
        (lambda f: (f / "final.json").write_text('{"status": "compl'), "final.json: cannot be read"),
        (lambda f: (f / "final.json").write_text('{"status": "fine"}'), "final.json: not the end of a run"),
        (lambda f: (f / "metrics.jsonl").write_text('{"step": 1}\n{'), "metrics.jsonl, line 2"),
        (lambda f: (f / "metrics.jsonl").write_text("{}\n"), "metrics.jsonl, line 1: .* a JSON object with step"),
        (lambda f: (f / "metrics.jsonl").write_text(""), "metrics.jsonl: 0 epochs"),
        (lambda f: (f / "timing.jsonl").unlink(), "timing.jsonl is missing"),
        (lambda f: [(f / "final.json").unlink(), (f / "metrics.jsonl").write_text("")], "has 0 bytes, but had"),
        (lambda f: [(f / "final.json").unlink(), os.truncate(f / "checkpoint.npz", 99)], "checkpoint.*is damaged"),
        (lambda f: [shutil.rmtree(f), f.write_text("")], "it is no folder"),
    ],
)  # fmt: skip
def test_broken_folders_are_recognized(small, root, damage, reason):
    folder = run_folder(small, root)
    damage(folder)
    found = inspect_folder(folder, small)
    assert found.state == "broken"
    assert re.search(reason, found.reason), found.reason


def test_a_setting_that_did_not_exist_when_the_run_was_made_is_at_its_default(small, root):
    folder = run_folder(small, root)
    lines = (folder / "config.yaml").read_text().splitlines(keepends=True)
    (folder / "config.yaml").write_text("".join(line for line in lines if not line.startswith("inspect:")))
    assert inspect_folder(folder, small).state == "completed"


def test_what_a_kill_may_leave_is_no_damage(small, root):
    folder = run_folder(small, root)
    (folder / "final.json").unlink()
    with (folder / "timing.jsonl").open("a") as file:
        file.write('{"epoch": 4, "tra')
    assert inspect_folder(folder, small).state == "unfinished"
    result = load_result(folder)
    assert (result.status, result.step, len(result.rows)) == ("unfinished", 45, 3)
    (folder / "final.json").write_text('{"status": "interrupted", "step": 6, "epoch": 1}')
    assert inspect_folder(folder, small).state == "unfinished"
    (folder / "checkpoint.npz").unlink()  # stopped before the first one
    assert inspect_folder(folder, small).state == "unfinished"


def test_broken_folders_are_moved_aside_and_their_runs_made_anew(small, root):
    folder = run_folder(small, root)
    (folder / "metrics.jsonl").write_text("x")
    (root / f"{folder.name}.broken-1").mkdir()
    halfway = dataclasses.replace(small, seed=5)
    run_folder(halfway, root).mkdir()
    (run_folder(halfway, root) / "worker.log").write_text("killed before it wrote its settings\n")
    # Sound by itself, but of a network with another shape: only the run itself finds out.
    other = dataclasses.replace(small, seed=6, hidden=[9])
    shutil.copytree(folder, run_folder(other, root))
    (run_folder(other, root) / "final.json").unlink()
    (run_folder(other, root) / "metrics.jsonl").write_bytes(b'{"step": 1}\n' * 99)
    settings = (folder / "config.yaml").read_text().replace("- 16", "- 9").replace("seed: 2022", "seed: 6")
    (run_folder(other, root) / "config.yaml").write_text(settings)

    summary, said = run([small, halfway, other], root)
    assert (summary.exit_status, len(summary.completed)) == (0, 3), said
    assert f"repaired: {folder} was broken" in said
    assert (root / f"{folder.name}.broken-2" / "metrics.jsonl").read_text() == "x"
    assert (root / f"{run_folder(other, root).name}.broken-1" / "checkpoint.npz").exists()
    assert load_result(folder).status == "completed"


def test_a_run_that_early_stopping_ended_is_finished(small, tmp_path):
    """It has fewer epochs than it might have had, is left as it is, and stands in the table."""
    config = dataclasses.replace(small, epochs=40, validation=0.2, early_stopping=1, learning_rate=0.5)
    summary, said = run([config], tmp_path)
    assert (summary.exit_status, len(summary.completed)) == (0, 1), said
    folder = run_folder(config, tmp_path)
    result = load_result(folder)
    assert result.status == "completed"
    assert 1 < len(result.rows) == result.final["epoch"] < 40
    before = (folder / "metrics.jsonl").read_bytes()
    summary, said = run([config], tmp_path)
    assert (summary.finished_before, said.count("\n")) == (1, 1)
    assert (folder / "metrics.jsonl").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [folder.name]
    (row,) = experiment_table(Experiment("one", "", config, {}, [config]), tmp_path).rows
    assert (row[-2].mean, row[-1]) == (len(result.rows), "1 completed")

    # A record that was cut is damage all the same.
    lines = before.splitlines(keepends=True)
    epochs = [k for k, line in enumerate(lines) if b"train_loss" in line]
    (folder / "metrics.jsonl").write_bytes(b"".join(lines[: epochs[-1]]))
    assert re.search(r"metrics.jsonl: \d+ epochs; final.json says completed", inspect_folder(folder, config).reason)


def test_a_table_counts_what_is_missing_and_what_diverged(small, root):
    wild, absent = dataclasses.replace(small, seed=1), dataclasses.replace(small, seed=2)
    shutil.copytree(run_folder(small, root), run_folder(wild, root))
    (run_folder(wild, root) / "final.json").write_text('{"status": "diverged", "step": 45, "epoch": 3}')
    settings = (run_folder(small, root) / "config.yaml").read_text()
    (run_folder(wild, root) / "config.yaml").write_text(settings.replace("seed: 2022", "seed: 1"))
    experiment = Experiment("one", "", small, {"hidden": [[16]]}, [small, wild, absent])
    lines = experiment_table(experiment, root).text().splitlines()
    final = load_result(run_folder(small, root)).final
    assert lines[1].split()[:2] == ["16", f"{100 * final['final_test_accuracy']:.2f}"]
    assert lines[1].endswith("1 completed, 1 diverged, 1 missing")
