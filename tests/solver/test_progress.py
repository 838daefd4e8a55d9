"""Progress on a file, a terminal and a notebook: one clean line or bar, whatever the columns hold."""

import io
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from mlp import SGD, Callback, CrossEntropyLoss, Linear, Network, Progress, Solver
from mlp.solver.callbacks import progress
from mlp.solver.screen import say


@pytest.fixture
def fit():
    """fit(*callbacks) trains 2 epochs of 4 steps, with Progress last."""

    def call(*callbacks):
        network = Network(Linear(2, 2), rng=1)
        solver = Solver(
            network, CrossEntropyLoss(), SGD(network.parameters, lr=0.1),
            epochs=2, batch_size=3, log_every=1, callbacks=[*callbacks, Progress()],
        )  # fmt: skip
        x = np.random.default_rng(0).normal(size=(12, 2))
        solver.fit((x, np.arange(12) % 2), (x, np.arange(12) % 2))
        return solver

    return call


def test_into_a_file_go_lines_alone(fit, capsys):
    fit()
    out, err = capsys.readouterr()
    assert err == ""
    assert [line.partition(":")[0] for line in out.splitlines()] == ["epoch 1/2", "epoch 2/2"]
    assert "\r" not in out
    assert "train loss" in out
    assert "test accuracy" in out


def test_on_a_terminal_there_is_a_bar(fit, capsys, monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fit()
    out, err = capsys.readouterr()
    assert out.count("\nepoch ") + out.startswith("epoch ") == 2
    assert "8/8" in err


def test_without_tqdm_there_are_lines(fit, capsys, monkeypatch, caplog):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    fit()
    assert capsys.readouterr().out.count("epoch ") == 2
    assert caplog.messages == ["there is no bar of progress without tqdm: pip install tqdm"]


class Display:
    """IPython's, as far as it is used: outputs by number."""

    def __init__(self):
        self.shown = []

    def display(self, content, *, raw, display_id):
        assert (raw, display_id) == (True, True)
        self.shown.append([content["text/plain"]])
        texts = self.shown[-1]
        return SimpleNamespace(update=lambda content, *, raw: texts.append(content["text/plain"]))


@pytest.fixture
def notebook(monkeypatch):
    """The outputs of a notebook's cell: lists of the contents that each had."""
    module, screen = ModuleType("IPython.display"), Display()
    module.display = screen.display
    package = ModuleType("IPython")
    package.get_ipython = lambda: SimpleNamespace(kernel="that of a notebook")
    for name, value in {"IPython": package, "IPython.display": module}.items():
        monkeypatch.setitem(sys.modules, name, value)
    return screen.shown


def test_a_program_that_imports_the_kernel_is_no_notebook(fit, monkeypatch, capsys):
    package = ModuleType("IPython")
    package.get_ipython = lambda: None
    for name, value in {"IPython": package, "ipykernel": ModuleType("ipykernel")}.items():
        monkeypatch.setitem(sys.modules, name, value)
    fit()
    assert capsys.readouterr().out.count("epoch ") == 2


def test_in_a_notebook_there_is_one_output(fit, notebook, capsys, monkeypatch):
    monkeypatch.setattr(progress.Notebook, "INTERVAL", 0)
    fit()
    assert capsys.readouterr() == ("", "")
    ((first, *between, last),) = notebook
    assert first.startswith("epoch 1/2 ░")
    assert any("epoch 2/2 " in text and "█" in text and "step 5/8 loss " in text for text in between)
    assert [line.partition(":")[0] for line in last.splitlines()] == ["epoch 1/2", "epoch 2/2"]
    assert all("\r" not in text for text in [first, *between, last])


def test_a_notebook_is_not_redrawn_at_every_step(fit, notebook, monkeypatch):
    monkeypatch.setattr(progress.Notebook, "INTERVAL", 1000)
    fit()
    assert [len(output) for output in notebook] == [2]


def test_a_notebook_that_is_gone_ends_nothing(fit, monkeypatch, notebook):
    def refuse(*arguments, **options):
        raise RuntimeError("no frontend")

    monkeypatch.setattr(sys.modules["IPython.display"], "display", refuse)
    assert fit().epoch == 2


@pytest.mark.parametrize(
    "value", [np.float32(0.5), np.array(0.5), np.bool_(True), float("nan"), None, "high", [1, 2]]
)
def test_columns_that_are_no_plain_numbers(value, fit, capsys):
    class Add(Callback):
        def on_epoch(self, solver, row):
            row["own_loss"] = row["own_accuracy"] = value

    fit(Add())
    assert capsys.readouterr().out.count("own loss ") == 2


@pytest.mark.parametrize(
    "wrong", [OSError(28, "No space left on device"), ValueError("I/O operation on closed file")]
)
def test_words_that_cannot_be_said_are_lost(wrong, monkeypatch):
    class Lost(io.StringIO):
        def write(self, text):
            raise wrong

    monkeypatch.setattr(sys, "stdout", Lost())
    say("nobody hears this")


def test_no_standard_streams_at_all(fit, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert fit().epoch == 2
