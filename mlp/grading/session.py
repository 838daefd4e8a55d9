"""The grading of one submission: every candidate is adapted in each plausible way, and the best verdict counts."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mlp.grading import names
from mlp.grading.adapt.context import Context
from mlp.grading.adapt.layers import ClassLayer
from mlp.grading.adapt.losses import Loss
from mlp.grading.adapt.remote import Handle, Remote
from mlp.grading.adapter import add_python_adapter, apply_adapter
from mlp.grading.agreement import agree
from mlp.grading.attempts import Attempt, attempts, better
from mlp.grading.candidates import Candidate
from mlp.grading.conventions import Graded, excuse
from mlp.grading.discovery import discover
from mlp.grading.hypotheses import COMPONENTS
from mlp.grading.hypotheses.component import agrees, with_variant
from mlp.grading.judge import Failing, Judgement, Missing, judge
from mlp.grading.process import Broken, Child, StudentError
from mlp.grading.submission import Submission

WARM = ["scipy", "scipy.special"]  # what takes long to import


class Session:
    """The grading of one submission."""

    def __init__(
        self,
        open_child: Callable[[Path, Sequence[str]], Child],
        submission: Submission,
        adapter: Path | None = None,
    ) -> None:
        python = adapter is not None and adapter.suffix == ".py"
        if adapter and python:
            submission = add_python_adapter(adapter, submission)
        self.open_child, self.submission = open_child, submission
        self.candidates, self.definitions = discover(submission)
        if adapter and not python:
            self.candidates = apply_adapter(adapter, submission, self.candidates, self.definitions)
        classes = {str(c.component): c.name for c in self.candidates if c.form == "class" and not c.empty}
        text = "\n".join(s.text for s in submission.sources)
        self.context = Context(clears=self.definitions.clears, classes=classes, text=text)
        self.warm = WARM if re.search(r"^\s*(import|from)\s+scipy\b", text, re.MULTILINE) else []
        self.broken_modules: dict[str, str] = {}
        self.definitions_only: set[str] = set()

    def grade_all(self, component: str | None = None) -> list[Graded]:
        """Linear first: the conventions of the others follow from it. All, or one component alone."""
        candidates = [c for c in self.candidates if component in (None, c.component)]
        graded = [g for c in candidates if (g := self.grade_one(c)) is not None]
        agree(graded, self.definitions)
        return graded

    def grade_one(self, candidate: Candidate) -> Graded | None:
        """One candidate in a child of its own."""
        if candidate.source.trouble:
            return Graded(candidate, Judgement("error", text=candidate.source.trouble), candidate.component or "?")
        candidate.component = candidate.component or self.recognised(candidate)
        return self.best(candidate) if candidate.component else None

    def best(self, candidate: Candidate) -> Graded | None:
        """The attempt that passes, or the one that tells most."""
        first: Graded | None = None
        for attempt in attempts(candidate, self.context):
            graded = self.run(candidate, attempt)
            if graded.judgement.outcome == "passed":
                return self.with_labels(candidate, graded)
            named = first is not None and first.judgement.explanation is not None
            if forward_is_right(graded) and not named:
                return graded  # so this is what was meant
            if first is None or better(graded.judgement, first.judgement):
                first = graded
            if candidate.empty or says_unfinished(graded.judgement):
                break
        return first

    def recognised(self, candidate: Candidate) -> str | None:
        """What a class without a telling name computes, if it is one of the definitions."""
        for name in ("Linear", *names.ACTIVATIONS, *names.LOSSES):
            candidate.component = name
            if any(self.computes(candidate, attempt) for attempt in attempts(candidate, Context())):
                return name
        candidate.component = None
        return None

    def computes(self, candidate: Candidate, attempt: Attempt) -> bool:
        """Is forward right in one case?"""
        output = "value" if candidate.component in names.LOSSES else "y"
        case = COMPONENTS[str(candidate.component)].draw(np.random.default_rng(0))[0]
        with (
            contextlib.suppress(Broken, StudentError, Missing, Failing),
            self.loaded(candidate) as (remote, module),
        ):
            subject = attempt(remote, module)
            subject.prepare()
            got = subject.observe(case)[output]
            predicted = (subject.component.predict(with_variant(case, v)) for v in subject.component.variants)
            return any(agrees(got, p[output]) for p in predicted)
        return False

    def with_labels(self, candidate: Candidate, passed: Graded) -> Graded:
        """A loss that is right for one-hot targets and takes labels too must be right for both."""
        labels = passed.convention.get("targets", "").startswith("int")
        if candidate.component in ("CrossEntropy", "Hinge") and not labels:
            loss, context = COMPONENTS[passed.component], self.context
            other = self.run(
                candidate, lambda remote, module: Loss(remote, module, candidate, loss, context, labels=True)
            )
            if other.judgement.outcome == "failed" and other.judgement.side != "forward":
                return other
            if other.judgement.outcome == "passed":
                passed.convention["targets"] = "one-hot or integer labels"
        return passed

    def run(self, candidate: Candidate, attempt: Attempt) -> Graded:
        """One attempt to adapt and judge."""
        assert candidate.component
        subject: Any = None
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
        if isinstance(subject, ClassLayer) and candidate.component == "Linear":
            self.context.arrays = subject.words()
        if subject is None:
            return Graded(candidate, judgement, candidate.component)
        if judgement.variant:
            subject.convention["definition"] = judgement.variant
        return Graded(candidate, judgement, subject.component.name, subject.convention, subject.remarks)

    @contextlib.contextmanager
    def loaded(self, candidate: Candidate) -> Iterator[tuple[Remote, Handle]]:
        """The candidate's module, imported in a new child; if the import breaks, its definitions alone."""
        path = candidate.source.path
        if reason := self.broken_modules.get(path):
            raise Broken(reason)
        name, paths = module_of(path, self.submission.folder)
        child = self.open_child(self.submission.folder, self.warm)
        try:
            remote = Remote(child)
            try:
                module = remote.load(name, paths, path in self.definitions_only)
            except (StudentError, Broken) as error:
                if path in self.definitions_only:
                    self.broken_modules[path] = f"{path} cannot be imported: {error}"
                    raise Broken(self.broken_modules[path]) from None
                child.close()
                self.definitions_only.add(path)
                with self.loaded(candidate) as result:
                    yield result
                return
            yield remote, module
        finally:
            child.close()


def says_unfinished(j: Judgement) -> bool:
    """Did it raise NotImplementedError? Then no other way of calling it will do."""
    return j.outcome == "unfinished" and j.text.startswith("NotImplementedError")


def forward_is_right(graded: Graded) -> bool:
    """Of a loss that failed elsewhere."""
    j = graded.judgement
    return graded.candidate.component in names.LOSSES and j.outcome == "failed" and j.side != "forward"


def module_of(path: str, folder: Path) -> tuple[str, list[str]]:
    """The name to import a file by, and the folders to look in: its own first, then those above it."""
    pure = PurePosixPath(path)
    parents = [folder / p for p in pure.parents]
    text = (folder / path).read_text(encoding="utf-8", errors="replace")
    relative = any(line.lstrip().startswith(("from .", "import .")) for line in text.splitlines())
    parts = [pure.stem]
    if relative or (parents[0] / "__init__.py").exists():
        for parent in pure.parents:
            if str(parent) == "." or not str(parent.name).isidentifier():
                break
            if not relative and not (folder / parent / "__init__.py").exists():
                break
            parts.insert(0, parent.name)
    return ".".join(parts), [str(p) for p in parents]
