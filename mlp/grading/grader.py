"""Grades a submission: every component found is adapted, judged in a child of its own, and given a verdict."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mlp.checks import InputError
from mlp.grading import names
from mlp.grading.adapt.functions import FunctionLayer
from mlp.grading.adapt.layers import ClassLayer, Context
from mlp.grading.adapt.losses import Loss
from mlp.grading.adapt.networks import NetworkSubject
from mlp.grading.adapt.remote import Handle, Remote
from mlp.grading.adapt.updates import FunctionUpdate, LayerUpdate, Optimizer
from mlp.grading.adapter import add_python_adapter, apply_adapter, example
from mlp.grading.conventions import Graded, agree_on_mean, excuse
from mlp.grading.discovery import Candidate, discover
from mlp.grading.hypotheses import COMPONENTS
from mlp.grading.hypotheses.component import agrees, with_variant
from mlp.grading.judge import Failing, Judgement, Missing, judge
from mlp.grading.messages import Hints, message
from mlp.grading.process import Broken, Child, Limits, LocalChild, Server, StudentError
from mlp.grading.submission import Submission, opened
from mlp.grading.verdict import Verdict


class Grader:
    """Grades submissions one after the other with one warm server."""

    def __init__(self, limits: Limits | None = None, isolated: bool = True) -> None:
        self.limits = limits or Limits()
        self.server = Server() if isolated else None
        self.protections: list[str] = []
        self.explanations: list[str] = []

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *error: object) -> None:
        if self.server:
            self.server.close()

    def child(self, folder: Path) -> Child:
        """A new child for one component."""
        child: Child = self.server.open(folder, self.limits) if self.server else LocalChild(folder)
        self.protections = child.protections
        return child

    def grade(
        self,
        path: str | Path,
        hints: Hints = "what",
        repair: bool = False,
        component: str | None = None,
        adapter: str | Path | None = None,
        expected: Sequence[str] = (),
    ) -> list[Verdict]:
        """The verdicts on one submission, or on one component of it; those expected and not found are missing."""
        for name in expected:
            if name not in COMPONENTS:
                raise InputError(f"there is no component {name!r}; there are {', '.join(COMPONENTS)}")
        with opened(path, repair) as submission:
            session = Session(self, submission, Path(adapter) if adapter else None)
            if component is not None:
                session.candidates = [c for c in session.candidates if c.component == component]
            graded = session.grade_all()
            verdicts = [verdict(g, hints) for g in graded]
            self.explanations = [explanation(g) for g in graded]
        found = {v.component for v in verdicts}
        missing = [name for name in expected if name not in found]
        return verdicts + [Verdict(name, None, "missing", message=f"{name}: not found.") for name in missing]


class Session:
    """The grading of one submission."""

    def __init__(self, grader: Grader, submission: Submission, adapter: Path | None = None) -> None:
        python = adapter is not None and adapter.suffix == ".py"
        if adapter and python:
            submission = add_python_adapter(adapter, submission)
        self.grader, self.submission = grader, submission
        self.candidates, self.definitions = discover(submission)
        if adapter and not python:
            self.candidates = apply_adapter(adapter, submission, self.candidates, self.definitions)
        self.context = Context(clears=self.definitions.clears)
        self.broken_modules: dict[str, str] = {}
        self.definitions_only: set[str] = set()

    def grade_all(self) -> list[Graded]:
        """Linear first: the conventions of the others follow from it."""
        graded = [g for c in self.candidates if (g := self.grade_one(c)) is not None]
        agree_on_mean(graded)
        return graded

    def grade_one(self, candidate: Candidate) -> Graded | None:
        """One candidate in a child of its own."""
        if candidate.source.trouble:
            return Graded(candidate, Judgement("error", text=candidate.source.trouble), candidate.component or "?")
        if candidate.component is None:
            candidate.component = self.recognised(candidate)
        if candidate.component is None:
            return None
        first: Graded | None = None
        for attempt in attempts(candidate, self.context):
            graded = self.run(candidate, attempt)
            j = graded.judgement
            named = first is not None and first.judgement.explanation is not None
            if candidate.component in names.LOSSES and j.outcome == "failed" and j.side != "forward" and not named:
                return graded  # its forward is right, so this is what was meant
            if j.outcome == "passed":
                return self.with_labels(candidate, graded)
            if first is None or better(j, first.judgement):
                first = graded
            if j.outcome == "unfinished":
                break
        return first

    def recognised(self, candidate: Candidate) -> str | None:
        """What a class without a telling name computes, if it is one of the definitions."""
        rng = np.random.default_rng(0)
        for name in ("Linear", *names.ACTIVATIONS, *names.LOSSES):
            component = COMPONENTS[name]
            candidate.component = name
            case = component.draw(rng)[0]
            for attempt in attempts(candidate, Context()):
                with (
                    contextlib.suppress(Broken, StudentError, Missing, Failing),
                    self.loaded(candidate) as (remote, module),
                ):
                    subject = attempt(remote, module)
                    subject.prepare()
                    output = "value" if name in names.LOSSES else "y"
                    got = subject.observe(case)[output]
                    if any(
                        agrees(got, subject.component.predict(with_variant(case, v))[output])
                        for v in subject.component.variants
                    ):
                        return name
        candidate.component = None
        return None

    def with_labels(self, candidate: Candidate, passed: Graded) -> Graded:
        """A loss that is right for one-hot targets and takes labels too must be right for both."""
        if candidate.component in ("CrossEntropy", "Hinge") and not passed.convention.get("targets", "").startswith(
            "int"
        ):
            loss = COMPONENTS[passed.component]
            other = self.run(
                candidate, lambda remote, module: Loss(remote, module, candidate, loss, self.context, True)
            )
            if other.judgement.outcome == "failed" and other.judgement.side != "forward":
                return other
            if other.judgement.outcome == "passed":
                passed.convention["targets"] = "one-hot or integer labels"
        return passed

    def run(self, candidate: Candidate, attempt: Attempt) -> Graded:
        """One attempt to adapt and judge."""
        assert candidate.component
        subject = None
        try:
            with self.loaded(candidate) as (remote, module):
                subject = attempt(remote, module)
                subject.prepare()
                judgement = excuse(subject, judge(subject))
        except Broken as broken:
            judgement = Judgement("error", text=str(broken))
        except StudentError as error:
            judgement = Judgement("unfinished" if error.unfinished else "error", text=str(error))
        except Missing as missing:
            judgement = Judgement("unfinished" if candidate.empty else "error", text=missing.what)
        except Exception as error:  # what comes from the child may be anything
            judgement = Judgement("error", text=f"its answers make no sense ({type(error).__name__}: {error})")
        name = subject.component.name if subject else candidate.component
        convention, remarks = (subject.convention, subject.remarks) if subject else ({}, [])
        if subject and judgement.variant:
            convention["definition"] = judgement.variant
        return Graded(candidate, judgement, name, convention, remarks)

    @contextlib.contextmanager
    def loaded(self, candidate: Candidate) -> Iterator[tuple[Remote, Handle]]:
        """The candidate's module, imported in a new child; if the import breaks, its definitions alone."""
        name, paths = module_of(candidate.source.path, self.submission.folder)
        if reason := self.broken_modules.get(candidate.source.path):
            raise Broken(reason)
        child = self.grader.child(self.submission.folder)
        try:
            remote = Remote(child)
            try:
                module = remote.load(name, paths, candidate.source.path in self.definitions_only)
            except (StudentError, Broken) as error:
                if candidate.source.path in self.definitions_only:
                    self.broken_modules[candidate.source.path] = (
                        f"{candidate.source.path} cannot be imported: {error}"
                    )
                    raise Broken(self.broken_modules[candidate.source.path]) from None
                child.close()
                self.definitions_only.add(candidate.source.path)
                with self.loaded(candidate) as result:
                    yield result
                return
            yield remote, module
        finally:
            child.close()


