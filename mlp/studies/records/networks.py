"""What the networks of the records answer on the test set of MNIST, alone and together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.data import Dataset
from mlp.run.record import CHECKPOINT
from mlp.solver.checkpoint import load
from mlp.studies.records.runs import Record

# The probabilities (n, 10) that each network gives, by the title of its record.
Answers = dict[str, list[Array]]
MOST_MEMBERS = 5


def answers_of(records: Sequence[Record], test: Dataset) -> Answers:
    """Those of all networks that were trained on MNIST."""
    x = test.inputs
    on_mnist = [record for record in records if record.data == "MNIST"]
    return {r.title: [load(run.folder / CHECKPOINT).predict_proba(x) for run in r.runs] for r in on_mnist}


def committees(answers: Answers) -> dict[str, Array]:
    """The mean probabilities of the runs of one recipe, and of one run of each recipe.

    Who belongs to one follows from the recipes and the order of the seeds, and from no number of the test set.
    """
    found = {
        f"{title}, {len(members)} together": np.mean(members, axis=0)
        for title, every in answers.items()
        if len(members := every[:MOST_MEMBERS]) > 1
    }
    if len(answers) > 1:
        found["one of each recipe, together"] = np.mean([every[0] for every in answers.values()], axis=0)
    return found


def mean_answer(answers: Answers) -> Array:
    """The mean probabilities of all networks."""
    return np.mean([p for every in answers.values() for p in every], axis=0)


def wrong_for_all(answers: Answers, test: Dataset) -> NDArray[np.bool_]:
    """Which images of the test set no network gets right."""
    wrong = [p.argmax(axis=1) != test.labels for every in answers.values() for p in every]
    return np.logical_and.reduce(wrong)
