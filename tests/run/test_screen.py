"""Losing the screen ends nothing: training goes on, and the record is complete."""

import json
import os
import shlex
import subprocess
import sys

import pytest
from running import PATIENCE, SCRIPT, assert_same_run


@pytest.mark.parametrize(
    "where",
    [
        "| head -1", "| true", ">&-", "> /dev/full", "2>&-", "2> /dev/full", "<&- >&- 2>&-", "> /dev/full 2>&1",
        "2>&1 | head -1",
    ],
)  # fmt: skip
def test_training_goes_on_without_a_screen(where, quick, finished, tmp_path):
    folder = tmp_path / "run"
    command = shlex.join([sys.executable, str(SCRIPT), *quick, f"--output={folder}"])
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} {where}"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert_same_run(folder, finished)
    assert (folder / "curves.png").exists()


@pytest.mark.parametrize("where", [">&-", "> /dev/full", "2>&-", "2> /dev/full"])
def test_what_is_wrong_is_still_told_by_the_status(where, quick):
    command = shlex.join([sys.executable, str(SCRIPT), *quick, "--learning_rate=fast"])
    done = subprocess.run(["bash", "-c", f"{command} {where}"], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr


def test_a_missing_stream_is_not_replaced_by_a_file_of_the_run(quick, tmp_path):
    """What a library writes to descriptor 1 must not end up in the record."""
    code = (
        f"import os, sys; sys.path.insert(0, {str(SCRIPT.parent)!r}); from run_mlp import main; import mlp\n"
        "step = mlp.Network.training_step\n"
        "def loud(*args, **options):\n    os.write(1, b'loud'); return step(*args, **options)\n"
        "mlp.Network.training_step = loud\nsys.exit(main(sys.argv[1:]))"
    )
    command = shlex.join([sys.executable, "-c", code, *quick, f"--output={tmp_path / 'run'}"])
    done = subprocess.run(["bash", "-c", f"{command} >&-"], timeout=PATIENCE, env=dict(os.environ))
    assert done.returncode == 0
    assert not any(b"loud" in path.read_bytes() for path in (tmp_path / "run").iterdir())


def test_ranks_go_on_without_a_screen(quick, tmp_path):
    pytest.importorskip("mpi4py", reason="needs the extra parallel")
    launcher = [sys.executable, "-m", "mlp.parallel.launch", "-n", "2", "--time-limit", "50", str(SCRIPT)]
    command = shlex.join([*launcher, *quick, "--data_parallel=2", f"--output={tmp_path / 'run'}"])
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -1"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "run" / "final.json").read_text())["status"] == "completed"