Attempt = Callable[[Remote, Handle], Any]


def attempts(candidate: Candidate, context: Context) -> list[Attempt]:
    """The ways in which a candidate may be meant, the most plausible first."""
    assert candidate.component
    component = COMPONENTS[candidate.component]

    def layer(mode: str) -> Attempt:
        return lambda remote, module: ClassLayer(remote, module, candidate, component, context, mode)

    def function(mode: str) -> Attempt:
        return lambda remote, module: FunctionLayer(remote, module, candidate, component, context, mode)

    def loss(name: str, labels: bool) -> Attempt:
        return lambda remote, module: Loss(
            remote, module, candidate, COMPONENTS[name], context, labels, columns=context.columns
        )

    def optimizer(way: str) -> Attempt:
        return lambda remote, module: Optimizer(remote, module, candidate, component, context, way)

    if candidate.component in names.LOSSES:
        kinds = [candidate.component]
        if candidate.component == "CrossEntropy" and not names.matches(
            r"\w*(softmax|logits|scores)\w*", candidate.name
        ):
            kinds.append("CrossEntropy of probabilities")
        order = [p.name for p in candidate.methods.get("forward", candidate.methods.get("__call__", []))]
        if any(names.matches(r"y_?pred\w*|prob\w*|p|y_?hat|yp|q|predictions?", name) for name in order[:2]):
            kinds.reverse()
        forms = (False,) if candidate.component == "MSE" else (False, True)
        return [loss(kind, labels) for kind in kinds for labels in forms]
    if candidate.form == "functions":
        return [function(m) for m in ("at input", "at output")]
    if candidate.component == "Network":
        return [lambda remote, module: NetworkSubject(remote, module, candidate, component, context)]
    if candidate.form == "update":
        return [lambda remote, module: LayerUpdate(remote, module, candidate, component, context)]
    if candidate.component == "SGD" and candidate.form == "function":
        return [lambda remote, module: FunctionUpdate(remote, module, candidate, component, context)]
    if candidate.component == "SGD":
        return [optimizer(way) for way in ways_of(candidate)]
    backward = next((m for m in names.BACKWARD if m in candidate.methods), "")
    if candidate.component in names.ACTIVATIONS and backward:
        needed = [p for p in candidate.methods[backward] if p.required]
        if not candidate.methods[backward]:
            return [layer("local")]
        if backward not in ("backward", "bprop", "backprop", "backward_pass") and len(needed) == 1:
            return [layer("local"), layer("local of output"), layer("upstream")]
    return [layer("upstream")]


