"""Finding and opening submissions, adapters, old Python, the command line and its files, through real processes."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from collection import FOLDER

from mlp.checks import InputError
from mlp.grading import grade
from mlp.grading.__main__ import main
from mlp.grading.submission import opened

STYLE_A = FOLDER / "right" / "a.py"

RELU = """
import numpy as np


class Relu:
    def forward(self, x):
        self.x = x
        return np.maximum(x, 0)

    def backward(self, g):
        return g * (self.x > 0)
"""


def outcomes(path, **options):
    return {v.component: v.verdict for v in grade(path, isolated=False, **options)}


def write(folder, name, text):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


class TestFinding:
    def test_a_file_with_siblings(self, tmp_path):
        write(tmp_path, "base.py", "import numpy as np\ndef top(x): return np.maximum(x, 0)\n")
        file = write(
            tmp_path,
            "layers.py",
            RELU.replace("import numpy as np", "from base import np, top").replace("np.maximum(x, 0)", "top(x)"),
        )
        assert outcomes(file) == {"ReLU": "passed"}

    def test_a_folder_with_a_package(self, tmp_path):
        write(tmp_path, "mytorch/__init__.py", "")
        write(tmp_path, "mytorch/nn/__init__.py", "")
        write(tmp_path, "mytorch/nn/activation.py", RELU)
        write(tmp_path, "mytorch/test_it.py", "raise SystemExit('a test')")
        assert outcomes(tmp_path) == {"ReLU": "passed"}

    def test_a_zip(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "work.zip", "w") as archive:
            archive.writestr("work/layers.py", RELU)
            archive.writestr("../escaped.py", "raise SystemExit")
        assert outcomes(tmp_path / "work.zip") == {"ReLU": "passed"}
        assert not (tmp_path.parent / "escaped.py").exists()

    def test_a_notebook(self, tmp_path):
        cells = [
            {"cell_type": "markdown", "source": ["# ReLU"]},
            {"cell_type": "code", "source": ["%matplotlib inline\n", "import matplotlib.pyplot as plt\n", RELU]},
            {"cell_type": "code", "source": ["data = open('mnist.gz').read()\n", "plt.plot(data)"]},
        ]
        file = write(tmp_path, "homework 1.ipynb", json.dumps({"cells": cells}))
        assert outcomes(file) == {"ReLU": "passed"}

    def test_a_module_by_its_name(self, tmp_path, monkeypatch):
        write(tmp_path, "handed_in.py", RELU)
        monkeypatch.chdir(tmp_path)
        assert outcomes("handed_in") == {"ReLU": "passed"}

    def test_nothing_there(self, tmp_path):
        with pytest.raises(InputError, match="there is no submission 'nowhere'"):
            grade("nowhere")
        write(tmp_path, "a.zip", "no zip")
        with pytest.raises(InputError, match="cannot unpack"):
            grade(tmp_path / "a.zip")

    def test_a_base_class_is_no_component_and_an_empty_one_is_unfinished(self, tmp_path):
        text = "class Layer:\n    def forward(self, x): pass\n    def backward(self, g): pass\n"
        text += "class Relu(Layer):\n    pass\n"
        write(tmp_path, "layers.py", text)
        assert outcomes(tmp_path) == {"ReLU": "unfinished"}

    def test_behaviour_tells_where_the_name_does_not(self, tmp_path):
        write(tmp_path, "layers.py", RELU.replace("Relu", "Rectangle"))
        assert outcomes(tmp_path) == {"ReLU": "passed"}

    def test_missing_modules_are_stubbed(self, tmp_path):
        write(tmp_path, "layers.py", "import matplotlib.pyplot as plt\nimport not_installed.at_all as q\n" + RELU)
        assert [v.verdict for v in grade(tmp_path)] == ["passed"]

    def test_arrays_that_nothing_checks_are_no_pass(self, tmp_path):
        text = RELU.replace(
            "    def forward", "    def __init__(self):\n        self.slope = np.full(6, 0.5)\n\n    def forward"
        )
        text = text.replace("np.maximum(x, 0)", "np.maximum(x, 0) * self.slope.mean() * 2")
        write(tmp_path, "layers.py", text)
        assert outcomes(tmp_path) == {"ReLU": "error"}


class TestOldPython:
    OLD = (
        "import numpy as np\nclass Relu:\n\tdef forward(self, x):\n\t\tprint 'forward'\n\t\tself.x = x\n"
        "        \treturn np.maximum(x, 0)\n\tdef backward(self, g):\n\t\tfor i in xrange(3): pass\n"
        "\t\treturn g * (self.x > 0)\n"
    )

    def test_it_is_said(self, tmp_path):
        write(tmp_path, "layers.py", self.OLD)
        (verdict,) = grade(tmp_path, isolated=False)
        assert verdict.verdict == "error"
        assert "written for Python 2" in verdict.message

    def test_it_is_repaired(self, tmp_path):
        pytest.importorskip("fissix")
        write(tmp_path, "layers.py", self.OLD)
        assert outcomes(tmp_path, repair=True) == {"ReLU": "passed"}
        assert "print 'forward'" in (tmp_path / "layers.py").read_text()


class TestAdapters:
    STRANGE = """
import numpy as np

