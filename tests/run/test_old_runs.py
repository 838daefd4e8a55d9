"""Runs that an earlier version began, and was interrupted in, end as they would have ended there.

``expected.jsonl`` and ``expected_final.json`` are what that version wrote when nothing interrupted it.
"""

import json
import shutil
from pathlib import Path

import pytest
import run_mlp
from running import rows

OLD = Path(__file__).parent / "old_runs"


def numbers(row, name):
    """The numbers; of an average of weights without those of its evaluation, which now has its own statistics."""
    skipped = ("validation_", "test_", "final_") if name == "stateful" else ()
    return {key: value for key, value in row.items() if not isinstance(value, str) and not key.startswith(skipped)}


@pytest.mark.parametrize("name", ["plain", "stateful", "half"])
def test_an_old_run_goes_on(name, tmp_path, monkeypatch, capsys):
    folder = shutil.copytree(OLD, tmp_path / "old") / name
    monkeypatch.chdir(folder.parent)
    before = (folder / "metrics.jsonl").read_bytes()
    assert run_mlp.main([f"--resume={name}"]) == 0
    assert (folder / "metrics.jsonl").read_bytes().startswith(before)
    expected = [json.loads(line) for line in (folder / "expected.jsonl").read_text().splitlines()]
    assert len(rows(folder)) == len(expected) > before.count(b"\n")
    # Another processor or BLAS may add in another order.
    for row, wanted in zip(rows(folder), expected, strict=True):
        assert numbers(row, name) == pytest.approx(numbers(wanted, name), rel=1e-3, abs=1e-5, nan_ok=True)
    final, wanted = (json.loads((folder / f"{kind}final.json").read_text()) for kind in ("", "expected_"))
    assert final.get("stopped") == wanted.get("stopped")
    assert final["status"] == wanted["status"] == "completed"
    assert numbers(final, name) == pytest.approx(numbers(wanted, name), rel=1e-3, abs=1e-5)
