"""A miniature of the real thing: every setting of the grid trained on real images, read back, and reported."""

import csv
import dataclasses
import json
import statistics

import matplotlib.image
import pytest
from matplotlib.figure import Figure

from mlp import History
from mlp.run.run import run
from mlp.studies.experiments import Experiment, load_results, run_folder
from mlp.studies.report import write_report

GRID = """
base: base.yaml
axes:
  hidden: [[128], [256, 128]]
  loss: [CE, Hinge, MSE]
  activation: [GeLU, ReLU, Sigmoid]
seeds: [1, 2]
"""


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """(the results of 18 settings and 2 seeds, the folder of their report)"""
    folder = tmp_path_factory.mktemp("grid")
    base = {"epochs": 1, "train_samples": 300, "test_samples": 200, "tracking": "none", "inspect": True}
    (folder / "base.yaml").write_text(json.dumps(base))
    (folder / "grid.yaml").write_text(GRID)
    experiment = Experiment.load(folder / "grid.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(History, "plot", lambda self: Figure(figsize=(1, 1)))  # the runs' own, which nobody looks at
        for config in experiment.configs:
            run(dataclasses.replace(config, output=str(run_folder(config, folder / "runs"))))
    results = load_results(experiment, folder / "runs")
    write_report({"hidden-layers": results}, folder / "report")
    return results, folder / "report"


def test_the_table_holds_what_the_runs_ended_with(grid):
    results, report = grid
    with (report / "accuracy.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 18
    for row in rows:
        ends = [
            100 * result.final["test_accuracy"]
            for result in results
            if (result.config.loss, result.config.activation) == (row["loss"], row["activation"])
            and ", ".join(map(str, result.config.hidden)) == row["hidden"]
        ]
        assert len(ends) == 2
        assert float(row["test mean"]) == pytest.approx(statistics.mean(ends), rel=1e-4)
        assert float(row["test std"]) == pytest.approx(statistics.stdev(ends), rel=1e-4)


def test_figures_are_drawn_from_real_rows(grid):
    _, report = grid
    figures = sorted(path.name for path in (report / "figures").glob("*.png"))
    assert figures == ["accuracy.png", "activation_above.png", "activation_single.png", "loss.png"]
    for name in figures:
        height, width, _ = matplotlib.image.imread(report / "figures" / name).shape
        assert min(height, width) > 300
