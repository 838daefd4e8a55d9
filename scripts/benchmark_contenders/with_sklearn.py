"""scikit-learn: MLPClassifier, one ``partial_fit`` a batch."""

from __future__ import annotations

import numpy as np
from sklearn.neural_network import MLPClassifier

from benchmark_contenders import Step, Unsupported
from benchmark_contenders.problem import Problem

ACTIVATIONS = {"ReLU": "relu", "Sigmoid": "logistic"}


def build(problem: Problem) -> Step:
    s = problem.setting
    if s.loss != "CE" or s.activation not in ACTIVATIONS:
        raise Unsupported("MLPClassifier knows only cross-entropy, with ReLU or sigmoid")
    if not s.is_plain:
        raise Unsupported("written here for plain layers with SGD")
    classifier = MLPClassifier(
        hidden_layer_sizes=s.sizes[1:-1],
        activation=ACTIVATIONS[s.activation],
        solver="sgd",
        batch_size=s.batch_size,
        learning_rate_init=s.lr,
        momentum=s.momentum,
        nesterovs_momentum=False,
        alpha=s.weight_decay * s.batch_size,  # it divides alpha by the batch size
        shuffle=False,  # the batches come shuffled
        random_state=0,
    )
    inputs, labels = problem.inputs, problem.labels
    batch = problem.index_batches()

    # The first call makes the arrays. Then the weights are set, and without an optimizer it makes a new one.
    first = slice(0, s.batch_size)
    classifier.partial_fit(inputs[first], labels[first], classes=np.arange(s.sizes[-1]))
    for i, (weight, bias) in enumerate(problem.initial_weights):
        classifier.coefs_[i][...] = weight
        classifier.intercepts_[i][...] = bias
    del classifier._optimizer

    def step() -> tuple[float, None]:
        indices = next(batch)
        classifier.partial_fit(inputs[indices], labels[indices])
        return float(classifier.loss_), None

    step.classify = classifier.predict
    return step
