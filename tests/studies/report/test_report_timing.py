"""Timing, its file, and the script with no runs to report on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mlp
from mlp.checks import InputError
from mlp.run.config import RunConfig
from mlp.studies.report import Setting, load_timing, measure_timing
from mlp.studies.report.timing import milliseconds

SETTING = Setting("single", "CE", "ReLU")
SCRIPT = Path(mlp.__file__).parent.parent / "scripts" / "make_report.py"


def test_timing_is_measured_and_read_back(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    path, said = tmp_path / "timing.json", []
    base = RunConfig(train_samples=300, test_samples=100)
    found = measure_timing(
        path, rounds=2, steps=2, epochs=1, base=base, settings=[SETTING], watched=[SETTING], say=said.append
    )
    assert load_timing(path) == found
    assert found["milliseconds"].keys() == {"single-CE-ReLU"}
    assert len(found["milliseconds"]["single-CE-ReLU"]) == 2
    assert milliseconds(found, SETTING) > 0
    assert found["watched"]["single-CE-ReLU"][0] > 0
    assert {"processor", "numpy", "blas", "threads"} <= found["environment"].keys()
    assert said[0] == "timing: round 1 of 2"
    assert [p.name for p in tmp_path.iterdir()] == ["timing.json"]


def test_timing_wants_one_thread(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    with pytest.raises(InputError, match="OPENBLAS_NUM_THREADS=1"):
        measure_timing(tmp_path / "timing.json")


def test_files_that_are_no_timing(tmp_path):
    path = tmp_path / "timing.json"
    assert load_timing(path) is None
    for content in ("{", json.dumps({"format": 0}), "[]"):
        path.write_text(content)
        with pytest.raises(InputError, match="measure again with --measure-timing"):
            load_timing(path)


def run_script(*arguments, cwd):
    command = [sys.executable, "-W", "error", str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=os.environ, check=False)


@pytest.mark.parametrize("arguments", [["--root", "empty"], ["--root", "empty", "--quick"]])
def test_missing_runs_end_in_one_line_and_status_2(tmp_path, arguments):
    pytest.importorskip("yaml")
    done = run_script(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("make_report.py: hidden-layers: ")
    assert "missing" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_option_ends_in_one_line_and_status_2(tmp_path):
    done = run_script("--quik", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
