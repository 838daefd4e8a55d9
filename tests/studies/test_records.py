"""The page of records says what the folders of runs say, and nothing of runs that do not belong there."""

import json

import numpy as np
import pytest

from mlp import InputError, load, load_mnist
from mlp.run.config import read_config
from mlp.run.run import run
from mlp.studies.records import load_records, write_page
from mlp.studies.records.networks import committees, wrong_for_all
from mlp.studies.records.runs import processor_minutes

RECIPE = "hidden: [4]\nepochs: 2\ntrain_samples: 300\ntest_samples: 200\n"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """(runs, recipes): two seeds of a recipe, a look, and one that was stopped."""
    root = tmp_path_factory.mktemp("records")
    recipes, runs = root / "configs", root / "runs"
    recipes.mkdir()
    (recipes / "tiny.yaml").write_text(RECIPE)
    for name, changes in {"a": "seed: 1", "b": "seed: 2", "look": "validation: 0.2"}.items():
        (root / f"{name}.yaml").write_text(f"{RECIPE}{changes}\ntracking: none\noutput: {runs / name}\n")
        run(read_config(root / f"{name}.yaml"))
    stopped = runs / "stopped"
    stopped.mkdir()
    (stopped / "config.yaml").write_text((runs / "a" / "config.yaml").read_text())
    return runs, recipes


def test_seeds_make_one_record_and_what_was_held_out_makes_a_look(folders):
    runs, recipes = folders
    (record,), (look,) = load_records(runs, recipes)
    assert (record.title, record.shape, record.weights) == ("tiny", "784-4-10", 784 * 4 + 4 + 4 * 10 + 10)
    finals = [json.loads((runs / name / "final.json").read_text()) for name in ("a", "b")]
    assert record.accuracies == [100 * final["final_test_accuracy"] for final in finals]
    assert record.command == "./train.sh tiny --seed 1"
    assert look.folder == runs / "look"
    assert len(processor_minutes(record.runs[0])) == 2
    assert 0 < processor_minutes(record.runs[0])[0] < processor_minutes(record.runs[0])[1]


def test_the_page_holds_the_numbers_and_its_figures_are_there(folders, tmp_path):
    runs, recipes = folders
    written = write_page(*load_records(runs, recipes), tmp_path / "records.md", tmp_path / "figures")
    text = (tmp_path / "records.md").read_text()
    test = load_mnist()[1]
    right = [load(runs / n / "checkpoint.npz").predict(test.inputs) == test.labels for n in ("a", "b")]
    assert f"{(~right[0] & ~right[1]).sum()} are read wrongly by every one of the 2 networks" in text
    mean, spread = 100 * np.mean(right), 100 * np.std(np.mean(right, axis=1), ddof=1)
    assert f"| tiny, alone | {mean:.2f} ± {spread:.2f} |" in text
    assert "tiny, 2 together" in text
    assert "$" not in text
    for figure in written[1:]:
        assert figure.read_bytes()[1:4] == b"PNG"
        assert f"](figures/{figure.name})" in text


def test_a_committee_is_the_mean_of_its_members_and_nobody_is_chosen():
    p = [np.array([[0.2, 0.8]]), np.array([[0.6, 0.4]]), np.array([[0.9, 0.1]])]
    found = committees({"one": p[:2], "two": p[2:]})
    np.testing.assert_allclose(found["one, 2 together"], [[0.4, 0.6]])
    np.testing.assert_allclose(found["one of each recipe, together"], [[0.55, 0.45]])
    assert len(found) == 2
    labels = load_mnist()[1][:1].replace(labels=[0])
    assert wrong_for_all({"one": p[:1]}, labels) == [True]
    assert wrong_for_all({"one": p[:1], "two": p[2:]}, labels) == [False]


def test_a_run_of_no_recipe_is_refused(folders, tmp_path):
    (tmp_path / "tiny.yaml").write_text(RECIPE.replace("epochs: 2", "epochs: 3"))
    with pytest.raises(InputError, match="a: accepted: a run of a recipe in"):
        load_records(folders[0], tmp_path)


def test_no_runs_are_refused(tmp_path):
    with pytest.raises(InputError, match="no completed run"):
        load_records(tmp_path, tmp_path)
