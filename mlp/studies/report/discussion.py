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
from mlp.studies.report.statistics import NO_RUN, OFF, WITHIN_ERRORS, WITHIN_TOLERANCE, show_number
from mlp.studies.report.tables import Table

USED_MORE = (10, 35)  # points, the reference's range


def agreement(groups: Groups, reference: Reference) -> str:
    """How many test accuracies are reproduced, and which are not."""
    verdicts = judgements(groups, reference)
    count = Counter(j.verdict for j in verdicts.values())
    met = count[WITHIN_TOLERANCE] + count[WITHIN_ERRORS]
    text = (
        f"**{met} of {len(verdicts)} test accuracies agree with the reference**: {count[WITHIN_TOLERANCE]} within "
        f"0.15 points, {count[WITHIN_ERRORS]} more within two standard errors of the difference; "
        f"{count[OFF]} {'is' if count[OFF] == 1 else 'are'} off."
    )
    wide = {s: j.two_errors for s, j in verdicts.items() if j.verdict == WITHIN_ERRORS}
    if wide:
        widest = max(wide, key=lambda s: wide[s])
        text += (
            f" The second rule is lenient where seeds differ much: the largest two standard errors that it was "
            f"used with are {wide[widest]:.2f} points ({widest.title})."
        )
    lines = []
    for s, j in verdicts.items():
        if j.verdict == OFF:
            ours, theirs = last(groups[s], "accuracy", "test"), reference.value("accuracy", "test", s)
            limit = f"two standard errors are {j.two_errors:.2f}" if ours.count > 1 else "one run, no spread known"
            lines.append(
                f"- {s.title}: {ours.show()} % here, {theirs:.2f} % there, {points(j.difference)} points ({limit})"
            )
        elif j.verdict == NO_RUN:
            lines.append(f"- {s.title}: no run was completed")
    return "\n".join([text, *(["", "Off:", "", *lines] if lines else [])])


def reading_text(reading: Reading) -> str:
    """Which of the two train metrics the tables show, and why."""
    gap = {key: f"{value:.2f}" for key, value in reading.distance.items()}
    return (
        f"The reference does not say how it measures on the training set. In {reading.closer['final']} of "
        f"{reading.cells} cells (accuracy and loss) the final network evaluated on the whole training set is "
        f"closer to it, in {reading.closer['running']} the running mean over the last epoch; mean distances are "
        f"{gap['final', 'accuracy']} and {gap['running', 'accuracy']} points of accuracy, "
        f"{gap['final', 'loss']} and {gap['running', 'loss']} of loss ×100. The tables show "
        f"{'the former' if reading.name == 'final' else 'the latter'}."
    )


def convergence_text(groups: Groups) -> str:
    """Who is first to LEVEL."""
    first = first_to_converge(groups)
    if not first:
        return f"In no cell did all runs of an activation reach a test accuracy of {LEVEL:g} %."
    return (
        f"Of the six cells (architecture, loss), the first activation to {LEVEL:g} % test accuracy, by the mean of "
        f"its runs, is {tally(first, ACTIVATIONS)}; an activation counts only if all its runs get there."
    )


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
    exact = fitted(groups, reading)
    ends = [ours(s) for s in exact]
    overfit = f", where the test accuracy is {min(ends):.2f} to {max(ends):.2f} %" if exact else ""
    return (
        f"The best test accuracy is that of {best.title}: {last(groups[best], 'accuracy', 'test').show()} % (the "
        f"reference's best: {their_best.title}, {theirs(their_best):.2f} %). The highest mean of the three "
        f"activations is that of {tally(wins(ours), ACTIVATIONS)} (reference: {tally(wins(theirs), ACTIVATIONS)}); "
        f"of the three losses, that of {tally(loss_wins(ours), LOSSES)} (reference: "
        f"{tally(loss_wins(theirs), LOSSES)}). Pairs of activations within a cell stand in the reference's order "
        f"in {agree} of {total} cases. Two hidden layers are more accurate than one in {deeper[0]} of 9 cases "
        f"(reference: {deeper[1]}). The train accuracy ends at 99.9 % or more in {len(exact)} of 18 "
        f"settings{overfit}."
    )


def activation_text(table: Table) -> str:
    """GeLU's neurons against ReLU's, and the reference's range."""
    early = [row[4] for row in table.rows]
    gaps = [gap for gap in early if isinstance(gap, float) and gap == gap]
    if not gaps:
        return "These runs recorded no activation."
    low, high = USED_MORE
    inside, more = sum(low <= gap <= high for gap in gaps), sum(gap > 0 for gap in gaps)
    middle = statistics.median(gaps)
    verdict = "agrees" if low <= middle <= high else "**disagrees**"
    return (
        f"Averaged over the first {EARLY} epochs, GeLU has more neurons above 0.2 than ReLU in {more} of "
        f"{len(gaps)} panels; the difference runs from {points(min(gaps), 0)} to {points(max(gaps), 0)} points, "
        f"its median is {points(middle, 0)}. The reference finds {low} to {high} points more: {inside} of the "
        f"{len(gaps)} differences lie in that range, and by its median (the criterion used here) this report "
        f"{verdict}."
    )


def stability_text(groups: Groups, results: Mapping[str, Sequence[Result]]) -> str:
    """Which runs diverged, and where."""
    runs = [run for found in results.values() for run in found]
    lost = {name: diverged(found) for name, found in results.items()}
    count = sum(map(len, lost.values()))
    text = (
        f"{len(completed(runs))} of {len(runs)} runs reached their last epoch with finite losses; {count} diverged."
    )
    for name, found in lost.items():
        for run in found:
            c = run.config
            text += (
                f"\n- {name}: {'-'.join(map(str, c.hidden)) or 'no hidden layer'}, {c.activation}, {c.loss}, batch "
                f"size {c.batch_size}, learning rate {c.lr:g}, momentum {c.momentum:g}, weight decay "
                f"{c.weight_decay:g}, seed {c.seed}: loss not finite at step {diverged_at(run)}"
            )
    saturated = saturation(groups)
    if saturated.count:
        text += (
            f"\n\nIn the last epoch, {saturated.mean:.0f} % of the outputs of Sigmoid's first hidden layer (mean "
            "over its settings) lie below 0.05 or above 0.95, where its derivative is below 0.05."
        )
    return text


def tally(count: Counter[str], names: Sequence[str]) -> str:
    """For example "GeLU in 4, ReLU in 2"."""
    return ", ".join(f"{name} in {count[name]}" for name in names if count[name]) or "none"


def points(value: float, digits: int = 2) -> str:
    """A signed number."""
    return show_number(value, digits, signed=True)
