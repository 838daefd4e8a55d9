"""What each component computes, and what it would compute with a certain mistake: one file a component.

A hypothesis that gives the same numbers as a submission, to rounding and on inputs on which all hypotheses differ,
is the submission's mistake. Read ``component.py`` first, then ``linear.py``.
"""

from mlp.grading.hypotheses.activations import ACTIVATIONS
from mlp.grading.hypotheses.batchnorm import BATCHNORM
from mlp.grading.hypotheses.component import Component, Hypothesis
from mlp.grading.hypotheses.cross_entropy import CROSS_ENTROPY
from mlp.grading.hypotheses.cross_entropy_of_probabilities import CROSS_ENTROPY_OF_PROBABILITIES
from mlp.grading.hypotheses.hinge import HINGE
from mlp.grading.hypotheses.linear import LINEAR
from mlp.grading.hypotheses.mse import MSE
from mlp.grading.hypotheses.network import NETWORK
from mlp.grading.hypotheses.softmax import SOFTMAX
from mlp.grading.hypotheses.update import SGD

COMPONENTS: dict[str, Component] = {
    component.name: component
    for component in (
        LINEAR, *ACTIVATIONS, SOFTMAX, BATCHNORM, MSE, CROSS_ENTROPY, CROSS_ENTROPY_OF_PROBABILITIES, HINGE,
          NETWORK, SGD,
    )
}  # fmt: skip

__all__ = ["COMPONENTS", "Component", "Hypothesis"]