def ways_of(candidate: Candidate) -> list[str]:
    """What an optimizer may want to be given, by the names of its arguments."""
    step = next(m for m in ("step", *names.UPDATE) if m in candidate.methods)
    words = [p.name for p in (*candidate.methods.get("__init__", ()), *candidate.methods[step]) if p.required]
    for word in words:
        if names.matches(r"model|net\w*|mlp|nn|module", word):
            return ["model"]
        if names.matches(r"layers|layer_list|modules", word):
            return ["layers"]
        if names.matches(r"layer", word):
            return ["layer"]
        if names.matches(r"params?|parameters?|weights|w|theta|variables|vars", word):
            more = any(names.matches(r"g|d|dw|grads?|gradients?|dparams|\w*_grads?", w) for w in words)
            return ["dicts", "lists"] if more else ["parameters", "layers", "parameter"]
    return ["parameters", "layers", "model", "dicts"]


def better(new: Judgement, old: Judgement) -> bool:
    """A failure with a name tells more than one without, and any failure more than an error."""

    def rank(j: Judgement) -> int:
        return (j.outcome == "failed") + 2 * (j.explanation is not None)

    return rank(new) > rank(old)


def module_of(path: str, folder: Path) -> tuple[str, list[str]]:
    """The name to import a file by, and the folders to look in: its own first, then those above it."""
    pure = PurePosixPath(path)
    parents = [folder / p for p in pure.parents]
    package = parents[0]
    text = (folder / path).read_text(encoding="utf-8", errors="replace")
    relative = any(line.lstrip().startswith(("from .", "import .")) for line in text.splitlines())
    parts = [pure.stem]
    if relative or (package / "__init__.py").exists():
        for parent in pure.parents:
            if str(parent) == "." or not str(parent.name).isidentifier():
                break
            if not relative and not (folder / parent / "__init__.py").exists():
                break
            parts.insert(0, parent.name)
    return ".".join(parts), [str(p) for p in parents]


def verdict(graded: Graded, hints: Hints) -> Verdict:
    """In the form that is printed and written."""
    j = graded.judgement
    convention = graded.convention | ({"remarks": "; ".join(graded.remarks)} if graded.remarks else {})
    return Verdict(
        component=graded.component, found=graded.candidate.found, verdict=j.outcome, side=j.side,
        mistake=j.explanation.id if j.explanation else None, name=j.explanation.name if j.explanation else None,
        message=message(graded.component, j, hints, graded.remarks), convention=convention,
    )  # fmt: skip


def explanation(graded: Graded) -> str:
    """What was inferred about a component, and what an adapter would say if that was not enough."""
    lines = [f"# {graded.component}, {graded.candidate.found}: {graded.judgement.outcome}"]
    lines += [f"#   {key}: {value}" for key, value in graded.convention.items()]
    if graded.judgement.outcome == "error":
        lines += [f"#   {graded.judgement.text}", example(graded.candidate)]
    return "\n".join(lines)


def grade(
    path: str | Path,
    *,
    hints: Hints = "what",
    adapter: str | Path | None = None,
    repair: bool = False,
    limits: Limits | None = None,
    isolated: bool = True,
) -> list[Verdict]:
    """The verdicts on the components of a submission: a file, folder, module, zip or notebook.

    hints: how much a message tells: "none", "where" (the array), "what" (the values and the mistake), "how".
    adapter: a YAML or Python file for what is not understood; ``python -m mlp.grading --explain`` shows one.
    repair: convert files written for Python 2.
    isolated: run every component in a confined process of its own; False runs it in this process, for code
        that you trust.

    Raises ``InputError`` if there is no submission at ``path``.
    """
    with Grader(limits, isolated) as grader:
        return grader.grade(path, hints, repair, adapter=adapter)
