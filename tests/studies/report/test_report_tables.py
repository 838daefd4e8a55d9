"""Numbers worked by hand: means, spreads, differences, the rule of two standard errors, and their tables."""

import csv
import io
import math
from dataclasses import replace

import pytest

from mlp.studies.report import Setting, headline, load_reference
from mlp.studies.report.cells import accuracy_table, choose_reading, improvement_table, judgements, loss_table
from mlp.studies.report.facts import activation_table, convergence_table, loss_wins, same_order, wins
from mlp.studies.report.judgement import NO_RUN, OFF, WITHIN_ERRORS, WITHIN_TOLERANCE, judge
from mlp.studies.report.results import by_setting, curve, epochs_to, last
from mlp.studies.report.speed import speed_text, time_table
from mlp.studies.tables import Column, Estimate, Table, estimate

OFF_CELL = Setting("single", "Hinge", "ReLU")
REFERENCE = load_reference()


def test_estimate_is_mean_and_sample_standard_deviation():
    # deviations −1, 0, 1: squares sum to 2, over n − 1 = 2 gives 1
    assert estimate([97, 98, 99]) == Estimate(98, 1, 3)
    assert estimate([98.0]).mean == 98
    assert math.isnan(estimate([98.0]).std)
    assert estimate([98.0]).show() == "98.00"
    assert estimate([]).show() == "–"
    assert Estimate(-0.5, 0.25, 2).show(signed=True) == "−0.50 ± 0.25"


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        (Estimate(98.35, 0.0, 5), WITHIN_TOLERANCE),  # exactly 0.15 away, a little more in binary
        (Estimate(98.36, 0.01, 5), OFF),
        # 2 · 0.2 · √(1/5 + 1/5) = 0.2530
        (Estimate(98.45, 0.2, 5), WITHIN_ERRORS),
        (Estimate(98.46, 0.2, 5), OFF),
        (Estimate(97.95, 0.2, 5), WITHIN_ERRORS),
        # with 20 runs of ours: 2 · 0.2 · √(1/20 + 1/5) = 0.2
        (Estimate(98.41, 0.2, 20), OFF),
        (Estimate(98.5, math.nan, 1), OFF),  # one run: its spread is unknown, and excuses nothing
        (Estimate(math.nan, math.nan, 0), NO_RUN),
    ],
)
def test_rule_of_tolerance_and_two_standard_errors(ours, verdict):
    judgement = judge(ours, 98.2, 5)
    assert judgement.verdict == verdict
    assert judgement.is_met == (verdict in (WITHIN_TOLERANCE, WITHIN_ERRORS))


def test_two_standard_errors_are_those_of_a_difference():
    assert judge(Estimate(98, 0.2, 5), 98.2, 5).two_errors == pytest.approx(0.4 * math.sqrt(0.4))


def test_markdown_and_csv_have_the_same_cells():
    table = Table("t", [Column("name"), Column("value"), Column("change", 1, signed=True)])
    table.rows += [["**a**", Estimate(98.123, 0.5, 3), -0.26], ["b", Estimate(1, math.nan, 1), 0.01]]
    assert table.markdown() == (
        "| name | value | change |\n| :-- | --: | --: |\n"
        "| **a** | 98.12 ± 0.50 | −0.3 |\n| b | 1.00 | 0.0 |\n"
    )  # fmt: skip
    assert table.csv() == "name,value mean,value std,value runs,change\na,98.123,0.5,3,-0.26\nb,1,,1,0.01\n"


def test_a_cell_of_the_accuracy_table(results):
    groups = by_setting(results["hidden-layers"])
    table = accuracy_table(groups, REFERENCE, "final")
    assert len(table.rows) == 18
    row = next(row for row in table.rows if list(row[:3]) == ["128", "Hinge", "ReLU"])
    shown = [column.show(cell) for column, cell in zip(table.columns, row, strict=True)]
    # 96.33 + 0.5 ± 0.05; 2 · 0.05 · √(1/3 + 1/5) = 0.073
    assert shown[3:] == [
        "98.71 ± 0.00", "98.71", "0.00", "96.83 ± 0.05", "96.33", "+0.50", "0.07", "**✗ off**"
    ]  # fmt: skip
    assert [s for s, j in judgements(groups, REFERENCE).items() if not j.is_met] == [OFF_CELL]


