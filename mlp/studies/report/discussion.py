"""The report's sentences. Each is made from computed facts, and says nothing that these runs do not show."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

from mlp.studies.report.cells import Groups, Reading, judgements
from mlp.studies.report.facts import (
    EARLY,
    LEVEL,
    accuracy_of,
    first_to_converge,
    fitted,
    loss_wins,
    same_order,
    saturation,
    wins,
)
from mlp.studies.report.judgement import NO_RUN, OFF, WITHIN_ERRORS, WITHIN_TOLERANCE, Judgement
from mlp.studies.report.reference import Reference
from mlp.studies.report.results import (
    ACTIVATIONS,
    LOSSES,
    SETTINGS,
    Result,
    Setting,
    completed,
    diverged,
    diverged_at,
    last,
)
from mlp.studies.report.words import sentence
from mlp.studies.tables import Estimate, Table, show_number

USED_MORE = (10, 35)  # points, the reference's range


def agreement(groups: Groups, reference: Reference) -> str:
    """How many test accuracies are reproduced, and which are not."""
    verdicts = judgements(groups, reference)
    count = Counter(j.verdict for j in verdicts.values())
    close, loose, off = (count[verdict] for verdict in (WITHIN_TOLERANCE, WITHIN_ERRORS, OFF))
    are = f"{off} {'is' if off == 1 else 'are'}"
    text = sentence("agreement", met=close + loose, total=len(verdicts), close=close, loose=loose, off=are)
    wide = {s: j.two_errors for s, j in verdicts.items() if j.verdict == WITHIN_ERRORS}
    if wide:
        widest = max(wide, key=lambda s: wide[s])
        text += " " + sentence("widest", points=f"{wide[widest]:.2f}", setting=widest.title)
    lines = [
        f"- {s.title}: no run was completed"
        if j.verdict == NO_RUN
        else _off(s, j, last(groups[s], "accuracy", "test"), reference.value("accuracy", "test", s))
        for s, j in verdicts.items()
        if not j.is_met
    ]
    return "\n".join([text, *(["", "Off:", "", *lines] if lines else [])])


def _off(setting: Setting, judgement: Judgement, ours: Estimate, theirs: float) -> str:
    limit = f"two standard errors are {judgement.two_errors:.2f}" if ours.count > 1 else "one run, no spread known"
    difference = points(judgement.difference)
    return sentence(
        "off", setting=setting.title, ours=ours.show(), theirs=f"{theirs:.2f}", difference=difference, limit=limit
    )


def reading_text(reading: Reading) -> str:
    """Which of the two train metrics the tables show, and why."""
    gaps = {f"{name}_{metric}": f"{value:.2f}" for (name, metric), value in reading.distance.items()}
    chosen = "the former" if reading.name == "final" else "the latter"
    return sentence("reading", cells=reading.cells, chosen=chosen, **reading.closer, **gaps)


def convergence_text(groups: Groups) -> str:
    """Who is first to LEVEL."""
    first = first_to_converge(groups)
    if not first:
        return f"In no cell did all runs of an activation reach a test accuracy of {LEVEL:g} %."
    return sentence("convergence", level=f"{LEVEL:g}", first=tally(first, ACTIVATIONS))


def accuracy_text(groups: Groups, reference: Reference, reading: str) -> str:
    """Who ends best, here and there."""
    ours = accuracy_of(groups)
    ran = [s for s in SETTINGS if completed(groups[s])]
    if not ran:
        return "No run was completed."

    def theirs(s: Setting) -> float:
        return reference.value("accuracy", "test", s)

    best, their_best = max(ran, key=ours), max(SETTINGS, key=theirs)
    agree, total = same_order(groups, reference)
    deeper = [sum(f(Setting("double", x, a)) > f(Setting("single", x, a)) for x in LOSSES for a in ACTIVATIONS)
              for f in (ours, theirs)]  # fmt: skip
    ends = [ours(s) for s in fitted(groups, reading)]
    return sentence(
        "accuracy",
        best=best.title,
        ours=last(groups[best], "accuracy", "test").show(),
        their_best=their_best.title,
        theirs=f"{theirs(their_best):.2f}",
        activations=tally(wins(ours), ACTIVATIONS),
        their_activations=tally(wins(theirs), ACTIVATIONS),
        losses=tally(loss_wins(ours), LOSSES),
        their_losses=tally(loss_wins(theirs), LOSSES),
        agree=agree,
        pairs=total,
        deeper=deeper[0],
        their_deeper=deeper[1],
        exact=len(ends),
        overfit=f", where the test accuracy is {min(ends):.2f} to {max(ends):.2f} %" if ends else "",
    )


def activation_text(table: Table) -> str:
    """GeLU's neurons against ReLU's, and the reference's range."""
    gaps = [gap for row in table.rows if isinstance(gap := row[4], float) and gap == gap]
    if not gaps:
        return "These runs recorded no activation."
    low, high = USED_MORE
    middle = statistics.median(gaps)
    return sentence(
        "activation",
        early=EARLY,
        more=sum(gap > 0 for gap in gaps),
        panels=len(gaps),
        smallest=points(min(gaps), 0),
        largest=points(max(gaps), 0),
        middle=points(middle, 0),
        low=low,
        high=high,
        inside=sum(low <= gap <= high for gap in gaps),
        verdict="agrees" if low <= middle <= high else "**disagrees**",
    )


def stability_text(groups: Groups, results: Mapping[str, Sequence[Result]]) -> str:
    """Which runs diverged, and where."""
    runs = [run for found in results.values() for run in found]
    lost = [(name, run) for name, found in results.items() for run in diverged(found)]
    lines = [sentence("stability", completed=len(completed(runs)), runs=len(runs), diverged=len(lost))]
    lines += [_diverged(name, run) for name, run in lost]
    saturated = saturation(groups)
    if saturated.count:
        lines += ["", sentence("saturated", share=f"{saturated.mean:.0f}")]
    return "\n".join(lines)


def _diverged(experiment: str, run: Result) -> str:
    c = run.config
    numbers = {name: f"{getattr(c, name):g}" for name in ("lr", "momentum", "weight_decay")}
    return sentence(
        "diverged",
        experiment=experiment,
        hidden="-".join(map(str, c.hidden)) or "no hidden layer",
        activation=c.activation,
        loss=c.loss,
        batch_size=c.batch_size,
        seed=c.seed,
        step=diverged_at(run),
        **numbers,
    )


def tally(count: Counter[str], names: Sequence[str]) -> str:
    """For example "GeLU in 4, ReLU in 2"."""
    return ", ".join(f"{name} in {count[name]}" for name in names if count[name]) or "none"


def points(value: float, digits: int = 2) -> str:
    """A signed number."""
    return show_number(value, digits, signed=True)
