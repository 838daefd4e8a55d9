"""The figures of the records: accuracy against minutes, the digits that nobody reads, the confusions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from mlp.data import Dataset
from mlp.metrics import confusion_matrix
from mlp.plots import plot_confusion_matrix, plot_images
from mlp.plots.figure import clean, new_figure, shared_legend
from mlp.studies.records.networks import Answers, mean_answer
from mlp.studies.records.runs import Record, processor_minutes


def plot_accuracy(records: Sequence[Record]) -> Any:
    """Accuracy on the test set of MNIST after each epoch, against the minutes of a core until then."""
    figure, (ax,) = new_figure(1)
    for record in records:
        run = next((run for run in record.runs if processor_minutes(run)), None)
        if record.data == "MNIST" and run is not None:
            ax.plot(processor_minutes(run), [100 * row["test_accuracy"] for row in run.rows], label=record.title)
    ax.set(xlabel="minutes of one core", ylabel="test accuracy, %", ylim=(97, 100))
    clean(ax)
    shared_legend(figure, columns=2)
    return figure


def plot_wrong(answers: Answers, test: Dataset, is_wrong: NDArray[Any]) -> Any:
    """The images that no network gets right; above each its label, and what the mean of all says."""
    said = mean_answer(answers)[is_wrong].argmax(axis=1)
    titles = [f"{label}, not {other}" for label, other in zip(test.labels[is_wrong], said, strict=True)]
    return plot_images(test[is_wrong], titles)


def plot_confusion(answers: Answers, test: Dataset) -> Any:
    """The confusion matrix of the mean of all networks."""
    return plot_confusion_matrix(confusion_matrix(test.labels, mean_answer(answers).argmax(axis=1)))