def test_csv_equals_the_table(results):
    table = accuracy_table(by_setting(results["hidden-layers"]), REFERENCE, "final")
    lines = list(csv.DictReader(io.StringIO(table.csv())))
    assert len(lines) == len(table.rows)
    for line, row in zip(lines, table.rows, strict=True):
        assert line["activation"] == row[2]
        assert f"{float(line['test mean']):.2f} ± {float(line['test std']):.2f}" == row[6].show()
        assert float(line["test difference"]) == pytest.approx(row[8], rel=1e-5, abs=1e-9)


def test_loss_is_shown_times_100(results):
    table = loss_table(by_setting(results["hidden-layers"]), REFERENCE, "final")
    assert table.rows[0][3].mean == pytest.approx(0.07)
    assert table.rows[0][6].mean == pytest.approx(0.14)


def test_improvement_is_taken_seed_by_seed(results):
    table = improvement_table(by_setting(results["hidden-layers"]), REFERENCE)
    # CE, GeLU: 98.44 − 98.20 for each of the seeds, so that nothing is spread
    assert list(table.rows[0][:2]) == ["CE", "GeLU"]
    assert table.rows[0][2].mean == pytest.approx(0.24)
    assert table.rows[0][2].std == pytest.approx(0, abs=1e-9)
    assert table.rows[0][3] == pytest.approx(0.24)
    # Hinge, ReLU: one layer is 0.5 better here
    assert table.rows[4][2].mean == pytest.approx(98.12 - 96.83)


def test_reading_is_the_closer_one(results):
    reading = choose_reading(by_setting(results["hidden-layers"]), REFERENCE)
    # the made-up final values are the reference's own, the running means lie apart
    assert reading.name == "final"
    assert reading.closer["final"] == reading.cells == 36
    assert reading.distance["final", "loss"] == pytest.approx(0)


def test_headline_shows_both(results):
    text = headline(results["hidden-layers"])
    assert text.splitlines()[2] == (
        "| 128 | CE | 98.20 ± 0.05 (98.20) | 98.07 ± 0.05 (98.07) | 98.09 ± 0.05 (98.09) |"
    )
    assert len(text.splitlines()) == 8


def test_diverged_runs_are_left_out_of_means(results):
    runs = [*results["hidden-layers"][:2], replace(results["hidden-layers"][2], status="diverged", final={})]
    assert last(runs, "accuracy", "test") == estimate([98.15, 98.20])
    assert curve(runs, "test_accuracy").mean[-1] == pytest.approx(0.98175)
    assert curve(runs, "no_such_column") is None


def test_epochs_to_a_level(results):
    run = results["hidden-layers"][0]  # rises to 98.15: 98.15 − 30 / e^k is 97.02 after 4 − log(30/1.15) = 3.26
    assert epochs_to(run, 97) == 4
    assert epochs_to(run, 99) is None
    shown = convergence_table(by_setting(results["hidden-layers"])).rows
    assert shown[0][2] == "4.0 ± 0.0"
    assert shown[1][3] == "not reached"


def test_wins_and_order():
    def theirs(s):
        return REFERENCE.value("accuracy", "test", s)

    assert wins(theirs) == {"GeLU": 3, "ReLU": 3}
    assert loss_wins(theirs) == {"CE": 6}
    assert wins(lambda s: 1.0) == {}


def test_order_of_pairs(results):
    # in the off cell ReLU 96.83 passes Sigmoid 96.57, which the reference has above
    assert same_order(by_setting(results["hidden-layers"]), REFERENCE) == (17, 18)


def test_activation_is_compared_in_points(results):
    row = activation_table(by_setting(results["hidden-layers"])).rows[0]
    assert [round(value, 9) for value in row[2:]] == [90, 70, 20, 45, 35, 10, 10]


def test_times_are_medians_beside_the_reference(results, timing):
    row = time_table(timing, REFERENCE).rows[0]
    assert list(row[3:5]) == [1.0, 3.06]
    assert row[6] == 2.0  # GeLU 1.0 ms, ReLU 0.5 ms
    text = speed_text(timing, REFERENCE, results["hidden-layers"])
    assert "10.0 % of the time of training" in text
    assert "single-CE-ReLU +15 %, double-CE-ReLU +25 %" in text
    assert "is met by 1 of 2" in text
    assert "busy" not in text
    assert "busy" in speed_text(timing | {"wall_over_processor": 1.5}, REFERENCE, [])
