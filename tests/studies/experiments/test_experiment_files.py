"""Experiments as data: what a file means, what it may not say, and which settings make a run another run."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from test_config import COMPANIONS, TABLE

from mlp.checks import InputError
from mlp.run.config import RunConfig
from mlp.run.options import parse_arguments
from mlp.run.yaml_files import read_mapping
from mlp.studies.experiments import Experiment, find_experiment, list_experiments, run_folder, run_key
from mlp.studies.experiments.process import Run

CONFIGS = Path(__file__).parents[3] / "configs"
FOLDER = CONFIGS / "experiments"


@pytest.fixture
def write(tmp_path):
    (tmp_path / "base.yaml").write_text("hidden: [8]\nepochs: 4\n")

    def write(text, name="mine.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


class TestLoad:
    def test_every_combination_with_every_seed_in_order(self, write):
        experiment = Experiment.load(
            write(
                "description: a\n  b\nbase: base.yaml\n"
                "axes:\n  learning_rate: [1e-2, 1]\n  activation: [relu, GeLU]\nseeds: [1, 2]"
            )
        )
        assert (experiment.name, experiment.description, experiment.quick) == ("mine", "a b", False)
        assert experiment.axes == {"learning_rate": [0.01, 1.0], "activation": ["ReLU", "GeLU"]}
        assert [(c.learning_rate, c.activation, c.seed) for c in experiment.configs] == [
            (0.01, "ReLU", 1), (0.01, "ReLU", 2), (0.01, "GeLU", 1), (0.01, "GeLU", 2),
            (1.0, "ReLU", 1), (1.0, "ReLU", 2), (1.0, "GeLU", 1), (1.0, "GeLU", 2),
        ]  # fmt: skip
        assert all(c.hidden == [8] and c.epochs == 4 for c in experiment.configs)

    def test_without_axes_it_is_the_base_with_its_seed(self, write):
        assert Experiment.load(write("base: base.yaml")).configs == [RunConfig(hidden=[8], epochs=4)]

    def test_quick_changes_settings_and_seeds_only_when_asked(self, write):
        path = write("base: base.yaml\nseeds: [1, 2]\nquick: {epochs: 1, seeds: [7]}")
        assert [(c.epochs, c.seed) for c in Experiment.load(path).configs] == [(4, 1), (4, 2)]
        assert [(c.epochs, c.seed) for c in Experiment.load(path, quick=True).configs] == [(1, 7)]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("base: base.yaml\naxes: {lerning_rate: [1]}", "axes: unknown key 'lerning_rate'.*learning_"),
            ("base: base.yaml\naxes: {seed: [1]}", "axes: unknown key 'seed'"),
            ("base: base.yaml\naxes: {output: [a]}", "axes: unknown key 'output'"),
            ("base: base.yaml\naxes: {momentum: []}", r"axes: momentum: got \[\]; accepted: a list with at least"),
            ("base: base.yaml\naxes: {momentum: 0.9}", "axes: momentum: got 0.9; accepted: a list"),
            ("base: base.yaml\naxes: {momentum: [0, 0.9, 0.0]}", "axes: momentum: got 0.0 twice"),
            ("base: base.yaml\naxes: {hidden: [[8], [4], [8]]}", r"axes: hidden: got \[8\] twice"),
            ("base: base.yaml\naxes: {loss: [CE, ce]}", "axes: loss: got 'ce' twice"),
            ("base: base.yaml\naxes: {momentum: [0.5, 2]}", "mine.yaml: momentum: got 2; accepted: a number"),
            ("base: base.yaml\naxes: {batch_size: [1.5]}", "mine.yaml: batch_size: got 1.5; accepted: an integer"),
            ("base: base.yaml\naxes: {hidden: [8]}", "mine.yaml: hidden: got 8; accepted: a list"),
            ("base: base.yaml\naxes: [momentum]", r"axes: got \['momentum'\]; accepted: a mapping"),
            ("base: base.yaml\naxes: {momentum: [0], momentum: [1]}", "mine.yaml: 'momentum' is given twice"),
            ("base: base.yaml\naxes: {nesterov: [true], momentum: [0]}", "mine.yaml: nesterov: got True"),
            ("base: base.yaml\nseeds: [1, 2, 1]", "mine.yaml: seeds: got 1 twice"),
            ("base: base.yaml\nseeds: []", r"mine.yaml: seeds: got \[\]"),
            ("base: base.yaml\nseeds: [-1]", "mine.yaml: seed: got -1"),
            ("base: base.yaml\nxxxxx: 1", "mine.yaml: unknown key 'xxxxx'.*accepted: description, base, axes"),
            ("base: base.yaml\nquick: {epoch: 1}", "mine.yaml: quick: unknown key 'epoch'.*did you mean epochs"),
            ("base: base.yaml\nquick: {epochs: -1}", "mine.yaml: quick: epochs: got -1"),
            ("base: base.yaml\nquick: {momentum: 0}\naxes: {momentum: [0]}", "quick: momentum is an axis"),
            ("base: base.yaml\nquick: 3", "mine.yaml: quick: got 3; accepted: a mapping"),
            ("base: base.yaml\ndescription: 3", "mine.yaml: description: got 3"),
            ("axes: {momentum: [0]}", "mine.yaml: base: got None; accepted: a YAML file"),
            ("base: other.yaml", "other.yaml: cannot be read: No such file"),
            ("base: bad.yaml", "bad.yaml: unknown key 'rate'"),
            ("base: base.yaml\naxes: !!python/object/apply:os.system [ls]", "line 2: got the tag .*python"),
            ("base: [", "mine.yaml: not plain YAML"),
            ("? [a]\n: 1", "mine.yaml: got the key .*; accepted: a name"),
            ("- 1", r"mine.yaml: got \[1\]; accepted: a mapping"),
            ("", "mine.yaml: base: got None"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_named(self, write, text, message):
        write("rate: 1", "bad.yaml")
        with pytest.raises(InputError, match=message) as caught:
            Experiment.load(write(text))
        assert "\n" not in str(caught.value)

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(InputError, match=r"none.yaml: cannot be read"):
            Experiment.load(tmp_path / "none.yaml")

    def test_names_and_files(self):
        assert find_experiment("momentum", FOLDER) == FOLDER / "momentum.yaml"
        assert find_experiment("here/some.yaml", FOLDER) == Path("here/some.yaml")
        with pytest.raises(
            InputError, match=r"unknown experiment 'momenta'; accepted: .*momentum.*, or a YAML file"
        ):
            find_experiment("momenta", FOLDER)


class TestCommand:
    def test_a_shipped_one_has_a_name_and_any_other_a_file(self, write):
        path = write("base: base.yaml")
        assert Experiment.load(path, quick=True).command == f"python scripts/run_experiment.py {path} --quick"
        assert Experiment.load(FOLDER / "momentum.yaml").command == "python scripts/run_experiment.py momentum"


class TestThoseOfTheReport:
    def test_their_values(self):
        found = {name: Experiment.load(find_experiment(name, FOLDER)) for name in list_experiments(FOLDER)}
        assert {name: len(e.configs) for name, e in found.items()} == {
            "batch-size": 8, "hidden-layers": 90, "hidden-size": 9, "learning-rate": 7, "momentum": 7,
            "weight-decay": 6,
        }  # fmt: skip
        base = found["momentum"].base
        assert (base.hidden, base.epochs, base.seed, base.tracking, base.inspect) == (
            [128],
            100,
            2022,
            "none",
            True,
        )
        assert found["learning-rate"].axes == {"learning_rate": [1e-5, 1e-4, 1e-3, 1e-2, 5e-2, 1e-1, 2e-1]}
        assert found["hidden-size"].axes["hidden"] == [[], *([2**k] for k in range(4, 12))]
        assert all(e.description for e in found.values())
        # The base itself is a run of every one of them: it is made once.
        assert all(run_key(base) in map(run_key, e.configs) for e in found.values())
        assert len({run_key(c) for e in found.values() for c in e.configs}) == 90 + 8 + 9 + 7 + 7 + 6 - 5

    @pytest.mark.parametrize("name", list_experiments(FOLDER))
    def test_quick_is_quicker(self, name):
        path = find_experiment(name, FOLDER)
        quick, full = Experiment.load(path, quick=True), Experiment.load(path)
        assert sum(c.epochs for c in quick.configs) <= 0.05 * sum(c.epochs for c in full.configs)
        assert {run_key(c) for c in quick.configs}.isdisjoint(run_key(c) for c in full.configs)

    @pytest.mark.parametrize("name", list_experiments(FOLDER))
    def test_the_command_line_of_a_worker_says_the_same(self, name, tmp_path):
        for config in Experiment.load(find_experiment(name, FOLDER)).configs[::5]:
            config = replace(config, tracking="offline", group="a group")
            parsed, _ = parse_arguments(Run(config, tmp_path, 1.0).arguments(), "worker", "")
            assert replace(parsed, output=None) == config

    def test_the_sweep_of_wandb_names_settings_of_the_script(self):
        sweep = read_mapping(CONFIGS / "wandb" / "sweep.yaml")
        assert (CONFIGS.parent / sweep["program"]).is_file()
        assert sweep["metric"]["name"] == "test_accuracy"
        for name, parameter in sweep["parameters"].items():
            values = parameter.get("values") or [parameter.get("value", parameter.get("min")), parameter.get("max")]
            for value in values:
                if value is not None:  # the form in which wandb's agent passes it on
                    config, _ = parse_arguments([f"--{name}={value}"], "run_mlp.py", "")
                    assert getattr(config, name) == value


class TestKey:
    @pytest.mark.parametrize("name", [f.name for f in fields(RunConfig)])
    def test_it_changes_with_what_results_depend_on(self, name):
        base = RunConfig(**COMPANIONS.get(name, {}))
        same = name in ("output", "tracking", "project", "group", "checkpoint_seconds")
        assert (run_key(replace(base, **{name: TABLE[name][0]})) == run_key(base)) == same

    def test_it_is_the_same_for_every_spelling_of_a_value(self):
        assert (
            run_key(RunConfig(momentum=0)) == run_key(RunConfig(momentum=0.0)) == run_key(RunConfig(momentum=-0.0))
        )
        assert run_key(RunConfig(activation="gelu")) == run_key(RunConfig(activation="GeLU"))

    def test_it_stays_what_it_is(self):
        """If this fails, finished runs of before would be run again: raise FORMAT only if they have to be."""
        assert run_key(RunConfig(hidden=[128], epochs=100, log_every=600)) == "ae5fcaadd8"

    def test_folders_are_readable(self):
        config = RunConfig(hidden=[], learning_rate=1e-5, batch_size=20, seed=7)
        assert run_folder(config, Path("r")).name == (
            f"CE-ReLU-linear-batch_size20-learning_rate1e-05-seed7-{run_key(config)}"
        )
        assert len(run_folder(RunConfig(hidden=[1] * 500), Path("r")).name) < 120
        assert json.dumps(run_key(config)).isascii()