class Schicht:
    def __init__(self, a, b, s):
        self.gewicht, self.schwelle = np.random.randn(a, b) * s, np.zeros(b)
    def vor(self, x):
        self.x = x
        return x @ self.gewicht + self.schwelle
    def rueck(self, g):
        self.gg, self.gs = self.x.T @ g, g.FOLD(0)
        return g @ self.gewicht.T
"""
    YAML = """
Linear:
  class: "netz.py: Schicht"
  arguments: [in, out, 0.1]
  forward: vor
  backward: rueck
  weight: gewicht
  weight_gradient: gg
  bias: schwelle
  bias_gradient: gs
"""

    @pytest.mark.parametrize(("fold", "mistake"), [("sum", None), ("mean", "bias-gradient-over-n")])
    def test_yaml(self, fold, mistake, tmp_path):
        pytest.importorskip("yaml")
        write(tmp_path, "work/netz.py", self.STRANGE.replace("FOLD", fold))
        adapter = write(tmp_path, "adapter.yaml", self.YAML)
        (verdict,) = grade(tmp_path / "work", adapter=adapter, isolated=False)
        assert (bool(verdict), verdict.mistake) == (mistake is None, mistake)

    def test_python(self, tmp_path):
        write(tmp_path, "work/netz.py", self.STRANGE.replace("FOLD", "sum"))
        adapter = write(
            tmp_path, "adapter.py",
            "import netz\nclass Linear:\n"
            "    def __init__(self, n_in, n_out): self.s = netz.Schicht(n_in, n_out, 1)\n"
            "    def forward(self, x): return self.s.vor(x)\n"
            "    def backward(self, g): return self.s.rueck(g), self.s.gg, self.s.gs\n",
        )  # fmt: skip
        assert outcomes(tmp_path / "work", adapter=adapter) == {"Linear": "passed"}

    def test_what_an_adapter_names_must_be_there(self, tmp_path):
        pytest.importorskip("yaml")
        write(tmp_path, "work/netz.py", self.STRANGE)
        for old, new, says in [
            ("Linear:", "Lienar:", "no component 'Lienar'"), ("netz.py", "nets.py", "is looked for in"),
            ("Schicht", "Schichten", "no class 'Schichten'"), ("vor", "vorwaerts", "no method 'vorwaerts'"),
            ("bias:", "bais:", "no key 'bais'"),
        ]:  # fmt: skip
            adapter = write(tmp_path, "adapter.yaml", self.YAML.replace(old, new, 1))
            with pytest.raises(InputError, match=says):
                grade(tmp_path / "work", adapter=adapter, isolated=False)


class TestCommand:
    def test_json_and_exit_status(self, tmp_path, capsys):
        wrong = STYLE_A.read_text().replace("np.sum(grad_output, axis=0)", "np.mean(grad_output, axis=0)")
        file = write(tmp_path, "layers.py", wrong)
        assert main([str(file), "--json", str(tmp_path / "out.json"), "--expect", "Linear,Tanh"]) == 1
        verdicts = json.loads((tmp_path / "out.json").read_text())
        keys = {"component", "found", "verdict", "side", "mistake", "name", "message", "convention"}
        assert all(v.keys() == keys for v in verdicts)
        linear, *_, tanh = verdicts
        assert (linear["verdict"], linear["side"], linear["mistake"]) == (
            "failed",
            "backward",
            "bias-gradient-over-n",
        )
        assert (tanh["component"], tanh["found"], tanh["verdict"]) == ("Tanh", None, "missing")
        out = capsys.readouterr().out
        assert "mean over the batch" in out
        assert "protection: " in out

    def test_all_right_is_0_and_nothing_is_2(self, tmp_path, capsys):
        assert main([str(write(tmp_path, "a/layers.py", RELU)), "--explain"]) == 0
        assert main([str(write(tmp_path, "b/empty.py", "x = 1\n").parent)]) == 2
        assert main([str(tmp_path / "nowhere")]) == 2
        assert "there is no submission" in capsys.readouterr().err

    def test_pytest_grades_a_submission(self, tmp_path):
        shutil.copy(STYLE_A, tmp_path / "layers.py")
        text = (tmp_path / "layers.py").read_text()
        (tmp_path / "layers.py").write_text(text.replace("grad_output * y * (1 - y)", "grad_output * y"))
        command = [
            sys.executable,
            "-m",
            "pytest",
            "--pyargs",
            "mlp.grading",
            "--submission",
            str(tmp_path),
            "-q",
            "-n",
            "0",
        ]
        listed = subprocess.run(
            [sys.executable, "-m", "pytest", "--help"], capture_output=True, text=True, cwd=tmp_path
        )
        if "--submission" not in listed.stdout:
            command[3:3] = ["-p", "mlp_pytest"]
        root = Path(__file__).parents[2]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(root / "scripts")])}
        run = subprocess.run(
            [*command, "-p", "no:cacheprovider"], capture_output=True, text=True, cwd=tmp_path, env=environment
        )
        assert run.returncode == 1
        assert "1 failed, 8 passed" in run.stdout
        assert "the factor 1 - y is missing" in run.stdout


def test_a_copy_is_graded_and_removed():
    with opened(STYLE_A) as submission:
        folder = submission.folder
        assert (folder / "a.py").exists()
    assert not folder.exists()
