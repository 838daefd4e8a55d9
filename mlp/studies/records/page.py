"""The page of records: its tables and figures, put into the words around them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import Template

from mlp.arrays import Array
from mlp.data import load_mnist
from mlp.files import write_text
from mlp.metrics import accuracy, log_loss
from mlp.metrics.calibration import expected_calibration_error
from mlp.plots import save_figure
from mlp.run.config import RunConfig
from mlp.run.kinds import plain
from mlp.studies.experiments.results import Result
from mlp.studies.records.figures import plot_accuracy, plot_confusion, plot_wrong
from mlp.studies.records.networks import Answers, answers_of, committees, wrong_for_all
from mlp.studies.records.runs import Record
from mlp.studies.tables import Column, Estimate, Table, estimate

WORDS = Path(__file__).parent / "words.md"
# What a look is not told apart by: it says where, how and on what a run was made.
NOT_SHOWN = {"validation", "output", "tracking"}


def write_page(records: Sequence[Record], looks: Sequence[Result], page: Path, figures: Path) -> list[Path]:
    """Write the page, and its figures into a folder beside it; returns the files that were written."""
    test = load_mnist()[1]
    answers = answers_of(records, test)
    is_wrong = wrong_for_all(answers, test)
    drawn = {
        "accuracy": plot_accuracy(records),
        "wrong": plot_wrong(answers, test, is_wrong),
        "confusion": plot_confusion(answers, test),
    }
    figures.mkdir(parents=True, exist_ok=True)
    files = {name: figures / f"records-{name}.png" for name in drawn}
    for name, figure in drawn.items():
        save_figure(figure, files[name])
    text = Template(WORDS.read_text(encoding="utf-8")).substitute(
        records=record_table(records).markdown(),
        looks=look_table(looks).markdown(),
        committees=committee_table(answers, test.labels).markdown(),
        networks=sum(map(len, answers.values())),
        wrong=int(is_wrong.sum()),
        **{f"{name}_figure": path.relative_to(page.parent).as_posix() for name, path in files.items()},
    )
    write_text(page, text)
    return [page, *files.values()]


def record_table(records: Sequence[Record]) -> Table:
    """One row for each recipe."""
    columns = [
        Column("recipe"), Column("network"), Column("weights"), Column("epochs"), Column("minutes of a core", 1),
        Column("minutes by the clock", 1), Column("runs"), Column("test accuracy, %"), Column("best, %"),
        Column("command"),
    ]  # fmt: skip
    table = Table("records", columns)
    for r in records:
        table.rows.append((
            r.title, r.shape, f"{r.weights:,}", r.config.epochs, r.processor_minutes, r.minutes, len(r.runs),
            estimate(r.accuracies), max(r.accuracies), f"`{r.command}`",
        ))  # fmt: skip
    return table


def look_table(looks: Sequence[Result]) -> Table:
    """One row for each run that held out a part of the training set, the best first."""
    table = Table("looks", [Column("settings besides the defaults"), Column("validation accuracy, %")])
    for run in sorted(looks, key=lambda run: -run.rows[-1]["validation_accuracy"]):
        changes = {n: new for n, (_, new) in RunConfig().changes(run.config).items() if n not in NOT_SHOWN}
        words = ", ".join(f"{name} {plain(value)}" for name, value in changes.items())
        table.rows.append((words, 100 * float(run.rows[-1]["validation_accuracy"])))
    return table


def committee_table(answers: Answers, labels: Array) -> Table:
    """Accuracy and calibration of networks alone, and of the means of their probabilities."""

    def scores(members: Sequence[Array]) -> tuple[Estimate, ...]:
        return (
            estimate(100 * accuracy(labels, p.argmax(axis=1)) for p in members),
            estimate(log_loss(labels, p) for p in members),
            estimate(100 * expected_calibration_error(labels, p) for p in members),
        )

    columns = [Column("who answers"), Column("accuracy, %"), Column("log loss", 4), Column("ECE, %")]
    table = Table("committees", columns)
    table.rows += [(f"{title}, alone", *scores(members)) for title, members in answers.items()]
    table.rows += [(title, *scores([p])) for title, p in committees(answers).items()]
    return table
