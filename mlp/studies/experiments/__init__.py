"""Experiments as data, and a runner that keeps all cores busy with them.

>>> from mlp.studies.experiments import Experiment, load_results, run_all
>>> experiment = Experiment.load("configs/experiments/momentum.yaml")
>>> run_all(experiment.configs)                        # only what is not finished yet
>>> results = load_results(experiment)                 # in the order of experiment.configs
>>> print(experiment_table(experiment).text())         # means over the seeds
"""

from mlp.studies.experiments.experiment import Experiment, find_experiment, list_experiments
from mlp.studies.experiments.keys import ROOT, run_folder, run_key
from mlp.studies.experiments.results import Result, load_result, load_results
from mlp.studies.experiments.runner import Summary, run_all
from mlp.studies.experiments.table import experiment_table

__all__ = [
    "ROOT",
    "Experiment",
    "Result",
    "Summary",
    "experiment_table",
    "find_experiment",
    "list_experiments",
    "load_result",
    "load_results",
    "run_all",
    "run_folder",
    "run_key",
]
