"""Every hypothesis, run as a submission, is named as itself: so no two of a component agree on the battery."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mlp.grading.hypotheses import COMPONENTS
from mlp.grading.hypotheses.component import Inapplicable, with_variant
from mlp.grading.hypotheses.whole_mistakes import WHOLE
from mlp.grading.judge import Failing, judge
from mlp.grading.process import StudentError


class Mistaken:
    """A subject that computes what a hypothesis says, case by case."""

    def __init__(self, component, hypothesis, variant):
        self.component, self.hypothesis, self.variant = component, hypothesis, variant
        self.convention, self.remarks, self.candidate = {}, [], SimpleNamespace(name="")

    def observe(self, case):
        values = self.component.predict(with_variant(case, self.variant), self.hypothesis)
        if values is None:
            right = self.component.predict(with_variant(case, self.variant))
            forward = {"y", "value"} & self.hypothesis.changes.keys()
            error = StudentError({"type": "ValueError", "message": "shapes do not fit"})
            raise Failing("forward" if forward else "backward", error, {} if forward else {"y": right["y"]})
        return values


def variant_for(component, hypothesis):
    """The first convention under which the hypothesis makes sense."""
    case = component.draw(np.random.default_rng(0))[0]
    for variant in component.variants:
        try:
            component.predict(with_variant(case, variant), hypothesis)
        except Inapplicable:
            continue
        return variant
    raise AssertionError


@pytest.mark.parametrize("component", list(COMPONENTS.values()), ids=list(COMPONENTS))
def test_every_hypothesis_is_named_as_itself(component):
    named = {}
    for hypothesis in component.hypotheses:
        subject = Mistaken(component, hypothesis, variant_for(component, hypothesis))
        judgement = judge(subject)
        if hypothesis.tolerated:
            assert (judgement.outcome, subject.remarks) == ("passed", [hypothesis.name])
            continue
        assert judgement.outcome == "failed", hypothesis.id
        named[hypothesis.id] = judgement.explanation.id if judgement.explanation else None
    assert {id: other for id, other in named.items() if id != other} == {}


@pytest.mark.parametrize("component", list(COMPONENTS.values()), ids=list(COMPONENTS))
def test_every_variant_of_the_definition_passes(component):
    for variant in component.variants:
        values = SimpleNamespace(id="", changes={})
        assert judge(Mistaken(component, values, variant)).outcome == "passed", variant.label


def test_the_catalogue_is_large_and_its_identifiers_are_unique():
    for component in COMPONENTS.values():
        identifiers = [h.id for h in component.hypotheses]
        assert len(identifiers) == len(set(identifiers))
    assert sum(len(c.hypotheses) for c in COMPONENTS.values()) >= 150


MEANINGS = [
    "relu, then softmax; cross-entropy, 1/N", "sigmoid, then sigmoid; squared error, 1/(NK)",
    "tanh, then sigmoid; binary cross-entropy, 1/N", "relu, then identity; squared error, 1/(2N)",
]  # fmt: skip


def test_every_hypothesis_of_a_network_in_one_piece_is_named_as_itself_under_some_meaning():
    """Some are no mistake for some functions: the derivative of ReLU squared is itself."""
    open_ids = {h.id for h in WHOLE.hypotheses if not h.tolerated}
    for variant in (v for v in WHOLE.variants if v.label in MEANINGS):
        alone = replace(WHOLE, variants=[variant])
        for hypothesis in (h for h in WHOLE.hypotheses if h.id in open_ids):
            judgement = judge(Mistaken(alone, hypothesis, variant))
            if judgement.explanation and judgement.explanation.id == hypothesis.id:
                open_ids.remove(hypothesis.id)
    assert open_ids == set()
