"""The assignment: its solution earns all points, nothing earns none, and each mistake costs its own check alone."""

import ast
import json
import subprocess
import sys

import numpy as np
import pytest
from running import PATIENCE, PROJECT

import mlp
from mlp.checks import InputError
from mlp.grading.grader import Grader
from mlp.grading.process import Limits
from mlp.grading.rubric import read_rubric
from mlp.grading.scores import score

sys.path.insert(0, str(PROJECT / "scripts"))
import make_assignment


@pytest.fixture(scope="module")
def assignment(tmp_path_factory):
    out = tmp_path_factory.mktemp("assignment") / "out"
    assert make_assignment.main([str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def grade(assignment):
    rubric = read_rubric(assignment / "grading" / "rubric.yaml")
    with Grader(Limits(seconds=PATIENCE)) as grader:
        yield lambda path: score(rubric, grader.grade(path))


@pytest.fixture(scope="module")
def solution(assignment):
    """The solution's modules, by the names of their files."""
    sys.path.insert(0, str(assignment / "solution"))
    names = ("layers", "loss", "network", "optim")
    try:
        return {name: __import__(name) for name in names}
    finally:
        sys.path.pop(0)
        for name in names:
            sys.modules.pop(name, None)


def pytest_in(folder):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)


# ---- what is written -------------------------------------------------------------------------------------


def test_students_get_no_solution_and_no_part_of_the_library(assignment):
    for name in make_assignment.TO_FILL:
        text = (assignment / "student" / name).read_text()
        assert "YOUR CODE HERE" in text
        assert "SOLUTION" not in text
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
        empty = [f.name for f in functions if isinstance(f.body[-1], ast.Raise)]
        assert len(empty) == text.count("YOUR CODE HERE")
        assert "SOLUTION" not in (assignment / "solution" / name).read_text()
    for file in assignment.glob("s*/**/*.py"):
        imported = {
            alias.name.partition(".")[0]
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert imported <= {"numpy", "sys"}, file


def test_the_notebook_is_one_and_stands_for_its_script(assignment):
    notebook = json.loads((assignment / "student" / "assignment.ipynb").read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code[0].startswith("%load_ext autoreload\n%autoreload 2\nimport sys")
    texts = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    assert texts[0].startswith("# A multilayer perceptron by hand\n\nYou write")
    for cell in code:
        ast.parse("\n".join(line for line in cell.splitlines() if not line.startswith("%")))


def test_the_notebook_runs_with_the_solution_and_learns(assignment):
    notebook = json.loads((assignment / "solution" / "assignment.ipynb").read_text())
    code = "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    script = "\n".join(line for line in code.splitlines() if not line.startswith("%"))
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=assignment / "solution",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) > 0.95  # accuracy on the spirals


def test_visible_tests_pass_with_the_solution_and_are_to_do_without(assignment):
    done = pytest_in(assignment / "solution")
    assert done.returncode == 0, done.stdout
    done = pytest_in(assignment / "student")
    assert " passed" not in done.stdout
    assert done.stdout.count(" - NotIm") == done.stdout.count("FAILED") > 5


def test_a_folder_with_files_and_unpaired_markers_are_refused(assignment, capsys):
    assert make_assignment.main([str(assignment)]) == 2
    assert capsys.readouterr().err.endswith("is not empty: give a new folder\n")
    for text in ("### BEGIN SOLUTION\n", "### END SOLUTION\n", "### BEGIN SOLUTION\n### BEGIN SOLUTION\n"):
        with pytest.raises(InputError, match="SOLUTION without"):
            make_assignment.without_solution(text, "a.py")


# ---- consistent with the library -------------------------------------------------------------------------


def test_the_layers_compute_what_the_library_computes(solution):
    rng = np.random.default_rng(0)
    x, upstream = rng.normal(size=(5, 4)) * 3, rng.normal(size=(5, 4))
    for name in ("ReLU", "Sigmoid", "Tanh"):
        own, library = getattr(solution["layers"], name)(), getattr(mlp, name)()
        np.testing.assert_allclose(own.forward(x), library.forward(x), rtol=1e-12)
        np.testing.assert_allclose(own.backward(upstream), library.backward(upstream), rtol=1e-12)
    own, library = solution["layers"].Linear(4, 4), mlp.Linear(4, 4, rng=rng, dtype=np.float64)
    library.weight.data[...], library.bias.data[...] = own.W, own.b
    np.testing.assert_allclose(own.forward(x), library.forward(x), rtol=1e-12)
    np.testing.assert_allclose(own.backward(upstream), library.backward(upstream), rtol=1e-12)
    np.testing.assert_allclose(own.grad_W, library.weight.grad, rtol=1e-12)
    np.testing.assert_allclose(own.grad_b, library.bias.grad, rtol=1e-12)


def test_the_cross_entropy_is_the_librarys(solution):
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(5, 3)) * 100, rng.integers(3, size=5)
    own, library = solution["loss"].CrossEntropyLoss(), mlp.CrossEntropyLoss()
    assert own.forward(scores, np.eye(3)[labels]) == pytest.approx(library.forward(scores, labels), rel=1e-12)
    np.testing.assert_allclose(own.backward(), library.backward(), rtol=1e-9, atol=1e-15)


def test_the_update_is_the_librarys(solution):
    rng = np.random.default_rng(0)
    own, library = solution["layers"].Linear(3, 2), mlp.Network(mlp.Linear(3, 2), dtype=np.float64)
    library[0].weight.data[...], library[0].bias.data[...] = own.W, own.b
    optimizer = solution["optim"].SGD([own], lr=0.1, momentum=0.9, weight_decay=0.01)
    reference = mlp.SGD(library.parameters, lr=0.1, momentum=0.9, weight_decay=0.01)
    for _ in range(4):
        own.grad_W, own.grad_b = rng.normal(size=(3, 2)), rng.normal(size=2)
        library[0].weight.grad[...], library[0].bias.grad[...] = own.grad_W, own.grad_b
        optimizer.step()
        reference.step()
    np.testing.assert_allclose(own.W, library[0].weight.data, rtol=1e-12)


# ---- graded ----------------------------------------------------------------------------------------------


def test_the_solution_earns_all_points_and_the_handout_none(assignment, grade):
    result = grade(assignment / "solution")
    assert [r.verdict.verdict for r in result.results] == ["passed"] * 8
    assert result.points == result.total == 100
    result = grade(assignment / "student")
    assert [r.verdict.verdict for r in result.results] == ["unfinished"] * 8
    assert result.points == 0
    assert all("not finished yet" in r.verdict.message for r in result.results)


MISTAKES = [
    ("layers.py", "return x @ self.W + self.b", "return x @ self.W", "Linear"),
    ("layers.py", "return x @ self.W + self.b", "return x @ self.W - self.b", "Linear"),
    ("layers.py", "self.x.T @ grad_y", "self.x.T @ grad_y / len(grad_y)", "Linear"),
    ("layers.py", "self.x.T @ grad_y", "-self.x.T @ grad_y", "Linear"),
    ("layers.py", "grad_y.sum(axis=0)", "grad_y[0]", "Linear"),
    ("layers.py", "grad_y.sum(axis=0)", "grad_y", "Linear"),
    ("layers.py", "grad_y @ self.W.T", "grad_y @ self.W.T / len(grad_y)", "Linear"),
    ("layers.py", "grad_y.sum(axis=0)", "grad_y.mean(axis=0)", "Linear"),
    ("layers.py", "grad_y @ self.W.T", "-grad_y @ self.W.T", "Linear"),
    ("layers.py", "self.positive = x > 0", "self.positive = x < 0", "ReLU"),
    ("layers.py", "grad_y * self.positive", "grad_y * (grad_y > 0)", "ReLU"),
    ("layers.py", "grad_y * self.positive", "1.0 * self.positive", "ReLU"),
    ("layers.py", "np.maximum(x, 0.0)", "np.abs(x)", "ReLU"),
    ("layers.py", "np.maximum(x, 0.0)", "np.maximum(x, 0.01 * x)", "ReLU"),
    ("layers.py", "grad_y * self.y * (1.0 - self.y)", "grad_y * self.y", "Sigmoid"),
    ("layers.py", "grad_y * self.y * (1.0 - self.y)", "self.y * (1.0 - self.y)", "Sigmoid"),
    ("layers.py", "1.0 - self.y**2", "1.0 - self.y", "Tanh"),
    ("layers.py", "grad_y * (1.0 - self.y**2)", "1.0 - self.y**2", "Tanh"),
    ("loss.py", "np.sum(self.difference**2) / len(scores)", "np.sum(self.difference**2)", "MSE"),
    ("loss.py", "2.0 * self.difference", "self.difference", "MSE"),
    ("loss.py", "self.difference = scores - targets", "self.difference = targets - scores", "MSE"),
    ("loss.py", "(self.p - self.targets) / len(self.p)", "self.p - self.targets", "CrossEntropy"),
    ("loss.py", "(self.p - self.targets)", "self.p", "CrossEntropy"),
    ("loss.py", "(self.p - self.targets)", "(self.p + self.targets)", "CrossEntropy"),
    ("loss.py", "-np.sum(targets * log_p)", "np.sum(targets * log_p)", "CrossEntropy"),
    ("network.py", "for layer in reversed(self.layer_list)", "for layer in self.layer_list", "Network"),
    ("network.py", "for layer in self.layer_list", "for layer in self.layer_list[:-1]", "Network"),
    ("optim.py", 'layer.b - self.lr * velocity["b"]', "layer.b", "SGD"),
    ("optim.py", "layer.grad_W + self.weight_decay * layer.W", "layer.grad_W", "SGD"),
    ("optim.py", 'self.momentum * velocity["W"] + layer.grad_W', "layer.grad_W", "SGD"),
    ("optim.py", 'layer.W - self.lr * velocity["W"]', 'layer.W + self.lr * velocity["W"]', "SGD"),
]


@pytest.mark.parametrize(("file", "right", "wrong", "check"), MISTAKES, ids=lambda text: text[:30])
def test_a_mistake_costs_points_of_its_own_check_only(assignment, grade, tmp_path, file, right, wrong, check):
    for name in make_assignment.TO_FILL:
        text = (assignment / "solution" / name).read_text()
        if name == file:
            assert right in text
            text = text.replace(right, wrong, 1)
        (tmp_path / name).write_text(text)
    result = grade(tmp_path)
    assert [r.check.name for r in result.results if r.points < r.check.points] == [check]
    (verdict,) = (r.verdict for r in result.results if r.check.name == check)
    assert verdict.verdict == "failed"
