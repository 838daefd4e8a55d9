"""The report's pages: text, tables and figures put in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlp.run.config import RunConfig
from mlp.studies.report.claims import AGREES, DISAGREES, Claim, claims_table
from mlp.studies.report.provenance import Provenance, count
from mlp.studies.report.reference import Reference
from mlp.studies.report.results import Result
from mlp.studies.report.sweeps import Sweep
from mlp.studies.report.tables import Table

FIGURES = "figures"


@dataclass(frozen=True)
class Parts:
    """What the main page is made of."""

    base: RunConfig
    origin: Provenance
    tables: dict[str, Table]
    texts: dict[str, str]
    notes: str | None
    sweeps: Sequence[Sweep]
    claims: Sequence[Claim]


def main_page(parts: Parts, reference: Reference) -> str:
    """README.md: the headline, then each question with its table, figure and what they show."""
    t, say = {name: table.markdown() for name, table in parts.tables.items()}, parts.texts
    blocks = [
        "# MNIST digit classification with a multilayer perceptron",
        parts.origin.header(),
        f"Every number, figure and judgement on this page is computed from those runs. The reference is: "
        f"{reference.source}.",
        "## What was run",
        recipe(parts.base, parts.origin),
        "## Test accuracy",
        "Percent, mean ± standard deviation over the seeds (n − 1), and the reference in brackets.",
        t["headline"],
        say["agreement"],
        figure("accuracy", "Test and train accuracy of the 18 settings over the epochs"),
        "Lines are means over the seeds, bands ± one standard deviation. Train curves are running means over the "
        "epoch, each batch measured before its update. Axes begin where the final values are told apart.",
        "## All accuracies",
        "A test accuracy counts as reproduced within 0.15 points of the reference, or within two standard errors "
        f"of the difference: 2 √(s²/n + s²/{reference.runs}), where s is our standard deviation over n runs; the "
        f"reference's spread over its {reference.runs} runs is unknown, so ours stands for both.",
        t["accuracy"],
        say["reading"],
        *(["## Notes", parts.notes.strip()] if parts.notes else []),
        "## Loss",
        "Multiplied by 100. Losses of different kinds cannot be compared with each other.",
        t["loss"],
        figure("loss", "Test and train loss of the 18 settings over the epochs, logarithmic"),
        "## One hidden layer or two",
        "Two minus one, seed by seed: points of test accuracy, and test loss ×100.",
        t["improvement"],
        "## Use of neurons",
        "A hidden neuron is active for a sample if its output is above 0. On the left, p is the share of an "
        "epoch's samples for which a neuron is active, and counted are the neurons with p > 0.2; further right, "
        "the share of neurons that are active in a single forward pass. Percent; Sigmoid is left out, its outputs "
        "are always "
        "above 0.",
        t["activation"],
        figure("activation_above", "Share of hidden neurons with p above 0.2, first 20 epochs"),
        figure("activation_single", "Share of hidden neurons active in a single forward pass, over training"),
        "## Speed",
        *([t["time"]] if "time" in t else []),
        say["speed"],
        "## Discussion",
        f"**Convergence.** {say['convergence']} Epochs, mean ± standard deviation over the runs:",
        t["convergence"],
        f"**Accuracy.** {say['accuracy']}",
        f"**Use of activations.** {say['activation']}",
        f"**Numerical stability.** {say['stability']}",
        *sweeps_summary(parts),
        "## Files",
        "The tables as CSV, with means, standard deviations and numbers of runs in columns of their own: "
        + ", ".join(f"[{table.name}.csv]({table.name}.csv)" for table in parts.tables.values())
        + ". The end of every run: [final.csv](final.csv).",
    ]
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n"


def sweeps_summary(parts: Parts) -> list[str]:
    """One paragraph on the sweeps, with the figure of where they end."""
    if not parts.sweeps:
        return []
    verdicts = [c.verdict for c in parts.claims]
    disagreements = [f"{c.sweep.replace('_', ' ')}: {c.says}" for c in parts.claims if c.verdict == DISAGREES]
    text = (
        f"**Sweeps.** Of the reference's {len(verdicts)} statements about its sweeps, {verdicts.count(AGREES)} "
        f"hold here by the criteria on [the page of the sweeps](sweeps.md), {len(disagreements)} "
        f"{'does' if len(disagreements) == 1 else 'do'} not."
    )
    if disagreements:
        text += " Not confirmed: " + "; ".join(disagreements) + "."
    return [text, figure("final", "Final test accuracy against the value, for each sweep")]


def sweeps_page(parts: Parts, reference: Reference, origin: Provenance) -> str:
    """sweeps.md: for each sweep its figure, its table, and the reference's findings with our verdicts.

    ``origin`` is that of the sweeps' runs alone.
    """
    blocks = [
        "# Sweeps",
        origin.header(),
        f"One setting varies, all others are those of the recipe: {widths(parts.sweeps)}. The last column of a "
        "table says how a run ended; oscillation is the spread of the test accuracy's changes from epoch to epoch "
        "in the "
        f"second half of the run (standard deviation / √2, in points). [Back to the report](README.md).",
        figure("final", "Final test accuracy against the value, for each sweep"),
        "Values are evenly spaced. A triangle stands for a value below the axis, a cross for a run that diverged. "
        "In "
        "the figures below, accuracy axes show the good values; a curve that is missing lies below.",
    ]
    for sweep in parts.sweeps:
        claims = [c for c in parts.claims if c.sweep == sweep.axis.name]
        blocks += [
            f"## {sweep.axis.title.capitalize()}",
            figure(f"sweep_{sweep.axis.name}", f"Test accuracy and train loss by {sweep.axis.title}"),
            sweep.table().markdown(),
            f"The reference: “{reference.findings[sweep.axis.name]}”.",
            claims_table(claims).markdown(),
        ]
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n"


def recipe(base: RunConfig, origin: Provenance) -> str:
    """The settings all runs share, in words."""
    samples = "all" if base.train_samples is None else f"the first {base.train_samples}"
    return (
        f"Two architectures (784–128–10 and 784–256–128–10) × three losses × three activations × "
        f"{count(origin.seeds, 'seed')}, {count(base.epochs, 'epoch')} each, on {samples} training images of "
        f"MNIST. SGD with learning rate {base.lr:g}, momentum {base.momentum:g}, weight decay "
        f"{base.weight_decay:g}, batches of {base.batch_size}. Inputs are (pixel − 128) / 255; weights start from "
        f"N(0, {base.init_std:g}²), biases at 0; arithmetic is {base.dtype}.\n\n"
        f"- **CE**: −log softmax(o)[y], mean over the batch\n"
        f"- **MSE**: ½ Σₖ (oₖ − tₖ)² against one-hot targets t, mean over the batch\n"
        f"- **Hinge**: Σ_{{k≠y}} max(0, {base.margin:g} − o_y + oₖ), mean over the batch\n"
        f"- **GeLU** is the tanh form"
    )


def widths(sweeps: Sequence[Sweep]) -> str:
    """The recipe of the sweeps, as their runs tell it: network and loss."""
    runs: list[Result] = [run for sweep in sweeps if sweep.axis.name != "hidden_size" for p in sweep.points
                          for run in p.runs]  # fmt: skip
    if not runs:
        return "see the tables"
    c = runs[0].config
    hidden = "–".join(map(str, c.hidden)) or "no"
    seeds = ", ".join(str(seed) for seed in sorted({run.config.seed for run in runs}))
    return f"{hidden} hidden neurons, {c.activation}, {c.loss}, seed {seeds}"


def figure(name: str, title: str) -> str:
    """An image."""
    return f"![{title}]({FIGURES}/{name}.png)"
