"""What goes into the record of a run: whole lines, whatever a callback adds to a row; and crafted checkpoints."""

import json
import os

import numpy as np
import pytest
from running import assert_same_run, rows

from mlp import Callback, InputError
from mlp.run.config import read_config
from mlp.run.record import plain
from mlp.run.run import run
from mlp.solver.checkpoint import load_arrays, save_arrays


class Add(Callback):
    """Adds a column to every row."""

    def __init__(self, value):
        self.value = value

    def on_epoch(self, solver, row):
        row["own"] = self.value

    on_log = on_epoch


@pytest.mark.parametrize(
    ("value", "recorded"),
    [
        (np.float32(0.5), 0.5), (np.float64(0.25), 0.25), (np.float16(2), 2.0), (np.int64(3), 3), (np.uint8(4), 4),
        (np.bool_(True), True), (np.array(1.5), 1.5), (np.array([1, 2]), [1, 2]),
        (np.array([[np.nan], [1]]), [[None], [1.0]]),
        (float("nan"), None), (float("inf"), None), (np.float32("-inf"), None), (np.array(np.nan), None),
        (None, None), ("high", "high"), (np.str_("low"), "low"), (True, True), (7, 7), ((1, 2.5), [1, 2.5]),
    ],
    ids=repr,
)  # fmt: skip
def test_columns_of_all_kinds(value, recorded):
    found = plain(value, "own")
    assert found == recorded
    assert json.loads(json.dumps(found, allow_nan=False)) == recorded


@pytest.mark.parametrize("value", [np.float32(0.5), np.array(2), float("nan"), np.bool_(False)], ids=repr)
def test_a_run_records_them_and_can_be_resumed(value, finished, train, tmp_path):
    config = read_config(finished / "config.yaml")
    folder = tmp_path / "run"
    run(type(config)(**config.as_dict() | {"output": str(folder), "epochs": 2}), callbacks=(Add(value),))
    assert {repr(row["own"]) for row in rows(folder)} == {repr(plain(value, ""))}
    assert json.loads((folder / "final.json").read_text())["own"] == plain(value, "")
    again = type(config)(**config.as_dict() | {"output": str(folder)})
    result = run(again, resume=folder, callbacks=(Add(value),))
    np.testing.assert_array_equal(result.history["own"], [np.nan if plain(value, "") is None else float(value)] * 3)
    assert [{k: v for k, v in row.items() if k != "own"} for row in rows(folder)] == rows(finished)


@pytest.mark.parametrize("value", [1j, np.array(1j), ..., {"a": 1}, b"bytes"], ids=repr)
def test_what_cannot_be_recorded_is_refused_before_a_byte_is_written(value, finished, tmp_path):
    config = read_config(finished / "config.yaml")
    folder = tmp_path / "run"
    with pytest.raises(InputError, match="column 'own': got "):
        run(type(config)(**config.as_dict() | {"output": str(folder)}), callbacks=(Add(value),))
    assert (folder / "metrics.jsonl").read_bytes() == b""


def test_a_disk_that_takes_half_a_line_at_a_time(done, longer, train, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[: max(1, len(data) // 2)]))
    assert train("--epochs=5", f"--resume={done}")[0] == 0
    assert_same_run(done, longer)


def change(*path, value):
    """A function that sets one value in the metadata of a checkpoint."""

    def apply(metadata):
        for key in path[:-1]:
            metadata = metadata[key]
        if value is KeyError:
            del metadata[path[-1]]
        else:
            metadata[path[-1]] = value

    return apply


CRAFTED = [
    ("format",), ("settings",), ("solver",), ("records",), ("records", "metrics.jsonl"), ("solver", "step"),
    ("solver", "epoch"), ("solver", "generators"), ("solver", "generators", "transform"),
    ("solver", "order_state"), ("solver", "order_state", "state"), ("solver", "in_epoch"), ("solver", "history"),
    ("solver", "in_log"), ("solver", "learning_rate"), ("solver", "lr_factor"),
]  # fmt: skip


@pytest.mark.parametrize("value", [KeyError, "text", [[]]], ids=str)
@pytest.mark.parametrize("path", CRAFTED, ids=".".join)
def test_crafted_metadata_are_one_line(path, value, done, train):
    arrays, metadata = load_arrays(done / "checkpoint.npz")
    change(*path, value=value)(metadata)
    save_arrays(done / "checkpoint.npz", arrays, metadata)
    status, _, err = train("--epochs=5", f"--resume={done}")
    assert (status, err.count("\n")) == (2, 1), err
