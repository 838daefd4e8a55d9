"""Sweeps: their points, a run that diverged, and what counts as agreeing with the reference."""

import pytest

from mlp.run.config import RunConfig
from mlp.studies.report.claims import AGREES, DISAGREES, UNKNOWN, check_sweep
from mlp.studies.report.figures import plot_final, plot_sweep
from mlp.studies.report.sweeps import AXES, make_sweep, make_sweeps

AXIS = {axis.name: axis for axis in AXES}


@pytest.fixture
def momentum(results):
    """0 to 0.9 rise, 0.99 swings, 0.999 diverges."""
    return make_sweep(AXIS["momentum"], results["momentum"])


def verdicts(sweep):
    return {claim.says: claim.verdict for claim in check_sweep(sweep)}


def test_points_are_ordered_and_found_by_value(momentum):
    assert [p.label for p in momentum.points] == ["0", "0.3", "0.6", "0.9", "0.99", "0.999"]
    assert momentum.at(0.6).test.mean == pytest.approx(97.5)
    assert momentum.at(0.7) is None


def test_the_diverged_run_is_told_with_its_step(momentum):
    p = momentum.at(0.999)
    assert p.diverged_at == 251  # 250 steps were completed
    assert p.test.count == 0
    row = momentum.table().rows[-1]
    assert row[0] == "0.999"
    assert row[-1] == "**diverged at step 251**"
    assert "| 0.999 | – | – | – | – | – | – | **diverged at step 251** |" in momentum.table().markdown()


def test_oscillation_is_the_noise_around_a_level(momentum):
    # second half of 6 epochs: 85, 60, 85 is −25, +25: sample deviation 35.36, over √2 is 25
    assert momentum.at(0.99).oscillation == pytest.approx(25)
    assert momentum.at(0.9).oscillation < 1


def test_epochs_to_a_level_need_all_runs(momentum):
    assert momentum.at(0).reach(97) is None
    assert momentum.at(0.6).reach(97) == 5
    assert momentum.at(0.9).reach(97) == 4


def test_claims_about_the_momentum(momentum):
    assert verdicts(momentum) == {
        "0 to 0.9 speeds convergence": AGREES, "close to 1 oscillates": AGREES, "close to 1 fails": AGREES
    }  # fmt: skip


def test_a_claim_that_does_not_hold_is_told_so(make_run):
    runs = [make_run(RunConfig(hidden=[128], momentum=m, epochs=6), 0.98) for m in (0, 0.9, 0.99, 0.999)]
    assert set(verdicts(make_sweep(AXIS["momentum"], runs)).values()) == {DISAGREES}


def test_values_that_were_not_run_leave_a_claim_open(make_run):
    sweep = make_sweep(AXIS["batch_size"], [make_run(RunConfig(hidden=[128], epochs=6), 0.98)])
    assert set(verdicts(sweep).values()) == {UNKNOWN}


def test_a_run_that_diverged_leaves_a_claim_about_its_accuracies_open(make_run):
    runs = [make_run(RunConfig(hidden=[16], epochs=6), 0.9, diverged=250)]
    sweep = make_sweep(AXIS["hidden_size"], [*runs, make_run(RunConfig(hidden=[512], epochs=6), 0.98)])
    assert verdicts(sweep)["16 to 512 improves the train/test gap"] == UNKNOWN


@pytest.mark.parametrize(
    ("name", "key", "ends", "agreeing"),
    [
        ("learning_rate", "learning_rate", {1e-5: 0.5, 1e-3: 0.9, 0.1: 0.98, 0.2: 0.96}, 3),
        ("weight_decay", "weight_decay", {0: 0.98, 1e-6: 0.981, 1e-5: 0.98, 1e-2: 0.95}, 2),
        ("hidden_size", "hidden", {0: 0.92, 16: 0.95, 128: 0.98, 512: 0.984, 2048: 0.985}, 5),
        ("batch_size", "batch_size", {10: 0.5, 20: 0.97, 100: 0.98, 10000: 0.968}, 3),
    ],
)
def test_claims_about_the_other_sweeps(make_run, name, key, ends, agreeing):
    runs = []
    for value, end in ends.items():
        setting = ([value] if value else []) if key == "hidden" else value
        runs.append(make_run(RunConfig(**({"hidden": [128], "epochs": 6} | {key: setting})), end))
    found = verdicts(make_sweep(AXIS[name], runs))
    assert list(found.values()).count(AGREES) == agreeing, found


def test_the_figure_of_a_sweep(momentum):
    figure = plot_sweep(momentum)
    accuracy, loss = figure.axes
    assert len(accuracy.lines) == len(loss.lines) == 6
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "0: 96.00 %", "0.3: 96.50 %", "0.6: 97.50 %", "0.9: 98.00 %", "0.99: 85.00 %", "0.999: diverged at step 251"
    ]  # fmt: skip
    assert len(accuracy.lines[-1].get_xdata()) == 2  # the two epochs before
    assert accuracy.lines[-1].get_marker() == "X"
    assert loss.get_yscale() == "log"
    assert len({line.get_color() for line in accuracy.lines}) == 6


def test_the_figure_of_the_ends(results):
    sweeps = make_sweeps(results)
    assert [sweep.axis.name for sweep in sweeps] == ["momentum"]
    ax = plot_final(sweeps).axes[0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "0.3", "0.6", "0.9", "0.99", "0.999"]
    assert [text.get_text() for text in ax.texts] == ["85.0", "diverged\nstep 251"]


def test_a_sweep_in_which_all_diverge_can_be_drawn(make_run):
    runs = [make_run(RunConfig(hidden=[128], momentum=m, epochs=6), 0.5, diverged=20) for m in (0.9, 0.99)]
    sweep = make_sweep(AXIS["momentum"], runs)
    assert len(plot_sweep(sweep).axes[0].lines) == 2
    assert len(plot_final([sweep]).axes[0].texts) == 2
