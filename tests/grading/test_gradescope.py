"""The autograder zip: unzipped into an empty folder, it grades as Gradescope would run it."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from running import PATIENCE

from mlp.grading import gradescope
from mlp.grading.rubric import read_rubric

RIGHT = """
import numpy as np


class ReLU:
    def forward(self, x):
        self.positive = x > 0
        return np.maximum(x, 0)

    def backward(self, grad_y):
        return grad_y * self.positive
"""
WRONG = RIGHT.replace("grad_y * self.positive", "grad_y * (grad_y > 0)")
RUBRIC = "checks: {ReLU: 10, Tanh: {points: 5, visibility: hidden}}"


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A folder as Gradescope's /autograder, and a python3 that finds NumPy and nothing else."""
    root = tmp_path_factory.mktemp("autograder")
    rubric = root / "rubric.yaml"
    rubric.write_text(RUBRIC)
    assert gradescope.main(["--rubric", str(rubric), "--out", str(root / "autograder.zip")]) == 0
    with zipfile.ZipFile(root / "autograder.zip") as archive:
        for info in archive.infolist():
            archive.extract(info, root / "source")
            (root / "source" / info.filename).chmod((info.external_attr >> 16) & 0o777)
    packages = root / "packages"
    packages.mkdir()
    numpy = Path(np.__file__).parent
    for name in ("numpy", "numpy.libs"):
        if (numpy.parent / name).exists():
            (packages / name).symlink_to(numpy.parent / name)
    (root / "bin").mkdir()
    # -S: none of this machine's packages, so no mlp but the zip's.
    (root / "bin" / "python3").write_text(f'#!/bin/sh\nPYTHONPATH="{packages}" exec {sys.executable} -S "$@"\n')
    (root / "bin" / "python3").chmod(0o755)
    return root


def run(machine, text, script="run_autograder"):
    shutil.rmtree(machine / "submission", ignore_errors=True)
    (machine / "submission").mkdir()
    if text is not None:
        (machine / "submission" / "layers.py").write_text(text)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {"AUTOGRADER_ROOT": str(machine), "PATH": f"{machine / 'bin'}:/usr/bin:/bin"}
    done = subprocess.run(
        [machine / "source" / script], env=environment, cwd="/", capture_output=True, text=True, timeout=PATIENCE
    )
    return done, json.loads((machine / "results" / "results.json").read_text())


def test_a_right_and_a_wrong_submission(machine):
    done, results = run(machine, RIGHT)
    assert done.returncode == 0, done.stderr
    assert (results["score"], [t["status"] for t in results["tests"]]) == (10, ["passed", "failed"])
    assert results["tests"][1]["visibility"] == "hidden"
    done, results = run(machine, WRONG)
    assert (results["score"], [t["score"] for t in results["tests"]]) == (5, [5, 0])  # forward is right
    assert "failed" in results["tests"][0]["output"]


@pytest.mark.parametrize("text", [None, "", "import sys\nsys.exit(0)\n" + RIGHT, "def broken(:\n"])
def test_nothing_and_broken_files_have_all_tests_and_no_crash(machine, text):
    done, results = run(machine, text)
    assert done.returncode == 0, done.stderr
    assert [t["name"] for t in results["tests"]] == ["ReLU", "Tanh"]
    if text is None or "class" not in text:
        assert results["score"] == 0


def test_a_grader_that_dies_leaves_zero_points_and_not_nothing(machine, tmp_path):
    shutil.copytree(machine, tmp_path / "root", symlinks=True)
    (tmp_path / "root" / "source" / "mlp" / "grading" / "autograder.py").write_text("import os\nos._exit(3)\n")
    _, results = run(tmp_path / "root", RIGHT)
    assert results["score"] == 0
    assert [(t["name"], t["score"], t["max_score"]) for t in results["tests"]] == [("ReLU", 0, 10), ("Tanh", 0, 5)]
    assert "ended without a result" in results["tests"][0]["output"]


def test_the_zip_holds_the_rubric_and_the_library_and_no_data(machine):
    with zipfile.ZipFile(machine / "autograder.zip") as archive:
        names = archive.namelist()
        scripts = [info for info in archive.infolist() if info.filename in ("setup.sh", "run_autograder")]
    assert {"setup.sh", "run_autograder", "rubric.json", "mlp/__init__.py"} <= set(names)
    assert all(name.endswith(".py") for name in names if name.startswith("mlp/"))
    assert all(info.external_attr >> 16 & 0o100 for info in scripts)
    assert read_rubric(machine / "source" / "rubric.json") == read_rubric(machine / "rubric.yaml")
    for info in scripts:
        done = subprocess.run(["bash", "-n", machine / "source" / info.filename], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_setup_installs_nothing_where_numpy_is_there(machine):
    environment = {"PATH": f"{machine / 'bin'}:/usr/bin:/bin"}
    done = subprocess.run([machine / "source" / "setup.sh"], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_bad_rubric_is_one_line(tmp_path, capsys):
    (tmp_path / "rubric.yaml").write_text("checks: 3")
    assert gradescope.main(["--rubric", str(tmp_path / "rubric.yaml")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
