"""The command line of experiments, and what it says while they run: progress, and when all will be done."""

import dataclasses
import io

import pytest

from mlp.run.config import RunConfig
from mlp.studies.experiments import Experiment
from mlp.studies.experiments.display import Display
from mlp.studies.experiments.schedule import Pace, describe_seconds, estimate_cost, time_left


class TestScript:
    def test_list(self, capsys):
        from run_experiment import main

        assert main(["--list"]) == 0
        assert "hidden-layers     90 runs" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((), "name an experiment: batch-size, "),
            (("momenta",), "unknown experiment 'momenta'"),
            (("nowhere.yaml",), "nowhere.yaml: cannot be read"),
            (("momentum", "--jobs=0"), "jobs must be an integer of at least 1, got 0"),
            (("momentum", "--jobs=many"), "invalid int value: 'many'"),
            (("momentum", "--quik"), "unrecognized arguments: --quik"),
            (("momentum", "--root=/proc/none"), "cannot create the folder /proc/none"),
            (("momentum", "--tracking=on"), "invalid choice: 'on'"),
        ],
    )
    def test_bad_input_is_one_line(self, arguments, message, capsys):
        from run_experiment import main

        try:
            status = main(list(arguments))
        except SystemExit as error:
            status = error.code
        err = capsys.readouterr().err
        assert (status, err.count("\n")) == (2, 1)
        assert err.startswith("run_experiment.py: ")
        assert message in err

    def test_runs_are_grouped_in_wandb_if_asked(self):
        from run_experiment import collect

        experiment = Experiment("mine", "", RunConfig(), {}, [RunConfig()])
        (config,) = collect([experiment], "offline", None)
        assert (config.tracking, config.group) == ("offline", "mine")
        (config,) = collect([experiment], "none", "ours")
        assert (config.tracking, config.group) == ("none", "ours")


class TestDisplay:
    def test_a_terminal_has_one_line_that_is_redrawn(self):
        stream = io.StringIO()
        stream.isatty = lambda: True
        display = Display(stream)
        display.update("1 of 2")
        display.say("failed")
        display.update("2 of 2")
        display.clear()
        assert stream.getvalue() == "\r\x1b[K1 of 2\r\x1b[Kfailed\n\r\x1b[K2 of 2\r\x1b[K"

    def test_a_file_has_a_line_now_and_then(self):
        stream = io.StringIO()
        display = Display(stream)
        assert display.is_due
        display.update("1 of 2")
        assert not display.is_due
        display.clear()
        assert stream.getvalue() == "1 of 2\n"


class TestEstimates:
    def test_costs_grow_with_the_work(self):
        base = RunConfig(hidden=[128], epochs=100)
        cost = estimate_cost(base)
        assert 0.9 < estimate_cost(dataclasses.replace(base, epochs=200)) / (2 * cost) < 1
        for change in ({"hidden": [256, 128]}, {"batch_size": 10}, {"activation": "GeLU"}, {"dtype": "float64"}):
            assert estimate_cost(dataclasses.replace(base, **change)) > cost
        for change in ({"hidden": []}, {"batch_size": 10_000}, {"train_samples": 500}):
            assert estimate_cost(dataclasses.replace(base, **change)) < cost
        assert estimate_cost(dataclasses.replace(base, hidden=[2048])) > 8 * cost

    def test_time_left_fills_free_cores(self):
        # Cores are free after 3 and 1; 4 goes to the second (until 5), 2 to the first (until 5), 1 to either.
        assert time_left([3.0, 1.0], [4.0, 2.0, 1.0], jobs=2) == 6.0
        assert time_left([3.0], [1.0], jobs=2) == 3.0
        assert time_left([], [], jobs=2) == 0.0

    def test_pace_is_what_was_measured(self):
        pace = Pace()
        assert pace.with_running([(5.0, 0.0)]) is None  # nothing done yet: nothing known
        assert pace.with_running([(5.0, 0.0), (6.0, 3.0)]) == 2.0
        pace.add(10.0, 2.0)
        assert pace.with_running([(5.0, 3.0)]) == 3.0

    @pytest.mark.parametrize(
        ("seconds", "text"), [(0.2, "1 s"), (89, "89 s"), (90, "2 min"), (3599, "1 h 00 min"), (7500, "2 h 05 min")]
    )
    def test_times_are_said_as_people_do(self, seconds, text):
        assert describe_seconds(seconds) == text
