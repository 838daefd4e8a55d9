"""What the tests of training share: a small MNIST, quick settings, the script called in this process."""

import json
import os
import shutil
import signal
import struct
import sys
from pathlib import Path

# One thread adds in one order, here and in the processes that the tests start. Has to come before NumPy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from running import PROJECT, SCRIPT, end_all

from mlp import Dataset, History, load_mnist

sys.path.insert(0, str(SCRIPT.parent))
sys.path.insert(0, str(PROJECT / "tests" / "run"))  # the table of settings serves experiments too
# The processes that tests start import the mlp that is tested.
os.environ["PYTHONPATH"] = os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])

# A shell that starts the tests in the background lets them ignore Ctrl-C, which some of them send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TRAIN, TEST = 300, 100


@pytest.fixture(autouse=True)
def untracked(monkeypatch):
    """No test speaks to wandb unless it undoes this."""
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture(autouse=True)
def nothing_left_running():
    """What a test has started ends with it, also if it fails."""
    yield
    end_all()


@pytest.fixture(scope="session")
def mnist() -> tuple[Dataset, Dataset]:
    """The first images of the real MNIST."""
    train, test = load_mnist()
    return train[:TRAIN], test[:TEST]


@pytest.fixture(scope="session")
def quick(mnist, tmp_path_factory) -> list[str]:
    """Options of a run of 3 epochs of 15 steps that takes a few hundredths of a second."""
    folder = tmp_path_factory.mktemp("idx")
    for part, data in zip(("train", "t10k"), mnist, strict=True):
        pixels = data.stored.astype(np.int16) + 128  # a data set keeps them centred
        images = pixels.astype(np.uint8).reshape(-1, 28, 28)
        arrays = {"images-idx3": images, "labels-idx1": data.labels.astype(np.uint8)}
        for name, array in arrays.items():
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (folder / f"{part}-{name}-ubyte").write_bytes(header + array.tobytes())
    settings = {
        "data": str(folder), "hidden": [16], "epochs": 3, "batch_size": 20, "log_every": 4,
        "checkpoint_seconds": 0, "tracking": "none",
    }  # fmt: skip
    # JSON is YAML; in a file, so that the files and options of a test win.
    (folder / "quick.yaml").write_text(json.dumps(settings))
    return [f"--config={folder / 'quick.yaml'}"]


@pytest.fixture(scope="session")
def finished(quick, tmp_path_factory) -> Path:
    """The folder of a run that was never stopped. Look, and copy before you change it."""
    return new_run(quick, tmp_path_factory)


@pytest.fixture(scope="session")
def longer(quick, tmp_path_factory) -> Path:
    """The same with 5 epochs instead of 3."""
    return new_run([*quick, "--epochs=5"], tmp_path_factory)


def new_run(options: list[str], tmp_path_factory) -> Path:
    from run_mlp import main

    folder = tmp_path_factory.mktemp("run") / "run"
    assert main([*options, f"--output={folder}"]) == 0
    return folder


@pytest.fixture
def done(finished, tmp_path) -> Path:
    """A copy of the folder ``finished``."""
    return shutil.copytree(finished, tmp_path / "done")


@pytest.fixture
def blank_curves(monkeypatch):
    """Runs in this process leave an empty curves.png: to draw it takes ten times as long as to train them."""
    matplotlib = pytest.importorskip("matplotlib.figure")
    monkeypatch.setattr(History, "plot", lambda self: matplotlib.Figure(figsize=(1, 1)))


@pytest.fixture
def train(quick, capsys, blank_curves):
    """train(*options) -> (exit status, stdout, stderr) of the training script, in this process."""
    from run_mlp import main

    def call(*options: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main([*quick, *map(str, options)])
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def refused(train):
    """refused(*options) -> the one line with which the script refuses these options."""

    def call(*options: object) -> str:
        status, out, err = train(*options)
        assert (status, err.count("\n")) == (2, 1), (status, out, err)
        assert err.startswith("run_mlp.py: ")
        return err.removeprefix("run_mlp.py: ").strip()

    return call
