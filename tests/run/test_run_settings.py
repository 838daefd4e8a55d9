"""Runs with every part of the toolbox switched on by a setting: they train, they are recorded, they resume."""

import json

import numpy as np
import pytest
from running import assert_same_run, rows

from mlp.solver.checkpoint import load_arrays

# Settings that go together, each group with something to be seen in the record or in the network.
GROUPS = {
    "normalised, residual, dropout": ["hidden=16,16,16", "normalization=BatchNorm", "residual=true", "dropout=0.2"],
    "layer norm": ["normalization=LayerNorm", "init=auto", "init_bias=0.01", "activation=SiLU"],
    "rms norm": ["normalization=RMSNorm", "init=orthogonal", "activation=Tanh"],
    "smoothed": ["label_smoothing=0.1", "class_weights=true", "upsample=true"],
    "Adam": ["optimizer=Adam", "learning_rate=0.003", "schedule=cosine", "warmup_epochs=0.5", "clip_norm=1"],
    "AdamW": ["optimizer=AdamW", "learning_rate=0.003", "schedule=one_cycle", "weight_average=0.9"],
    "RMSProp": ["optimizer=RMSProp", "learning_rate=0.001", "schedule=exponential", "decay_epochs=1"],
    "multi_step": ["schedule=multi_step", "milestones=1,2", "decay_factor=0.5"],
    "AdaGrad": ["optimizer=AdaGrad", "learning_rate=0.02", "schedule=step_decay", "decay_epochs=1.5"],
    "penalties": ["l1=0.0001", "l2=0.001", "max_norm=2", "clip_value=0.1", "accumulate=3"],
    "moved images": ["rotation=10", "shift=1", "scaling=0.1", "shear=5", "noise=0.1"],
    "elastic": ["elastic=34", "mixup=0.2"],
    "hard samples": ["init=auto", "learning_rate=0.005", "adversarial=0.05", "mask_salient=0.05"],
    "validation": ["validation=0.2", "early_stopping=1", "plateau_patience=0", "decay_factor=0.5"],
    "whitened": ["preprocessing=whiten_zca", "pca=20"],
    "standardised": ["preprocessing=standardize", "schedule=linear"],
    "NLL": ["loss=NLL", "class_weights=true"],
    "MAE": ["loss=MAE", "init=auto", "learning_rate=0.005"],
    "Huber": ["loss=Huber"],
    "BCE": ["loss=BCE"],
    "Crammer-Singer": ["loss=CrammerSinger", "init=auto", "learning_rate=0.01"],
    "mixed precision": ["mixed_precision=true", "accumulate=2", "clip_norm=1"],
    "recomputed": ["recompute=true", "dropout=0.2", "normalization=BatchNorm"],
    "full batch": ["batch_size=null", "momentum=0"],
}


def options(group: str) -> list[str]:
    return [f"--{setting}" for setting in GROUPS[group]]


@pytest.mark.parametrize("group", GROUPS)
def test_it_learns_and_resumes_to_the_same_bits(group, train, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    status, _, err = train(*options(group), f"--output={whole}")
    assert (status, err) == (0, ""), err
    final = json.loads((whole / "final.json").read_text())
    assert final["status"] == "completed"
    assert np.isfinite(final["final_test_loss"])
    losses = [row["train_loss"] for row in rows(whole) if "train_loss" in row]
    assert losses[-1] < losses[0]
    # A schedule depends on the number of epochs, so the run is not extended: it is stopped between two epochs.
    interrupted = train_until(1, [*options(group), f"--output={cut}"], train)
    assert interrupted == 130
    assert train(*options(group), f"--resume={cut}")[0] == 0
    assert_same_run(whole, cut)


def train_until(epochs: int, arguments: list[str], train) -> int:
    """Run the script and interrupt it as Ctrl-C does, after so many epochs."""
    from mlp.run.record import LocalRecord

    original = LocalRecord.on_epoch

    def on_epoch(self, solver, row):
        original(self, solver, row)
        if solver.epoch == epochs:
            raise KeyboardInterrupt

    LocalRecord.on_epoch = on_epoch
    try:
        return train(*arguments)[0]
    finally:
        LocalRecord.on_epoch = original


def test_what_is_validated_stops_and_slows_the_run(train, tmp_path):
    folder = tmp_path / "run"
    arguments = [*options("validation"), "--learning_rate=5", f"--output={folder}", "--epochs=8"]
    assert train(*arguments)[0] in (0, 1)
    epochs = [row for row in rows(folder) if "train_loss" in row]
    assert len(epochs) < 8
    assert {"validation_loss", "validation_accuracy", "test_loss"} <= epochs[0].keys()


def test_the_penalty_is_recorded_beside_the_loss(train, tmp_path):
    folder = tmp_path / "run"
    train(*options("penalties"), f"--output={folder}")
    assert all(row["train_penalty"] > 0 for row in rows(folder) if "train_loss" in row)


def test_a_skipped_step_is_said_and_recorded(train, tmp_path):
    folder = tmp_path / "run"
    _, out, _ = train(*options("mixed precision"), f"--output={folder}")
    found = [row for row in rows(folder) if "train_loss" in row]
    # The scale starts at 2^16 and is halved with every gradient that overflows.
    assert all(row["loss_scale"] == 2.0 ** (16 - row["skipped_steps"]) for row in found)
    assert found[-1]["skipped_steps"] > 0
    assert f"{found[-1]['skipped_steps']} steps skipped so far, loss scale {found[-1]['loss_scale']:g}" in out


def test_recomputing_changes_no_bit(train, tmp_path):
    for name in ("true", "false"):
        train(*options("recomputed"), f"--recompute={name}", f"--output={tmp_path / name}")
    assert (tmp_path / "true" / "metrics.jsonl").read_bytes() == (tmp_path / "false" / "metrics.jsonl").read_bytes()


def test_the_map_of_the_inputs_is_kept(train, tmp_path):
    folder = tmp_path / "run"
    train(*options("whitened"), f"--output={folder}")
    arrays, metadata = load_arrays(folder / "preprocessing.npz")
    assert metadata["preprocessing"].startswith("Pipeline(PCA(20), Whiten(")
    assert arrays["0.mean"].shape == (784,)


def test_a_cosine_ends_near_zero(train, tmp_path):
    folder = tmp_path / "run"
    train(*options("Adam"), f"--output={folder}")
    rates = [row["learning_rate"] for row in rows(folder) if "train_loss" in row]
    assert rates[0] > rates[-1] > 0
    assert rates[-1] < 0.0001


def test_images_are_needed_to_move_pixels(train, quick, tmp_path, monkeypatch):
    """Data that are no images, such as those a loader of one's own gives."""
    import mlp.run.run

    load = mlp.run.data.load_data

    def flat(config):
        parts = load(config)
        for part in parts:
            part.image_shape = None
        return parts

    monkeypatch.setattr(mlp.run.data, "load_data", flat)
    status, _, err = train("--rotation=10", f"--output={tmp_path / 'run'}")
    assert (status, err) == (2, "run_mlp.py: rotation: got 10.0; accepted: 0 unless the data are images\n")
